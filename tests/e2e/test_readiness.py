"""Found out before the incident: what would keep a service from being rolled back, with a remedy for each finding."""

import json
from typing import Any

from demo.scenario import AUTH, FUNCTION, WORKER, Actor, Stage
from localcloud import functions
from localcloud.errors import Refusal
from localcloud.recorder import Call
from tests.e2e.conftest import Scene
from tests.e2e.telling import minutes

WRITES = {
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "Publish",
    "PutEvents",
    "UpdateService",
    "RegisterTaskDefinition",
}


def findings(stage: Stage, actor: Actor = AUTH) -> dict[str, Any]:
    """What is found of one service now, by check."""
    (told,) = stage.invoke({"action": "readiness", "service": actor.name})["services"]
    assert all(finding["remedy"] for finding in told["findings"])
    return {finding["check"]: finding for finding in told["findings"]} | {"ready": told["ready"]}


def configure(stage: Stage, **changed: object) -> None:
    """As services.yaml has it from now on."""
    ssm, name = stage.client("ssm"), f"/{FUNCTION}/{AUTH.cluster}/{AUTH.name}"
    document = json.loads(ssm.get_parameter(Name=name)["Parameter"]["Value"])
    ssm.put_parameter(Name=name, Value=json.dumps(document | changed), Overwrite=True)


def daily(stage: Stage) -> dict[str, Any]:
    """The event of the daily rule."""
    event = {
        "version": "0", "id": "daily", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {},
        "account": stage.cloud.account, "region": stage.cloud.region, "time": "2026-03-10T06:00:00Z",
        "resources": [f"arn:aws:events:{stage.cloud.region}:{stage.cloud.account}:rule/{FUNCTION}-readiness"],
    }  # fmt: skip
    return stage.invoke(event)


def audits(stage: Stage) -> list[dict[str, Any]]:
    """The messages of the audit that people were sent."""
    return [message for message in stage.messages() if message["subject"].startswith("[READINESS]")]


def test_a_healthy_service_is_ready_and_asking_writes_nothing(scene: Scene) -> None:
    stage = scene(AUTH, WORKER)
    stage.cloud.recorder.clear()
    answer = stage.invoke({"action": "readiness"})
    assert {told["service"]: told["ready"] for told in answer["services"]} == {
        AUTH.name: True,
        WORKER.name: True,
    }
    asked = {
        call.operation
        for call in stage.cloud.recorder.calls(access_key=functions.access_key(FUNCTION))
    }
    assert not asked & WRITES
    (auth,) = [told for told in answer["services"] if told["service"] == AUTH.name]
    assert [(f["check"], f["severity"]) for f in auth["findings"]] == [("tag_mutable", "warning")]


def test_what_the_running_revision_needs_and_what_watches_it_is_looked_for(scene: Scene) -> None:
    stage = scene()
    for number in (17, 18):
        stage.client("ecs").deregister_task_definition(taskDefinition=f"{AUTH.name}:{number}")
    stage.client("cloudwatch").delete_alarms(
        AlarmNames=[f"{FUNCTION}/my-cluster/auth-service/latency"]
    )
    found = findings(stage)
    assert found["definition_active"]["severity"] == "warning"
    assert found["alarms_present"]["severity"] == "error"
    assert not found["ready"]
    stage.client("secretsmanager").delete_secret(
        SecretId=f"{AUTH.name}/database", RecoveryWindowInDays=7
    )
    found = findings(stage)
    assert found["secrets_present"]["severity"] == "error"
    assert "scheduled for deletion" in found["secrets_present"]["detail"]


