"""Restored exactly: whatever became of the task definition, the tag or the deployment, the digests that ran come back."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from demo.scenario import AUTH, BAD, FUNCTION, Stage
from localcloud import functions
from localcloud.errors import Refusal
from localcloud.recorder import Call
from localcloud.traffic import Behaviour
from tests.e2e.conftest import Scene
from tests.e2e.rights import denied, deny
from tests.e2e.telling import last_verdict, minutes

LATEST = f"{AUTH.name}:latest"
PROVEN = timedelta(minutes=45)  # longer than a revision has to serve to be stable


def updates(stage: Stage) -> list[str]:
    """What the function deployed, as `family:revision`."""
    return [
        str(call.parameters["taskDefinition"]).rpartition("/")[2]
        for call in asked(stage, "UpdateService")
    ]


def uri(stage: Stage, image: str) -> str:
    """The name that an image of this account's ECR is pulled by."""
    return f"{stage.cloud.account}.dkr.ecr.{stage.cloud.region}.amazonaws.com/{image}"


def define(stage: Stage, images: Mapping[str, str], **more: Any) -> str:
    """A further revision like 18 with these images, all beside `app` as sidecars; its name, as `auth-service:20`."""
    ecs = stage.client("ecs")
    like: dict[str, Any] = dict(
        ecs.describe_task_definition(taskDefinition=f"{AUTH.name}:18")["taskDefinition"]
    )
    (app,) = like["containerDefinitions"]
    containers = [
        (app if name == "app" else {"name": name, "memory": 64, "essential": True})
        | {"image": image}
        | more
        for name, image in images.items()
    ]
    arn = stage.world.define(
        AUTH.name, {}, containerDefinitions=containers,
        taskRoleArn=like["taskRoleArn"], executionRoleArn=like["executionRoleArn"],
    )  # fmt: skip
    return arn.rpartition("/")[2]


def described(stage: Stage, name: str) -> dict[str, Any]:
    """What ECS says of a task definition, its tags beside it."""
    answer = stage.client("ecs").describe_task_definition(taskDefinition=name, include=["TAGS"])
    return dict(answer["taskDefinition"]) | {
        "tags": {tag["key"]: tag["value"] for tag in answer["tags"]}
    }


def serve(stage: Stage, definition: str) -> dict[str, int]:
    """Deploy a revision and let it prove itself; the digests that run then."""
    stage.deploy(definition.partition(":")[2])
    stage.passes(PROVEN)
    return stage.running()


def asked(stage: Stage, operation: str) -> list[Call]:
    """The function's calls of one operation of ECS."""
    return stage.cloud.recorder.calls("ecs", operation, functions.access_key(FUNCTION))


def by_hand_alone(stage: Stage) -> None:
    """Let no alarm and no ECS event reach the function."""
    for kind in ("alarms", "tasks", "deployments", "sweep"):
        stage.client("events").disable_rule(Name=f"{FUNCTION}-{kind}")


def rolled_back(stage: Stage) -> dict[str, Any]:
    """Wait for the automatic to act; what people were told of it."""
    assert stage.until(lambda: bool(updates(stage)), within=minutes(10))
    stage.passes(minutes(3))
    verdict = last_verdict(stage)
    assert (verdict["outcome"], verdict["reason"]) == ("rolled_back", "alarm_after_deployment")
    return verdict


def test_a_deregistered_target_is_restored_by_a_pinned_copy_and_the_copy_is_used_again(
    scene: Scene,
) -> None:
    stage = scene()
    ran = stage.running()
    stage.deploy_bad()
    stage.client("ecs").deregister_task_definition(taskDefinition="auth-service:18")
    verdict = rolled_back(stage)
    assert (verdict["to"]["task_definition"], verdict["to"]["restored_as"]) == (
        "auth-service:18",
        "auth-service:20",
    )
    assert updates(stage) == ["auth-service:20"]
    assert stage.running() == ran
    original, copy = described(stage, "auth-service:18"), described(stage, "auth-service:20")
    (digest,) = ran
    assert copy["containerDefinitions"] == [
        original["containerDefinitions"][0] | {"image": f"{uri(stage, AUTH.name)}@{digest}"}
    ]
    assert copy["tags"] == {"auto-rollback:restored-from": original["taskDefinitionArn"]}
    assert {copy[key] for key in ("taskRoleArn", "executionRoleArn")} == {
        original[key] for key in ("taskRoleArn", "executionRoleArn")
    }

    by_hand_alone(stage)
    stage.deploy(
        define(stage, {"app": uri(stage, f"{AUTH.name}:v19")}, command=["serve"]).partition(":")[2]
    )
    stage.passes(minutes(4))
    again = stage.invoke(
        {"service": AUTH.name, "reason": "it was deployed once more, as a later revision"}
    )
    assert (again["outcome"], again["to"]["restored_as"]) == ("rolled_back", "auth-service:20")
    stage.passes(minutes(3))
    assert stage.running() == ran
    assert len(asked(stage, "RegisterTaskDefinition")) == 1


