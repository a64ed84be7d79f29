"""Services that CodeDeploy deploys are rolled back through it: the digests that ran before the bad deployment run again."""

import json
from collections.abc import Mapping
from dataclasses import replace
from types import MethodType
from typing import Any, cast

import pytest

from demo.scenario import AUTH, BAD, FUNCTION, Stage, StageError
from localcloud import functions
from localcloud.codedeploy.progress import Deployer
from localcloud.ecs.world import app_spec
from localcloud.errors import Refusal
from localcloud.recorder import Call
from localcloud.traffic import GOOD, Behaviour
from tests.e2e.conftest import Scene
from tests.e2e.rights import granted_without_need, role_statements
from tests.e2e.telling import last_verdict, minutes, updates

FINISHES = replace(AUTH, controller="CODE_DEPLOY", termination_wait_minutes=0)
STAYS_IN_FLIGHT = replace(FINISHES, termination_wait_minutes=60)
LATEST = f"{AUTH.name}:latest"


def asked(stage: Stage, operation: str) -> list[Call]:
    """The function's calls of one operation of CodeDeploy."""
    return stage.cloud.recorder.calls("codedeploy", operation, functions.access_key(FUNCTION))


def deployed(stage: Stage) -> list[str]:
    """What the function had CodeDeploy deploy, as `family:revision`."""
    return [
        properties(call)["TaskDefinition"].rpartition("/")[2]
        for call in asked(stage, "CreateDeployment")
    ]


def properties(call: Call) -> dict[str, Any]:
    """What the AppSpec of a CreateDeployment says of the service."""
    (resource,) = json.loads(call.parameters["revision"]["appSpecContent"]["content"])["Resources"]
    said: dict[str, Any] = resource["TargetService"]["Properties"]
    return said


def by_hand_alone(stage: Stage) -> None:
    """Let no alarm, no event and no sweep reach the function."""
    for kind in ("alarms", "tasks", "deployments", "sweep"):
        stage.client("events").disable_rule(Name=f"{FUNCTION}-{kind}")


def shifted(stage: Stage) -> None:
    """The bad build goes out and has the traffic."""
    stage.deploy_bad()
    assert stage.until(lambda: stage.running_revision() == f"{AUTH.name}:19", within=minutes(5))
    stage.passes(minutes(1))


def told(stage: Stage) -> list[str]:
    """What people were told, and how urgent it is."""
    results = [message["result"] for message in stage.messages() if message["result"]]
    return [f"{result['outcome']} {result['severity']}" for result in results]


def like_18(stage: Stage, image: str, **more: Any) -> str:
    """A further revision like 18 with this image; its number."""
    like = stage.client("ecs").describe_task_definition(taskDefinition=f"{AUTH.name}:18")[
        "taskDefinition"
    ]
    (app,) = like["containerDefinitions"]
    registry = f"{stage.cloud.account}.dkr.ecr.{stage.cloud.region}.amazonaws.com"
    arn = stage.world.define(
        AUTH.name, {}, containerDefinitions=[app | {"image": f"{registry}/{image}"} | more],
        taskRoleArn=like["taskRoleArn"], executionRoleArn=like["executionRoleArn"],
    )  # fmt: skip
    return arn.rpartition(":")[2]


def test_a_finished_deployment_is_rolled_back_by_a_new_one_and_its_recovery_confirmed(
    scene: Scene,
) -> None:
    stage = scene(replace(FINISHES, deployment_group_settings=watched_by_codedeploy("5xx-rate")))
    ran = stage.running()
    stage.deploy_bad()
    assert stage.until(lambda: bool(asked(stage, "CreateDeployment")), within=minutes(10))
    stage.passes(minutes(3))
    assert stage.running() == ran
    assert deployed(stage) == ["auth-service:18"]
    newest, bad = stage.codedeploy_deployments()[:2]
    assert newest["deploymentConfigName"] == bad["deploymentConfigName"]
    assert (newest["status"], bad["status"]) == ("Succeeded", "Succeeded")
    stage.passes(minutes(12))
    verdict, (incident,) = last_verdict(stage), stage.incidents()
    assert (verdict["incident_state"], verdict["to"]["task_definition"]) == (
        "recovered",
        "auth-service:18",
    )
    assert incident["rollback_deployment"] == newest["deploymentId"]
    assert (len(asked(stage, "CreateDeployment")), updates(stage)) == (1, 0), (
        "three alarms and two sweeps, one act"
    )
    assert granted_without_need(role_statements(stage)) == set()


