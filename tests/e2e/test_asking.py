"""What a person or a pipeline asks before anything happens, through the deployed function: `status` and `check`."""

from typing import Any

from demo.scenario import AUTH, FUNCTION, WORKER, Stage
from localcloud.functions import access_key
from tests.e2e.conftest import Scene
from tests.e2e.telling import minutes

WRITES = {
    "dynamodb": ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"),
    "ecs": ("UpdateService", "RegisterTaskDefinition", "StopServiceDeployment"),
    "sns": ("Publish",),
    "events": ("PutEvents",),
}


def written(stage: Stage) -> int:
    """How often the function wrote anything."""
    recorder, key = stage.cloud.recorder, access_key(FUNCTION)
    return sum(
        len(recorder.calls(service, operation, key))
        for service, operations in WRITES.items()
        for operation in operations
    )


def failed(answer: dict[str, Any]) -> list[str]:
    """The checks that speak against a deployment."""
    assert set(answer) == {"outcome", "clear", "findings"}, answer
    names = [finding["check"] for finding in answer["findings"]]
    assert names == ["quarantined", "in_alarm", "rollback_in_progress"]
    found = [finding["check"] for finding in answer["findings"] if not finding["passed"]]
    assert (answer["outcome"], answer["clear"]) == ("done", found == [])
    return found


def test_a_status_tells_in_a_line_how_each_service_stands(scene: Scene) -> None:
    stage = scene(AUTH, WORKER)
    before = written(stage)
    told = stage.invoke({"action": "status"})
    assert set(told) == {"outcome", "services"}
    lines = {line["service"]: line for line in told["services"]}
    assert set(lines) == {AUTH.name, WORKER.name}
    auth = lines[AUTH.name]
    since = auth.pop("since")
    assert since.endswith("+00:00")
    assert auth == {
        "cluster": AUTH.cluster,
        "service": AUTH.name,
        "task_definition": f"{AUTH.name}:18",
        "last_stable": f"{AUTH.name}:18",
        "incident_id": None,
        "paused_until": None,
        "ready": True,
    }
    assert written(stage) == before

    stage.deploy_bad()
    assert stage.until(lambda: stage.incidents() != [], within=minutes(12))
    (line,) = stage.invoke({"action": "status", "service": AUTH.name})["services"]
    assert line["incident_id"] == stage.incidents()[0]["incident_id"]
    assert line["last_stable"] == f"{AUTH.name}:18"
    refused = stage.invoke({"action": "status", "service": "auth-servce"})
    assert (refused["outcome"], refused["error"]["field"]) == ("rejected", "service")
    assert AUTH.name in refused["error"]["allowed"]
    unknown = stage.invoke({"action": "status", "services": [AUTH.name]})
    assert (unknown["outcome"], unknown["error"]["field"]) == ("rejected", "services")


def test_a_pipeline_is_told_what_it_would_bring_back_or_come_into(scene: Scene) -> None:
    stage = scene()
    bad, name = stage.digests["auth-service:v19"], AUTH.name
    ask = {"action": "check", "service": name}
    assert failed(stage.invoke({**ask, "task_definition": 19})) == []
    stage.deploy_bad()
    assert stage.until(lambda: stage.incidents() != [], within=minutes(12))
    found = failed(stage.invoke({**ask, "task_definition": f"{name}:19"}))
    assert found == ["quarantined", "in_alarm", "rollback_in_progress"]

    assert stage.until(
        lambda: [i["state"] for i in stage.incidents()] == ["recovered"], within=minutes(40)
    )
    before = written(stage)
    definition = stage.client("ecs").describe_task_definition(taskDefinition=f"{name}:19")
    image = definition["taskDefinition"]["containerDefinitions"][0]["image"]
    repository = image.rpartition(":")[0]
    for images in (image, f"{repository}@{bad}", bad):
        assert failed(stage.invoke({**ask, "images": {"app": images}})) == ["quarantined"], images
    assert failed(stage.invoke({**ask, "task_definition": f"{name}:19"})) == ["quarantined"]
    assert failed(stage.invoke({**ask, "images": {"app": f"{repository}:v18"}})) == []
    both = {"task_definition": 18, "images": {"app": bad}}
    assert failed(stage.invoke({**ask, **both})) == ["quarantined"]

    for payload, field, words in (
        ({}, "task_definition", "task_definition or images"),
        ({"task_definition": "mail-worker:3"}, "task_definition", f"family {name}"),
        ({"task_definition": 99}, "task_definition", "an existing revision"),
        ({"images": {"ap": bad}}, "images", "app"),
        ({"images": {"app": f"{repository}:v20"}}, "images", "the nearest: v1"),
        ({"images": {"app": "v19"}}, "images", "repository:tag"),
        ({"image": "v19"}, "image", "one of the fields"),
    ):
        refused = stage.invoke({**ask, **payload})
        assert (refused["outcome"], refused["error"]["field"]) == ("rejected", field), refused
        assert words in refused["error"]["allowed"]
    assert written(stage) == before