def test_latest_means_the_bad_build_by_now(scene: Scene) -> None:
    stage = scene()
    stage.world.push(AUTH.name, "latest", content="the good one")
    good = define(stage, {"app": uri(stage, LATEST)})
    ran = serve(stage, good)
    stage.cloud.traffic.behaviour(stage.world.push(AUTH.name, "latest", content="the bad one"), BAD)
    stage.deploy(
        define(stage, {"app": uri(stage, LATEST)}, command=["serve", "--faster"]).partition(":")[2]
    )
    verdict = rolled_back(stage)
    assert (verdict["to"]["task_definition"], verdict["to"]["restored_as"]) == (
        good,
        "auth-service:22",
    )
    assert stage.running() == ran


def test_the_same_definition_was_deployed_again_after_its_tag_had_moved(scene: Scene) -> None:
    stage = scene()
    stage.world.push(AUTH.name, "latest", content="the good one")
    good = define(stage, {"app": uri(stage, LATEST)})
    ran = serve(stage, good)
    stage.cloud.traffic.behaviour(stage.world.push(AUTH.name, "latest", content="the bad one"), BAD)
    stage.client("ecs").update_service(
        cluster=AUTH.cluster, service=AUTH.name, forceNewDeployment=True
    )
    verdict = rolled_back(stage)
    assert verdict["from"]["task_definition"] == verdict["to"]["task_definition"] == good
    assert verdict["to"]["restored_as"] == "auth-service:21"
    assert stage.running() == ran


def test_of_two_containers_the_tag_of_one_has_moved(scene: Scene) -> None:
    stage = scene()
    stage.world.repository("proxy")
    stage.world.push("proxy", "stable", content="the old proxy")
    good = define(
        stage, {"app": uri(stage, f"{AUTH.name}:v18"), "proxy": uri(stage, "proxy:stable")}
    )
    ran = serve(stage, good)
    stage.world.push("proxy", "stable", content="the new proxy")
    stage.deploy_bad()
    verdict = rolled_back(stage)
    assert verdict["to"]["restored_as"] == "auth-service:21"
    assert stage.running() == ran
    assert len(ran) == 2


def test_the_image_of_the_best_candidate_is_gone_and_the_next_is_taken(scene: Scene) -> None:
    stage = scene()
    stage.deploy_bad()
    gone = stage.digests["auth-service:v18"]
    stage.client("ecr").batch_delete_image(
        repositoryName=AUTH.name, imageIds=[{"imageDigest": gone}]
    )
    verdict = rolled_back(stage)
    first, second = verdict["candidates"][:2]
    assert (first["task_definition"], first["verdict"]) == ("auth-service:18", "passed_over")
    assert first["detail"] == f"image_present: app: auth-service@{gone} is not in ECR"
    assert (second["task_definition"], second["verdict"]) == ("auth-service:17", "chosen")
    assert verdict["to"] == {
        "task_definition": "auth-service:17",
        "images": {"app": stage.digests["auth-service:v17"]},
        "restored_as": None,
    }
    assert set(stage.running()) == {stage.digests["auth-service:v17"]}


