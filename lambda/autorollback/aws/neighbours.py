"""Which other protected services are in trouble now.

Also whether a deployment of their own may explain it.
"""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from autorollback.aws.alarms import Alarms
from autorollback.aws.clients import in_parallel, is_throttle
from autorollback.aws.deployment_group import newest_of
from autorollback.aws.ecs import Ecs
from autorollback.aws.policies import Policies
from autorollback.decision.facts import Deployment, Neighbour, RedAlarm
from autorollback.decision.rules.shared_cause import NEAR, services_for_shared_cause
from autorollback.naming import Names, ServiceKey
from autorollback.policy import Policy, ServicePolicy

if TYPE_CHECKING:
    from autorollback.aws.clients import Clients
    from autorollback.aws.ledger import Ledger

ASKED = 10
"""Neighbours whose deployments are asked about, nearest in onset."""

NEWEST = 5
"""Of a neighbour that was deployed since it fell ill: as many of its deployments are looked at."""

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
        fired: datetime,
        own: Collection[datetime],
    ) -> tuple[Neighbour, ...]:
        """Other services in trouble around these onsets.

        Whether they were deployed is asked only where enough of them are. `fired` is the onset that
        the trigger speaks of, `own` are those of the service's red alarms.
        """
        others = [alarm for alarm in red if alarm.key.service != policy.key]
        onsets = _onsets_near(others, {fired, *own})
        nearest = _nearest(onsets, fired)

        changed: Mapping[ServiceKey, bool] = {}
        needed = services_for_shared_cause(self.protected_services, policy.policy)
        if len(nearest) >= needed:
            first_onsets = {key: min(onsets[key]) for key in nearest}
            changed = self._deployed_before(first_onsets)

        neighbours: list[Neighbour] = []
        for key in nearest:
            neighbours += [Neighbour(key, onset, changed.get(key)) for onset in sorted(onsets[key])]
        return tuple(neighbours)

    def _deployed_before(self, onsets: Mapping[ServiceKey, datetime]) -> dict[ServiceKey, bool]:
        """Which services may have fallen ill by a deployment of their own.

        When the deployments that run were created tells that of most, by one call for each cluster.
        Only of the others are the deployments themselves asked.
        """
        policies, created = self._policies_and_creations(tuple(onsets))

        answers: dict[ServiceKey, bool] = {}
        unsure: dict[ServiceKey, Callable[[], bool]] = {}
        for key, onset in onsets.items():
            policy = policies.get(key)
            times = created.get(key)
            if policy is None or not times:
                answers[key] = False
                continue

            answer = _explained_by_creations(times, onset, policy.policy.window)
            if answer is None:
                unsure[key] = partial(
                    self._was_deployed,
                    key,
                    onset,
                    policy,
                )
            else:
                answers[key] = answer

        return answers | in_parallel(unsure)

    def _policies_and_creations(
        self, keys: Sequence[ServiceKey]
    ) -> tuple[Mapping[ServiceKey, ServicePolicy], Mapping[ServiceKey, Sequence[datetime]]]:
        """The policies of services, and when the deployments that run there were created."""
        by_cluster: dict[str, list[ServiceKey]] = {}
        for key in keys:
            by_cluster.setdefault(key.cluster, []).append(key)

        ecs = Ecs(self.clients)
        reads: dict[str, Callable[[], object]] = {"policies": partial(self.policies.of_all, keys)}
        for cluster, in_cluster in by_cluster.items():
            reads[f"cluster {cluster}"] = partial(ecs.deployed_at, cluster, in_cluster)
        answers = in_parallel(reads)

        policies: Mapping[ServiceKey, ServicePolicy] = answers.pop("policies")
        created: dict[ServiceKey, Sequence[datetime]] = {}
        for of_cluster in answers.values():
            created.update(of_cluster)
        return policies, created

    def _was_deployed(
        self,
        key: ServiceKey,
        onset: datetime,
        policy: ServicePolicy,
    ) -> bool:
        """Whether one of a service's newest deployments may explain its trouble."""
        history, page = newest_of(
            self.clients,
            key,
            lambda: policy.code_deploy,
            self.names.prefix,
        )
        newest = history.deployments(page.arns[:NEWEST])
        window = policy.policy.window
        return any(_explains(deployment, onset, window) for deployment in newest)

    def _moment(self, now: datetime) -> datetime:
        return now + timedelta(seconds=monotonic() - self._began)


def _onsets_near(
    alarms: Sequence[RedAlarm], onsets: Collection[datetime]
) -> dict[ServiceKey, set[datetime]]:
    """The onsets of alarms that are near one of these, by service."""
    near: dict[ServiceKey, set[datetime]] = {}
    for alarm in alarms:
        distance = min(abs(alarm.onset - onset) for onset in onsets)
        if distance <= NEAR:
            near.setdefault(alarm.key.service, set()).add(alarm.onset)
    return near


def _nearest(
    onsets: Mapping[ServiceKey, Collection[datetime]], fired: datetime
) -> list[ServiceKey]:
    """The services whose onsets are nearest to one, as many as are asked about."""
    distances: dict[ServiceKey, timedelta] = {}
    for key, of_service in onsets.items():
        distances[key] = min(abs(onset - fired) for onset in of_service)

    by_distance = sorted(onsets, key=lambda key: (distances[key], str(key)))
    return by_distance[:ASKED]


def _explained_by_creations(
    times: Sequence[datetime],
    onset: datetime,
    window: timedelta,
) -> bool | None:
    """Whether a service was deployed before its onset, by when its deployments were created.

    Nothing finishes before it was created, nor more than a day after. None where only the
    deployments themselves tell: of those between, and of a service that was deployed since its
    onset, for that may have been the rollback of what made it ill. `times` are newest first.
    """
    if any(onset - window <= at <= onset for at in times):
        return True
    newest = times[0]
    if newest < onset - window - LONGEST_DEPLOYMENT:
        return False
    return None


def _explains(
    deployment: Deployment,
    onset: datetime,
    window: timedelta,
) -> bool:
    """Whether it had begun by an onset, and not finished a window before it."""
    if deployment.start > onset:
        return False
    if deployment.finished_at is None:
        return True
    return onset - deployment.finished_at <= window
