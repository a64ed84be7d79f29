"""What ECS refuses for good, through the deployed function: another target, or people at once."""

from demo.scenario import FUNCTION
from localcloud import functions
from localcloud.errors import Refusal
from localcloud.recorder import Call
from tests.e2e.conftest import Scene
from tests.e2e.telling import last_verdict, minutes
from tests.e2e.test_main_job import acts

NO_VOLUME = (
    "Volume configuration provided but no matching configuredAtLaunch volume found in task "
    "definition."
)


def test_a_target_that_ecs_refuses_for_good_gives_way_to_the_one_before(scene: Scene) -> None:
    stage = scene()

    def refuse(call: Call) -> None:
        is_ours = call.access_key == functions.access_key(FUNCTION)
        if is_ours and str(call.parameters["taskDefinition"]).endswith(":18"):
            raise Refusal("InvalidParameterException", NO_VOLUME)

    stage.cloud.recorder.before("ecs", "UpdateService", refuse)
    stage.deploy_bad()
    assert stage.until(lambda: len(acts(stage)) == 2, within=minutes(10))
    stage.passes(minutes(6))
    assert acts(stage) == ["auth-service:18", "auth-service:17"], "each once"
    assert stage.running_revision() == "auth-service:17"
    verdict = last_verdict(stage)
    assert (verdict["outcome"], verdict["to"]["task_definition"]) == (
        "rolled_back",
        "auth-service:17",
    )
    details = {one["task_definition"]: one["detail"] for one in verdict["candidates"]}
    assert NO_VOLUME in details["auth-service:18"]
