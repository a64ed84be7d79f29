"""One life of an incident, with the one table of its transitions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from autorollback.decision.facts import PastRollback, Quarantine
from autorollback.decision.result import IncidentState, Outcome, Result
from autorollback.naming import ServiceKey


class Phase(StrEnum):
    """Where an incident stands.

    `claimed` and `acting` are before the act: the intent, and that AWS is being asked. `failed` is a
    claim that came to no act. The rest is what results tell.
    """

    CLAIMED = "claimed"
    ACTING = "acting"
    OPEN = "open"
    RECOVERED = "recovered"
    NOT_RECOVERED = "not_recovered"
    SUPERSEDED = "superseded"
    FAILED = "failed"

    @property
    def told_as(self) -> IncidentState | None:
        """The phase as results tell it.

        None for a claim that has done nothing, yet or for good.
        """
        if self in _WITHOUT_ACT:
            return None
        return IncidentState(self.value)


_WITHOUT_ACT = frozenset({Phase.CLAIMED, Phase.ACTING, Phase.FAILED})


class Event(StrEnum):
    """What can happen to an incident."""

    ASKED = "asked"
    """AWS is being asked to act, from now on."""
    PUT_OFF = "put_off"
    """AWS said not now: it is asked again later."""
    TARGET_REFUSED = "target_refused"
    """AWS refused this target for good: the next one is tried under the same claim."""
    REFUSED = "refused"
    """AWS refused for good, and there is nothing else to try."""
    REPLACED = "replaced"
    """A person's request took the place of a claim that had not acted."""
    ACTED = "acted"
    """The rollback's deployment was begun."""
    GIVEN_UP = "given_up"
    """The claim grew too old to be acted on, or cannot be believed."""
    RETRACTED = "retracted"
    """Nothing was done and nothing will be: the record is removed."""
    DISPLACED = "displaced"
    """Another deployment took its place."""
    CALM = "calm"
    """The rollback helped: alarms are OK and targets healthy."""
    NOT_CALM = "not_calm"
    """The rollback did not help in time, or its deployment came to nothing."""
    STOP_FAILED = "stop_failed"
    """ECS could not roll the stopped deployment back: the target is deployed instead."""
    SECOND_TRY_FAILED = "second_try_failed"
    """The deployment of the target failed too."""


TRANSITIONS: Mapping[tuple[Phase, Event], Phase | None] = {
    (Phase.CLAIMED, Event.ASKED): Phase.ACTING,
    (Phase.CLAIMED, Event.TARGET_REFUSED): Phase.CLAIMED,
    (Phase.CLAIMED, Event.ACTED): Phase.OPEN,
    (Phase.CLAIMED, Event.REFUSED): Phase.FAILED,
    (Phase.CLAIMED, Event.REPLACED): Phase.FAILED,
    (Phase.CLAIMED, Event.GIVEN_UP): Phase.FAILED,
    (Phase.CLAIMED, Event.RETRACTED): None,
    (Phase.CLAIMED, Event.DISPLACED): Phase.SUPERSEDED,
    (Phase.CLAIMED, Event.SECOND_TRY_FAILED): Phase.NOT_RECOVERED,
    (Phase.ACTING, Event.ASKED): Phase.ACTING,
    (Phase.ACTING, Event.PUT_OFF): Phase.CLAIMED,
    (Phase.ACTING, Event.TARGET_REFUSED): Phase.CLAIMED,
    (Phase.ACTING, Event.ACTED): Phase.OPEN,
    (Phase.ACTING, Event.REFUSED): Phase.FAILED,
    (Phase.ACTING, Event.REPLACED): Phase.FAILED,
    (Phase.ACTING, Event.GIVEN_UP): Phase.FAILED,
    (Phase.ACTING, Event.RETRACTED): None,
    (Phase.ACTING, Event.DISPLACED): Phase.SUPERSEDED,
    (Phase.ACTING, Event.SECOND_TRY_FAILED): Phase.NOT_RECOVERED,
    (Phase.OPEN, Event.CALM): Phase.RECOVERED,
    (Phase.OPEN, Event.NOT_CALM): Phase.NOT_RECOVERED,
    (Phase.OPEN, Event.DISPLACED): Phase.SUPERSEDED,
    (Phase.OPEN, Event.STOP_FAILED): Phase.CLAIMED,
}
"""Every transition that there is; None says that the record is removed."""


class IllegalTransition(ValueError):  # noqa: N818 - says what happened
    """Something happened to an incident that cannot happen in its phase."""


def following(phase: Phase, event: Event) -> Phase | None:
    """The phase that an event leads to; None where the record is removed.

    Raises:
        IllegalTransition: the table has no such transition.
    """
    if (phase, event) not in TRANSITIONS:
        raise IllegalTransition(f"{event.value} cannot happen to an incident that is {phase.value}")
    return TRANSITIONS[phase, event]


