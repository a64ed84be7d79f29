"""The traps of real incidents, where a simple robot rolls back to the wrong revision, or should not have acted at all."""

from datetime import timedelta
from typing import Any

from demo.scenario import AUTH, Stage, neighbour
from localcloud.traffic import Behaviour
from tests.e2e.conftest import Scene
from tests.e2e.telling import last_verdict, minutes
from tests.e2e.test_main_job import acts

BAD = Behaviour(error_rate=0.4)


def build(stage: Stage, tag: str, behaviour: Behaviour) -> str:
    """A further build of the service: pushed, registered, and behaving as told; its name, as `auth-service:20`."""
    stage.cloud.traffic.behaviour(
        stage.world.push(AUTH.name, tag, content=f"{tag} {behaviour}"), behaviour
    )
    ecs = stage.cloud.session().client("ecs")
    described: dict[str, Any] = dict(
        ecs.describe_task_definition(taskDefinition=f"{AUTH.name}:19")["taskDefinition"]
    )
    (container,) = described["containerDefinitions"]
    repository = container["image"].partition(":")[0]
    arn = stage.world.define(
        AUTH.name, {}, containerDefinitions=[container | {"image": f"{repository}:{tag}"}],
        taskRoleArn=described["taskRoleArn"], executionRoleArn=described["executionRoleArn"],
    )  # fmt: skip
    return arn.rpartition("/")[2]


def test_the_revision_before_is_bad_as_well(scene: Scene) -> None:
    stage = scene()
    stage.invoke({"action": "pause", "service": AUTH.name, "minutes": 60})
    stage.deploy_bad()
    stage.passes(minutes(6))
    assert stage.alarm_state() == "ALARM"
    stage.invoke({"action": "resume", "service": AUTH.name})
    also_bad = build(stage, "v20", BAD)
    stage.deploy(also_bad.partition(":")[2])
    assert stage.until(lambda: bool(acts(stage)), within=minutes(8))
    assert acts(stage) == ["auth-service:18"]
    verdict = last_verdict(stage)
    assert (verdict["reason"], verdict["to"]["task_definition"]) == (
        "alarm_after_deployment",
        "auth-service:18",
    )


def test_the_revision_before_never_completed_its_deployment(scene: Scene) -> None:
    stage = scene()
    never = build(stage, "v20", Behaviour(starts=False))
    stage.deploy(never.partition(":")[2])
    stage.passes(timedelta(seconds=10))
    worse = build(stage, "v21", BAD)
    stage.deploy(worse.partition(":")[2])
    assert stage.until(lambda: bool(acts(stage)), within=minutes(10))
    assert acts(stage) == ["auth-service:18"]
    assert last_verdict(stage)["from"]["task_definition"] == worse


def test_three_unchanged_neighbours_fall_ill_as_well(scene: Scene) -> None:
    others = [neighbour(number) for number in (1, 2, 3)]
    stage = scene(AUTH, *others)
    healthy = stage.digests[f"{AUTH.name}:v19"]
    stage.cloud.traffic.behaviour(healthy, Behaviour())
    stage.deploy_bad()
    stage.passes(minutes(12))
    for other in others:
        stage.cloud.traffic.behaviour(stage.digests[f"{other.name}:v18"], BAD)
    stage.passes(minutes(2))
    stage.cloud.traffic.behaviour(healthy, BAD)
    stage.passes(minutes(6))
    told = [
        m["result"] for m in stage.messages() if m["result"] and m["result"]["service"] == AUTH.name
    ]
    assert [(t["outcome"], t["reason"]) for t in told] == [("held", "shared_cause")]
    assert acts(stage) == []
