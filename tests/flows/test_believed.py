"""A claim that another hand wrote into the ledger, or changed there, is not acted on."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from autorollback.aws.ledger_items import incident_item, read_incident
from autorollback.decision.incident import Incident, Phase, RollbackMethod
from autorollback.decision.result import Result
from autorollback.naming import ServiceKey
from tests.fakes.ecs import ARN
from tests.flows.stories import ServiceStory, World, outcome_of
from tests.scenarios.history import days, minutes
from tests.scenarios.test_incident import CLAIM


def definition(name: str) -> str:
    return f"{ARN}:task-definition/{name}"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def auth(world: World) -> ServiceStory:
    """A rollback from v2 to v1 is claimed, and its process died before the act."""
    world.service("mail").deployed("v1", ago=days(3))
    story = world.service("auth").deployed("v0", ago=days(9)).deployed("v1", ago=days(3))
    story.deployed("v2", ago=minutes(9))
    world.ecs.refuses["UpdateService"] = [RuntimeError("killed")]
    with pytest.raises(RuntimeError):
        world.fire("auth", "5xx-rate")
    world.turn_calm("auth", "5xx-rate")
    world.passes(minutes(6))
    return story


def edited(world: World, edit: Callable[[Incident], Incident]) -> None:
    """Somebody edits the claim in the table."""
    (record,) = world.table.of(world.stories["auth"].key).records.values()
    record.incident = edit(record.incident)


def aimed(**intent: object) -> Callable[[Incident], Incident]:
    def edit(claim: Incident) -> Incident:
        return claim.with_intent(replace(claim.intent, **intent))  # type: ignore[arg-type]

    return edit


def with_copy(deploy: str) -> Callable[[Incident], Incident]:
    return aimed(needs_copy=True, deploy=deploy)


def of_another(claim: Incident) -> Incident:
    return replace(claim, written_for=ServiceKey("shop", "mail"))


def stops_another(claim: Incident) -> Incident:
    stopping = replace(claim.intent, method=RollbackMethod.STOP_DEPLOYMENT)
    return replace(claim, intent=stopping, deployment=f"{ARN}:service-deployment/shop/mail/1")


FOREIGN = definition("admin:1")


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        pytest.param(
            aimed(target=FOREIGN, deploy=FOREIGN), "the family admin", id="a foreign family"
        ),
        pytest.param(of_another, "the service shop/mail", id="another service's record"),
        pytest.param(stops_another, "service-deployment/shop/mail/1", id="another's deployment"),
        pytest.param(
            aimed(target=definition("auth:v9"), deploy=definition("auth:v9")),
            "auth:v9 is no revision that ran",
            id="a revision that never ran here",
        ),
        pytest.param(
            aimed(
                target=definition("auth:v1").replace("111122223333", "999999999999"),
                deploy=definition("auth:v1").replace("111122223333", "999999999999"),
            ),
            "another account",
            id="another account",
        ),
        pytest.param(aimed(deploy=definition("auth:v0")), "is no copy of auth:v1", id="no copy"),
        pytest.param(
            with_copy(definition("auth:v0")), "auth:v0 is no copy of auth:v1", id="no copy either"
        ),
        pytest.param(
            aimed(needs_copy=True, digests={"app": "sha256:evil"}),
            "did not run here with the images",
            id="other images",
        ),
        pytest.param(aimed(code_deploy="shop/group"), "deployment group", id="a group"),
    ],
)
def test_what_this_controller_would_not_have_written_fails_and_is_told(
    world: World,
    auth: ServiceStory,
    edit: Callable[[Incident], Incident],
    told: str,
) -> None:
    edited(world, edit)
    world.sweep()
    assert world.ecs.acts == []
    assert auth.runs == "auth:v2"
    assert world.incident().phase is Phase.FAILED
    (message,) = world.announcer.messages
    assert isinstance(message, Result)
    assert (message.outcome, message.severity) == ("failed", "critical")
    assert told in message.summary
    world.passes(minutes(5))
    world.sweep()
    assert world.ecs.acts == []
    assert len(world.told) == 1, "told once"


def test_its_own_claim_is_finished_as_before(world: World, auth: ServiceStory) -> None:
    world.sweep()
    assert world.ecs.acts == ["UpdateService auth:v1"]


def test_a_target_that_a_person_named_need_not_have_run_here(world: World) -> None:
    world.service("auth").deployed("v1", ago=days(3)).deployed("v2", ago=minutes(9))
    world.ecs.define("auth", "v7")
    world.dependencies.digests.add("sha256:v7")
    world.dependencies.tags["v7"] = "sha256:v7"
    world.ecs.refuses["UpdateService"] = [RuntimeError("killed")]
    with pytest.raises(RuntimeError):
        world.person(revision="auth:v7")
    world.passes(minutes(6))
    assert outcome_of(world.person()) == "rolled_back"
    assert world.ecs.acts == ["UpdateService auth:v7"]


def test_a_record_belongs_to_the_service_in_whose_partition_it_lies() -> None:
    item = incident_item(CLAIM, None)
    assert read_incident(item).written_for is None
    foreign = read_incident({**item, "pk": "service#shop/mail"})
    assert foreign.key == ServiceKey("shop", "mail")
    assert foreign.written_for == CLAIM.key
