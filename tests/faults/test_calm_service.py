"""A calm service that is deployed less than monthly: its alarms have nothing to tell of the last 30 days but that they were OK."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.faults.campaign import CLUSTER, Campaign, Faults, campaign


@pytest.fixture(scope="module")
def here() -> Iterator[Campaign]:
    with campaign() as cloud:
        yield cloud


def served_for_two_months(here: Campaign, *, red_once: bool) -> str:
    """A service whose first build has served for 60 days; another alarm is 40 days old, and calm since then or soon after."""
    (service,) = here.prepare(1)
    here.passes(timedelta(days=20))
    latency = f"auto-rollback/{CLUSTER}/{service}/latency"
    here.cloudwatch.put_metric_alarm(
        AlarmName=latency, Namespace="Queues", MetricName="latency", Statistic="Average", Period=60, Threshold=2,
        EvaluationPeriods=3, ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore",
    )  # fmt: skip
    here.cloudwatch.set_alarm_state(AlarmName=latency, StateValue="OK", StateReason="calm")
    if red_once:
        here.cloudwatch.set_alarm_state(AlarmName=latency, StateValue="ALARM", StateReason="slow")
        here.passes(timedelta(minutes=30))
        here.cloudwatch.set_alarm_state(AlarmName=latency, StateValue="OK", StateReason="calm")
    here.passes(timedelta(days=40))
    return service


@pytest.mark.parametrize(
    "red_once", [False, True], ids=["calm ever since", "red once, 40 days ago"]
)
@pytest.mark.parametrize("kind", ["completed", "by_hand"])
def test_it_is_rolled_back_to_what_served_for_two_months(
    here: Campaign, kind: str, *, red_once: bool
) -> None:
    service = served_for_two_months(here, red_once=red_once)
    assert not here.invoke({"action": "readiness", "service": service}, Faults()), here.raised
    findings = [f["check"] for s in here.answers[-1]["services"] for f in s["findings"]]
    assert "stable_target" not in findings
    here.breaks(kind, service)
    assert not here.invoke(here.event(kind, service), Faults()), here.raised
    answer = here.answers[-1]
    assert (answer["outcome"], answer["to"]["task_definition"]) == (
        "rolled_back",
        f"{service}:1",
    ), answer
    here.recovers(service)


@pytest.mark.parametrize("kind", ["completed", "in_progress", "by_hand", "cannot_start", "failed"])
def test_so_it_is_of_a_worker_whose_deployment_ecs_has_forgotten(here: Campaign, kind: str) -> None:
    """ECS keeps deployments for 90 days: only what the bad one replaced tells of the good build."""
    (service,) = here.prepare(1)
    here.passes(timedelta(days=200))
    assert not here.invoke({"action": "readiness", "service": service}, Faults()), here.raised
    (ready,) = [told["ready"] for told in here.answers[-1]["services"]]
    assert ready
    here.breaks(kind, service)
    assert not here.invoke(here.event(kind, service), Faults()), here.raised
    answer = here.answers[-1]
    assert answer["outcome"] == "rolled_back", answer
    assert answer["to"]["task_definition"] == f"{service}:1"
    here.recovers(service)
