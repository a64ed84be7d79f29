"""SNS's key or EventBridge is down: all is done without them, and all is told afterwards, once."""

import json

from demo.scenario import AUTH, FUNCTION, Stage, neighbour
from localcloud.functions import access_key
from tests.e2e.conftest import Scene
from tests.e2e.telling import minutes

ACTORS = (AUTH, neighbour(1), neighbour(2))
WHOLE = [(actor.name, state) for actor in ACTORS for state in ("open", "recovered")]


def told(stage: Stage) -> list[tuple[str, str]]:
    """What people were told of incidents: the service, and where its incident stood."""
    results = [message["result"] for message in stage.messages() if message["result"]]
    return [(one["service"], one["incident_state"]) for one in results if one["incident_state"]]


def sent(stage: Stage) -> list[tuple[str, str]]:
    """The events that the function sent, in the same words."""
    found = []
    for call in stage.cloud.recorder.calls("events", "PutEvents", access_key(FUNCTION)):
        (entry,) = call.parameters["Entries"]
        detail = json.loads(entry["Detail"])
        found.append((detail["service"], detail["incident_state"]))
    return found


def in_turn(stage: Stage) -> None:
    """Each service gets its bad build a quarter of an hour after the one before."""
    for actor in ACTORS:
        stage.deploy_bad(actor)
        stage.passes(minutes(15))
    stage.passes(minutes(15))


def test_three_incidents_in_an_hour_without_the_key_of_the_topic_are_told_afterwards_once(
    scene: Scene,
) -> None:
    stage = scene(*ACTORS)
    kms = stage.client("kms")
    (key,) = [
        one["KeyId"]
        for one in kms.list_keys()["Keys"]
        if "notifications" in kms.describe_key(KeyId=one["KeyId"])["KeyMetadata"]["Description"]
    ]
    kms.disable_key(KeyId=key)
    in_turn(stage)
    assert told(stage) == []
    assert [stage.running_revision(actor) for actor in ACTORS] == [f"{a.name}:18" for a in ACTORS]
    assert [incident["state"] for incident in stage.incidents()] == ["recovered"] * 3
    assert sorted(sent(stage)) == sorted(WHOLE), "machines hear of it meanwhile, once"
    (alarm,) = stage.client("cloudwatch").describe_alarms(AlarmNames=["auto-rollback-unannounced"])[
        "MetricAlarms"
    ]
    assert alarm["StateValue"] == "ALARM", "which needs no topic to be seen"

    kms.enable_key(KeyId=key)
    stage.passes(minutes(12))
    assert sorted(told(stage)) == sorted(WHOLE)
    for actor in ACTORS:
        states = [state for service, state in told(stage) if service == actor.name]
        assert states == ["open", "recovered"]
    assert sorted(sent(stage)) == sorted(WHOLE)
    assert not [item for item in stage.ledger() if "unfinished" in item]


def test_while_eventbridge_takes_no_events_people_are_told_and_machines_later(
    scene: Scene,
) -> None:
    stage = scene()
    with stage.cloud.outages.of("events"):
        stage.deploy_bad()
        stage.passes(minutes(20))
        assert told(stage) == [("auth-service", "open"), ("auth-service", "recovered")]
        assert [incident["state"] for incident in stage.incidents()] == ["recovered"]
    tried = len(sent(stage))
    stage.passes(minutes(11))
    assert sent(stage)[tried:] == [("auth-service", "open"), ("auth-service", "recovered")]
    assert told(stage) == [("auth-service", "open"), ("auth-service", "recovered")]
    assert not [item for item in stage.ledger() if "unfinished" in item]
