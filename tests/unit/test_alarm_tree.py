"""The alarms under a user's own: which they are, and what cannot be told of them."""

# ruff: noqa: N803 - a fake takes what the client of AWS takes

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest

from autorollback.aws.alarm_tree import children_of, tree_under
from autorollback.aws.alarms import Alarms
from autorollback.decision.facts import Alarm, Untold
from autorollback.naming import Names, ServiceKey
from autorollback.policy import Policy, ServicePolicy

FIRED = datetime(2026, 11, 22, 14, 10, tzinfo=UTC)
KEY = ServiceKey("shop", "auth")
POLICY = ServicePolicy(KEY, Policy(families=("a*",), task_roles=("a*",)), alarms=("checkout",))
OURS = "auto-rollback/shop/auth/own-checkout"
PREFIX = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:"


def metric(name: str, *, red: bool = True, period: int = 60, first: int = 5) -> dict[str, Any]:
    """A metric alarm; if red, its datapoints breach from so many minutes before it fired on."""
    start = FIRED - timedelta(minutes=first)
    values = "9.0, 9.0, 9.0" if red else "0.0"
    data = f'{{"startDate": "{start:%Y-%m-%dT%H:%M:%S}.000+0000", "period": {period}, "threshold": 1.0, "recentDatapoints": [{values}]}}'
    return {
        "AlarmName": name,
        "AlarmArn": PREFIX + name,
        "StateValue": "ALARM" if red else "OK",
        "StateTransitionedTimestamp": FIRED,
        "StateReasonData": data,
        "ComparisonOperator": "GreaterThanThreshold",
        "Period": period,
        "EvaluationPeriods": 3,
    }


def composite(name: str, rule: str) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "AlarmArn": PREFIX + name,
        "AlarmRule": rule,
        "StateValue": "ALARM",
        "StateTransitionedTimestamp": FIRED,
    }


@dataclass
class CloudWatch:
    """DescribeAlarms by names."""

    known: list[dict[str, Any]]
    asked: list[list[str]] = field(default_factory=list)

    def describe_alarms(
        self, AlarmNames: list[str], AlarmTypes: list[str], MaxRecords: int
    ) -> dict[str, Any]:
        assert len(AlarmNames) <= MaxRecords == 100
        assert AlarmTypes == ["MetricAlarm", "CompositeAlarm", "LogAlarm"]
        self.asked.append(AlarmNames)
        found = [alarm for alarm in self.known if alarm["AlarmName"] in AlarmNames]
        return {
            "MetricAlarms": [alarm for alarm in found if "Period" in alarm],
            "CompositeAlarms": [alarm for alarm in found if "AlarmRule" in alarm],
            "LogAlarms": [alarm for alarm in found if "ScheduledQueryConfiguration" in alarm],
        }


def alarms(*known: dict[str, Any]) -> tuple[Alarms, CloudWatch]:
    cloudwatch = CloudWatch([composite(OURS, 'ALARM("checkout")'), *known])
    return Alarms(cast(Any, SimpleNamespace(cloudwatch=cloudwatch)), Names()), cloudwatch


def judged(*known: dict[str, Any], trees: Mapping[str, tuple[str, ...]] | None = None) -> Alarm:
    """The alarm around `checkout`, with the tree that was read before, or the one given."""
    reader, cloudwatch = alarms(*known)
    kept = reader.trees(POLICY) if trees is None else trees
    cloudwatch.asked.clear()
    (alarm,) = reader.of(POLICY, trees=kept)
    assert len(cloudwatch.asked) == 1, "a judgement asks once"
    return alarm


def chain(levels: int) -> list[dict[str, Any]]:
    """`checkout` over composites one under the other, so many levels in all, a metric at the bottom."""
    names = ["checkout", *(f"level-{number}" for number in range(1, levels))]
    found = [composite(a, f"ALARM({b})") for a, b in pairwise(names)]
    return [*found, composite(names[-1], "ALARM(bottom)"), metric("bottom")]


class TestRules:
    @pytest.mark.parametrize(
        ("rule", "names"),
        [
            pytest.param('ALARM("a b") OR ALARM(c)', ("a b", "c"), id="quoted or not"),
            pytest.param("(ALARM(a) OR OK(b)) AND NOT INSUFFICIENT_DATA(c)", ("a", "b", "c"), id="states"),
            pytest.param(f"ALARM({PREFIX}a/b) AND TRUE", ("a/b",), id="by ARN"),
            pytest.param("AT_LEAST(2, ALARM, (a, b, c)) OR ALARM(d)", ("a", "b", "c", "d"), id="so many of them"),
            pytest.param("AT_LEAST(50%, NOT OK, (a, b))", ("a", "b"), id="a share of them"),
            pytest.param("FALSE", (), id="none"),
            pytest.param("ALARM(OK) OR ALARM(a)", ("OK", "a"), id="a name like a word"),
            pytest.param("ALARM(a) XOR ALARM(b)", None, id="a function that is not known"),
            pytest.param("ALARM(arn:aws:cloudwatch:eu-west-1:999999999999:alarm:a)", None, id="another account's"),
        ],
    )  # fmt: skip
    def test_name_their_alarms(self, rule: str, names: tuple[str, ...] | None) -> None:
        assert children_of(composite("x", rule)) == names


