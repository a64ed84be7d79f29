"""Long pasts: stable builds that are cleaned out, and records of thousands of deployments."""

import hashlib
from datetime import timedelta
from typing import Any

from boto3.dynamodb.types import TypeSerializer

from demo.scenario import AUTH, FUNCTION, Stage
from tests.e2e.conftest import Scene
from tests.e2e.telling import minutes
from tests.e2e.test_readiness import daily
from tests.e2e.test_restore import define, rolled_back, serve, uri

TOO_MANY = 1_100
"""As many made the record of an act larger than an item may be."""


def table_of(stage: Stage) -> str:
    configuration = stage.client("lambda").get_function_configuration(FunctionName=FUNCTION)
    return str(configuration["Environment"]["Variables"]["LEDGER_TABLE"])


def filled_by_an_older_version(stage: Stage, number: int) -> None:
    """So many known-good records of builds long gone, as the first version left them."""
    key, now = f"{AUTH.cluster}/{AUTH.name}", stage.cloud.clock.now()
    arn = f"arn:aws:ecs:{stage.cloud.region}:{stage.cloud.account}"
    serialize = TypeSerializer().serialize
    puts: list[dict[str, Any]] = []
    for one in range(number):
        ended = now - timedelta(days=200) - one * timedelta(minutes=72)
        item: dict[str, Any] = {
            "pk": f"service#{key}",
            "sk": f"good#{hashlib.sha256(str(one).encode()).hexdigest()}",
            "revision": f"{arn}:service-revision/{key}/{one:020}",
            "task_definition": f"{AUTH.name}:9{one:05}",
            "task_definition_arn": f"{arn}:task-definition/{AUTH.name}:9{one:05}",
            "images": {"app": f"sha256:{hashlib.sha256(f'image {one}'.encode()).hexdigest()}"},
            "since": (ended - minutes(60)).isoformat(timespec="milliseconds"),
            "until": ended.isoformat(timespec="milliseconds"),
            "requests": 1000,
        }
        attributes = {name: serialize(value) for name, value in item.items()}
        puts.append({"PutRequest": {"Item": attributes}})
    table = table_of(stage)
    for start in range(0, number, 25):
        batch = {table: puts[start : start + 25]}
        stage.client("dynamodb").batch_write_item(RequestItems=batch)


def known_good(stage: Stage) -> list[dict[str, Any]]:
    return [record for record in stage.ledger() if str(record["sk"]).startswith("good#")]


def test_the_newest_two_stable_builds_are_cleaned_out_and_the_one_before_is_taken(
    scene: Scene,
) -> None:
    stage = scene()
    newest = stage.world.push(AUTH.name, "v20")
    serve(stage, define(stage, {"app": uri(stage, f"{AUTH.name}:v20")}))
    stage.deploy_bad()
    gone = [{"imageDigest": digest} for digest in (newest, stage.digests["auth-service:v18"])]
    stage.client("ecr").batch_delete_image(repositoryName=AUTH.name, imageIds=gone)
    verdict = rolled_back(stage)
    assert verdict["to"]["task_definition"] == "auth-service:17"
    told = {one["task_definition"]: one for one in verdict["candidates"]}
    for name in ("auth-service:20", "auth-service:18"):
        assert told[name]["verdict"] == "passed_over"
        assert told[name]["detail"].endswith("is not in ECR")


def test_records_that_an_older_version_left_are_read_and_removed(scene: Scene) -> None:
    """The act is recorded in items that stay small; the audit removes what is not kept."""
    stage = scene()
    filled_by_an_older_version(stage, TOO_MANY)
    stage.deploy_bad()
    rolled_back(stage)
    (incident,) = stage.incidents()
    assert (incident["state"], incident["announced"]) == ("open", True)
    assert max(len(str(record)) for record in stage.ledger()) < 100_000, "a quarter of 400 KB"
    daily(stage)
    assert 20 <= len(known_good(stage)) <= 46
