"""When the trouble began, and with whom: composites of a user's own, and red alarms of nobody, end to end."""

import json
from datetime import timedelta
from typing import Any

from demo.scenario import AUTH, Stage, neighbour
from localcloud.traffic import Behaviour
from tests.e2e.conftest import Scene
from tests.e2e.telling import last_verdict, minutes, updates

OURS = "auto-rollback/my-cluster/auth-service"
PARAMETER = "/auto-rollback/my-cluster/auth-service"


def watches_payments(stage: Stage) -> None:
    """Make `checkout`, a composite over an alarm on three times five minutes, one of the service's own alarms."""
    cloudwatch, ssm = stage.client("cloudwatch"), stage.client("ssm")
    cloudwatch.put_metric_alarm(
        AlarmName="payments", Namespace="Shop", MetricName="failures", Statistic="Sum", Period=300, Threshold=20,
        EvaluationPeriods=3, ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching",
    )  # fmt: skip
    cloudwatch.put_composite_alarm(AlarmName="checkout", AlarmRule="ALARM(payments)")
    cloudwatch.put_composite_alarm(AlarmName=f"{OURS}/own-checkout", AlarmRule='ALARM("checkout")')
    policy = json.loads(ssm.get_parameter(Name=PARAMETER)["Parameter"]["Value"])
    value = json.dumps({**policy, "alarms": ["checkout"]})
    ssm.put_parameter(Name=PARAMETER, Value=value, Type="String", Overwrite=True)


def fails(stage: Stage, time: timedelta) -> None:
    """Ten payments fail in each minute that passes."""
    for _ in range(int(time.total_seconds()) // 60):
        stage.client("cloudwatch").put_metric_data(
            Namespace="Shop", MetricData=[{"MetricName": "failures", "Value": 10}]
        )
        stage.passes(minutes(1))


def healthy(stage: Stage) -> None:
    """The next build is harmless."""
    stage.cloud.traffic.behaviour(stage.digests["auth-service:v19"], Behaviour(error_rate=0.0))


def test_trouble_under_a_composite_from_before_a_harmless_deployment_rolls_nothing_back(
    scene: Scene,
) -> None:
    stage = scene()
    healthy(stage)
    watches_payments(stage)
    fails(stage, minutes(9))
    stage.deploy_bad()
    fails(stage, minutes(8))
    verdict = last_verdict(stage)
    assert (verdict["outcome"], verdict["reason"]) == ("held", "alarm_predates_deployment")
    assert "own-checkout breached within the 5 min from" in verdict["summary"]
    assert updates(stage) == 0
    kept: list[dict[str, Any]] = [item for item in stage.ledger() if item["sk"] == "alarms"]
    assert [item["under"] for item in kept] == [{"checkout": ["payments"]}]


def test_three_red_alarms_of_nobody_are_no_shared_cause(scene: Scene) -> None:
    """Of two other protected services both would have to be ill; of nobody's any number may be."""
    stage = scene(AUTH, neighbour(1), neighbour(2))
    cloudwatch = stage.client("cloudwatch")
    for signal in ("a", "b", "c"):
        name = f"auto-rollback/ghost/{signal}/x"
        cloudwatch.put_metric_alarm(
            AlarmName=name, Namespace="Shop", MetricName="nothing", Statistic="Sum", Period=60, Threshold=1,
            EvaluationPeriods=1, ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore",
        )  # fmt: skip
    stage.deploy_bad()
    stage.passes(minutes(2))
    for signal in ("a", "b", "c"):
        cloudwatch.set_alarm_state(
            AlarmName=f"auto-rollback/ghost/{signal}/x", StateValue="ALARM", StateReason="-"
        )
    assert stage.until(lambda: updates(stage) > 0, within=minutes(10))
    assert last_verdict(stage)["reason"] == "alarm_after_deployment"
