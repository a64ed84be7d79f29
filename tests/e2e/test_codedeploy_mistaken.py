"""A deployment group that is not the service's: its role may not read whose the service's deployments are, and nothing is done."""

from dataclasses import replace

import pytest

from demo.scenario import AUTH
from tests.e2e.conftest import Scene
from tests.e2e.rights import denied


@pytest.mark.parametrize(
    ("code_deploy", "words"),
    [
        pytest.param(
            "shop/another", "CodeDeploy knows no deployment group shop/another", id="no such group"
        ),
        pytest.param(
            "other/other-blue-green",
            "none of other/other-blue-green or cannot be read",
            id="another's",
        ),
    ],
)
def test_a_deployment_group_that_does_not_deploy_the_service_is_held_and_said(
    scene: Scene, code_deploy: str, words: str
) -> None:
    by_codedeploy = replace(AUTH, controller="CODE_DEPLOY", termination_wait_minutes=0)
    other = replace(by_codedeploy, name="other", target_group="targetgroup/other/943f017f100becfe")
    stage = scene(replace(by_codedeploy, policy={"code_deploy": code_deploy}), other)
    for payload in ({"service": AUTH.name}, {"service": AUTH.name, "revision": 17}):
        result = stage.invoke(payload)
        assert (result["outcome"], result["reason"]) == (
            "held",
            "unsupported_deployment_controller",
        )
        assert words in result["summary"]
    (told,) = stage.invoke({"action": "readiness", "service": AUTH.name})["services"]
    (finding,) = [found for found in told["findings"] if found["check"] == "service_active"]
    assert (told["ready"], finding["severity"]) == (False, "error")
    assert "code_deploy" in finding["detail"]
    assert all("perform: codedeploy:GetDeployment " in message for message in denied(stage))
