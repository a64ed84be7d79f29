"""A build that waits beside what serves is not to blame for what users get; once it serves, it is."""

from typing import Any

from demo.scenario import FUNCTION, Stage
from localcloud.functions import access_key
from localcloud.traffic import GOOD, Behaviour
from tests.e2e.conftest import Scene
from tests.e2e.telling import last_verdict, minutes, updates

CLUSTER, SERVICE = "my-cluster", "auth-service"
FAILING = Behaviour(error_rate=0.6)


def blue_green(stage: Stage, waits_at: str) -> None:
    """The service is deployed blue/green from now on, and each deployment waits for a person."""
    hook = {
        "targetType": "PAUSE",
        "lifecycleStages": [waits_at],
        "timeoutConfiguration": {"timeoutInMinutes": 1000},
    }
    stage.client("ecs").update_service(
        cluster=CLUSTER,
        service=SERVICE,
        deploymentConfiguration={
            "strategy": "BLUE_GREEN",
            "bakeTimeInMinutes": 30,
            "lifecycleHooks": [hook],
        },
    )


def deployed_beside(stage: Stage) -> None:
    """The new build's tasks wait for three hours for a person."""
    blue_green(stage, "POST_SCALE_UP")
    stage.deploy_bad()
    stage.passes(minutes(180))
    assert newest(stage)["lifecycleStage"] == "POST_SCALE_UP"


def newest(stage: Stage) -> Any:
    ecs = stage.client("ecs")
    briefs = ecs.list_service_deployments(cluster=CLUSTER, service=SERVICE)["serviceDeployments"]
    arn = briefs[0]["serviceDeploymentArn"]
    answer = ecs.describe_service_deployments(serviceDeploymentArns=[arn])
    return answer["serviceDeployments"][0]


def goes_on(stage: Stage) -> None:
    """A person lets the deployment go on."""
    deployment = newest(stage)
    stage.client("ecs").continue_service_deployment(
        serviceDeploymentArn=deployment["serviceDeploymentArn"],
        hookId=deployment["lifecycleHookDetails"][0]["hookId"],
    )


def answered(stage: Stage) -> list[object]:
    """What the function answered to hooks."""
    calls = stage.cloud.recorder.calls("ecs", "ContinueServiceDeployment", access_key(FUNCTION))
    return [call.parameters.get("action") for call in calls]


def stops(stage: Stage) -> int:
    calls = stage.cloud.recorder.calls("ecs", "StopServiceDeployment", access_key(FUNCTION))
    return len(calls)


def test_a_build_that_waits_for_its_traffic_is_not_rolled_back_for_what_ails_the_old_one(
    scene: Scene,
) -> None:
    """Nobody is told either, for there is nothing to decide; when it serves well at last, it stays."""
    stage = scene()
    new, old = stage.digests["auth-service:v19"], stage.digests["auth-service:v18"]
    stage.cloud.traffic.behaviour(new, GOOD)
    deployed_beside(stage)
    told = len(stage.messages())
    stage.cloud.traffic.behaviour(old, FAILING)
    assert stage.until(lambda: stage.alarm_state() == "ALARM", within=minutes(10))
    stage.passes(minutes(11))
    assert (len(stage.messages()), updates(stage), stops(stage)) == (told, 0, 0)
    stage.cloud.traffic.behaviour(old, GOOD)
    assert stage.until(lambda: stage.alarm_state() == "OK", within=minutes(15))
    goes_on(stage)
    stage.passes(minutes(45))
    assert newest(stage)["status"] == "SUCCESSFUL"
    assert stage.incidents() == []
    assert [
        i for i in stage.ledger() if str(i["sk"]).startswith("traffic#") and "due_at" in i
    ] == []


def test_the_same_build_is_rolled_back_when_it_fails_the_users_that_it_is_shifted_to(
    scene: Scene,
) -> None:
    stage = scene()
    deployed_beside(stage)
    goes_on(stage)
    assert stage.until(lambda: stops(stage) > 0, within=minutes(12))
    verdict = last_verdict(stage)
    assert (verdict["outcome"], verdict["reason"]) == ("rolled_back", "alarm_after_deployment")
    assert "the shift of traffic" in verdict["summary"]
    stage.passes(minutes(5))
    assert newest(stage)["status"] == "ROLLBACK_SUCCESSFUL"


def test_a_build_that_fails_its_users_while_it_waits_for_a_person_is_rolled_back_from_there(
    scene: Scene,
) -> None:
    """It serves all of them already, and waits before it bakes: nobody need come for it to go back."""
    stage = scene()
    blue_green(stage, "POST_PRODUCTION_TRAFFIC_SHIFT")
    stage.deploy_bad()
    assert stage.until(lambda: answered(stage) != [], within=minutes(20))
    assert newest(stage)["lifecycleHookDetails"][0]["status"] != "SUCCEEDED"
    stage.passes(minutes(15))
    assert (answered(stage), stops(stage), updates(stage)) == (["ROLLBACK"], 0, 0)
    assert newest(stage)["status"] == "ROLLBACK_SUCCESSFUL"
    assert stage.running_revision() == "auth-service:18"
    results = [message["result"] for message in stage.messages() if message["result"]]
    told = [(result["outcome"], result.get("incident_state")) for result in results]
    assert told == [("rolled_back", "open"), ("rolled_back", "recovered")]
