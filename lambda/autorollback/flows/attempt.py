"""One attempt at the act: the calls that change production, in their order."""

from dataclasses import replace

from botocore.exceptions import ClientError

from autorollback.aws.clients import in_parallel
from autorollback.aws.deployer import DeploymentBackend, Superseded
from autorollback.aws.refusals import RefusalKind, kind_of
from autorollback.decision.incident import Event, Incident, Phase
from autorollback.flows.session import Session


class Attempt:
    """One attempt at the act. `incident` is the record as it stands, also where the attempt fails.

    It is `resumed` where another invocation, or an earlier refusal, came before: then the record says right before the
    call that AWS is being asked, on condition that nobody has taken its place.
    """

    def __init__(
        self,
        session: Session,
        incident: Incident,
        *,
        resumed: bool,
    ) -> None:
        self.session = session
        self.incident = incident
        self.backend: DeploymentBackend = session.deployments.backend(incident.intent.code_deploy)
        self._is_marked = not resumed and incident.phase is Phase.ACTING

    def go(self) -> str | None:
        """Stop the newest deployment or deploy the target.

        Answers the deployment that does it, where that is told.

        Raises:
            Superseded: somebody deployed meanwhile.
            StillDeploying: another deployment has to end first.
            CannotBeRestored: the target cannot be registered again as it was.
            RecordChanged: a person's request has taken the place of the claim.
            ClientError: AWS refused.
        """
        if self.incident.intent.method.stops:
            self._mark()
            if self._stopped():
                return self.incident.deployment
            self._deploy_instead()
        newest = self._register_copy()
        if not self.incident.intent.forced:
            self._only_over(newest)
        self._mark()
        return self._deploy()

    def _mark(self) -> None:
        """Write down that AWS is being asked, unless that was the last that was written."""
        if self._is_marked:
            return
        asked = self.incident.after(Event.ASKED)
        self.incident = self.session.ledger.save(asked, due=asked.claimed_at)
        self._is_marked = True

    def _stopped(self) -> bool:
        """Whether the deployment is being rolled back; one whose stop is refused for good is not."""
        incident = self.incident
        try:
            stopped = self.backend.stop(incident.deployment)
        except ClientError as error:
            if kind_of(error) is RefusalKind.PASSING:
                raise
            return False
        return stopped or is_rolled_back(self.session, incident)

    def _deploy_instead(self) -> None:
        """The deployment has just finished, or cannot be stopped: deploy the target, under the same claim."""
        self._only_over(self.backend.newest(self.incident.key))
        intent = self.incident.intent
        instead = replace(intent, method=intent.method.instead, stop_refused=True)
        changed = self.incident.with_intent(instead)
        self.incident = self.session.ledger.save(changed, due=self.incident.claimed_at)

    def _register_copy(self) -> str | None:
        """Register the pinned copy, where the target itself would not bring back what ran; the newest deployment then.

        The copy is written down before it is deployed, so that a retry knows the deployment of it for its own.
        Registering takes its time, at most one a second in a storm: the newest deployment is read again beside it.
        """
        incident = self.incident
        if not incident.intent.copy_is_missing:
            return incident.deployment
        definitions, intent = self.session.definitions, incident.intent
        original = definitions.describe(intent.target)
        copy = definitions.restore(original, intent.digests, intent.copies)
        restored = replace(
            intent,
            deploy=copy.arn,
            result=intent.result.restored_as(copy.name),
            copied_at=self.session.now,
        )
        asked = incident.with_intent(restored).after(Event.ASKED)
        seen = in_parallel(
            {
                "saved": lambda: self.session.ledger.save(asked, due=incident.claimed_at),
                "newest": lambda: self.backend.newest(incident.key),
            }
        )
        self.incident = seen["saved"]
        self._is_marked = True
        newest: str | None = seen["newest"]
        return newest

    def _deploy(self) -> str | None:
        incident = self.incident
        over = None if incident.intent.forced else incident.deployment
        return self.backend.update(
            incident.key,
            incident.intent.deploy,
            incident.incident_id,
            over,
        )

    def _only_over(self, newest: str | None) -> None:
        if newest != self.incident.deployment:
            raise Superseded(f"the newest deployment is {newest}")


def is_rolled_back(session: Session, incident: Incident) -> bool:
    """Whether the deployment is being rolled back already, or has been.

    Then no stop is needed.
    """
    history = session.deployments.history(incident.intent.code_deploy)
    deployments = history.deployments([incident.deployment])
    return any(deployment.status.is_rollback for deployment in deployments)
