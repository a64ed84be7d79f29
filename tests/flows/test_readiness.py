"""Found out before the incident: what would keep a service from being rolled back, and what to do."""

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from autorollback import metrics
from autorollback.aws.audit import Remembered, Repository
from autorollback.aws.ledger_items import LedgerRecordError
from autorollback.decision.facts import Controller
from autorollback.decision.image_lifecycle import Pushed
from autorollback.decision.lookups import DependencyStatus
from autorollback.decision.verdicts import CheckName
from autorollback.flows import readiness
from autorollback.flows.readiness_findings import REMEDIES
from autorollback.naming import ServiceKey
from autorollback.policy import Mode, PolicyError
from autorollback.results import FindingSeverity, ReadinessFinding, ServiceReadiness
from tests.flows.told_world import ECR, KEY, World, arn_of, digest
from tests.scenarios.history import NOW, days, hours, incident

ERROR, WARNING, INFO = FindingSeverity.ERROR, FindingSeverity.WARNING, FindingSeverity.INFO


@pytest.fixture
def world() -> World:
    """One build ran well, and another does now."""
    story = incident().deployed("17", ago=days(6)).deployed("18", ago=days(2))
    story.under(families=("auth",), task_roles=("auth-*",), mode=Mode.ENFORCE)
    return World(story.serving(task_definition=arn_of("18")))


def only(world: World) -> ServiceReadiness:
    (told,) = readiness.ask(world.session, KEY).services
    assert all(finding.remedy for finding in told.findings)
    return told


def found(world: World) -> list[tuple[str, FindingSeverity]]:
    return [(finding.check, finding.severity) for finding in only(world).findings]


def one(world: World, check: str) -> ReadinessFinding:
    (finding,) = [finding for finding in only(world).findings if finding.check == check]
    return finding


def test_a_healthy_service_is_ready_and_asking_writes_nothing(world: World) -> None:
    answer = readiness.ask(world.session, None)
    assert answer.summary == "[READINESS] 1 of 1 services could be rolled back now"
    assert answer.services == (ServiceReadiness(KEY, ()),)
    assert world.ledger.good == {}
    assert world.audit.memory == {}
    assert world.announcer.letters == []


def test_a_service_without_a_policy_is_not_protected(world: World) -> None:
    key = ServiceKey("", "atuh")
    (told,) = readiness.ask(world.session, key).services
    assert not told.ready
    (finding,) = told.findings
    assert (finding.check, finding.severity) == ("protected", ERROR)
    assert finding.detail == "/atuh has no policy parameter"


def test_a_policy_that_cannot_be_read_is_a_finding(world: World) -> None:
    world.broken_policy = PolicyError("parameter x", "{}", "a policy")
    assert one(world, "protected").detail.startswith("its policy cannot be read: ")


def test_a_record_that_cannot_be_read_is_a_finding_and_ends_no_audit(world: World) -> None:
    world.broken_record = LedgerRecordError("ledger record service#shop/auth good#abc: KeyError")
    told = one(world, "ledger_readable")
    assert "good#abc" in told.detail
    readiness.daily(world.session)
    assert world.audit.memory


def test_an_audit_whose_letter_cannot_be_sent_goes_on_and_tells_the_next_time(
    world: World,
) -> None:
    world.gone = True
    world.announcer.people_unreachable = ConnectionError("SNS is down")
    session = world.session
    readiness.daily(session)
    assert session.unsent == [world.announcer.people_unreachable]
    assert world.audit.memory == {}, "it is still news"
    world.announcer.people_unreachable = None
    readiness.daily(world.session)
    assert len(world.announcer.letters) == 1
    readiness.daily(world.session)
    assert len(world.announcer.letters) == 1


def test_a_service_that_is_not_there_is_a_finding(world: World) -> None:
    world.gone = True
    assert one(world, "service_active").detail == "ECS knows no service shop/auth"


def refusal(code: str, status: int) -> ClientError:
    words = "not authorized to perform: ecr:BatchGetImage on resource: repository/auth"
    answer: Any = {
        "Error": {"Code": code, "Message": words},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "BatchGetImage")


def test_what_aws_refuses_to_tell_is_a_finding(world: World) -> None:
    world.dependencies.refuses = refusal("AccessDeniedException", 400)
    finding = one(world, "can_be_read")
    assert finding.severity is ERROR
    assert "ecr:BatchGetImage on resource: repository/auth" in finding.detail


def test_a_failure_of_aws_is_no_finding(world: World) -> None:
    world.dependencies.refuses = refusal("InternalFailure", 500)
    with pytest.raises(ClientError, match="InternalFailure"):
        readiness.ask(world.session, KEY)


def test_what_cannot_be_rolled_back_as_it_is_is_an_error(world: World) -> None:
    world.story.serving(desired=0)
    finding = one(world, "service_active")
    assert (finding.severity, finding.detail) == (ERROR, "the service is scaled to zero")
    assert finding.remedy == "nothing can be rolled back as it is"
    world.story.serving(desired=4, controller=Controller.EXTERNAL)
    assert one(world, "service_active").remedy.startswith("do what it says, ")