class RollbackMethod(StrEnum):
    """How a rollback is done, by the name of the AWS operation."""

    UPDATE_SERVICE = "UpdateService"
    STOP_DEPLOYMENT = "StopServiceDeployment"
    CREATE_DEPLOYMENT = "CreateDeployment"
    STOP_CODE_DEPLOY = "StopDeployment"

    @property
    def stops(self) -> bool:
        """Whether the newest deployment is stopped, and what ran before it comes back by itself."""
        return self in (RollbackMethod.STOP_DEPLOYMENT, RollbackMethod.STOP_CODE_DEPLOY)

    @property
    def through_code_deploy(self) -> bool:
        """Whether CodeDeploy does it."""
        return self in (RollbackMethod.CREATE_DEPLOYMENT, RollbackMethod.STOP_CODE_DEPLOY)

    @property
    def instead(self) -> "RollbackMethod":
        """What is done where a stop comes too late: the target is deployed."""
        if self.through_code_deploy:
            return RollbackMethod.CREATE_DEPLOYMENT
        return RollbackMethod.UPDATE_SERVICE


@dataclass(frozen=True, slots=True)
class LeftRevision:
    """A revision that a rollback leaves behind, and that is quarantined by its identity.

    `signals` are of the alarms that convicted it, now or before; none where a person alone rolled back.
    """

    identity: str
    task_definition: str
    images: Mapping[str, str | None] = field(default_factory=dict)
    process_identity: str | None = None
    signals: tuple[str, ...] = ()

    def quarantined_at(self, at: datetime) -> Quarantine:
        """It, quarantined from a moment on."""
        return Quarantine(
            self.identity,
            self.task_definition,
            at,
            self.signals,
            self.process_identity,
            self.images,
        )


TARGETS_TRIED = 3
"""Targets that one claim asks AWS for, each once."""


@dataclass(frozen=True, slots=True)
class RefusedTarget:
    """A target that AWS refused for good.

    Attributes:
        target: ARN of its task definition.
        words: AWS's own, with the operation and the code.
    """

    target: str
    words: str


@dataclass(frozen=True, slots=True)
class Intent:
    """What was decided, written down before the act.

    It is enough to act on again after a crash.

    Attributes:
        target: ARN of the task definition that ran well.
        deploy: ARN of the one that is deployed: the target's, or a pinned copy's once registered.
        digests: container to the digest that ran; None where AWS recorded none.
        needs_copy: the target can only be brought back as a pinned copy.
        copies: ARNs of other definitions that may be such a copy already.
        result: the result object, as it will be once acted.
        code_deploy: `<application>/<deployment group>`, where CodeDeploy deploys the service.
        pins: a person named the target or forced it: the automatic keeps away for a while.
        words: a person's reason.
        request_id: of the invocation that claimed; its retries share it.
        red: names of the service's alarms that were in ALARM.
        left: what the rollback leaves behind.
        again_at: when the second try was decided, after ECS's own rollback failed.
        stop_refused: a stop was refused or came too late, and the target is deployed instead.
        untold: earlier results that people could not be told of, oldest first.
        refused: the targets that AWS refused under this claim, in their order.
        copied_at: when the pinned copy was registered.
    """

    method: RollbackMethod
    target: str
    deploy: str
    digests: Mapping[str, str | None]
    needs_copy: bool
    service_arn: str
    result: Result
    code_deploy: str | None = None
    copies: tuple[str, ...] = ()
    pins: bool = False
    forced: bool = False
    words: str | None = None
    request_id: str | None = None
    red: tuple[str, ...] = ()
    onset: datetime | None = None
    left: tuple[LeftRevision, ...] = ()
    again_at: datetime | None = None
    stop_refused: bool = False
    untold: tuple[Result, ...] = ()
    refused: tuple[RefusedTarget, ...] = ()
    copied_at: datetime | None = None

    @property
    def copy_is_missing(self) -> bool:
        """Whether a pinned copy has to be registered before the act."""
        return self.needs_copy and self.deploy == self.target

    @property
    def controller(self) -> str:
        """Who was asked to roll back, for people."""
        return "CodeDeploy" if self.code_deploy else "ECS"


@dataclass(frozen=True, slots=True)
class Told:
    """How many of some results, oldest first, have reached people, and machines."""

    people: int = 0
    machines: int = 0