def test_a_deployment_in_flight_is_stopped_even_where_its_source_is_deregistered(
    scene: Scene,
) -> None:
    stage = scene()
    ran = stage.running()
    stage.deploy_bad()
    stage.client("ecs").deregister_task_definition(taskDefinition="auth-service:18")
    assert stage.until(
        lambda: len(stage.running()) == 2, within=minutes(3), step=timedelta(seconds=5)
    )
    result = stage.invoke({"service": AUTH.name})
    assert (result["outcome"], result["to"]["task_definition"]) == (
        "rolled_back",
        "auth-service:18",
    )
    assert result["to"]["restored_as"] is None
    stage.passes(minutes(3))
    assert stage.running() == ran
    (stop,) = asked(stage, "StopServiceDeployment")
    assert stop.parameters["stopType"] == "ROLLBACK"
    assert updates(stage) == []
    assert asked(stage, "RegisterTaskDefinition") == []


def test_a_deployment_that_finished_as_it_was_being_stopped_is_rolled_back_by_an_update(
    scene: Scene,
) -> None:
    stage = scene()
    ran = stage.running()
    stage.deploy_bad()
    assert stage.until(
        lambda: len(stage.running()) == 2, within=minutes(3), step=timedelta(seconds=5)
    )

    def refuse(call: Call) -> None:
        raise Refusal(
            "ConflictException",
            "The service deployment is in state SUCCESSFUL and cannot be stopped.",
        )

    stage.cloud.recorder.before("ecs", "StopServiceDeployment", refuse)
    assert stage.invoke({"service": AUTH.name})["outcome"] == "rolled_back"
    assert updates(stage) == ["auth-service:18"]
    stage.passes(minutes(3))
    assert stage.running() == ran


def test_what_ecs_neither_stops_nor_updates_is_told_at_once(scene: Scene) -> None:
    stage = scene()
    strategy = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 30}
    stage.client("ecs").update_service(
        cluster=AUTH.cluster, service=AUTH.name, deploymentConfiguration=strategy
    )

    def refuse(call: Call) -> None:
        raise Refusal(
            "ConflictException",
            "The service deployment is in state SUCCESSFUL and cannot be stopped.",
        )

    def refuse_too(call: Call) -> None:
        if call.access_key == functions.access_key(FUNCTION):
            raise Refusal("ClientException", "Too many active deployments.")

    stage.cloud.recorder.before("ecs", "StopServiceDeployment", refuse)
    stage.cloud.recorder.before("ecs", "UpdateService", refuse_too)
    stage.deploy_bad()
    assert stage.until(lambda: bool(asked(stage, "StopServiceDeployment")), within=minutes(15))
    verdict = last_verdict(stage)
    assert (verdict["outcome"], verdict["reason"]) == ("held", "refused_by_aws")
    assert (verdict["incident_state"], verdict["severity"]) == (None, "critical")
    assert "Too many active deployments" in verdict["summary"]
    stage.passes(minutes(6))
    assert len(updates(stage)) == 1


def test_who_deploys_while_the_copy_is_registered_is_not_overwritten(scene: Scene) -> None:
    stage = scene()
    by_hand_alone(stage)
    stage.deploy_bad()
    stage.passes(minutes(4))
    stage.client("ecs").deregister_task_definition(taskDefinition="auth-service:18")

    def deploy_meanwhile(call: Call) -> None:
        if call.access_key == functions.access_key(FUNCTION):
            stage.deploy(17)

    stage.cloud.recorder.before("ecs", "RegisterTaskDefinition", deploy_meanwhile)
    result = stage.invoke({"service": AUTH.name})
    assert (result["outcome"], result["reason"]) == ("ignored", "superseded")
    assert updates(stage) == []
    assert stage.incidents() == []


def test_trouble_in_the_bake_time_of_a_blue_green_deployment_is_stopped_at_once(
    scene: Scene,
) -> None:
    stage = scene()
    ran = stage.running()
    strategy = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 30}
    stage.client("ecs").update_service(
        cluster=AUTH.cluster, service=AUTH.name, deploymentConfiguration=strategy
    )
    stage.deploy_bad()
    assert stage.until(lambda: bool(asked(stage, "StopServiceDeployment")), within=minutes(15))
    stage.passes(minutes(2))
    assert stage.running() == ran
    assert updates(stage) == []
    assert last_verdict(stage)["outcome"] == "rolled_back"


