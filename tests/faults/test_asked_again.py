"""UpdateService has no token: what is asked for again is still one rollback, and never over somebody else's deployment."""

from collections.abc import Callable, Iterator

import pytest

from localcloud.errors import Refusal
from localcloud.recorder import Call
from tests.faults.campaign import CLUSTER, Campaign, Faults, campaign


@pytest.fixture(scope="module")
def here() -> Iterator[Campaign]:
    with campaign() as cloud:
        yield cloud


@pytest.fixture
def service(here: Campaign) -> str:
    """A service with a bad build, and a fix that a person is about to deploy."""
    (service,) = here.prepare(1)
    here.world.define(service, {"app": f"{here.repository}:v2"}, cpu="512")
    here.breaks("completed", service)
    return service


def asked(here: Campaign, service: str) -> list[Call]:
    calls = here.cloud.recorder.calls("ecs", "UpdateService")
    return [
        call
        for call in calls
        if call.parameters["service"] == service and call.access_key.startswith("process-")
    ]


def loses_the_first_answer(here: Campaign, then: Callable[[], None]) -> Callable[[], None]:
    """The first UpdateService takes effect and is not answered; something happens before it is asked for again."""
    lost: list[Call] = []

    def loses(call: Call) -> bool:
        is_first = call.operation == "UpdateService" and call.access_key == "process-0" and not lost
        if is_first:
            lost.append(call)
            then()
        return is_first

    return here.cloud.recorder.lose(loses)


def deployments(here: Campaign, service: str) -> list[str]:
    """What was deployed after the bad build."""
    found = here.cloud.ecs.find(CLUSTER, service).deployments[2:]
    return [one.target.task_definition.rpartition("/")[2] for one in found]


def calms_down(here: Campaign, service: str) -> None:
    here.alarm(service, "OK", here.cloud.clock.now())


def test_an_answer_that_is_lost_after_the_effect_is_one_rollback(
    here: Campaign, service: str
) -> None:
    found = loses_the_first_answer(here, lambda: None)
    assert not here.invoke(here.event("completed", service), Faults()), here.raised
    found()
    assert here.answers[-1]["outcome"] == "rolled_back"
    assert deployments(here, service) == [f"{service}:1"]
    assert len(asked(here, service)) == 1, "it was looked for, and not asked for again"
    (incident,) = here.incidents(service)
    newest = here.cloud.ecs.find(CLUSTER, service).newest
    assert newest is not None
    assert incident["rollback_deployment"] == newest.arn
    here.recovers(service)
    assert [told["incident_state"] for told in here.told(service)] == ["open", "recovered"]


def test_what_a_person_deploys_before_a_lost_answer_is_asked_for_again_stays(
    here: Campaign, service: str
) -> None:
    found = loses_the_first_answer(
        here, lambda: here.world.deploy(CLUSTER, service, f"{service}:3")
    )
    assert not here.invoke(here.event("completed", service), Faults()), here.raised
    found()
    assert deployments(here, service) == [f"{service}:1", f"{service}:3"]
    calms_down(here, service)
    here.recovers(service)
    assert deployments(here, service) == [f"{service}:1", f"{service}:3"]
    assert [told["incident_state"] for told in here.told(service)] == ["open", "superseded"]


@pytest.mark.parametrize("theirs", [1, 3], ids=["the same target", "a fix"])
def test_what_a_person_deploys_while_ecs_throttles_stays_and_is_nobody_elses(
    here: Campaign, service: str, theirs: int
) -> None:
    throttled: list[Call] = []

    def throttles(call: Call) -> None:
        if call.access_key != "process-0" or throttled:
            return
        throttled.append(call)
        here.world.deploy(CLUSTER, service, f"{service}:{theirs}")
        raise Refusal("ThrottlingException", "Rate exceeded")

    judge = here.cloud.recorder.interfere

    def interferes(call: Call) -> None:
        judge(call)
        if call.operation == "UpdateService":
            throttles(call)

    here.cloud.recorder.interfere = interferes  # type: ignore[method-assign]  # as the campaign does
    assert not here.invoke(here.event("completed", service), Faults()), here.raised
    here.cloud.recorder.interfere = judge  # type: ignore[method-assign]
    assert (here.answers[-1]["outcome"], here.answers[-1]["reason"]) == ("ignored", "superseded")
    assert deployments(here, service) == [f"{service}:{theirs}"]
    assert here.incidents(service) == []
    assert [told["outcome"] for told in here.told(service)] == []
    calms_down(here, service)
