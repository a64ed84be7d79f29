"""What a person asks of the ledger, through the deployed function: pauses, history, and to lift a quarantine."""

import pytest

from localcloud.traffic import Behaviour
from tests.e2e.conftest import Scene
from tests.e2e.telling import minutes, updates


@pytest.mark.parametrize(
    "whom", [{"service": "auth-service"}, {}], ids=["the service", "all services"]
)
def test_a_pause_holds_the_automatic_until_it_ends_and_the_sweep_then_judges(
    scene: Scene, whom: dict[str, str]
) -> None:
    stage = scene()
    paused = stage.invoke({"action": "pause", "minutes": 20, "reason": "load test", **whom})
    assert paused["outcome"] == "done"
    stage.deploy_bad()
    assert stage.until(lambda: stage.alarm_state() == "ALARM", within=minutes(10))
    stage.passes(minutes(2))
    assert (updates(stage), stage.incidents()) == (0, [])
    assert stage.until(lambda: updates(stage) == 1, within=minutes(20)), (
        "the alarm speaks no second time; the sweep asks"
    )


def test_a_persons_rollback_goes_on_in_a_pause_and_resume_ends_it(scene: Scene) -> None:
    stage = scene()
    nobody = stage.invoke({"action": "pause", "service": "nobody", "minutes": 5})
    assert (nobody["outcome"], nobody["error"]["field"]) == ("rejected", "service")
    stage.invoke({"action": "pause", "service": "auth-service", "minutes": 60})
    stage.deploy_bad()
    stage.passes(minutes(4))
    assert (
        stage.invoke({"service": "auth-service", "reason": "checkout fails"})["outcome"]
        == "rolled_back"
    )
    resumed = stage.invoke({"action": "resume", "service": "auth-service"})
    assert "a pause of all services would still hold" in resumed["detail"]
    assert [r["sk"] for r in stage.ledger() if r["sk"] == "pause"] == []

    history = stage.invoke({"action": "history"})
    (incident,) = history["incidents"]
    assert (incident["incident_state"], incident["reason"], history["next"]) == (
        "open",
        "requested",
        None,
    )
    assert stage.invoke({"action": "history", "next": "nonsense"})["error"]["field"] == "next"

    refused = stage.invoke({"action": "release", "service": "auth-service", "revision": 7})
    assert (
        refused["error"]["allowed"]
        == "a quarantined revision of my-cluster/auth-service: auth-service:19"
    )
    released = stage.invoke(
        {"action": "release", "service": "auth-service", "revision": 19, "reason": "mended"}
    )
    assert released["outcome"] == "done"
    kinds = [str(record["sk"]).partition("#")[0] for record in stage.ledger()]
    assert (kinds.count("quarantine"), kinds.count("release")) == (0, 1)


def test_people_are_told_when_a_build_that_was_rolled_back_from_is_deployed_again(
    scene: Scene,
) -> None:
    stage = scene()
    stage.deploy_bad()
    assert stage.until(
        lambda: [i["state"] for i in stage.incidents()] == ["recovered"], within=minutes(40)
    )
    stage.cloud.traffic.behaviour(
        stage.digests["auth-service:v19"], Behaviour()
    )  # it was the database, they think
    stage.deploy_bad()
    assert stage.until(
        lambda: stage.messages()[-1]["subject"].startswith("[BACK FROM QUARANTINE]"),
        within=minutes(12),
    )
    told = stage.messages()[-1]["email"]
    assert told.startswith("auth-service: auth-service:19, which was rolled back from at ")
    assert "is deployed again" in told.splitlines()[0]


def test_an_open_incident_whose_record_somebody_deletes_is_told_once_how_it_ended(
    scene: Scene,
) -> None:
    stage = scene()
    stage.deploy_bad()
    assert stage.until(lambda: stage.incidents() != [], within=minutes(12))
    (opened,) = stage.incidents()
    assert opened["state"] == "open"
    told = [message["subject"] for message in stage.messages()]
    (table,) = stage.client("dynamodb").list_tables()["TableNames"]
    key = {name: {"S": str(opened[name])} for name in ("pk", "sk")}
    stage.client("dynamodb").delete_item(TableName=table, Key=key)
    assert stage.incidents() == []

    (line,) = stage.invoke({"action": "status"})["services"]
    assert line["incident_id"] == opened["incident_id"]
    assert stage.until(
        lambda: [i["state"] for i in stage.incidents()] == ["recovered"], within=minutes(40)
    )
    stage.passes(minutes(20))
    since = stage.messages()[len(told) :]
    assert [message["subject"].partition("]")[0] for message in since] == ["[RECOVERED"]
    assert "was removed from the ledger while it was open" in since[0]["result"]["summary"]
    assert updates(stage) == 1
    assert [str(i["sk"]) for i in stage.ledger() if str(i["sk"]).startswith("open#")] == []
    for token in ("nonsense", "W1tb" * 500, "ü"):
        refused = stage.invoke({"action": "history", "next": token})
        assert (refused["outcome"], refused["error"]["field"]) == ("rejected", "next")
