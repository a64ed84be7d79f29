"""The other services that are in trouble, and what explains them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest

from autorollback.aws.neighbours import Neighbours
from autorollback.decision.facts import RedAlarm
from autorollback.naming import AlarmKey, Names, ServiceKey
from autorollback.policy import Policy, ServicePolicy

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
POLICY = Policy(families=("*",), task_roles=("*",))


def minutes(n: float) -> timedelta:
    return timedelta(minutes=n)


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
