"""Judges stored records again: `python -m autorollback.replay FILE --set window_minutes=120`.

A record is what the ledger keeps in the attribute `facts` of an incident or a notice. FILE holds
that text, or the answer of `aws dynamodb get-item` or `query` with such items; `-` is standard
input. Nothing is asked of AWS and nothing is changed.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from autorollback import codec
from autorollback.aws.ledger_items import from_attributes, unpacked
from autorollback.codec import UnreadableValue
from autorollback.decision.decide import choose_for_person, decide
from autorollback.decision.formatting import clock
from autorollback.decision.question import Question
from autorollback.decision.verdicts import Hold, Judgement, RollBack
from autorollback.policy import Policy, PolicyError, build_policy, parse_tunables


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One packed record, and what its item says beside it.

    Attributes:
        told: what people were told then, as outcome and reason; empty where that is not known.
    """

    packed: str
    told: str = ""
    automatic: bool = True


def records_in(text: str) -> tuple[StoredRecord, ...]:
    """The records of a text: one packed record, or items as DynamoDB answers them.

    Raises:
        UnreadableValue: it holds none.
    """
    if not text.lstrip().startswith("{"):
        return (StoredRecord(text.strip()),)

    try:
        answer = json.loads(text)
    except json.JSONDecodeError as error:
        raise UnreadableValue(f"neither a packed record nor JSON: {error}") from error
    found = tuple(_records_of(answer))
    if not found:
        raise UnreadableValue("no item with an attribute `facts`")
    return found


def replayed(record: StoredRecord, changes: Mapping[str, object]) -> tuple[str, ...]:
    """The lines that tell how a record was and would be judged.

    Then by its own policy, now by the changed one.

    Raises:
        UnreadableValue: the record cannot be read.
        PolicyError: a change is none that a policy takes.
    """
    then = _question_in(record)
    now = Question(then.facts, _changed(then.policy, changes), then.now)

    service = then.facts.service
    name = service.arn.partition("service/")[2] if service else "a service that is gone"
    lines = [f"{name} at {clock(then.now)}"]
    if record.told:
        lines.append(f"told  {record.told}")
    lines.append(f"then  {_in_words(_judge(record, then))}")
    lines.append(f"now   {_in_words(_judge(record, now))}")
    return tuple(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell of each record how it was judged, and how it would be."""
    parser = argparse.ArgumentParser(
        prog="autorollback.replay", description="Judge stored records again."
    )
    parser.add_argument(
        "file", help="the text of the attribute `facts`, or DynamoDB's answer; - is standard input"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another value of the policy: window_minutes=120",
    )
    given = parser.parse_args(arguments)

    try:
        text = sys.stdin.read() if given.file == "-" else Path(given.file).read_text("utf-8")
        changes = dict(_change(setting) for setting in given.set)
        for record in records_in(text):
            for line in replayed(record, changes):
                sys.stdout.write(f"{line}\n")
    except (OSError, UnreadableValue, PolicyError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _records_of(answer: Mapping[str, object]) -> Iterator[StoredRecord]:
    """The records of an answer of get-item or query; items without one are passed over."""
    items = answer.get("Items") or [answer.get("Item")]
    if not isinstance(items, list):
        return
    for attributes in items:
        if isinstance(attributes, Mapping) and "facts" in attributes:
            yield _record_of(from_attributes(attributes))


def _record_of(item: Mapping[str, object]) -> StoredRecord:
    told = ""
    result = item.get("result")
    if isinstance(result, str):
        message = json.loads(result)
        told = f"{message.get('outcome')}, {message.get('reason')}"
    return StoredRecord(str(item["facts"]), told, automatic=item.get("automatic") is not False)


def _question_in(record: StoredRecord) -> Question:
    try:
        document = unpacked(record.packed)
    except ValueError as error:
        raise UnreadableValue(f"not a packed record: {error}") from error
    return Question(*codec.read_record(document))


def _change(setting: str) -> tuple[str, object]:
    """A setting as the policy's document has it: JSON where it is JSON, else text."""
    name, _, text = setting.partition("=")
    try:
        return name, json.loads(text)
    except json.JSONDecodeError:
        return name, text


def _changed(policy: Policy, changes: Mapping[str, object]) -> Policy:
    present = {field.name: getattr(policy, field.name) for field in fields(policy)}
    return build_policy({**present, **parse_tunables(changes)})


def _judge(record: StoredRecord, question: Question) -> Judgement:
    judge = decide if record.automatic else choose_for_person
    return judge(question.facts, question.policy, question.now)


def _in_words(judgement: Judgement) -> str:
    verdict = judgement.verdict
    kind = "ignore"
    if isinstance(verdict, RollBack):
        best = verdict.candidates[0].revision.task_definition
        kind = f"roll back to {best}"
    elif isinstance(verdict, Hold):
        kind = "hold"
    return f"{kind}, {verdict.reason.value}: {verdict.detail}"


if __name__ == "__main__":
    sys.exit(main())