def test_an_image_that_the_lifecycle_policy_will_take_is_told_a_week_ahead(scene: Scene) -> None:
    stage = scene()
    selection = {
        "tagStatus": "any",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 14,
    }
    rule = {"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}
    stage.client("ecr").put_lifecycle_policy(
        repositoryName=AUTH.name, lifecyclePolicyText=json.dumps({"rules": [rule]})
    )
    assert "expires it at 2026-03-16" in findings(stage)["image_kept"]["detail"]
    kept = rule | {"selection": selection | {"countNumber": 90}}
    stage.client("ecr").put_lifecycle_policy(
        repositoryName=AUTH.name, lifecyclePolicyText=json.dumps({"rules": [kept]})
    )
    assert "image_kept" not in findings(stage)


def test_the_daily_audit_tells_people_once_of_what_has_changed(scene: Scene) -> None:
    stage = scene()
    daily(stage)
    assert audits(stage) == [], "all is well at first sight"
    good = {r["task_definition"] for r in stage.ledger() if str(r["sk"]).startswith("good#")}
    assert "auth-service:18" in good, "what has run well until now is remembered"
    repository, image = AUTH.name, stage.digests[f"{AUTH.name}:v18"]
    for tag in ("v17", "v18"):
        digest = stage.digests[f"{AUTH.name}:{tag}"]
        stage.client("ecr").batch_delete_image(
            repositoryName=repository, imageIds=[{"imageDigest": digest}]
        )
    (told,) = daily(stage)["services"]
    assert not told["ready"]
    (message,) = audits(stage)
    assert message["subject"] == "[READINESS] 0 of 1 services could be rolled back now"
    assert f"auth-service@{image} is not in ECR" in message["email"]
    daily(stage)
    assert len(audits(stage)) == 1, "nothing has changed since"
    stage.client("ssm").put_parameter(
        Name="/auto-rollback/my-cluster/auth-service", Value="{}", Overwrite=True
    )
    (told,) = daily(stage)["services"]
    assert [finding["check"] for finding in told["findings"]] == ["protected"]
    assert len(audits(stage)) == 2


def test_what_aws_refuses_to_tell_of_one_service_is_found_and_the_others_are_looked_at(
    scene: Scene,
) -> None:
    stage = scene(AUTH, WORKER)

    def deny(call: Call) -> None:
        if call.parameters.get("repositoryName") == WORKER.name:
            words = "is not authorized to perform: ecr:DescribeImages on resource: repository/mail-worker with an explicit deny"
            raise Refusal("AccessDeniedException", words)

    stage.cloud.recorder.before("ecr", "DescribeImages", deny)
    told = {one["service"]: one for one in daily(stage)["services"]}
    assert told[AUTH.name]["ready"]
    found = {finding["check"]: finding for finding in told[WORKER.name]["findings"]}
    finding = found["image_present"]
    assert finding["severity"] == "warning", "it is not known, which fails nobody"
    assert "ecr:DescribeImages on resource: repository/mail-worker" in finding["detail"]


def test_readiness_is_a_metric(scene: Scene) -> None:
    stage = scene()
    daily(stage)
    stage.passes(minutes(1))
    logs = stage.client("logs").filter_log_events(
        logGroupName=f"/aws/lambda/{FUNCTION}", filterPattern="RollbackReady"
    )
    (metric,) = [
        json.loads(event["message"])
        for event in logs["events"]
        if "RollbackReady" in event["message"]
    ]
    assert (metric["service"], metric["cluster"], metric["RollbackReady"]) == (
        "auth-service",
        "my-cluster",
        [1.0],
    )


def test_a_service_that_codedeploy_deploys_is_held_with_the_reason_and_not_ready(
    scene: Scene,
) -> None:
    stage = scene()
    stage.client("ecs").delete_service(cluster=AUTH.cluster, service=AUTH.name, force=True)
    group = f"arn:aws:elasticloadbalancing:{stage.cloud.region}:{stage.cloud.account}:{AUTH.target_group}"
    stage.world.service(
        AUTH.cluster, AUTH.name, f"{AUTH.name}:18", deploymentController={"type": "CODE_DEPLOY"},
        loadBalancers=[{"targetGroupArn": group, "containerName": "app", "containerPort": 80}],
    )  # fmt: skip
    for payload in ({"service": AUTH.name}, {"service": AUTH.name, "revision": 17}):
        result = stage.invoke(payload)
        assert (result["outcome"], result["reason"]) == (
            "held",
            "unsupported_deployment_controller",
        )
        assert "CODE_DEPLOY" in result["summary"]
    found = findings(stage)
    assert (found["service_active"]["severity"], found["ready"]) == ("error", False)


def test_a_family_that_services_yaml_does_not_name_is_found_out_and_nothing_of_it_is_deployed(
    scene: Scene,
) -> None:
    """Held before AWS is asked, by hand as well; once it is named, the very same goes through."""
    stage = scene()
    configure(stage, families=["auth-*-api"])
    found = findings(stage)
    assert (found["family_granted"]["severity"], found["ready"]) == ("error", False)
    assert "auth-service is none of those under families" in found["family_granted"]["detail"]
    stage.deploy_bad()
    assert stage.until(lambda: len(stage.messages()) > 1, within=minutes(12))
    held = stage.messages()[-1]["result"]
    assert (held["outcome"], held["reason"]) == ("held", "no_candidate_passes_preflight")
    for candidate in held["candidates"][:2]:
        failed = [check["check"] for check in candidate["checks"] if check["passed"] is False]
        assert failed == ["family_granted"]
    by_hand = stage.invoke({"service": AUTH.name, "revision": 18})
    assert (by_hand["outcome"], by_hand["reason"]) == ("held", "no_candidate_passes_preflight")
    assert stage.running_revision() == f"{AUTH.name}:19"
    configure(stage, families=[AUTH.name])
    assert stage.invoke({"service": AUTH.name})["outcome"] == "rolled_back"