def test_after_the_bake_the_summary_says_how_long_the_way_back_will_take(scene: Scene) -> None:
    stage = scene()
    stage.cloud.traffic.behaviour(stage.digests["auth-service:v19"], Behaviour())
    strategy = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 7}
    stage.client("ecs").update_service(
        cluster=AUTH.cluster, service=AUTH.name, deploymentConfiguration=strategy
    )
    stage.deploy_bad()
    stage.passes(minutes(12))
    result = stage.invoke({"service": AUTH.name})
    assert updates(stage) == ["auth-service:18"]
    assert "7 min" in result["summary"]


def test_the_update_fails_after_the_copy_was_registered_and_the_retry_uses_the_copy(
    scene: Scene,
) -> None:
    stage = scene()
    ran = stage.running()
    stage.deploy_bad()
    stage.client("ecs").deregister_task_definition(taskDefinition="auth-service:18")
    refused: list[Call] = []

    def refuse_once(call: Call) -> None:
        if call.access_key == functions.access_key(FUNCTION) and not refused:
            refused.append(call)
            raise Refusal("UpdateInProgressException", "Not now.")

    stage.cloud.recorder.before("ecs", "UpdateService", refuse_once)
    assert stage.until(lambda: bool(refused), within=minutes(10))
    stage.passes(minutes(5))
    assert last_verdict(stage)["to"]["restored_as"] == "auth-service:20"
    assert stage.running() == ran
    assert len(asked(stage, "RegisterTaskDefinition")) == 1
    (incident,) = stage.incidents()
    assert incident["state"] in ("open", "recovered")


@pytest.mark.parametrize(
    "of", ["app", None], ids=["the container named", "the only one of this repository"]
)
def test_a_tag_is_deployed_by_the_digest_that_it_has(scene: Scene, of: str | None) -> None:
    stage = scene()
    by_hand_alone(stage)
    stage.deploy_bad()
    stage.passes(minutes(4))
    named = {"container": of} if of else {}
    result = stage.invoke({"service": AUTH.name, "image_tag": "v17"} | named)
    assert result["outcome"] == "rolled_back", result
    stage.passes(minutes(3))
    wanted = stage.digests["auth-service:v17"]
    assert set(stage.running()) == {wanted}
    running = described(stage, stage.running_revision())
    assert running["containerDefinitions"][0]["image"] == f"{uri(stage, AUTH.name)}@{wanted}"


def test_the_tag_that_the_running_definition_names_is_deployed_by_what_it_means_now(
    scene: Scene,
) -> None:
    """ECS starts no deployment for a definition that the service has already: only a copy brings the other digest."""
    stage = scene()
    stage.world.push(AUTH.name, "latest", content="the first one")
    serve(stage, define(stage, {"app": uri(stage, LATEST)}))
    wanted = stage.world.push(AUTH.name, "latest", content="the second one")
    result = stage.invoke({"service": AUTH.name, "image_tag": "latest"})
    assert (result["outcome"], result["to"]["restored_as"]) == ("rolled_back", "auth-service:21")
    stage.passes(minutes(3))
    assert set(stage.running()) == {wanted}


def test_a_tag_that_is_not_there_is_rejected_with_those_that_are(scene: Scene) -> None:
    stage = scene()
    result = stage.invoke({"service": AUTH.name, "image_tag": "v71"})
    assert (result["outcome"], result["reason"]) == ("rejected", "bad_request")
    assert result["error"]["field"] == "image_tag"
    assert "v17, v18, v19" in result["error"]["allowed"]
    unknown = stage.invoke({"service": AUTH.name, "image_tag": "v18", "container": "web"})
    assert (unknown["error"]["field"], unknown["error"]["given"]) == ("container", "web")
    assert updates(stage) == []