def test_a_mode_and_a_pause_that_keep_the_automatic_still_are_warnings(world: World) -> None:
    world.story.under(mode=Mode.OBSERVE).paused_for(hours(2))
    modes = [finding for finding in only(world).findings if finding.check == "mode"]
    assert [finding.severity for finding in modes] == [WARNING, WARNING]
    assert modes[0].detail == "its mode is observe: nothing is rolled back by itself"
    assert modes[1].detail == "automatic rollbacks are paused until 2026-11-22 16:00Z"
    assert only(world).ready


def test_a_service_that_is_tagged_as_irreversible_is_not_ready(world: World) -> None:
    world.story.serving(irreversible=True)
    assert ("irreversible_change", ERROR) in found(world)


def test_without_a_stable_revision_it_is_not_ready_and_says_why() -> None:
    world = World(incident())
    finding = one(world, "stable_target")
    assert finding.detail == "AWS has no deployment of it on record"
    story = incident().deployed("18", ago=timedelta(minutes=10))
    world = World(story.serving(task_definition=arn_of("18")))
    finding = one(world, "stable_target")
    assert finding.severity is ERROR
    assert finding.detail.startswith("auth:18: ")
    assert finding.remedy.startswith("let a revision serve 30 minutes, with requests")


def test_requests_are_counted_of_what_runs_now(world: World) -> None:
    world.story.requests = dict.fromkeys(world.story.requests, 0)
    assert "no request reached it" in one(world, "stable_target").detail


def test_a_failed_check_is_a_warning_while_another_candidate_passes(world: World) -> None:
    world.dependencies.digests.discard(digest("18"))
    finding = one(world, "image_present")
    assert finding.severity is WARNING
    assert finding.detail == f"auth:18: app: auth@{digest('18')} is not in ECR"
    assert finding.remedy == REMEDIES[CheckName.IMAGE_PRESENT]
    assert only(world).ready
    world.dependencies.digests.clear()
    severities = {severity for check, severity in found(world) if check == "image_present"}
    assert severities == {ERROR}
    assert not only(world).ready


def test_what_the_role_of_the_function_must_allow_is_looked_for(world: World) -> None:
    world.built("18", taskRoleArn="arn:aws:iam::111122223333:role/team/auth-task")
    finding = one(world, "role_granted")
    assert finding.severity is ERROR
    assert finding.remedy == "add team/auth-task to task_roles in services.yaml and deploy"
    world.story.under(task_roles=("team/*",))
    assert found(world) == []


def test_a_family_that_is_not_granted_is_an_error_also_where_another_one_could_be_taken(
    world: World,
) -> None:
    """Else every rollback would go back to the last build of a family of long ago."""
    world.story.under(families=("billing",))
    errors = [f for f in only(world).findings if f.check == "family_granted"]
    assert [(f.severity, f.detail) for f in errors] == [
        (ERROR, f"auth:{build}: auth is none of those under families in services.yaml (billing)")
        for build in ("18", "17")
    ]
    assert errors[0].remedy == "add the family to families in services.yaml and deploy"
    assert not only(world).ready


def test_what_could_not_be_checked_is_told(world: World) -> None:
    world.built("18", image=f"nginx@{digest('18')}")
    finding = one(world, "image_present")
    assert finding.severity is INFO
    assert finding.remedy.startswith("keep the image where it is")
    secrets = [{"name": "KEY", "valueFrom": "arn:of:another"}]
    world.built("18", container={"secrets": secrets})
    elsewhere = DependencyStatus(unknown="it is in us-east-1")
    world.dependencies.secrets["arn:of:another"] = elsewhere
    finding = one(world, "secrets_present")
    assert finding.severity is INFO
    assert finding.remedy.startswith("keep the secret or parameter where it is")


def test_a_secret_that_changed_after_the_target_ran_is_a_warning(world: World) -> None:
    """What serves now has not ended; the one before it last ran days ago."""
    secrets = [{"name": "KEY", "valueFrom": "/auth/key"}]
    world.built("17", container={"secrets": secrets})
    world.dependencies.digests.discard(digest("18"))
    changed = DependencyStatus(changed_at=NOW - hours(1))
    world.dependencies.secrets["/auth/key"] = changed
    finding = one(world, "secrets_present")
    assert finding.severity is WARNING
    assert finding.detail.startswith("auth:17: 1 found; /auth/key changed at ")
    assert finding.remedy == "make sure that the revision can work with the new value"


def test_a_running_definition_that_is_deregistered_or_gone_is_told(world: World) -> None:
    world.built("18", status="INACTIVE")
    finding = one(world, "definition_active")
    assert finding.severity is WARNING
    assert finding.detail.startswith("the running definition auth:18 is INACTIVE: ")
    assert "(auth)" in finding.remedy
    world.definitions.known.pop(arn_of("18"))
    finding = one(world, "definition_active")
    assert finding.severity is ERROR
    assert finding.detail == f"{arn_of('18')} cannot be described"


