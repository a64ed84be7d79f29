"""docs/judgement.md says what the code does: its words, its order and its keys."""

import re
from importlib import import_module
from pathlib import Path

from autorollback.decision import rules
from autorollback.decision.decide import decide
from autorollback.decision.facts import TriggerKind
from autorollback.decision.recovery import Progress
from autorollback.decision.verdicts import Reason
from autorollback.policy import Policy
from tests.scenarios.history import bad_deployment, days, incident, minutes

TEXT = Path(__file__, "../../../docs/judgement.md").resolve().read_text(encoding="utf-8")

PART_OF_ANOTHER = {"slow_start"}
"""Asked by `alarm_predates_deployment`, of each alarm."""


def section(title: str) -> str:
    return TEXT.partition(f"## {title}\n")[2].partition("\n## ")[0]


def first_column(title: str) -> list[str]:
    return re.findall(r"^\| `(\w+)` \|", section(title), flags=re.MULTILINE)


def test_every_reason_is_explained_once_with_meaning_sight_and_remedy() -> None:
    explained = re.findall(
        r"^\| `(\w+)` \|(.+)\|(.+)\|(.+)\|$", section("The words"), flags=re.MULTILINE
    )
    assert sorted(reason for reason, *_ in explained) == sorted(set(Reason) - {Reason.BAD_REQUEST})
    assert all(cell.strip() for row in explained for cell in row)
    assert f"`{Reason.BAD_REQUEST}`" in TEXT


def test_the_rules_are_told_in_the_order_in_which_they_are_asked() -> None:
    by_alarm = bad_deployment()
    by_ecs = (
        incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(9)).serving(healthy=0)
    )
    by_ecs.event(TriggerKind.TASKS_CANNOT_START)
    documented = first_column("The order")
    for story, only_of_the_other in (
        (by_alarm, {"still_serving", "capacity_lost"}),
        (by_ecs, {"not_serving_yet", "alarm_predates_deployment", "alarm_is_flapping"}),
    ):
        asked = [e.rule for e in decide(story.facts(), story.policy, story.now).evidence[:-1]]
        assert asked == [rule for rule in documented if rule not in only_of_the_other]


def test_every_rule_that_has_a_file_has_its_place_in_a_list() -> None:
    listed = {rule for kind in TriggerKind for rule in rules.rules_for(kind)} | {*rules.OF_PERSONS}
    files = {path.stem for path in Path(*rules.__path__).glob("[a-z]*.py")}
    for name in files - PART_OF_ANOTHER:
        module = import_module(f"{rules.__name__}.{name}")
        assert module.RULE in listed, f"{name}: nobody asks its rule"


def test_every_state_of_an_incident_is_told() -> None:
    assert set(Progress) <= set(first_column("After a rollback"))


def test_the_keys_of_the_policy_are_spelled_as_in_the_file() -> None:
    named = set(re.findall(r"`([a-z]+(?:_[a-z0-9]+)+)`", TEXT)) - set(Reason) - set(Progress)
    assert named <= set(Policy.__dataclass_fields__), named - set(Policy.__dataclass_fields__)