@dataclass(frozen=True, slots=True)
class Incident:
    """One rollback, from the intent on.

    Attributes:
        incident_id: `<cluster>/<service>/<time of the deployment>/<its id>`: unique, and readable.
        deployment: the service's newest deployment when it was claimed; the act is keyed by it.
        result: the result object, once acted.
        rollback_deployment: the service deployment that carries the rollback out, once known.
        announced: whether people and machines have been told of its phase.
        told: how many of the untold results have reached one of the two.
        step: how often the record has been written; a write names the step that it follows.
        facts: what the verdict rested on, packed, to be judged again.
        written_for: the service that the record itself names, where it was read; `key` is its partition's.
        was_lost: its record was removed while it was open, and is known by its copy.
    """

    incident_id: str
    key: ServiceKey
    sort_key: str
    phase: Phase
    deployment: str
    claimed_at: datetime
    automatic: bool
    intent: Intent
    result: Result | None = None
    rollback_deployment: str | None = None
    announced: bool = False
    told: Told = Told()
    closed_at: datetime | None = None
    step: int = 0
    facts: str | None = None
    written_for: ServiceKey | None = None
    was_lost: bool = False

    @property
    def is_unfinished_claim(self) -> bool:
        """Whether the act, or its record, is still to be done.

        That comes before any judgement.
        """
        return self.phase in (Phase.CLAIMED, Phase.ACTING)

    @property
    def is_under_way(self) -> bool:
        """Whether its end is not known yet, be it claimed or open."""
        return self.is_unfinished_claim or self.phase is Phase.OPEN

    @property
    def has_copy(self) -> bool:
        """Whether the ledger keeps a second record of it.

        While it is open nobody else would miss it."""
        return self.phase is Phase.OPEN

    @property
    def had_copy(self) -> bool:
        """Whether it has been open, and is no more."""
        never_open = self.phase in _WITHOUT_ACT and self.intent.again_at is None
        return not self.has_copy and not never_open

    @property
    def was_refused(self) -> bool:
        """Whether AWS refused all that could be tried: it is not tried again by itself."""
        is_held = self.result is not None and self.result.outcome is Outcome.HELD
        return self.phase is Phase.FAILED and is_held

    @property
    def untold(self) -> tuple[Result, ...]:
        """The results that people or machines have not been told of, oldest first.

        Of a claim there is none yet.
        """
        if self.announced or self.result is None:
            return ()
        return (*self.intent.untold, self.result)

    @property
    def acted(self) -> bool:
        """Whether the service was rolled back: not where AWS refused, or somebody deployed first."""
        if self.phase in _WITHOUT_ACT or self.result is None:
            return False
        return self.result.outcome is Outcome.ROLLED_BACK

    @property
    def attempted_at(self) -> datetime:
        """When the act that is under way was decided: the claim, or the second try."""
        return self.intent.again_at or self.claimed_at

    @property
    def shown(self) -> Result:
        """The result as far as it is known: the recorded one, else the intended one."""
        return self.result or self.intent.result

    def after(self, event: Event) -> "Incident":
        """The incident in the phase that an event leads to.

        People have yet to be told of it.

        What they have not been told of before is kept beside that.

        Raises:
            IllegalTransition: it cannot happen in this phase, or removes the record.
        """
        phase = following(self.phase, event)
        if phase is None:
            raise IllegalTransition(f"{event.value} removes the record, it leads to no phase")
        untold = self.intent.untold if self.result is None else self.untold
        intent = replace(self.intent, untold=untold)
        return replace(
            self,
            phase=phase,
            announced=False,
            intent=intent,
        )

    def closed(
        self,
        event: Event,
        result: Result,
        at: datetime,
    ) -> "Incident":
        """The incident ended by an event, with its last result."""
        ended = self.after(event)
        return replace(ended, result=result, closed_at=at)

    def replaced(self, at: datetime) -> "Incident":
        """The claim ended because a person's request took its place: it is never resumed.

        A second try of a rollback that is on record is superseded; any other claim has done nothing.
        """
        shown = self.intent.result
        if self.intent.again_at is not None:
            result = replace(shown, incident_state=IncidentState.SUPERSEDED)
            return replace(self.closed(Event.DISPLACED, result, at), announced=True)
        why = "a person's request took the place of this rollback before it was done"
        result = replace(
            shown,
            outcome=Outcome.FAILED,
            summary=f"{self.key.service} is not rolled back: {why}.",
            incident_state=None,
        )
        return replace(self.closed(Event.REPLACED, result, at), announced=True)

    def with_intent(self, intent: Intent) -> "Incident":
        """The incident with another intent."""
        return replace(self, intent=intent)

    def with_result(self, result: Result) -> "Incident":
        """The incident whose intent holds another result."""
        return replace(self, intent=replace(self.intent, result=result))

    def as_past_rollback(self) -> PastRollback:
        """The incident as the judgement knows it."""
        target = self.result.goes_to if self.result else None
        return PastRollback(
            self.incident_id,
            self.claimed_at,
            automatic=self.automatic,
            pins=self.intent.pins,
            is_open=self.phase is Phase.OPEN,
            to_task_definition=target.task_definition if target else "",
            deployed=self.intent.deploy,
            deployment=self.rollback_deployment,
            over=self.deployment,
        )