def watched_by_codedeploy(signal: str) -> Mapping[str, Any]:
    """A deployment group that stops deployments while an alarm is red: also those that are made to end it."""
    name = f"{FUNCTION}/{AUTH.cluster}/{AUTH.name}/{signal}"
    return {"alarmConfiguration": {"enabled": True, "alarms": [{"name": name}]}}


def test_a_deployment_in_flight_is_stopped_and_gives_the_traffic_back(scene: Scene) -> None:
    stage = scene(STAYS_IN_FLIGHT)
    ran = stage.running()
    stage.deploy_bad()
    stage.client("ecs").deregister_task_definition(taskDefinition="auth-service:18")
    assert stage.until(lambda: bool(asked(stage, "StopDeployment")), within=minutes(10))
    stage.passes(minutes(2))
    assert stage.running() == ran
    (stop,) = asked(stage, "StopDeployment")
    assert stop.parameters["autoRollbackEnabled"] is True
    stage.passes(minutes(12))
    verdict = last_verdict(stage)
    assert (verdict["incident_state"], verdict["to"]["restored_as"]) == ("recovered", None)
    assert (deployed(stage), len(asked(stage, "StopDeployment"))) == ([], 1)
    stage.passes(minutes(10))
    assert stage.running() == ran


def test_a_deployment_that_finished_as_it_was_being_stopped_is_rolled_back_by_a_new_one(
    scene: Scene,
) -> None:
    stage = scene(replace(FINISHES, termination_wait_minutes=3))
    ran = stage.running()
    by_hand_alone(stage)
    shifted(stage)

    def finish(call: Call) -> None:
        if call.access_key == functions.access_key(FUNCTION):
            stage.cloud.clock.advance(minutes(4))

    stage.cloud.recorder.before("codedeploy", "StopDeployment", finish)
    assert stage.invoke({"service": AUTH.name})["outcome"] == "rolled_back"
    assert deployed(stage) == ["auth-service:18"]
    stage.passes(minutes(6))
    assert stage.running() == ran


def test_a_deployment_that_finishes_though_its_stop_was_taken_is_rolled_back_by_a_new_one(
    scene: Scene,
) -> None:
    """A stop may be Pending (botocore codedeploy/2014-10-06, StopStatus): what comes of it, only the deployment tells."""
    stage = scene(replace(FINISHES, termination_wait_minutes=3))
    ran = stage.running()
    shifted(stage)
    assert stage.invoke({"service": AUTH.name})["outcome"] == "rolled_back"
    deployer = cast(Deployer, cast(MethodType, stage.cloud.ecs.scheduler.code_deploy).__self__)
    for deployment in deployer.deployments.values():
        deployment.stop = None
    stage.passes(minutes(32))
    assert stage.running() == ran
    assert (len(asked(stage, "StopDeployment")), deployed(stage)) == (1, ["auth-service:18"])
    assert [incident["state"] for incident in stage.incidents()] == ["recovered"]


def test_a_deregistered_target_is_restored_by_a_copy_in_the_same_appspec(scene: Scene) -> None:
    stage = scene(FINISHES)
    ran = stage.running()
    network = {"AwsvpcConfiguration": {"Subnets": ["subnet-1"], "AssignPublicIp": "DISABLED"}}
    content = app_spec("auth-service:19", NetworkConfiguration=network)
    revision = {"revisionType": "AppSpecContent", "appSpecContent": {"content": content}}
    stage.world.deploy_by_codedeploy(
        *FINISHES.deployment_group, "auth-service:19", revision=revision
    )
    stage.client("ecs").deregister_task_definition(taskDefinition="auth-service:18")
    assert stage.until(lambda: bool(asked(stage, "CreateDeployment")), within=minutes(10))
    verdict = last_verdict(stage)
    assert (verdict["to"]["task_definition"], verdict["to"]["restored_as"]) == (
        "auth-service:18",
        "auth-service:20",
    )
    (created,) = asked(stage, "CreateDeployment")
    before = json.loads(content)["Resources"][0]["TargetService"]["Properties"]
    assert properties(created) | {"TaskDefinition": ""} == before | {"TaskDefinition": ""}
    stage.passes(minutes(3))
    assert stage.running() == ran


