"""What AWS has no token for is asked for again only after a look at what became of it."""

from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError

from autorollback.aws import asking
from autorollback.aws.asking import ATTEMPTS, ask_once
from autorollback.aws.codedeploy import CodeDeploy, CodeDeployDeployment
from autorollback.aws.deployer import Superseded
from autorollback.aws.deployment_group import DeploymentGroup
from autorollback.naming import ServiceKey

NO_ANSWER = ConnectionClosedError(endpoint_url="https://ecs")
UNREACHABLE = EndpointConnectionError(endpoint_url="https://ecs")


def refusal(code: str, words: str = "", status: int = 400) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": words},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "UpdateService")


THROTTLED = refusal("ThrottlingException", "Rate exceeded")
FAILED = refusal("ServerException", status=500)


@pytest.fixture(autouse=True)
def _at_once() -> Iterator[None]:
    with mock.patch.object(asking, "sleep"):
        yield


def looks(seen: list[bool], *made: str | None) -> Callable[[bool], str | None]:
    answers = iter(made)

    def look(may_be_done: bool) -> str | None:  # noqa: FBT001 - as it is called
        seen.append(may_be_done)
        return next(answers)

    return look


def test_a_throttle_was_not_done_and_what_follows_is_told_apart() -> None:
    seen: list[bool] = []
    ask = mock.Mock(side_effect=[THROTTLED, NO_ANSWER, THROTTLED, "done"])
    assert ask_once(ask, looks(seen, None, None, None)) == "done"
    assert seen == [False, True, True], "an answer that was lost once stays lost"


@pytest.mark.parametrize("error", [NO_ANSWER, UNREACHABLE, FAILED], ids=repr)
def test_what_was_made_unheard_is_the_answer(error: Exception) -> None:
    ask = mock.Mock(side_effect=[error])
    assert ask_once(ask, looks([], "made")) == "made"
    assert ask.call_count == 1


@pytest.mark.parametrize(
    "error",
    [
        refusal("ClientException", "TaskDefinition is inactive"),
        refusal("AccessDeniedException"),
        refusal("ExpiredTokenException"),
    ],
    ids=repr,
)
def test_a_refusal_is_raised_at_once(error: ClientError) -> None:
    with pytest.raises(ClientError):
        ask_once(mock.Mock(side_effect=[error]), looks([]))


def test_it_ends_after_as_many_tries_as_the_sdk_would_make() -> None:
    ask = mock.Mock(side_effect=THROTTLED)
    with pytest.raises(ClientError, match="Rate exceeded"):
        ask_once(ask, lambda _: None)
    assert ask.call_count == ATTEMPTS


# --- CodeDeploy


class Group(DeploymentGroup):
    """A group of which CodeDeploy tells the newest deployment, and whose AppSpec is no matter."""

    deployed: tuple[str, str] = ("d-1", "")

    def newest(self, key: ServiceKey) -> str | None:  # noqa: ARG002 - as the group's
        name, description = self.deployed
        self.codedeploy.known[name] = mock.Mock(
            spec=CodeDeployDeployment, deployment_id=name, description=description
        )
        return name

    def _last_successful(self) -> Any:
        return mock.Mock(configuration=None), mock.Mock(deploying=lambda _arn: "{}")


def group(meanwhile: tuple[str, str], first: Exception) -> tuple[Group, mock.Mock]:
    """A group in which something is deployed before a first try is known to have failed."""
    client = mock.Mock()
    client.exceptions.DeploymentLimitExceededException = KeyError
    found = Group(CodeDeploy(mock.Mock(codedeploy_unretried=client), "shop", "auth"), "auto")

    def create(**_asked: Any) -> dict[str, str]:
        if found.deployed == ("d-1", ""):
            found.deployed = meanwhile
            raise first
        return {"deploymentId": "d-3"}

    client.create_deployment.side_effect = create
    client.batch_get_deployments.return_value = {"deploymentsInfo": []}
    return found, client.create_deployment


KEY = ServiceKey("shop", "auth")


def test_codedeploy_is_asked_once_where_its_answer_was_lost() -> None:
    ours = ("d-2", "auto: incident 7")
    found, create = group(ours, NO_ANSWER)
    assert found.update(KEY, "auth:1", "shop/auth/7", "d-1") == "d-2"
    assert create.call_count == 1


def test_codedeploy_is_not_asked_again_over_a_deployment_that_began_meanwhile() -> None:
    found, create = group(("d-2", "release 8"), THROTTLED)
    with pytest.raises(Superseded, match="d-2"):
        found.update(KEY, "auth:1", "shop/auth/7", "d-1")
    assert create.call_count == 1
