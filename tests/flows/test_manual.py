"""What a person asks for: a rollback, a plan of one, or what the ledger knows."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from autorollback import results
from autorollback.aws.ledger_items import packed_facts, unpacked
from autorollback.codec import read_record
from autorollback.decision.facts import Status
from autorollback.decision.incident import Phase
from autorollback.decision.result import Result
from autorollback.message_text import night_message
from autorollback.policy import Mode, PolicyError
from autorollback.requests import Action, BadRequest
from autorollback.results import Done, Explanation, HistoryAnswer, ReadinessAnswer
from tests.fakes.ecs import refused
from tests.flows.stories import World, outcome_of, reason_of
from tests.scenarios.history import days, hours, minutes


@pytest.fixture
def world() -> World:
    return World()


# --- a rollback


def test_a_person_is_not_asked_for_an_alarm(world: World) -> None:
    story = world.bad_deployment()
    answer = world.person(reason="it is slow")
    assert outcome_of(answer) == "rolled_back"
    assert world.rollbacks("auth") == ["v1"]
    assert story.runs == "auth:v1"
    assert isinstance(answer, Result)
    assert "it is slow" in answer.summary
    assert not world.incident().automatic


def test_who_asked_is_shown_as_he_says_and_decides_nothing(world: World) -> None:
    world.bad_deployment()
    asked: dict[str, Any] = {
        "requested_by": "arn:aws:iam::111122223333:user/admin",
        "reason": "it is slow",
    }
    plan = world.person(Action.PLAN, **asked)
    answer = world.person(**asked)
    for told in (plan, answer, world.announcer.messages[0]):
        assert isinstance(told, Result)
        assert told.requested_by == asked["requested_by"]
        letter = night_message(told)
        assert f"Asked:   by {asked['requested_by']}, as the request itself says" in letter
    history = world.person(Action.HISTORY)
    assert isinstance(history, HistoryAnswer)
    assert history.incidents[0].result.requested_by == asked["requested_by"]
    anonymous = World()
    anonymous.bad_deployment()
    other = anonymous.person(reason="it is slow")
    assert isinstance(other, Result)
    assert isinstance(answer, Result)
    assert replace(other, incident_id=None) == replace(answer, incident_id=None, requested_by=None)
    assert "Asked:" not in night_message(other)


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"action": Action.PLAN}, id="a plan"),
        pytest.param({"action": Action.ROLLBACK, "dry_run": True}, id="a dry run"),
    ],
)
def test_a_plan_says_what_would_happen_and_writes_nothing(
    world: World, asked: dict[str, object]
) -> None:
    world.bad_deployment()
    before = deepcopy(world.known("auth"))
    answer = world.person(**asked)  # type: ignore[arg-type]
    assert outcome_of(answer) == "would_roll_back"
    assert world.known("auth") == before
    assert world.table.of(world.stories["auth"].key).lease is None
    assert (world.ecs.acts, world.told) == ([], [])
    assert isinstance(answer, Result)
    assert any("the automatic would do nothing" in found.detail for found in answer.evidence)


def test_a_plan_says_what_the_automatic_makes_of_a_red_alarm(world: World) -> None:
    world.bad_deployment()
    world.turn_red("auth", "5xx-rate")
    answer = world.person(Action.PLAN)
    assert isinstance(answer, Result)
    rules = [found.rule for found in answer.evidence]
    assert "alarm_predates_deployment" in rules


def test_a_named_revision_is_gone_to_and_pinned(world: World) -> None:
    story = world.service("auth").deployed("v0", ago=days(9)).deployed("v1", ago=days(3))
    story.deployed("v2", ago=minutes(9))
    answer = world.person(revision="auth:v0")
    assert outcome_of(answer) == "rolled_back"
    assert world.rollbacks("auth") == ["v0"]
    assert world.incident().intent.pins


IRREVERSIBLE = {"auto-rollback:irreversible": "yes"}


def tagged(world: World, what: str) -> None:
    """A past of four builds, of which something is tagged as irreversible."""
    story = world.service("auth")
    if what == "the service":
        story.described(irreversible=True)
    for build, ago in (("v0", days(9)), ("v1", days(6)), ("v2", days(3)), ("v3", minutes(9))):
        story.deployed(build, ago=ago, tags=IRREVERSIBLE if build == what else {})


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"action": Action.PLAN}, id="a plan"),
        pytest.param({"dry_run": True}, id="a dry run"),
        pytest.param({}, id="a rollback"),
    ],
)
@pytest.mark.parametrize(
    ("what", "target"),
    [
        pytest.param("the service", {}, id="the service"),
        pytest.param("the service", {"revision": "auth:v1"}, id="the service, a target named"),
        pytest.param("the service", {"image_tag": "v1"}, id="the service, a tag named"),
        pytest.param("v3", {}, id="what is to be left"),
        pytest.param("v3", {"revision": "auth:v0"}, id="what is to be left, a target named"),
        pytest.param("v2", {"revision": "auth:v1"}, id="what came after the named target"),
        pytest.param("v1", {"revision": "auth:v0"}, id="what came soon after the named target"),
    ],
)
def test_what_is_tagged_as_irreversible_is_undone_by_force_alone(
    world: World, what: str, target: dict[str, Any], asked: dict[str, Any]
) -> None:
    tagged(world, what)
    held = world.person(**{**asked, **target})
    assert isinstance(held, Result)
    assert (outcome_of(held), reason_of(held)) == ("held", "irreversible_change")
    assert "force acts all the same" in held.summary
    holds = [found.rule for found in held.evidence if found.verdict == "hold"]
    assert "irreversible_change" in holds
    assert world.ecs.acts == []
    assert world.told == []

    forced = world.person(**{**asked, **target, "force": True})
    assert isinstance(forced, Result)
    assert outcome_of(forced) == ("would_roll_back" if asked else "rolled_back")
    findings = {found.rule: found.verdict for found in forced.evidence}
    assert findings["irreversible_change"] == "passed"
    assert bool(world.ecs.acts) == (not asked)


@pytest.mark.parametrize("what", ["v0", "v1"])
def test_what_lies_before_the_target_may_be_irreversible(world: World, what: str) -> None:
    tagged(world, what)
    assert outcome_of(world.person()) == "rolled_back"
    other = World()
    tagged(other, what)
    assert outcome_of(other.person(revision="auth:v1")) == "rolled_back"


def test_of_a_far_target_all_that_came_since_is_asked(world: World) -> None:
    world.ecs.page_size = 2
    story = world.service("auth")
    for number in range(8):
        tags = IRREVERSIBLE if number == 2 else {}
        story.deployed(f"v{number}", ago=days(20 - number), tags=tags)
    assert reason_of(world.person(revision="auth:v1")) == "irreversible_change"
    assert outcome_of(world.person(revision="auth:v2")) == "rolled_back"


def test_what_cannot_be_described_may_be_irreversible(world: World) -> None:
    tagged(world, "nothing")
    (v2,) = [arn for arn in world.ecs.definitions if arn.endswith(":v2")]
    del world.ecs.definitions[v2]
    held = world.person(revision="auth:v1")
    assert isinstance(held, Result)
    assert reason_of(held) == "irreversible_change"
    assert "the tags of auth:v2 could not be read" in held.summary


def test_what_runs_already_is_not_deployed_again(world: World) -> None:
    world.bad_deployment()
    assert reason_of(world.person(revision="auth:v2")) == "already_running"
    assert world.ecs.acts == []


def test_a_deployment_that_is_under_way_is_stopped_for_a_person_too(world: World) -> None:
    story = world.service("auth").deployed("v1", ago=days(3)).stuck(Status.IN_PROGRESS)
    story.deployed("v2", ago=minutes(9))
    assert outcome_of(world.person()) == "rolled_back"
    assert world.ecs.acts == ["StopServiceDeployment"]


def test_one_that_no_user_has_reached_is_rolled_back_by_a_person_from_the_hook_that_it_waits_at(
    world: World,
) -> None:
    story = world.service("auth").deployed("v1", ago=days(3)).waits_at_hook()
    story.deployed("v2", ago=hours(2)).shifts(0.0, "POST_SCALE_UP")
    assert reason_of(world.fire("auth", "5xx-rate")) == "not_serving_yet"
    assert world.ecs.acts == []
    assert outcome_of(world.person()) == "rolled_back"
    assert world.ecs.acts == ["ContinueServiceDeployment ROLLBACK"]


def test_where_what_runs_cannot_be_described_the_definition_of_the_service_tells(
    world: World,
) -> None:
    story = world.bad_deployment()
    runs = story.fake.revisions.pop(story.newest.target)
    story.described(task_definition=runs.task_definition_arn)
    assert reason_of(world.person(revision="auth:v2")) == "already_running"


def test_an_image_tag_is_resolved_to_what_it_is_now(world: World) -> None:
    world.bad_deployment()
    world.dependencies.tags["stable"] = "sha256:v1"
    answer = world.person(image_tag="stable")
    assert isinstance(answer, Result)
    assert outcome_of(answer) == "rolled_back"
    assert world.ecs.acts[0].startswith("RegisterTaskDefinition")


def test_while_a_rollback_is_under_way_only_force_acts(world: World) -> None:
    world.bad_deployment()
    world.fire("auth", "5xx-rate")
    held = world.person()
    assert reason_of(held) == "deployment_is_a_rollback"
    assert isinstance(held, Result)
    assert "to auth:v1" in held.summary
    world.passes(minutes(1))
    answer = world.person(revision="auth:v2", force=True)
    assert outcome_of(answer) == "rolled_back"
    assert world.incidents("auth")[0].intent.forced


def test_a_rollback_of_ecs_that_is_under_way_holds_too(world: World) -> None:
    story = world.bad_deployment().stuck(Status.ROLLBACK_IN_PROGRESS)
    story.deployed("v3").becomes(Status.ROLLBACK_IN_PROGRESS)
    held = world.person()
    assert isinstance(held, Result)
    assert "by ECS is under way" in held.summary


def test_force_acts_over_the_lease_and_over_a_claim_that_is_held(world: World) -> None:
    world.bad_deployment()
    world.dependencies.tags["v1"] = "sha256:moved"
    world.ecs.refuses["RegisterTaskDefinition"] = [RuntimeError("killed")]
    with pytest.raises(RuntimeError):
        world.fire("auth", "5xx-rate")
    world.passes(minutes(1))
    with world.judged_elsewhere("auth"):
        assert reason_of(world.person()) == "already_handled"
        answer = world.person(force=True)
    assert outcome_of(answer) == "rolled_back"
    forced, held = world.incidents("auth")
    assert (forced.phase, held.phase) == (Phase.OPEN, Phase.FAILED)


def test_force_skips_the_preflight(world: World) -> None:
    world.bad_deployment()
    world.dependencies.digests.clear()
    assert reason_of(world.person()) == "no_candidate_passes_preflight"
    assert world.told == [], "who asked has the answer"
    assert outcome_of(world.person(force=True)) == "rolled_back"


def test_a_refusal_is_the_answer_and_the_next_try_may_go(world: World) -> None:
    world.bad_deployment()
    world.ecs.refuses["UpdateService"] = [refused("InvalidParameterException", "UpdateService")]
    answer = world.person()
    assert reason_of(answer) == "refused_by_aws"
    assert world.incident().phase is Phase.FAILED
    assert world.told == ["held refused_by_aws"]
    assert outcome_of(world.person()) == "rolled_back"
    assert len(world.incidents("auth")) == 2


def test_a_target_that_cannot_be_registered_is_held_for_a_person_too(world: World) -> None:
    world.bad_deployment()
    world.dependencies.tags["v1"] = "sha256:moved"
    world.definitions.cannot_restore = "it has fields that nobody knows"
    assert reason_of(world.person()) == "no_candidate_passes_preflight"
    assert world.told == []


def test_what_was_left_unfinished_comes_first(world: World) -> None:
    world.bad_deployment()
    world.ecs.refuses["UpdateService"] = [RuntimeError("killed")]
    with pytest.raises(RuntimeError):
        world.fire("auth", "5xx-rate")
    answer = world.person()
    assert isinstance(answer, Result)
    assert answer.incident_id == world.incident().incident_id
    assert world.rollbacks("auth") == ["v1"]


def test_where_a_claim_was_given_up_and_another_is_quicker_it_is_left_to_that(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.bad_deployment()
    world.ecs.refuses["UpdateService"] = [RuntimeError("killed")]
    with pytest.raises(RuntimeError):
        world.fire("auth", "5xx-rate")
    world.passes(hours(2))
    monkeypatch.setattr("autorollback.flows.session.ProtectedService.look_again", lambda _: None)
    assert reason_of(world.person()) == "already_handled"


def test_a_service_without_deployments_has_nothing_to_go_back_to(world: World) -> None:
    world.service("auth")
    assert outcome_of(world.person(revision="auth:v1")) == "held"


# --- who is meant


def test_a_name_that_clusters_share_needs_the_cluster(world: World) -> None:
    world.bad_deployment()
    world.service("auth", cluster="office").deployed("v1")
    with pytest.raises(
        BadRequest, match="one of office, shop: 2 protected services are named auth"
    ):
        world.person()
    assert outcome_of(world.person(cluster="shop")) == "rolled_back"


EVERY_ACTION_OF_ONE_SERVICE = [
    pytest.param(action, more, id=action)
    for action, more in {
        Action.ROLLBACK: {},
        Action.PLAN: {},
        Action.HISTORY: {},
        Action.READINESS: {},
        Action.RELEASE: {"revision": "18"},
        Action.PAUSE: {"minutes": 5},
        Action.RESUME: {},
    }.items()
]


@pytest.mark.parametrize(("action", "more"), EVERY_ACTION_OF_ONE_SERVICE)
def test_a_typo_in_the_name_is_rejected_with_the_nearest_names(
    world: World, action: Action, more: dict[str, Any]
) -> None:
    for name in ("auth-service", "mail-worker", "orders", "search"):
        world.service(name)
    with pytest.raises(BadRequest) as refused:
        world.person(action, "auth-servce", **more)
    assert (refused.value.field, refused.value.given) == ("service", "auth-servce")
    assert refused.value.allowed.startswith("a protected service; the nearest are shop/auth-serv")
    assert refused.value.allowed.count("shop/") == 3
    with pytest.raises(BadRequest, match="the nearest are shop/auth-service"):
        world.person(action, "auth-servce", cluster="shop", **more)
    assert world.table.is_empty


@pytest.mark.parametrize(("action", "more"), EVERY_ACTION_OF_ONE_SERVICE)
def test_a_wrong_cluster_is_rejected_with_the_right_one(
    world: World, action: Action, more: dict[str, Any]
) -> None:
    world.service("auth")
    with pytest.raises(BadRequest) as refused:
        world.person(action, "auth", cluster="shp", **more)
    assert (refused.value.field, refused.value.given) == ("cluster", "shp")
    assert refused.value.allowed == "shop, where auth is"
    assert world.table.is_empty


def test_where_nothing_is_protected_that_is_said(world: World) -> None:
    with pytest.raises(BadRequest, match="there is none yet"):
        world.person(name="auth")


def test_a_release_needs_a_service(world: World) -> None:
    with pytest.raises(BadRequest, match="service"):
        world.person(Action.RELEASE, None, revision="18")


# --- what the ledger knows


def test_history_is_told_newest_first_and_page_by_page(world: World) -> None:
    world.bad_deployment()
    world.person()
    world.passes(minutes(5))
    world.person(revision="auth:v2", force=True)
    first = world.person(Action.HISTORY, limit=1)
    assert isinstance(first, HistoryAnswer)
    second = world.person(Action.HISTORY, limit=1, next=first.next)
    assert isinstance(second, HistoryAnswer)
    assert second.next is None
    targets = [
        page.incidents[0].result.goes_to.task_definition
        for page in (first, second)
        if page.incidents[0].result.goes_to
    ]
    assert targets == ["auth:v2", "auth:v1"]
    of_all = world.person(Action.HISTORY, None)
    assert isinstance(of_all, HistoryAnswer)
    assert len(of_all.incidents) == 2
    with pytest.raises(BadRequest, match="next"):
        world.person(Action.HISTORY, next="nonsense")


def test_a_past_verdict_is_judged_again_with_all_that_it_rested_on(world: World) -> None:
    world.bad_deployment()
    world.fire("auth", "5xx-rate")
    before = deepcopy(world.known("auth"))
    incident = world.incident()
    for name, cluster in ((None, None), ("auth", "shop")):
        answer = world.person(
            Action.EXPLAIN, name, cluster=cluster, incident_id=incident.incident_id
        )
        document = results.to_json(answer)
        assert (document["outcome"], document["incident_id"]) == ("done", incident.incident_id)
        judged = {"outcome": "rolled_back", "reason": "alarm_after_deployment"}
        assert (document["then"], document["now"], document["alike"]) == (judged, judged, True)
        assert isinstance(answer, Explanation)
        assert answer.evidence[-1].rule == "alarm_after_deployment"
        assert answer.candidates[0].task_definition == "auth:v1"
        assert answer.facts["facts"]
    assert world.known("auth") == before


@pytest.mark.parametrize(
    ("named", "field"),
    [
        pytest.param("shop/auth/yesterday/1", "incident_id", id="no such incident"),
        pytest.param("shop/atuh/yesterday/1", "service", id="no such service"),
        pytest.param("shp/auth/yesterday/1", "cluster", id="no such cluster"),
    ],
)
def test_an_incident_that_is_not_on_record_cannot_be_explained(
    world: World, named: str, field: str
) -> None:
    world.bad_deployment()
    with pytest.raises(BadRequest) as refused:
        world.person(Action.EXPLAIN, None, incident_id=named)
    assert refused.value.field == field


def test_an_incident_is_explained_as_one_of_its_own_service_alone(world: World) -> None:
    world.bad_deployment()
    world.fire("auth", "5xx-rate")
    with pytest.raises(BadRequest) as refused:
        world.person(Action.EXPLAIN, "mail", incident_id=world.incident().incident_id)
    assert (refused.value.field, refused.value.allowed) == ("incident_id", "an incident of mail")


@pytest.mark.parametrize(
    ("facts", "allowed"),
    [
        pytest.param(None, "an incident whose facts the ledger kept", id="not kept"),
        pytest.param("nonsense", "an incident whose facts can be read", id="unreadable"),
    ],
)
def test_a_verdict_without_its_facts_cannot_be_explained(
    world: World, facts: str | None, allowed: str
) -> None:
    story = world.bad_deployment()
    world.fire("auth", "5xx-rate")
    (record,) = world.table.of(story.key).records.values()
    record.incident = replace(record.incident, facts=facts)
    with pytest.raises(BadRequest) as refused:
        world.person(Action.EXPLAIN, None, incident_id=record.incident.incident_id)
    assert refused.value.field == "incident_id"
    assert refused.value.allowed.startswith(allowed)


def test_what_would_be_judged_otherwise_by_now_is_told_beside_what_was(world: World) -> None:
    """As a newer version might: here on a record whose window is too short for the deployment."""
    story = world.bad_deployment()
    world.fire("auth", "5xx-rate")
    (record,) = world.table.of(story.key).records.values()
    facts, policy, then = read_record(unpacked(str(record.incident.facts)))
    shorter = packed_facts(facts, replace(policy, window_minutes=1), then)
    record.incident = replace(record.incident, facts=shorter)
    answer = world.person(Action.EXPLAIN, None, incident_id=record.incident.incident_id)
    document: dict[str, Any] = results.to_json(answer)
    assert document["then"]["outcome"] == "rolled_back"
    assert document["now"] == {"outcome": "held", "reason": "no_recent_deployment"}
    assert document["alike"] is False


def test_a_pause_holds_the_automatic_until_it_is_over_or_ended(world: World) -> None:
    world.bad_deployment()
    paused = world.person(Action.PAUSE, minutes=30)
    assert isinstance(paused, Done)
    assert "are paused until" in paused.detail
    assert reason_of(world.fire("auth", "5xx-rate")) == "paused"
    assert outcome_of(world.person(Action.PLAN)) == "would_roll_back", "a person's own go on"
    resumed = world.person(Action.RESUME)
    assert isinstance(resumed, Done)
    assert "a pause of all services would still hold" in resumed.detail
    world.person(Action.PAUSE, None, minutes=30)
    assert reason_of(world.fire("auth", "latency")) == "paused"
    world.person(Action.RESUME, None)
    assert outcome_of(world.fire("auth", "latency")) == "rolled_back"


def test_a_service_whose_policy_is_broken_can_be_paused(world: World) -> None:
    story = world.bad_deployment()
    world.policies.broken[story.key] = PolicyError("mode", "x", "enforce")
    assert isinstance(world.person(Action.PAUSE, minutes=30), Done)
    assert world.known("auth").state.paused_until == world.now + minutes(30)


@pytest.mark.parametrize("action", [Action.ROLLBACK, Action.PLAN])
@pytest.mark.parametrize("force", [False, True])
def test_a_policy_that_lost_a_key_is_the_answer_to_a_person(
    world: World, action: Action, *, force: bool
) -> None:
    story = world.bad_deployment()
    world.policies.broken[story.key] = PolicyError("parameter x.mode", "", "every key of a policy")
    with pytest.raises(BadRequest) as refused:
        world.person(action, cluster="shop", force=force)
    assert (refused.value.field, refused.value.allowed) == (
        "parameter x.mode",
        "every key of a policy",
    )
    with pytest.raises(BadRequest, match="parameter x"):
        world.person(action, force=force)
    assert world.ecs.acts == []
    assert world.table.is_empty


def test_a_quarantine_is_lifted_by_the_revision_or_its_number_alone(world: World) -> None:
    world.bad_deployment()
    world.fire("auth", "5xx-rate")
    with pytest.raises(BadRequest, match="a quarantined revision of shop/auth: auth:v2"):
        world.person(Action.RELEASE, revision="auth:v1")
    released = world.person(Action.RELEASE, revision="v2", reason="mended")
    assert isinstance(released, Done)
    assert released.detail == "auth:v2 of shop/auth may be rolled back to again"
    assert world.known("auth").state.quarantined == {}
    with pytest.raises(BadRequest, match="nothing is quarantined"):
        world.person(Action.RELEASE, revision="v2")


def test_readiness_is_asked_of_one_service_or_of_all(world: World) -> None:
    world.bad_deployment()
    world.bad_deployment("mail")
    one, of_all = world.person(Action.READINESS), world.person(Action.READINESS, None)
    assert isinstance(one, ReadinessAnswer)
    assert isinstance(of_all, ReadinessAnswer)
    assert [found.key.service for found in one.services] == ["auth"]
    assert [found.key.service for found in of_all.services] == ["auth", "mail"]


def test_a_person_rolls_back_in_observe_mode_too(world: World) -> None:
    world.bad_deployment().under(mode=Mode.OBSERVE)
    assert outcome_of(world.person()) == "rolled_back"