def test_a_revision_that_ran_long_ago_comes_back_with_the_digest_it_had_then(scene: Scene) -> None:
    stage = scene()
    ran = stage.digests["auth-service:v17"]
    busy = [
        define(stage, {"app": uri(stage, f"{AUTH.name}:v18")}, command=["serve", word])
        for word in ("a", "b")
    ]
    for number in range(
        22
    ):  # more than a page of deployments, none of which has the time to complete
        stage.deploy(busy[number % 2].partition(":")[2])
        stage.passes(timedelta(seconds=5))
    serve(stage, "auth-service:18")
    stage.world.push(AUTH.name, "v17", content="somebody pushed over it")
    stage.client("ecs").deregister_task_definition(taskDefinition="auth-service:17")
    plan = stage.invoke({"action": "plan", "service": AUTH.name, "revision": 17})
    assert plan["to"]["images"] == {"app": ran}
    (told,) = [
        check for check in plan["candidates"][0]["checks"] if check["check"] == "has_run_here"
    ]
    assert told["passed"]
    assert "served 2 d without alarm" in told["detail"]
    result = stage.invoke({"service": AUTH.name, "revision": 17})
    assert (result["outcome"], result["to"]["task_definition"]) == (
        "rolled_back",
        "auth-service:17",
    )
    stage.passes(minutes(3))
    assert set(stage.running()) == {ran}
    again = stage.invoke({"service": AUTH.name, "revision": 17})
    assert (again["outcome"], again["reason"]) == ("ignored", "already_running"), (
        "its copy is what it was"
    )


def test_a_named_revision_that_never_ran_here_is_told_as_such(scene: Scene) -> None:
    stage = scene()
    plan = stage.invoke({"action": "plan", "service": AUTH.name, "revision": 19})
    (told,) = [
        check for check in plan["candidates"][0]["checks"] if check["check"] == "has_run_here"
    ]
    assert (plan["outcome"], told["passed"]) == ("would_roll_back", None)
    assert "no run of it in this service is on record" in told["detail"]


def test_what_ecs_would_not_register_again_gives_way_to_the_one_before(scene: Scene) -> None:
    stage = scene()
    stage.deploy_bad()
    stage.client("ecs").deregister_task_definition(taskDefinition="auth-service:18")

    def refuse(call: Call) -> None:
        raise Refusal("ClientException", "Inference accelerators are no longer supported.")

    stage.cloud.recorder.before("ecs", "RegisterTaskDefinition", refuse)
    assert stage.until(lambda: bool(asked(stage, "RegisterTaskDefinition")), within=minutes(10))
    stage.passes(minutes(11))
    assert len(asked(stage, "RegisterTaskDefinition")) == 1, (
        "the sweep does not try again what was judged"
    )
    assert updates(stage) == ["auth-service:17"], "the next revision that ran well, once"
    (incident,) = stage.incidents()
    assert json.loads(incident["result"])["to"]["task_definition"] == "auth-service:17"


def test_a_denied_call_names_what_was_denied_and_what_grants_it(scene: Scene) -> None:
    stage = scene()
    by_hand_alone(stage)
    stage.deploy_bad()
    stage.passes(minutes(3))
    stage.client("ecs").deregister_task_definition(taskDefinition="auth-service:18")
    undo = deny(stage, "ecs:RegisterTaskDefinition")
    result = stage.invoke({"service": AUTH.name})
    assert (result["outcome"], result["reason"]) == ("held", "refused_by_aws")
    (words,) = denied(stage)
    assert "is not authorized to perform: ecs:RegisterTaskDefinition on resource" in words
    assert words in result["summary"]
    assert "families (the definition's family)" in result["summary"]
    undo()
    again = stage.invoke({"service": AUTH.name})
    assert (again["outcome"], again["to"]["restored_as"]) == ("rolled_back", "auth-service:20")


def test_force_skips_the_checks_but_still_restores_what_ran(scene: Scene) -> None:
    stage = scene()
    ran = stage.running()
    by_hand_alone(stage)
    stage.deploy_bad()
    stage.passes(minutes(4))
    stage.client("ecs").deregister_task_definition(taskDefinition="auth-service:18")
    stage.client("secretsmanager").delete_secret(
        SecretId=f"{AUTH.name}/database", RecoveryWindowInDays=7
    )
    assert stage.invoke({"service": AUTH.name})["reason"] == "no_candidate_passes_preflight"
    forced = stage.invoke({"service": AUTH.name, "force": True})
    assert (forced["outcome"], forced["to"]["restored_as"]) == ("rolled_back", "auth-service:20")
    stage.passes(minutes(3))
    assert stage.running() == ran
