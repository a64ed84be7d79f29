"""What is held, through the deployed stack: where else to look, and that people are paged where it burns on."""

from demo.scenario import AUTH, WORKER, Stage
from tests.e2e.conftest import Scene
from tests.e2e.telling import last_verdict, minutes


def told(stage: Stage) -> list[str]:
    """What people were told, and how urgent it is."""
    results = [message["result"] for message in stage.messages() if message["result"]]
    return [f"{result['reason']} {result['severity']}" for result in results]


def test_a_hold_says_what_else_was_deployed_and_pages_once_where_the_alarm_stays_red(
    scene: Scene,
) -> None:
    stage = scene(AUTH, WORKER)
    stage.deploy(17, WORKER)
    stage.passes(minutes(6))
    service = stage.client("ecs").describe_services(cluster=AUTH.cluster, services=[AUTH.name])
    stage.client("ecs").tag_resource(
        resourceArn=service["services"][0]["serviceArn"],
        tags=[{"key": "auto-rollback:irreversible", "value": "true"}],
    )
    stage.deploy_bad()
    assert stage.until(lambda: told(stage) != [], within=minutes(12))
    first = last_verdict(stage)
    (place,) = first["look_at"]
    assert (place["cluster"], place["service"]) == (WORKER.cluster, WORKER.name)
    assert (place["task_definition"], place["depends_on"]) == (f"{WORKER.name}:17", False)
    (letter,) = [message["email"] for message in stage.messages() if message["result"]]
    assert f"Look at: {WORKER.cluster}/{WORKER.name} was deployed at" in letter
    assert f": {WORKER.name}:17" in letter

    stage.passes(minutes(14))
    assert told(stage) == ["irreversible_change warning"]
    stage.passes(minutes(7))
    assert told(stage) == ["irreversible_change warning", "irreversible_change critical"]
    page = last_verdict(stage)
    assert "5xx-rate in ALARM since" in page["summary"]
    assert "and nobody acts" in page["summary"]
    assert page["look_at"] == first["look_at"]
    stage.passes(minutes(11))
    assert len(told(stage)) == 2, "once"
    assert stage.running_revision() == "auth-service:19"
