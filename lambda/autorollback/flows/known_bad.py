"""People are told at once where a known bad build is deployed again."""

from autorollback import results
from autorollback.aws.ledger import Notice
from autorollback.decision.changes import is_restart, is_return, name_of
from autorollback.decision.facts import Facts, Revision
from autorollback.decision.quarantine import known_bad, with_its_images, words_of
from autorollback.decision.question import Question
from autorollback.decision.result import Severity
from autorollback.flows import announce
from autorollback.flows.session import ProtectedService
from autorollback.results import Done

_QUARANTINED = "quarantined"


def is_back(service: ProtectedService, facts: Facts) -> bool:
    """Whether the newest deployment brings a known bad build."""
    question = Question(facts, service.policy, service.now)
    return bool(facts.deployments) and known_bad(question, 0) is not None


def tell_of_its_coming(service: ProtectedService, facts: Facts) -> Done | None:
    """Tell people once where the newest deployment brings a known bad build, or its images.

    Of the build itself it is critical while an alarm is red. What went back is told as what it is.
    """
    newest = facts.newest
    brought = facts.revision(newest.target) if newest else None
    if newest is None or brought is None or not facts.ledger.quarantined:
        return None

    question = Question(facts, service.policy, service.now)
    told = _of_known_bad(service, facts, question) or _of_its_images(service, brought, question)
    if told is None:
        return None
    notice = Notice(
        about=newest.arn,
        reason=_QUARANTINED,
        message=told,
        resource=facts.service.arn if facts.service else str(service.key),
    )
    announce.tell_once(service.session, service.key, notice)
    return told


def _of_known_bad(
    service: ProtectedService,
    facts: Facts,
    question: Question,
) -> Done | None:
    known = known_bad(question, 0)
    if known is None or is_restart(facts, 0):
        return None
    brought = facts.revision(facts.deployments[0].target)
    is_red = any(alarm.in_alarm for alarm in facts.alarms)
    severity = Severity.CRITICAL if is_red else Severity.WARNING
    what = f"{name_of(brought)} brings back {words_of(known)}"
    if brought and brought.identity == known.identity:
        what = f"{words_of(known)}, is deployed again"
    return _told(
        service,
        brought,
        what,
        severity,
    )


def _of_its_images(
    service: ProtectedService,
    brought: Revision,
    question: Question,
) -> Done | None:
    """The same images with other settings are a new build; it may be the old fault all the same."""
    known = with_its_images(question, brought)
    if known is None or _is_known_here(question):
        return None
    settings = "with other environment, secrets, command, ports or resources"
    what = f"{name_of(brought)} brings the images of {words_of(known)}, {settings}"
    return _told(
        service,
        brought,
        what,
        Severity.WARNING,
    )


def _is_known_here(question: Question) -> bool:
    """Whether the newest deployment restarts what ran, or goes back to it."""
    return is_restart(question.facts, 0) or is_return(question, 0)


def _told(
    service: ProtectedService,
    brought: Revision | None,
    what: str,
    severity: Severity,
) -> Done:
    key = service.key
    return Done(
        f"{key}: {what}",
        f"{key.service}: {what}.",
        key.cluster,
        key.service,
        goes_to=results.revision_summary(brought),
        severity=severity,
    )
