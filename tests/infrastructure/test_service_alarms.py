"""What each alarm makes of the load balancer's metrics in one minute, as CloudWatch's metric math says."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from autorollback.naming import Names
from autorollback.policy import parse_service
from autorollback_cdk.service_alarms import ServiceAlarms
from localcloud.alarms.expressions import Scope, Series, evaluate
from tests.infrastructure.synthesis import Template

pytestmark = pytest.mark.xdist_group("synth")

MINUTE = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
BLUE, GREEN = "targetgroup/blue/0123456789abcdef", "targetgroup/green/0123456789abcdef"
SERVICE = {
    "cluster": "main",
    "load_balancer": "app/shop/0123456789abcdef",
    "families": ["shop"],
    "task_roles": ["shop"],
}


@pytest.fixture(scope="module")
def alarms(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Any]]:
    app = cdk.App(outdir=str(tmp_path_factory.mktemp("alarms")))
    stack = cdk.Stack(app, "Alarms")
    for document in (
        {
            "service": "shared",
            "target_group": BLUE,
            "alarms": ["a b/c (d)"],
            "datapoints_to_alarm": 1,
            "evaluation_periods": 1,
        },
        {"service": "alone", "target_group": [BLUE, GREEN], "dedicated_load_balancer": True},
    ):
        protected = parse_service(SERVICE | document)
        ServiceAlarms(stack, protected.key.service, names=Names(), protected=protected)
    artifact = app.synth().get_stack_by_name("Alarms")
    template = Template(artifact.template, Path(artifact.template_full_path))
    kinds = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
    return {
        a["AlarmName"].removeprefix("auto-rollback/main/"): a
        for kind in kinds
        for a in template.of_type(kind)
    }


def _value(alarm: Mapping[str, Any], seen: Mapping[tuple[str, str], float]) -> float:
    """The alarm's value in a minute in which these metrics, by name and target group, have a datapoint."""
    series: dict[str, Series] = {}
    for query in alarm["Metrics"]:
        if "MetricStat" in query:
            metric = query["MetricStat"]["Metric"]
            groups = [d["Value"] for d in metric["Dimensions"] if d["Name"] == "TargetGroup"]
            value = seen.get((metric["MetricName"], groups[0] if groups else ""))
            series[query["Id"]] = {} if value is None else {MINUTE: value}
        else:
            series[query["Id"]] = evaluate(query["Expression"], Scope(series, [], [MINUTE], 60))
    (returned,) = (query["Id"] for query in alarm["Metrics"] if query["ReturnData"])
    return series[returned][MINUTE]


@pytest.mark.parametrize(
    ("alarm", "seen", "fires"),
    [
        pytest.param(
            "shared/5xx-rate",
            {("RequestCount", BLUE): 100, ("HTTPCode_Target_5XX_Count", BLUE): 6},
            True,
            id="6 %",
        ),
        pytest.param(
            "shared/5xx-rate",
            {("RequestCount", BLUE): 100, ("HTTPCode_Target_5XX_Count", BLUE): 5},
            False,
            id="5 % is allowed",
        ),
        pytest.param(
            "shared/5xx-rate",
            {("RequestCount", BLUE): 19, ("HTTPCode_Target_5XX_Count", BLUE): 19},
            False,
            id="too few requests",
        ),
        pytest.param(
            "shared/5xx-rate",
            {("RequestCount", BLUE): 20, ("HTTPCode_Target_5XX_Count", BLUE): 4},
            False,
            id="too few errors",
        ),
        pytest.param(
            "shared/5xx-rate", {("RequestCount", BLUE): 1000}, False, id="no error at all"
        ),
        pytest.param(
            "shared/5xx-rate",
            {("HTTPCode_ELB_5XX_Count", ""): 500},
            False,
            id="whose error it is, a shared load balancer cannot tell",
        ),
        pytest.param(
            "alone/5xx-rate",
            {("HTTPCode_ELB_5XX_Count", ""): 500},
            True,
            id="total outage behind its own load balancer",
        ),
        pytest.param(
            "alone/5xx-rate",
            {
                ("RequestCount", BLUE): 50,
                ("RequestCount", GREEN): 50,
                ("HTTPCode_Target_5XX_Count", GREEN): 6,
            },
            True,
            id="both groups add up",
        ),
        pytest.param(
            "shared/latency",
            {("RequestCount", BLUE): 100, ("TargetResponseTime", BLUE): 2.1},
            True,
            id="slow",
        ),
        pytest.param(
            "shared/latency",
            {("RequestCount", BLUE): 99, ("TargetResponseTime", BLUE): 2.1},
            False,
            id="slow, but few requests",
        ),
        pytest.param(
            "alone/latency",
            {
                ("RequestCount", BLUE): 100,
                ("TargetResponseTime", BLUE): 0.1,
                ("TargetResponseTime", GREEN): 2.1,
            },
            True,
            id="the slower group counts",
        ),
        pytest.param(
            "shared/unhealthy-targets",
            {("HealthyHostCount", BLUE): 2, ("UnHealthyHostCount", BLUE): 1},
            False,
            id="one of three unhealthy",
        ),
        pytest.param(
            "shared/unhealthy-targets",
            {("HealthyHostCount", BLUE): 2, ("UnHealthyHostCount", BLUE): 2},
            True,
            id="two unhealthy",
        ),
        pytest.param(
            "shared/unhealthy-targets",
            {("HealthyHostCount", BLUE): 0, ("UnHealthyHostCount", BLUE): 1},
            True,
            id="none healthy",
        ),
        pytest.param("shared/unhealthy-targets", {}, True, id="no target registered"),
        pytest.param(
            "alone/unhealthy-targets",
            {("HealthyHostCount", GREEN): 2, ("UnHealthyHostCount", GREEN): 0},
            False,
            id="the idle group is no outage",
        ),
    ],
)
def test_a_minute_breaches(
    alarms: Mapping[str, Mapping[str, Any]],
    alarm: str,
    seen: Mapping[tuple[str, str], float],
    *,
    fires: bool,
) -> None:
    definition = alarms[alarm]
    value, threshold = _value(definition, seen), definition["Threshold"]
    compare = {
        "GreaterThanThreshold": value > threshold,
        "GreaterThanOrEqualToThreshold": value >= threshold,
    }
    assert compare[definition["ComparisonOperator"]] is fires


def test_missing_data_is_calm_except_where_it_means_that_no_target_is_there(
    alarms: Mapping[str, Mapping[str, Any]],
) -> None:
    assert {
        name: a["TreatMissingData"] for name, a in alarms.items() if name.startswith("alone/")
    } == {
        "alone/5xx-rate": "notBreaching",
        "alone/latency": "notBreaching",
        "alone/unhealthy-targets": "breaching",
    }


def test_one_minute_alone_never_means_that_targets_are_missing(
    alarms: Mapping[str, Mapping[str, Any]],
) -> None:
    wanted = {
        name: (a["DatapointsToAlarm"], a["EvaluationPeriods"])
        for name, a in alarms.items()
        if "Metrics" in a
    }
    assert wanted["shared/5xx-rate"] == (1, 1)
    assert wanted["shared/unhealthy-targets"] == (2, 2)
    assert wanted["alone/unhealthy-targets"] == (3, 5)


def test_a_users_own_alarm_is_wrapped_whatever_its_name(
    alarms: Mapping[str, Mapping[str, Any]],
) -> None:
    assert alarms["shared/own-a b/c (d)"]["AlarmRule"] == 'ALARM("a b/c (d)")'
