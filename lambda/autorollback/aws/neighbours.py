"""Which other protected services are in trouble now.

Also whether a deployment of their own may explain it.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from autorollback.aws.alarms import Alarms, signals_of
from autorollback.aws.clients import in_parallel, is_throttle
from autorollback.aws.deployment_group import newest_of
from autorollback.aws.ecs import Ecs
from autorollback.aws.policies import Policies
from autorollback.decision.facts import Deployment, Neighbour, RedAlarm
from autorollback.decision.ledger_state import RollbackMark
from autorollback.decision.lineage import CLOCK_SKEW
from autorollback.decision.rules.shared_cause import NEAR, explains, services_for_shared_cause
from autorollback.naming import Names, ServiceKey
from autorollback.policy import Policy, PolicyError, ServicePolicy

if TYPE_CHECKING:
    from autorollback.aws.clients import Clients
    from autorollback.aws.ledger import Ledger

ASKED = 10
"""Neighbours whose deployments are asked about, nearest in onset; and policies that one call gives (GetParameters)."""

LOOKS = 3
"""How often the next ten are looked at, where some of those before are not protected."""

NEWEST = 10
"""Of a neighbour whose running deployments do not tell: as many of its newest are looked at."""

CARRIED_OUT_WITHIN = timedelta(minutes=5)
"""How long after its claim a rollback's deployment may begin, where it is not known yet which one that is."""

LONGEST_DEPLOYMENT = timedelta(hours=24)
"""A deployment's stage ends after 24 hours (blue-green-deployment-how-it-works.html).

A pause hook may last longer.
"""

FRESH = timedelta(seconds=10)
"""How old a page of red alarms that another invocation read may be.

Far below the minutes that onsets are compared by.
"""

ATTEMPTS = 8
"""How often CloudWatch is asked before the SDK's own patience takes over."""

LONGEST_WAIT = 20.0
"""Seconds between two attempts at most."""