class TestTrees:
    def test_the_earliest_red_metric_alarm_tells_however_deep_with_its_own_period(self) -> None:
        alarm = judged(
            composite("checkout", "ALARM(shop) OR ALARM(mail)"),
            composite("shop", "ALARM(payments)"),
            metric("payments", period=300, first=15),
            metric("mail", first=4),
        )
        assert alarm.untold is None
        assert (alarm.onset, alarm.grain) == (FIRED - timedelta(minutes=15), timedelta(minutes=5))
        assert [source.name for source in alarm.sources] == ["payments", "mail"]

    def test_one_that_is_calm_by_now_tells_nothing(self) -> None:
        alarm = judged(
            composite("checkout", "ALARM(a) OR ALARM(b)"), metric("a", red=False), metric("b")
        )
        assert [source.name for source in alarm.sources] == ["b"]

    def test_where_none_is_red_it_cannot_be_told(self) -> None:
        alarm = judged(composite("checkout", "NOT ALARM(a)"), metric("a", red=False))
        assert alarm.untold is Untold.NOTHING_RED

    @pytest.mark.parametrize(("levels", "untold"), [(4, None), (5, Untold.UNREAD)])
    def test_four_levels_are_read(self, levels: int, untold: Untold | None) -> None:
        assert judged(*chain(levels)).untold is untold

    @pytest.mark.parametrize(("under", "untold"), [(98, None), (99, Untold.UNREAD)])
    def test_a_hundred_alarms_are_read_the_one_around_it_included(
        self, under: int, untold: Untold | None
    ) -> None:
        names = [f"a{number}" for number in range(under)]
        rule = " OR ".join(f"ALARM({name})" for name in names)
        assert judged(composite("checkout", rule), *map(metric, names)).untold is untold

    def test_a_circle_is_followed_once(self) -> None:
        alarm = judged(
            composite("checkout", "ALARM(a)"), composite("a", "ALARM(checkout) OR ALARM(b)"), metric("b")
        )  # fmt: skip
        assert alarm.untold is None
        assert [source.name for source in alarm.sources] == ["b"]

    def test_a_log_alarm_among_them_cannot_be_told(self) -> None:
        log = {
            **composite("log", ""),
            "ScheduledQueryConfiguration": {},
            "QueryResultsToEvaluate": 1,
        }
        del log["AlarmRule"]
        alarm = judged(composite("checkout", "ALARM(a) OR ALARM(log)"), metric("a"), log)
        assert alarm.untold is Untold.NO_DATAPOINTS

    def test_nor_one_on_a_query_without_a_period(self) -> None:
        promql = {**metric("checkout"), "EvaluationCriteria": {}}
        del promql["Period"]
        tree = tree_under("checkout", {"checkout": promql})
        assert tree.untold is Untold.NO_DATAPOINTS

    @pytest.mark.parametrize(
        "kept",
        [
            pytest.param({}, id="nothing was read yet"),
            pytest.param({"checkout": ("a",)}, id="another one has come since"),
            pytest.param({"checkout": ("a", "b", "gone")}, id="the rule names one that is no more"),
        ],
    )
    def test_what_has_changed_since_it_was_read_cannot_be_told(
        self, kept: dict[str, tuple[str, ...]]
    ) -> None:
        rule = "ALARM(a) OR ALARM(b)" + (" OR ALARM(gone)" if "gone" in str(kept) else "")
        alarm = judged(composite("checkout", rule), metric("a"), metric("b"), trees=kept)
        assert alarm.untold is Untold.UNREAD
        assert alarm.onset is not None, "it is red, and judged as one that convicts nobody"

    def test_one_that_went_from_the_rule_matters_no_more(self) -> None:
        kept = {"checkout": ("a", "gone")}
        assert judged(composite("checkout", "ALARM(a)"), metric("a"), trees=kept).untold is None

    def test_what_is_known_to_be_whole_is_kept_by_name(self) -> None:
        reader, cloudwatch = alarms(*chain(3))
        assert reader.trees(POLICY) == {"checkout": ("level-1", "level-2", "bottom")}
        assert [len(names) for names in cloudwatch.asked] == [1, 1, 1, 1], "level by level"

    def test_of_a_metric_alarm_there_is_nothing_to_keep(self) -> None:
        reader, _ = alarms(metric("checkout"))
        assert reader.trees(POLICY) == {}
        assert judged(metric("checkout")).untold is None