def test_a_tag_that_was_pushed_over_is_no_target(scene: Scene) -> None:
    stage = scene(FINISHES)
    stage.world.push(AUTH.name, "latest", content="the good one")
    stage.deploy(like_18(stage, LATEST))
    stage.passes(minutes(45))
    stage.cloud.traffic.behaviour(stage.world.push(AUTH.name, "latest", content="the bad one"), BAD)
    stage.deploy(like_18(stage, LATEST, command=["serve", "--faster"]))
    ran = stage.digests["auth-service:v18"]
    assert stage.until(lambda: bool(asked(stage, "CreateDeployment")), within=minutes(10))
    first, second = last_verdict(stage)["candidates"][:2]
    assert (first["task_definition"], first["verdict"]) == ("auth-service:20", "passed_over")
    assert "auth-service:latest was pushed over" in first["detail"]
    assert (second["task_definition"], second["verdict"]) == ("auth-service:18", "chosen")
    stage.passes(minutes(3))
    assert set(stage.running()) == {ran}


def test_a_return_to_what_ran_long_ago_under_another_number_is_a_persons_rollback(
    scene: Scene,
) -> None:
    stage = scene(FINISHES)
    stage.deploy(like_18(stage, f"{AUTH.name}:v18", command=["serve", "--faster"]))
    stage.passes(minutes(45))
    stage.cloud.traffic.behaviour(stage.digests["auth-service:v17"], BAD)
    stage.deploy(like_18(stage, f"{AUTH.name}:v17"))
    assert stage.until(
        lambda: any(message["result"] for message in stage.messages()), within=minutes(10)
    )
    assert last_verdict(stage)["reason"] == "deployment_is_a_rollback"
    assert asked(stage, "CreateDeployment") == []


def test_an_image_that_is_pinned_comes_back_by_its_digest(scene: Scene) -> None:
    stage = scene(FINISHES)
    good = stage.world.push(AUTH.name, "latest", content="the good one")
    stage.deploy(like_18(stage, f"{AUTH.name}@{good}"))
    stage.passes(minutes(45))
    bad = stage.world.push(AUTH.name, "latest", content="the bad one")
    stage.cloud.traffic.behaviour(bad, BAD)
    stage.deploy(like_18(stage, f"{AUTH.name}@{bad}"))
    assert stage.until(lambda: bool(asked(stage, "CreateDeployment")), within=minutes(10))
    verdict = last_verdict(stage)
    assert (verdict["from"]["images"], verdict["to"]["images"]) == ({"app": bad}, {"app": good})
    stage.passes(minutes(3))
    assert set(stage.running()) == {good}


def test_in_flight_with_the_target_further_back_the_deployment_is_stopped_and_the_sweep_goes_on(
    scene: Scene,
) -> None:
    stage = scene(STAYS_IN_FLIGHT)
    shifted(stage)
    result = stage.invoke({"service": AUTH.name, "revision": 17})
    assert result["outcome"] == "done", result
    assert "auth-service:17 within minutes" in result["summary"]
    stage.passes(minutes(1))
    assert set(stage.running()) == {stage.digests["auth-service:v18"]}, (
        "what ran before it serves meanwhile"
    )
    stage.passes(minutes(8))
    assert set(stage.running()) == {
        stage.digests["auth-service:v17"],
        stage.digests["auth-service:v18"],
    }
    assert stage.running_revision() == "auth-service:17"
    assert (len(asked(stage, "StopDeployment")), deployed(stage)[-1]) == (1, "auth-service:17")
    assert last_verdict(stage)["to"]["task_definition"] == "auth-service:17"


def test_a_crash_after_the_deployment_was_created_is_resumed_and_makes_no_second_one(
    scene: Scene,
) -> None:
    stage = scene(FINISHES)
    by_hand_alone(stage)
    ran = stage.running()
    shifted(stage)

    def die(call: Call) -> None:
        if call.access_key == functions.access_key(FUNCTION) and asked(stage, "CreateDeployment"):
            raise Refusal("InternalServerError", "The table is away.", 500)

    undo = [
        stage.cloud.recorder.before("dynamodb", name, die)
        for name in ("PutItem", "TransactWriteItems")
    ]
    with pytest.raises(StageError):
        stage.invoke({"service": AUTH.name})
    for remove in undo:
        remove()
    stage.passes(minutes(6))
    again = stage.invoke({"service": AUTH.name})
    assert (again["outcome"], again["to"]["task_definition"]) == ("rolled_back", "auth-service:18")
    assert deployed(stage) == ["auth-service:18"]
    assert stage.running() == ran