Near = dict[ServiceKey, list[RedAlarm]]
"""Red alarms whose onsets are near one, by service."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Reads the other services, made anew for each invocation.

    Attributes:
        protected_services: how many there are in all.
        jitter: draws from 0 up to 1, so that those who wait do not come back all at once.
    """

    clients: "Clients"
    names: Names
    ledger: "Ledger"
    policies: Policies
    protected_services: int
    jitter: Callable[[], float] = random.random
    _began: float = field(default_factory=lambda: monotonic())

    def red(
        self,
        policy: Policy,
        now: datetime,
    ) -> tuple[RedAlarm, ...]:
        """One page of this controller's alarms that are in ALARM.

        `now` is when the invocation began. Nobody is asked where too few other services are
        protected for a shared cause to show. DescribeAlarms is limited to 9 calls a second for the
        whole account, ECS's own deployment alarms included (cloudwatch_limits.html,
        deployment-alarm-failure.html). Where it throttles, many services are being judged at
        once, and the page that one of them has just read serves the others too.
        """
        needed = services_for_shared_cause(self.protected_services, policy)
        if self.protected_services <= needed:
            return ()

        alarms = Alarms(self.clients, self.names)
        for attempt in range(ATTEMPTS):
            try:
                page = alarms.red(self.clients.cloudwatch_unretried)
            except BotoCoreError:
                break
            except ClientError as error:
                if not is_throttle(error):
                    break
            else:
                if attempt > 0:
                    self.ledger.share_red(page, self._moment(now))
                return page

            shared = self.ledger.shared_red(self._moment(now) - FRESH)
            if shared is not None:
                return shared

            wait = self.jitter() * 2**attempt
            sleep(min(wait, LONGEST_WAIT))
        return alarms.red()

    def in_trouble(
        self,
        red: Sequence[RedAlarm],
        policy: ServicePolicy,
        onset: datetime,
        grain: timedelta,
    ) -> tuple[Neighbour, ...]:
        """Other services in trouble around an onset, which is known as finely as `grain`.

        Whether they were deployed is asked only where enough of them are, and of those nearest in
        onset. Alarms of services that are not protected, or that their policies do not know, are
        nobody's.
        """
        others = [alarm for alarm in red if alarm.key.service != policy.key]
        near = _near(others, onset, grain)
        needed = services_for_shared_cause(self.protected_services, policy.policy)
        if len(near) < needed:
            return tuple(_neighbours(near, {}))

        asked, rest = self._protected(near, onset)
        changed = self._deployed_before(asked)
        neighbours = [*_neighbours(asked.near, changed)]
        if rest and not any(changed.values()):
            neighbours += _neighbours(self._protected_of(rest), {})
        return tuple(neighbours)

    def _protected(
        self,
        near: Near,
        onset: datetime,
    ) -> tuple["_Asked", Near]:
        """The nearest services that are protected, as many as are asked about; and those beyond."""
        nearest = _nearest(near, onset)
        asked = _Asked({}, {})
        for _ in range(LOOKS):
            batch = nearest[:ASKED]
            wanted = ASKED - len(asked.near)
            if not batch or wanted <= 0:
                break
            nearest = nearest[ASKED:]
            found = self._with_policies({key: near[key] for key in batch})
            kept = list(found.near)[:wanted]
            nearest = [*list(found.near)[wanted:], *nearest]
            for key in kept:
                asked.near[key] = found.near[key]
                asked.policies[key] = found.policies[key]
        return asked, {key: near[key] for key in nearest}

    def _protected_of(self, near: Near) -> Near:
        """Those of many services that are protected, with the alarms that their policies know."""
        keys = list(near)
        reads: dict[int, Callable[[], _Asked]] = {}
        for start in range(0, len(keys), ASKED):
            batch = {key: near[key] for key in keys[start : start + ASKED]}
            reads[start] = partial(self._with_policies, batch)
        found: Near = {}
        for batch_found in in_parallel(reads).values():
            found.update(batch_found.near)
        return found

    def _with_policies(self, near: Near) -> "_Asked":
        """Those of up to ten services that are protected, with the alarms that their policies know.

        Of a policy that cannot be read nobody knows the alarms: all count.
        """
        policies = self.policies.of_all(tuple(near))
        found = _Asked({}, {})
        for key, alarms in near.items():
            policy = policies.get(key)
            if policy is None:
                continue
            known = alarms
            if isinstance(policy, ServicePolicy):
                signals = signals_of(policy)
                known = [alarm for alarm in alarms if alarm.key.signal in signals]
            if known:
                found.near[key] = known
                found.policies[key] = policy
        return found

    def _deployed_before(self, asked: "_Asked") -> dict[ServiceKey, bool]:
        """Which services may have fallen ill by a deployment of their own.

        When the deployments that run were created tells that of most, by one call for each cluster.
        Only of the others are the deployments themselves asked. A rollback is no deployment of its
        own: the ledger tells which of them are, and when that was created which was left.
        """
        created, rollbacks = self._creations_and_rollbacks(tuple(asked.near))

        answers: dict[ServiceKey, bool] = {}
        unsure: dict[ServiceKey, Callable[[], bool]] = {}
        for key, alarms in asked.near.items():
            onset = min(alarm.onset for alarm in alarms)
            times = created.get(key)
            if not times:
                answers[key] = False
                continue

            window = _window(asked.policies[key])
            answer = _explained_by_creations(times, rollbacks[key], onset, window)
            if answer is None:
                unsure[key] = partial(
                    self._was_deployed,
                    key,
                    onset,
                    asked.policies[key],
                    rollbacks[key],
                )
            else:
                answers[key] = answer

        return answers | in_parallel(unsure)

    def _creations_and_rollbacks(
        self, keys: Sequence[ServiceKey]
    ) -> tuple[
        Mapping[ServiceKey, Sequence[datetime]], Mapping[ServiceKey, Sequence[RollbackMark]]
    ]:
        """When the deployments that run in services were created, and the rollbacks of these services."""
        by_cluster: dict[str, list[ServiceKey]] = {}
        for key in keys:
            by_cluster.setdefault(key.cluster, []).append(key)

        ecs = Ecs(self.clients)
        reads: dict[str | ServiceKey, Callable[[], object]] = {}
        for cluster, in_cluster in by_cluster.items():
            reads[cluster] = partial(ecs.deployed_at, cluster, in_cluster)
        for key in keys:
            reads[key] = partial(self.ledger.newest_rollbacks, key)
        answers = in_parallel(reads)

        rollbacks = {key: answers.pop(key) for key in keys}
        created: dict[ServiceKey, Sequence[datetime]] = {}
        for of_cluster in answers.values():
            created.update(of_cluster)
        return created, rollbacks

    def _was_deployed(
        self,
        key: ServiceKey,
        onset: datetime,
        policy: ServicePolicy | PolicyError,
        rollbacks: Sequence[RollbackMark],
    ) -> bool:
        """Whether one of a service's newest deployments, rollbacks aside, may explain its trouble."""
        newest = self._newest(key, policy)
        window = _window(policy)
        for deployment in newest:
            if not _carried_out(deployment, rollbacks) and explains(deployment, onset, window):
                return True
        return False

    def _newest(
        self,
        key: ServiceKey,
        policy: ServicePolicy | PolicyError,
    ) -> Sequence[Deployment]:
        """A service's newest deployments: ECS tells them in one call, CodeDeploy in two."""
        named = policy.code_deploy if isinstance(policy, ServicePolicy) else None
        if named is None:
            return Ecs(self.clients).newest_in_brief(key, NEWEST)
        history, page = newest_of(
            self.clients,
            key,
            lambda: named,
            self.names.prefix,
        )
        return history.deployments(page.arns[:NEWEST])

    def _moment(self, now: datetime) -> datetime:
        return now + timedelta(seconds=monotonic() - self._began)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Protected services with their red alarms near an onset, and their policies."""

    near: Near
    policies: dict[ServiceKey, ServicePolicy | PolicyError]


def _near(
    alarms: Sequence[RedAlarm],
    onset: datetime,
    grain: timedelta,
) -> Near:
    """The alarms whose onsets are near one, by service: within ten minutes, or equal to it."""
    near: Near = {}
    for alarm in alarms:
        if abs(alarm.onset - onset) <= max(NEAR, grain, alarm.grain):
            near.setdefault(alarm.key.service, []).append(alarm)
    return near


def _nearest(near: Near, onset: datetime) -> list[ServiceKey]:
    """The services, nearest in onset first."""
    distances: dict[ServiceKey, timedelta] = {}
    for key, alarms in near.items():
        distances[key] = min(abs(alarm.onset - onset) for alarm in alarms)
    return sorted(near, key=lambda key: (distances[key], str(key)))


def _neighbours(near: Near, changed: Mapping[ServiceKey, bool]) -> Iterator[Neighbour]:
    """The alarms as neighbours, those of one service together."""
    for key, alarms in near.items():
        for alarm in sorted(alarms, key=lambda alarm: alarm.onset):
            yield Neighbour(
                key,
                alarm.onset,
                changed.get(key),
                alarm.grain,
            )


def _window(policy: ServicePolicy | PolicyError) -> timedelta:
    """How long a deployment of a service is suspect; by default where its policy cannot be read."""
    if isinstance(policy, ServicePolicy):
        return policy.policy.window
    return NEAR


def _may_be_rollbacks(times: Sequence[datetime], rollbacks: Sequence[RollbackMark]) -> bool:
    """Whether one of these deployments may be a rollback, by when it was created."""
    return any(_is_about(at, mark) for at in times for mark in rollbacks)


def _carried_out(deployment: Deployment, rollbacks: Sequence[RollbackMark]) -> bool:
    """Whether a deployment is a rollback of this controller."""
    for mark in rollbacks:
        if mark.deployment == deployment.arn:
            return True
        if mark.deployment is None and _is_about(deployment.created_at, mark):
            return True
    return False


def _is_about(created_at: datetime, mark: RollbackMark) -> bool:
    return mark.at - CLOCK_SKEW <= created_at <= mark.at + CARRIED_OUT_WITHIN


def _explained_by_creations(
    times: Sequence[datetime],
    rollbacks: Sequence[RollbackMark],
    onset: datetime,
    window: timedelta,
) -> bool | None:
    """Whether trouble follows a deployment, by when those that run or were left were created.

    Nothing finishes before it was created, nor more than a day after. None where only the
    deployments themselves tell: of those between, and of a service that was deployed since its
    onset, for that may have been the rollback of what made it ill. `times` are newest first.
    """
    reach = min(window, NEAR)
    left = [mark.left for mark in rollbacks if mark.left is not None]
    for at in (*times, *left):
        if onset - reach <= at <= onset and not _may_be_rollbacks([at], rollbacks):
            return True
    if _may_be_rollbacks(times, rollbacks):
        return None
    newest = times[0]
    if newest < onset - reach - LONGEST_DEPLOYMENT:
        return False
    return None
