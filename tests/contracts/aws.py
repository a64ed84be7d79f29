"""What deployments, definitions, alarms, policies and images do, wherever they are.

A module that has the fixture `site` takes the tests by importing them.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from autorollback.aws.definitions import UnknownDefinition
from autorollback.aws.ecs import DeploymentPage
from autorollback.decision.facts import Deployment, Status
from autorollback.decision.lookups import ImagesStored
from autorollback.naming import Home, ServiceKey
from tests.contracts.sites import KEY, NOBODY, POLICY, Site

FEW_MINUTES = timedelta(minutes=4)
A_MOMENT = timedelta(seconds=30)


def newest(site: Site) -> Deployment:
    """The newest deployment, in full."""
    arn = site.deployments.backend(None).newest(KEY)
    assert arn is not None
    (deployment,) = site.deployments.history(None).deployments([arn])
    return deployment


def deploy(site: Site, build: str) -> str:
    """Deploy a build; answers the ARN of its definition."""
    definition = site.define(build)
    site.deployments.backend(None).update(KEY, definition, "incident", None)
    return definition


# --- deployments


def test_of_a_service_that_nobody_knows_there_is_nothing(site: Site) -> None:
    deployments = site.deployments
    assert deployments.service(NOBODY) is None
    assert deployments.backend(None).newest(NOBODY) is None
    assert deployments.history(None).deployments_page(NOBODY).arns == ()
    assert deployments.newest_of(NOBODY, lambda: None) == ""


def test_a_deployment_is_the_newest_at_once_and_comes_from_what_ran(site: Site) -> None:
    before = newest(site)
    v2 = deploy(site, "v2")
    begun = newest(site)
    assert begun.arn != before.arn
    assert begun.status in (Status.PENDING, Status.IN_PROGRESS)
    assert begun.finished_at is None
    assert begun.sources == (before.target,)
    brought = site.deployments.history(None).revisions([begun.target])
    assert brought[begun.target].task_definition_arn == v2
    service = site.deployments.service(KEY)
    assert service is not None
    assert service.task_definition == v2


def test_what_the_service_is_set_to_already_is_not_deployed_again(site: Site) -> None:
    v2 = deploy(site, "v2")
    begun = newest(site)
    site.deployments.backend(None).update(KEY, v2, "incident", None)
    assert newest(site) == begun


def test_a_deployment_that_is_let_be_succeeds_and_leaves_what_it_brought(site: Site) -> None:
    deploy(site, "v2")
    site.passes(FEW_MINUTES)
    done = newest(site)
    assert done.status is Status.SUCCESSFUL
    assert done.leaves == done.target
    assert done.finished_at is not None
    assert done.created_at < done.finished_at <= site.now


def test_one_that_is_stopped_goes_back_to_what_ran(site: Site) -> None:
    before = newest(site)
    deploy(site, "v2")
    site.passes(A_MOMENT)
    backend, stopped = site.deployments.backend(None), newest(site)
    assert backend.stop(stopped.arn)
    assert newest(site).arn == stopped.arn, "no new deployment: this one goes back"
    assert newest(site).status.is_rollback
    site.passes(FEW_MINUTES)
    assert newest(site).status is Status.ROLLBACK_SUCCESSFUL
    assert newest(site).leaves == before.target


def test_one_that_waits_at_a_pause_hook_is_rolled_back_from_there(site: Site) -> None:
    before = newest(site)
    site.waits_at_hook("v2")
    waiting = newest(site)
    assert waiting.status is Status.IN_PROGRESS
    assert site.deployments.backend(None).stop(waiting.arn)
    assert site.acts() == ["ContinueServiceDeployment ROLLBACK"]
    site.passes(FEW_MINUTES)
    assert newest(site).arn == waiting.arn
    assert newest(site).status is Status.ROLLBACK_SUCCESSFUL
    assert newest(site).leaves == before.target


def test_one_that_has_gone_on_from_its_hook_meanwhile_is_stopped(site: Site) -> None:
    before = newest(site)
    site.waits_at_hook("v2")
    site.goes_on_meanwhile()
    assert site.deployments.backend(None).stop(newest(site).arn)
    assert site.acts() == ["ContinueServiceDeployment ROLLBACK", "StopServiceDeployment"]
    site.passes(FEW_MINUTES)
    assert newest(site).leaves == before.target


def test_what_is_rolled_back_from_its_hook_already_is_no_obstacle(site: Site) -> None:
    """The answer was lost, and whoever comes next asks again."""
    site.waits_at_hook("v2")
    backend, arn = site.deployments.backend(None), newest(site).arn
    assert backend.stop(arn)
    assert newest(site).status.is_rollback
    backend.stop(arn)
    assert newest(site).status.is_rollback


def test_one_that_has_ended_cannot_be_stopped(site: Site) -> None:
    deploy(site, "v2")
    site.passes(FEW_MINUTES)
    assert not site.deployments.backend(None).stop(newest(site).arn)
    assert newest(site).status is Status.SUCCESSFUL


def test_a_deployment_takes_the_place_of_one_that_is_under_way(site: Site) -> None:
    first = newest(site)
    deploy(site, "v2")
    site.passes(A_MOMENT)
    second = newest(site)
    deploy(site, "v3")
    site.passes(FEW_MINUTES)
    history = site.deployments.history(None)
    (displaced,) = history.deployments([second.arn])
    assert displaced.status is Status.STOPPED
    assert displaced.leaves is None
    assert newest(site).status is Status.SUCCESSFUL
    assert first.target in newest(site).sources


def test_deployments_are_listed_newest_first_page_by_page(site: Site) -> None:
    builds = [site.define("v2"), site.define("v3")]
    for number in range(20):
        site.passes(FEW_MINUTES)
        site.deployments.backend(None).update(KEY, builds[number % 2], "incident", None)
    history = site.deployments.history(None)
    first = history.deployments_page(KEY)
    assert first.next is not None
    rest = history.deployments_page(KEY, first.next)
    assert (len(first.arns), len(rest.arns), rest.next) == (20, 1, None)
    assert first.newest_at == newest(site).created_at
    in_full = history.deployments([*rest.arns, *first.arns])
    assert tuple(one.arn for one in in_full) == (*first.arns, *rest.arns)
    again = site.deployments.newest_page(KEY)
    assert isinstance(again, DeploymentPage)
    assert again.arns == first.arns


def test_what_is_not_there_any_more_is_not_told(site: Site) -> None:
    known, history = newest(site), site.deployments.history(None)
    gone = f"{known.target}0"
    assert set(history.revisions([known.target, gone])) == {known.target}


def test_the_group_is_asked_for_only_where_ecs_tells_no_deployment(site: Site) -> None:
    def group() -> str | None:
        raise AssertionError("ECS has deployments of it")

    assert site.deployments.newest_of(KEY, group) == newest(site).arn


def test_a_deployment_remembers_the_digests_that_it_brought(site: Site) -> None:
    deploy(site, "v2")
    target = newest(site).target
    brought = site.deployments.history(None).revisions([target])
    assert brought[target].images == {"app": site.digest("v2")}


# --- definitions


def test_a_definition_is_known_by_its_arn_and_by_its_name(site: Site) -> None:
    described = site.definitions.describe(site.define("v2"))
    assert described.family == "auth"
    assert site.definitions.describe(described.name) == described
    assert list(described.images) == ["app"]


def test_of_a_definition_that_is_not_there_its_name_is_told(site: Site) -> None:
    with pytest.raises(UnknownDefinition, match="auth:4711"):
        site.definitions.describe("auth:4711")


def test_a_copy_has_its_images_pinned_and_is_registered_once(site: Site) -> None:
    original = site.definitions.describe(site.define("v2"))
    digests = {"app": site.digest("v2")}
    copy = site.definitions.restore(original, digests)
    assert copy.arn != original.arn
    assert copy.status == "ACTIVE"
    assert copy.images["app"].endswith(f"@{digests['app']}")
    assert copy.tags["auto-rollback:restored-from"] == original.arn
    assert site.definitions.restore(original, digests).arn == copy.arn
    assert site.definitions.describe(copy.arn).identity(digests) == original.identity(digests)


# --- alarms


def test_a_calm_alarm_is_told_with_the_service_and_is_not_red(site: Site) -> None:
    name = site.watch("5xx-rate")
    (alarm,) = site.alarms.of(POLICY)
    assert (alarm.name, alarm.signal, alarm.in_alarm) == (name, "5xx-rate", False)
    assert alarm.onset is None
    assert site.alarms.red() == ()


def test_an_alarm_that_fires_is_red_since_then_with_an_onset_before(site: Site) -> None:
    name = site.watch("5xx-rate")
    site.watch("latency")
    site.passes(FEW_MINUTES)
    site.turn("5xx-rate", red=True)
    (alarm,) = [one for one in site.alarms.of(POLICY) if one.in_alarm]
    assert alarm.name == name
    assert alarm.since is not None
    assert abs(alarm.since - site.now) < A_MOMENT
    assert alarm.onset is not None
    assert alarm.onset <= site.now
    (red,) = site.alarms.red()
    assert (red.name, red.key.service, red.key.signal) == (name, KEY, "5xx-rate")
    assert red.onset == alarm.onset


def test_the_past_of_an_alarm_is_its_times_in_alarm(site: Site) -> None:
    name, began = site.watch("5xx-rate"), site.now
    site.passes(FEW_MINUTES)
    fired = site.now
    site.turn("5xx-rate", red=True)
    site.passes(FEW_MINUTES)
    calm = site.now
    site.turn("5xx-rate", red=False)
    site.passes(FEW_MINUTES)
    again = site.now
    site.turn("5xx-rate", red=True)
    (alarm,) = site.alarms.of(POLICY)
    told = site.alarms.history(name, began).told_to(alarm)
    assert told.spells is not None
    first, second = told.spells
    assert first.until is not None
    assert abs(first.since - fired) < A_MOMENT
    assert abs(first.until - calm) < A_MOMENT
    assert abs(second.since - again) < A_MOMENT
    assert second.until is None
    assert told.history_from == began
    later = site.alarms.history(name, calm + A_MOMENT).told_to(alarm)
    assert later.spells is not None
    assert later.spells == (second,)


def test_alarms_of_another_service_are_not_told_with_this_one(site: Site) -> None:
    site.watch("5xx-rate")
    other = replace(POLICY, key=ServiceKey("shop", "mail"))
    assert site.alarms.of(other) == ()


# --- policies


def test_a_service_without_a_policy_is_not_protected(site: Site) -> None:
    assert site.policies.of(NOBODY) is None
    assert site.policies.named("nobody") == ()
    assert site.policies.named("nobody", "shop") == ()


def test_a_policy_is_read_as_it_was_written_and_names_its_service(site: Site) -> None:
    office = ServiceKey("office", "auth")
    for key in (KEY, office):
        site.protect(replace(POLICY, key=key))
    assert site.policies.of(KEY) == POLICY
    assert site.policies.keys() == (office, KEY)
    assert site.policies.named("auth") == (office, KEY)
    assert site.policies.named("auth", "shop") == (KEY,)


# --- what tasks need to start


def test_a_tag_has_the_digest_that_was_pushed_with_it(site: Site) -> None:
    site.define("v2")
    assert site.dependencies.digest_of("auth", "v2") == site.digest("v2")
    assert site.dependencies.digest_of("auth", "v3") is None
    assert "v2" in site.dependencies.tags_like("auth", "v22")


def test_images_are_told_by_digest_and_by_tag(site: Site) -> None:
    site.define("v2")
    there, gone = site.digest("v2"), f"sha256:{'0' * 64}"
    lookup = ImagesStored("auth", frozenset({there, gone}), frozenset({"v2", "v3"}))
    found = site.dependencies.answers(Home("111122223333", "eu-central-1"), [lookup]).images[lookup]
    assert there in found.digests
    assert gone not in found.digests
    assert found.tags.get("v2") == there
    assert "v3" not in found.tags