def test_a_claim_that_codedeploy_did_not_take_yet_is_carried_out_by_the_sweep(
    scene: Scene,
) -> None:
    """What ran is known by its AppSpec, which names the definition without Region and account."""
    stage = scene(FINISHES)
    ran = stage.running()

    def not_yet(call: Call) -> None:
        if call.access_key == functions.access_key(FUNCTION):
            raise Refusal("DeploymentLimitExceededException", "Another deployment is under way.")

    before = len(stage.codedeploy_deployments())
    stage.deploy_bad()
    undo = stage.cloud.recorder.before("codedeploy", "CreateDeployment", not_yet)
    assert stage.until(lambda: bool(asked(stage, "CreateDeployment")), within=minutes(12))
    undo()
    assert stage.until(lambda: told(stage) != [], within=minutes(8))
    assert told(stage) == ["rolled_back info"], last_verdict(stage)["summary"]
    stage.passes(minutes(4))
    assert (deployed(stage)[-1], stage.running()) == ("auth-service:18", ran)
    assert len(stage.codedeploy_deployments()) == before + 2, "the bad one, and one rollback"


def test_a_claim_whose_deployment_group_is_gone_is_given_up_and_told(scene: Scene) -> None:
    stage = scene(STAYS_IN_FLIGHT)
    shifted(stage)
    assert stage.invoke({"service": AUTH.name, "revision": 17})["outcome"] == "done"

    def gone(call: Call) -> None:
        if call.access_key == functions.access_key(FUNCTION):
            raise Refusal(
                "DeploymentGroupDoesNotExistException", "No Deployment Group found for name."
            )

    stage.cloud.recorder.before("codedeploy", "ListDeployments", gone)
    stage.passes(minutes(6))
    assert [incident["state"] for incident in stage.incidents()] == ["failed"]
    failed = [
        m["result"]["summary"]
        for m in stage.messages()
        if m["result"] and m["result"]["outcome"] == "failed"
    ]
    assert ["knows no deployment group" in summary for summary in failed] == [True]
    assert stage.errors() == []


def test_a_rollback_whose_own_deployment_is_stopped_is_escalated_and_not_tried_again(
    scene: Scene,
) -> None:
    stage = scene(FINISHES)
    stage.deploy_bad()
    assert stage.until(lambda: bool(asked(stage, "CreateDeployment")), within=minutes(10))
    newest = stage.codedeploy_deployments()[0]["deploymentId"]
    stage.client("codedeploy").stop_deployment(deploymentId=newest, autoRollbackEnabled=False)
    stage.passes(minutes(17))
    verdict = last_verdict(stage)
    assert (verdict["incident_state"], deployed(stage)) == ("not_recovered", ["auth-service:18"])
    assert "the rollback's own deployment ended STOPPED" in verdict["summary"]


def test_what_somebody_else_deploys_meanwhile_is_not_stopped(scene: Scene) -> None:
    stage = scene(FINISHES)
    by_hand_alone(stage)
    shifted(stage)

    def deploy(call: Call) -> None:
        if call.access_key == functions.access_key(FUNCTION):
            stage.world.deploy_by_codedeploy(*FINISHES.deployment_group, "auth-service:17")

    stage.cloud.recorder.before("codedeploy", "CreateDeployment", deploy)
    assert stage.invoke({"service": AUTH.name})["reason"] == "superseded"
    assert (asked(stage, "StopDeployment"), stage.incidents()) == ([], [])
    stage.passes(minutes(6))
    assert set(stage.running()) == {stage.digests["auth-service:v17"]}


def test_the_sweep_leaves_a_red_alarm_alone_that_has_its_verdict_whatever_ecs_says_of_deployments(
    scene: Scene,
) -> None:
    stage = scene(replace(FINISHES, policy={"mode": "observe"}))

    def refuse(call: Call) -> None:
        if call.access_key == functions.access_key(FUNCTION):
            raise Refusal("InvalidParameterException", "The service is not deployed by ECS.")

    stage.deploy_bad()
    assert stage.until(lambda: bool(stage.messages()), within=minutes(10))
    stage.passes(minutes(6))
    told = len(stage.messages())
    for _ in range(2):
        stage.cloud.recorder.clear()
        stage.passes(minutes(6))
        asked_of_red = stage.cloud.recorder.calls(
            "cloudwatch", "DescribeAlarms", functions.access_key(FUNCTION)
        )
        looks = stage.cloud.recorder.calls(
            "ecs", "DescribeServices", functions.access_key(FUNCTION)
        )
        assert asked_of_red, "the sweep was there"
        assert (looks, stage.errors()) == ([], [])
        stage.cloud.recorder.before("ecs", "ListServiceDeployments", refuse)
    assert (stage.alarm_state(), len(stage.messages())) == ("ALARM", told)


