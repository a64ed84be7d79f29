"""The other services: the page of red alarms, which one invocation reads for others in a storm, and what explains them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest

from autorollback.aws import neighbours
from autorollback.aws.clients import Clients
from autorollback.aws.ledger import Ledger
from autorollback.aws.neighbours import FRESH, Neighbours
from autorollback.aws.policies import Policies
from autorollback.decision.facts import RedAlarm
from autorollback.naming import AlarmKey, Names, ServiceKey
from autorollback.policy import Policy, ServicePolicy
from localcloud.errors import Refusal
from localcloud.recorder import Call
from localcloud.server import Cloud

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
POLICY = Policy(families=("*",), task_roles=("*",))


def minutes(n: float) -> timedelta:
    return timedelta(minutes=n)


class Throttle:
    """CloudWatch, which refuses as many calls as it is told to."""

    def __init__(self) -> None:
        self.refusals, self.asked = 0, 0

    def __call__(self, _call: Call) -> None:
        self.asked += 1
        if self.refusals:
            self.refusals -= 1
            raise Refusal("ThrottlingException", "Rate exceeded")


@pytest.fixture
def throttle(cloud: Cloud) -> Iterator[Throttle]:
    cloud.session("team").client("cloudwatch").put_metric_alarm(
        AlarmName="auto-rollback/prod/mail/latency", MetricName="m", Namespace="n", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    cloud.session("team").client("cloudwatch").set_alarm_state(
        AlarmName="auto-rollback/prod/mail/latency", StateValue="ALARM", StateReason="-"
    )
    throttle = Throttle()
    leave = cloud.recorder.before("cloudwatch", "DescribeAlarms", throttle)
    with mock.patch.object(neighbours, "sleep"):
        yield throttle
    leave()


def invocation(clients: Clients, ledger: Ledger, services: int = 1000) -> Neighbours:
    return Neighbours(clients, Names(), ledger, Policies(clients, Names()), services)


def test_in_a_storm_the_page_that_one_invocation_has_read_serves_the_others(
    clients: Clients, ledger: Ledger, throttle: Throttle
) -> None:
    throttle.refusals = 2
    read = invocation(clients, ledger).red(POLICY, NOW)
    assert [alarm.name for alarm in read] == ["auto-rollback/prod/mail/latency"]
    throttle.refusals, throttle.asked = 100, 0
    assert invocation(clients, ledger).red(POLICY, NOW + FRESH - SECOND) == read
    assert throttle.asked == 1, "who is refused asks the ledger, not CloudWatch again"
    throttle.refusals, throttle.asked = 2, 0
    assert invocation(clients, ledger).red(POLICY, NOW + FRESH + 2 * SECOND) == read
    assert throttle.asked == 3, "an old page is no answer"


def test_where_nothing_throttles_nothing_is_shared(clients: Clients, ledger: Ledger, throttle: Throttle) -> None:
    assert invocation(clients, ledger).red(POLICY, NOW)
    assert ledger.shared_red(NOW - FRESH) is None


def test_nobody_asks_about_neighbours_where_a_shared_cause_cannot_show(
    clients: Clients, ledger: Ledger, throttle: Throttle
) -> None:
    assert invocation(clients, ledger, services=2).red(POLICY, NOW) == ()
    assert throttle.asked == 0
    assert len(invocation(clients, ledger, services=2).red(replace(POLICY, shared_cause_services=1), NOW)) == 1


ONSET = NOW + timedelta(hours=3)
OTHERS = tuple(ServiceKey("prod", f"other-{number}") for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("deployed", "changed"),
    [
        pytest.param([minutes(5)], True, id="within its window before it fell ill"),
        pytest.param([minutes(70)], False, id="longer before"),
        pytest.param([minutes(-1)], False, id="only since then"),
        pytest.param([minutes(5), minutes(-1)], True, id="within its window, and rolled back since"),
        pytest.param([minutes(70), minutes(-1)], False, id="longer before, and again since then"),
        pytest.param([], False, id="never"),
    ],
)
def test_a_neighbour_is_explained_by_a_deployment_before_it_fell_ill(
    deployed: list[timedelta], *, changed: bool
) -> None:
    """Also where it has been deployed since: a bad build that went to many services at once is rolled back in each."""
    red = tuple(RedAlarm(AlarmKey(key, "latency"), f"{key}", ONSET - minutes(1)) for key in OTHERS)
    times = [ONSET - minutes(1) - ago for ago in deployed]
    briefs = [{"serviceDeploymentArn": f"arn/{n}", "createdAt": at} for n, at in enumerate(times)]
    full = [
        brief | {"status": "SUCCESSFUL", "startedAt": at, "finishedAt": at + SECOND}
        for brief, at in zip(briefs, times, strict=True)
    ]
    ecs = mock.Mock()
    ecs.exceptions.ClusterNotFoundException = ecs.exceptions.ServiceNotFoundException = KeyError
    ecs.describe_services.return_value = {
        "services": [
            {"serviceName": key.service, "deployments": [{"createdAt": max(times)}]} for key in OTHERS if times
        ]
    }
    ecs.list_service_deployments.return_value = {"serviceDeployments": briefs}
    ecs.describe_service_deployments.return_value = {"serviceDeployments": full}
    policies = mock.Mock()
    policies.of_all.return_value = {key: ServicePolicy(key, POLICY) for key in OTHERS}
    asked = Neighbours(mock.Mock(ecs=ecs), Names(), mock.Mock(), policies, 1000)
    found = asked.in_trouble(red, ServicePolicy(ServiceKey("prod", "auth"), POLICY), ONSET, {ONSET})
    assert {neighbour.changed for neighbour in found} == {changed}


@pytest.mark.parametrize("ago", [minutes(5), minutes(70)])
def test_the_deployments_of_a_neighbour_are_codedeploys_where_that_deploys_it(ago: timedelta) -> None:
    """Whatever ECS says of service deployments that such a service does not have; it has been deployed again since."""
    (other, *_), fell_ill = OTHERS, ONSET - minutes(1)
    ecs, codedeploy = mock.Mock(), mock.Mock()
    ecs.exceptions.ClusterNotFoundException = ecs.exceptions.ServiceNotFoundException = KeyError
    ecs.exceptions.InvalidParameterException = ecs.exceptions.ClientException = ValueError
    ecs.exceptions.UnsupportedFeatureException = NotImplementedError
    ecs.list_service_deployments.side_effect = NotImplementedError
    ecs.describe_services.return_value = {
        "services": [{"serviceName": other.service, "taskSets": [{"createdAt": fell_ill + SECOND}]}]
    }
    told = [
        {"deploymentId": name, "status": "Succeeded", "createTime": at, "startTime": at, "completeTime": at}
        for name, at in (("d-2", fell_ill + SECOND), ("d-1", fell_ill - ago))
    ]
    codedeploy.list_deployments.return_value = {"deployments": ["d-2", "d-1"]}
    codedeploy.batch_get_deployments.return_value = {"deploymentsInfo": told}
    policies = mock.Mock()
    policies.of_all.return_value = {other: ServicePolicy(other, POLICY, code_deploy="shop/other")}
    policy = replace(POLICY, shared_cause_services=1)
    asked = Neighbours(mock.Mock(ecs=ecs, codedeploy=codedeploy), Names(), mock.Mock(), policies, 1000)
    red = (RedAlarm(AlarmKey(other, "latency"), "latency", fell_ill),)
    (found,) = asked.in_trouble(red, ServicePolicy(ServiceKey("prod", "auth"), policy), ONSET, {ONSET})
    assert found.changed == (ago <= POLICY.window)


def test_every_alarm_of_a_neighbour_is_told_that_began_near_one_of_ours() -> None:
    """One alarm of ours may have been red for long; the one that convicts is compared with what began near it."""
    (other, *_), early, late = OTHERS, ONSET - minutes(40), ONSET - minutes(5)
    red = [
        RedAlarm(AlarmKey(other, signal), signal, at)
        for signal, at in (("latency", early), ("5xx-rate", late), ("unhealthy-targets", ONSET - minutes(20)))
    ]
    neighbours = Neighbours(mock.Mock(), Names(), mock.Mock(), mock.Mock(), 1000)
    auth = ServicePolicy(ServiceKey("prod", "auth"), POLICY)
    found = neighbours.in_trouble(red, auth, ONSET - minutes(35), {ONSET, ONSET - minutes(35)})
    assert [(n.key, n.onset) for n in found] == [(other, early), (other, late)]
