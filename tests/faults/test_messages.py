"""A message that cannot be sent stands in the way of nothing: it is kept, and sent by the retry or by the sweep."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from localcloud.errors import Refusal
from localcloud.recorder import Call
from tests.faults.campaign import CLUSTER, Campaign, Faults, campaign


@pytest.fixture(scope="module")
def here() -> Iterator[Campaign]:
    with campaign() as cloud:
        yield cloud


@pytest.fixture
def mail_fails(here: Campaign, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """SNS, or the key of its topic, refuses from now on; `undo` mends it."""

    def refuse(call: Call) -> None:
        if call.operation == "Publish":
            raise Refusal("KMSDisabledException", "the key of the topic is disabled")

    monkeypatch.setattr(here.cloud.recorder, "interfere", refuse)
    return monkeypatch


def states(here: Campaign, service: str) -> list[str]:
    return sorted(i["state"] for i in here.incidents(service))


def told(here: Campaign, service: str) -> list[tuple[str, Any]]:
    return [(t["outcome"], t.get("incident_state") or t.get("reason")) for t in here.told(service)]


def unfinished(here: Campaign, service: str) -> list[str]:
    return [i["sk"] for i in here.items(service) if "unfinished" in i]


def rolled_back_untold(here: Campaign) -> str:
    """A service that was rolled back from its second build, of which nobody could be told."""
    (service,) = here.prepare(1)
    here.breaks("completed", service)
    assert here.invoke(here.event("completed", service), Faults()), (
        "it fails for its own message, so that Lambda retries"
    )
    assert states(here, service) == ["open"]
    assert told(here, service) == []
    return service


@pytest.mark.parametrize("kind", ["completed", "by_hand"])
def test_another_bad_build_is_rolled_back_hours_later(
    here: Campaign, mail_fails: pytest.MonkeyPatch, kind: str
) -> None:
    service = rolled_back_untold(here)
    here.alarm(service, "OK", here.cloud.clock.now())
    for _ in range(3):
        here.passes(timedelta(hours=1))
        here.invoke(here.sweep(), Faults())
    assert states(here, service) == ["recovered"], "its recovery was watched all the same"
    assert unfinished(here, service), "the messages are kept"
    here.world.define(service, {"app": f"{here.repository}:v2"}, cpu="512")
    here.world.deploy(CLUSTER, service, f"{service}:3")
    here.passes(timedelta(minutes=8))
    here.alarm(
        service,
        "ALARM",
        here.cloud.clock.now().replace(second=0, microsecond=0) - timedelta(minutes=3),
    )
    faults = Faults()
    here.invoke(here.event(kind, service), faults)
    assert "ecs.UpdateService" in faults.calls
    assert states(here, service) == ["open", "recovered"]
    mail_fails.undo()
    here.recovers(service)
    here.invoke(here.sweep(), Faults())
    of_rollbacks = [one for one in told(here, service) if one[0] == "rolled_back"]
    assert of_rollbacks == [
        ("rolled_back", state) for state in ("open", "recovered", "open", "recovered")
    ]
    assert unfinished(here, service) == []


def test_the_retry_of_the_request_tells_and_nobody_tells_again(
    here: Campaign, mail_fails: pytest.MonkeyPatch
) -> None:
    (service,) = here.prepare(1)
    here.breaks("completed", service)
    event, request = here.event("completed", service), here._request()
    assert here._invoke(event, here.processes[0], request, Faults())
    mail_fails.undo()
    assert not here._invoke(event, here.processes[1], request, Faults())
    assert here.answers[-1]["outcome"] == "rolled_back"
    here.invoke(here.sweep(), Faults())
    assert told(here, service) == [("rolled_back", "open")]
    here.recovers(service)


def test_what_was_held_is_told_by_the_sweep(here: Campaign, mail_fails: pytest.MonkeyPatch) -> None:
    (service,) = here.prepare(1)
    here.alarm(service, "ALARM", here.cloud.clock.now())  # long after its deployment
    assert here.invoke(here.event("completed", service), Faults())
    assert not here.invoke(here.sweep(), Faults()), "it is no message of the sweep's own"
    assert told(here, service) == []
    mail_fails.undo()
    for _ in range(2):
        assert not here.invoke(here.sweep(), Faults()), here.raised
        assert told(here, service) == [("held", "no_recent_deployment")]
    assert unfinished(here, service) == []
    here.alarm(service, "OK", here.cloud.clock.now())


def test_a_claim_of_another_that_is_given_up_untold_stops_no_judgement(
    here: Campaign, mail_fails: pytest.MonkeyPatch
) -> None:
    (service,) = here.prepare(1)
    here.breaks("completed", service)
    died = Faults(dies_at=16)  # the act
    here.invoke(here.event("by_hand", service), died)
    assert states(here, service) == ["acting"]
    here.passes(here.OLD)
    here.alarm(service, "OK", here.cloud.clock.now())
    here.alarm(service, "ALARM", here.cloud.clock.now())
    here.invoke(here.event("completed", service), Faults())
    assert "failed" in states(here, service)
    mail_fails.undo()
    here.invoke(here.sweep(), Faults())
    assert ("failed", "requested") in told(here, service)
    assert unfinished(here, service) == []
    here.alarm(service, "OK", here.cloud.clock.now())


def test_the_message_of_one_service_keeps_the_sweep_from_nothing(
    here: Campaign, mail_fails: pytest.MonkeyPatch
) -> None:
    untold, another = here.prepare(2)
    here.breaks("completed", untold)
    here.breaks("completed", another)
    assert here.invoke(here.event("completed", untold), Faults())
    assert here.invoke(here.sweep(), Faults())
    assert (states(here, another), told(here, another)) == (["open"], [])
    mail_fails.undo()
    here.alarm(untold, "OK", here.cloud.clock.now())
    here.recovers(another)
    here.recovers(untold)
    for service in (another, untold):
        assert [state for _, state in told(here, service)] == ["open", "recovered"]
        assert unfinished(here, service) == []