def test_the_alarms_that_should_watch_are_looked_for(world: World) -> None:
    world.audit.enabled = {"there": True, "gone": None, "silenced": False}
    assert found(world) == [("alarms_present", ERROR), ("alarms_enabled", WARNING)]
    world.audit.enabled = {}
    assert found(world) == [("alarms_present", WARNING)]


def test_a_running_tag_that_can_be_pushed_over_is_told(world: World) -> None:
    world.audit.repositories["auth"] = Repository("MUTABLE", (), None, ())
    finding = one(world, "tag_mutable")
    assert finding.severity is WARNING
    assert finding.remedy.startswith("a rollback pins the digest all the same; ")
    assert "--repository-name auth " in finding.remedy
    world.story.serving(controller=Controller.CODE_DEPLOY)
    assert one(world, "tag_mutable").remedy.startswith("CodeDeploy records no digest: ")
    world.built("18", image=f"{ECR}/auth:18@{digest('18')}")
    assert ("tag_mutable", WARNING) not in found(world)


def test_a_repository_that_is_gone_is_an_error(world: World) -> None:
    world.audit.repositories["auth"] = None
    finding = one(world, "image_present")
    assert (finding.severity, finding.detail) == (ERROR, "app: there is no repository auth")


def test_an_image_of_the_target_that_will_expire_is_told(world: World) -> None:
    selection = {"tagStatus": "any", "countType": "sinceImagePushed", "countNumber": 14}
    lifecycle = json.dumps({"rules": [{"rulePriority": 1, "selection": selection}]})
    pushed = Pushed(digest("18"), ("18",), NOW - days(10))
    world.audit.repositories["auth"] = Repository("IMMUTABLE", (), lifecycle, (pushed,))
    finding = one(world, "image_kept")
    assert finding.severity is WARNING
    assert finding.detail.startswith(f"app: auth@{digest('18')}: rule 1 ")


def test_a_name_that_was_mistyped_is_in_no_metric(capsys: pytest.CaptureFixture[str]) -> None:
    metrics.count_readiness("ns", ServiceKey("", "atuh"), ready=False)
    assert capsys.readouterr().out == ""
    metrics.count_readiness("ns", KEY, ready=False)
    assert json.loads(capsys.readouterr().out)["RollbackReady"] == [0.0]


# --- the daily audit -------------------------------------------------------------------------


def test_what_runs_well_until_now_is_kept_as_known_good(world: World) -> None:
    readiness.daily(world.session)
    good = world.ledger.good[KEY]
    assert (good.revision.task_definition, good.until) == ("auth:18", NOW)


def test_people_are_told_once_of_what_has_changed(world: World) -> None:
    readiness.daily(world.session)
    assert world.announcer.letters == [], "all is well at first sight"
    world.dependencies.digests.clear()
    readiness.daily(world.session)
    ((title, letter, document),) = world.announcer.letters
    assert title == "[READINESS] 0 of 1 services could be rolled back now"
    assert letter.startswith("shop/auth: could NOT be rolled back\n  error: image_present: ")
    services = document["services"]
    assert isinstance(services, list)
    assert [service["ready"] for service in services] == [False]
    readiness.daily(world.session)
    assert len(world.announcer.letters) == 1, "nothing has changed since"
    marks = ("image_present error", "image_present error")
    assert world.audit.memory == {str(KEY): Remembered(False, marks, NOW.isoformat())}


def test_only_what_has_changed_is_in_the_message(world: World) -> None:
    other = ServiceKey("shop", "billing")
    world.stories[other] = world.story
    world.story.serving(irreversible=True)
    marks = ("irreversible_change error",)
    world.audit.memory[str(other)] = Remembered(False, marks, "2026-11-21")
    answer = readiness.daily(world.session)
    assert len(answer.services) == 2
    ((_, letter, document),) = world.announcer.letters
    assert "shop/billing" not in letter
    services = document["services"]
    assert isinstance(services, list)
    assert [service["service"] for service in services] == ["auth"]


def test_those_come_first_that_were_looked_at_longest_ago(world: World) -> None:
    """One was never looked at; for the last there is no time."""
    keys = [ServiceKey("shop", f"service-{n}") for n in range(6)]
    world.stories = dict.fromkeys(keys, world.story)
    for number, key in enumerate(keys[:5]):
        at = f"2026-11-{20 - number}"
        world.audit.memory[str(key)] = Remembered(True, (), at)
    world.time_left = readiness.ENOUGH
    answer = readiness.daily(world.session)
    looked_at = [one.key for one in answer.services]
    assert looked_at == [keys[5], keys[4], keys[3], keys[2]]
    assert answer.not_looked_at == (keys[1], keys[0])


def test_there_is_a_remedy_for_every_check() -> None:
    assert set(REMEDIES) == set(CheckName)
    assert all(REMEDIES.values())
