"""What is deployed after a rollback, through the deployed stack: the bad build again, the good one again, or another."""

from typing import Any

from demo.scenario import BAD, BAD_REVISION, GOOD_REVISION, Stage
from localcloud.traffic import Behaviour
from tests.e2e.conftest import Scene
from tests.e2e.telling import minutes, updates

GOOD, KNOWN_BAD = f"auth-service:{GOOD_REVISION}", f"auth-service:{BAD_REVISION}"


def states(stage: Stage) -> list[str]:
    return [str(incident["state"]) for incident in stage.incidents()]


def told(stage: Stage) -> list[str]:
    """What people were told: the outcome, or the state of the incident, and how urgent it is."""
    lines = []
    for message in stage.messages():
        result = message["result"]
        if result:
            what = result.get("incident_state") or result["outcome"]
            lines.append(f"{what} {result['severity']}")
    return lines


def rolled_back(stage: Stage) -> Stage:
    stage.deploy_bad()
    assert stage.until(lambda: states(stage) == ["open"], within=minutes(12))
    stage.passes(minutes(1))
    assert stage.alarm_state() == "ALARM"
    return stage


def registered_again(stage: Stage, number: int, **changed: Any) -> int:
    """A pipeline registers a definition again, with something changed in its container; its number."""
    ecs = stage.client("ecs")
    described = ecs.describe_task_definition(taskDefinition=f"auth-service:{number}")
    definition = described["taskDefinition"]
    (container,) = definition["containerDefinitions"]
    answer = ecs.register_task_definition(
        family="auth-service",
        containerDefinitions=[container | changed],
        taskRoleArn=definition["taskRoleArn"],
        executionRoleArn=definition["executionRoleArn"],
    )
    again: int = answer["taskDefinition"]["revision"]
    return again


def test_a_retry_of_the_bad_build_into_the_red_alarm_is_rolled_back_at_once_and_people_are_paged(
    scene: Scene,
) -> None:
    stage = rolled_back(scene())
    stage.deploy(BAD_REVISION)
    assert stage.until(lambda: len(states(stage)) == 2, within=minutes(1))
    assert told(stage)[1:] == ["superseded info", "done critical", "open info"]
    (coming,) = [m for m in stage.messages() if m["result"] and m["result"]["outcome"] == "done"]
    assert f"{KNOWN_BAD}, which was rolled back from" in coming["result"]["summary"]
    ended = stage.until(lambda: states(stage)[-1] == "recovered", within=minutes(25))
    assert ended, (states(stage), told(stage), stage.alarm_state(), stage.running(), stage.errors())
    assert stage.running_revision() == GOOD


def test_the_bad_image_in_a_definition_that_the_pipeline_stamped_is_known_again(
    scene: Scene,
) -> None:
    stage = rolled_back(scene())
    stamps = {
        "dockerLabels": {"build": "413"},
        "environment": [{"name": "GIT_COMMIT", "value": "9b1c44e"}],
    }
    stage.deploy(registered_again(stage, BAD_REVISION, **stamps))
    assert stage.until(lambda: len(states(stage)) == 2, within=minutes(1))
    ended = stage.until(lambda: states(stage)[-1] == "recovered", within=minutes(25))
    assert ended, (states(stage), told(stage), stage.alarm_state(), stage.running(), stage.errors())
    assert stage.running_revision() == GOOD
    assert "done critical" in told(stage)


def test_the_bad_image_with_another_environment_is_a_new_build_and_people_are_warned(
    scene: Scene,
) -> None:
    stage = rolled_back(scene())
    mended = {"environment": [{"name": "POOL_SIZE", "value": "40"}]}
    again = registered_again(stage, BAD_REVISION, **mended)
    stage.deploy(again)
    stage.passes(minutes(6))
    assert (updates(stage), stage.running_revision()) == (1, f"auth-service:{again}")
    assert "done warning" in told(stage)
    results = [message["result"] for message in stage.messages() if message["result"]]
    assert "alarm_predates_deployment" in [result.get("reason") for result in results]


def test_the_good_build_registered_again_by_its_pipeline_does_not_end_the_watch(
    scene: Scene,
) -> None:
    stage = scene()
    digest = stage.digests[f"auth-service:v{GOOD_REVISION}"]
    stage.cloud.traffic.behaviour(digest, Behaviour())
    rolled_back(stage)
    stage.cloud.traffic.behaviour(digest, BAD)  # what it depends on broke too
    stage.deploy(registered_again(stage, GOOD_REVISION))
    assert stage.until(lambda: states(stage) != ["open"], within=minutes(30))
    assert states(stage) == ["not_recovered"]
    assert told(stage) == ["open info", "not_recovered critical"]
    assert updates(stage) == 1


def test_the_restored_definition_forced_again_once_its_tag_has_moved_is_another_build(
    scene: Scene,
) -> None:
    stage = rolled_back(scene())
    stage.world.push("auth-service", f"v{GOOD_REVISION}", content="another one")
    stage.client("ecs").update_service(
        cluster="my-cluster", service="auth-service", taskDefinition=GOOD, forceNewDeployment=True
    )
    assert stage.until(lambda: states(stage) == ["superseded"], within=minutes(8))