def test_a_build_that_has_no_traffic_yet_is_not_rolled_back_for_what_ails_the_old_one(
    scene: Scene,
) -> None:
    """Its tasks take their time to become healthy, and meanwhile what serves fails; nobody is told of a suspect."""
    stage = scene(FINISHES)
    new, old = stage.digests[f"{AUTH.name}:v19"], stage.digests[f"{AUTH.name}:v18"]
    stage.cloud.traffic.behaviour(new, Behaviour(healthy=False))
    stage.deploy_bad()
    stage.passes(minutes(3))
    stage.cloud.traffic.behaviour(old, BAD)
    assert stage.until(lambda: stage.alarm_state() == "ALARM", within=minutes(10))
    stage.passes(minutes(7))
    plan = stage.invoke({"action": "plan", "service": AUTH.name})
    asked_now = {one["rule"]: one["verdict"] for one in plan["evidence"]}
    assert asked_now["not_serving_yet"] == "hold"
    assert (told(stage), stage.incidents()) == ([], [])

    stage.cloud.traffic.behaviour(old, GOOD)
    assert stage.until(lambda: stage.alarm_state() == "OK", within=minutes(15))
    stage.cloud.traffic.behaviour(new, GOOD)
    stage.passes(minutes(10))
    assert [one["status"] for one in stage.codedeploy_deployments()][:1] == ["Succeeded"]
    assert (deployed(stage), asked(stage, "StopDeployment")) == ([], [])
    assert (told(stage), stage.incidents(), stage.errors()) == ([], [], [])


def test_where_the_act_finds_nothing_to_deploy_with_people_are_told_and_paged_and_nothing_is_tried_again(
    scene: Scene,
) -> None:
    """CodeDeploy forgets the AppSpec between the judgement and the act."""
    stage = scene(FINISHES)

    def forget(call: Call) -> None:
        if call.access_key == functions.access_key(FUNCTION) and stage.incidents():
            raise Refusal("RevisionDoesNotExistException", "The revision does not exist.")

    stage.cloud.recorder.before("codedeploy", "GetApplicationRevision", forget)
    stage.deploy_bad()
    assert stage.until(lambda: told(stage) != [], within=minutes(15))
    verdict = last_verdict(stage)
    assert (verdict["outcome"], verdict["reason"]) == ("held", "no_candidate_passes_preflight")
    assert "the AppSpec of the last successful deployment" in verdict["summary"]
    assert (stage.incidents(), deployed(stage)) == ([], [])
    judged = len(asked(stage, "GetApplicationRevision"))
    stage.passes(minutes(30))
    assert told(stage) == ["held warning", "held critical"], "each once"
    assert len(asked(stage, "GetApplicationRevision")) == judged, "it has its verdict"
    assert (stage.incidents(), deployed(stage), stage.errors()) == ([], [], [])


def test_by_hand_a_revision_or_a_tag_is_deployed_through_codedeploy(scene: Scene) -> None:
    stage = scene(FINISHES)
    by_hand_alone(stage)
    plan = stage.invoke({"action": "plan", "service": AUTH.name, "revision": 17})
    assert (plan["outcome"], plan["to"]["task_definition"]) == (
        "would_roll_back",
        "auth-service:17",
    )
    assert stage.invoke({"service": AUTH.name, "revision": 18})["reason"] == "already_running"
    assert asked(stage, "CreateDeployment") == []
    assert stage.invoke({"service": AUTH.name, "revision": 17})["outcome"] == "rolled_back"
    stage.passes(minutes(3))
    assert set(stage.running()) == {stage.digests["auth-service:v17"]}
    tagged = stage.invoke({"service": AUTH.name, "image_tag": "v18"})
    assert (tagged["outcome"], tagged["to"]["restored_as"]) == ("rolled_back", "auth-service:20")
    stage.passes(minutes(3))
    assert set(stage.running()) == {stage.digests["auth-service:v18"]}


def test_readiness_knows_a_service_of_codedeploy(scene: Scene) -> None:
    stage = scene(FINISHES)
    (told,) = stage.invoke({"action": "readiness", "service": AUTH.name})["services"]
    assert told["ready"], told
    (tag,) = [finding for finding in told["findings"] if finding["check"] == "tag_mutable"]
    assert "CodeDeploy records no digest" in tag["remedy"]
