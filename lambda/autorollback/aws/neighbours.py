"""The other protected services: which are in trouble now, and whether a deployment of their own may explain it."""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from autorollback.aws.alarms import Alarms, RedAlarm
from autorollback.aws.clients import in_parallel, is_throttle
from autorollback.aws.deployment_group import newest_of
from autorollback.aws.ecs import Ecs
from autorollback.aws.policies import Policies
from autorollback.decision import blame
from autorollback.decision.facts import Neighbour
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
"""A deployment's stage ends after 24 hours (blue-green-deployment-how-it-works.html); a pause hook may last longer."""

FRESH = timedelta(seconds=10)
"""How old a page of red alarms that another invocation read may be: far below the minutes that onsets are compared by."""

ATTEMPTS, LONGEST_WAIT = 8, 20.0
"""How often CloudWatch is asked before the SDK's own patience takes over, and seconds between two attempts at most."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Reads the other services, made anew for each invocation. `protected_services` is how many there are in all."""

    clients: "Clients"
    names: Names
    ledger: "Ledger"
    policies: Policies
    protected_services: int
    _began: float = field(default_factory=lambda: monotonic())

    def red(self, policy: Policy, now: datetime) -> tuple[RedAlarm, ...]:
        """One page of this controller's alarms that are in ALARM; `now` is when the invocation began.

        Nobody is asked where too few other services are protected for a shared cause to show.
        DescribeAlarms is limited to 9 calls a second for the whole account, ECS's own deployment alarms included
        (CW/cloudwatch_limits.html, DG/deployment-alarm-failure.html). Where it throttles, many services are being judged at
        once, and the page that one of them has just read serves the others too.
        """
        if self.protected_services <= blame.services_for_shared_cause(self.protected_services, policy):
            return ()
        alarms = Alarms(self.clients, self.names)
        for attempt in range(ATTEMPTS):
            try:
                page = alarms.red(self.clients.cloudwatch_unretried)
            except ClientError as error:
                if not is_throttle(error):
                    break
                shared = self.ledger.shared_red(self._moment(now) - FRESH)
                if shared is not None:
                    return shared
                sleep(min(random.random() * 2**attempt, LONGEST_WAIT))  # noqa: S311 - jitter
            except BotoCoreError:
                break
            else:
                if attempt:
                    self.ledger.share_red(page, self._moment(now))
                return page
        return alarms.red()

    def in_trouble(
        self, red: Sequence[RedAlarm], policy: ServicePolicy, fired: datetime, own: Collection[datetime]
    ) -> tuple[Neighbour, ...]:
        """Other services in trouble around these onsets; whether they were deployed is asked only where enough of them are.

        `fired` is the onset that the trigger speaks of, `own` are those of the service's red alarms.
        """
        onsets: dict[ServiceKey, set[datetime]] = {}
        for alarm in red:
            key = alarm.key.service
            near = any(abs(alarm.onset - onset) <= blame.SHARED_CAUSE_SPAN for onset in {fired, *own})
            if key != policy.key and near:
                onsets.setdefault(key, set()).add(alarm.onset)
        nearest = sorted(onsets, key=lambda k: (min(abs(onset - fired) for onset in onsets[k]), str(k)))[:ASKED]
        changed: Mapping[ServiceKey, bool] = {}
        if len(nearest) >= blame.services_for_shared_cause(self.protected_services, policy.policy):
            changed = self._deployed_before({key: min(onsets[key]) for key in nearest})
        return tuple(Neighbour(key, onset, changed.get(key)) for key in nearest for onset in sorted(onsets[key]))

    def _deployed_before(self, onsets: Mapping[ServiceKey, datetime]) -> dict[ServiceKey, bool]:
        """Which services had a deployment in progress at their onset, or finished within their own window before it.

        When the deployments that run were created tells that of most, by one call for each cluster: nothing finishes before
        it was created, nor more than a day after. Only of those between are the deployments themselves asked, and of those
        that were deployed since their onset: that may have been the rollback of what made them ill.
        """
        ecs = Ecs(self.clients)
        clusters = {cluster: [k for k in onsets if k.cluster == cluster] for cluster in {k.cluster for k in onsets}}
        reads: dict[tuple[str, str], Callable[[], object]] = {
            ("cluster", cluster): partial(ecs.deployed_at, cluster, keys) for cluster, keys in clusters.items()
        }
        seen = in_parallel(reads | {("policies", ""): partial(self.policies.of_all, tuple(onsets))})
        policies: Mapping[ServiceKey, ServicePolicy] = seen.pop(("policies", ""))
        created = {key: times for answer in seen.values() for key, times in answer.items()}
        answers: dict[ServiceKey, bool] = {}
        unsure: dict[ServiceKey, Callable[[], bool]] = {}
        for key, onset in onsets.items():
            policy, times = policies.get(key), created.get(key, ())
            if policy is None or not times:
                answers[key] = False
            elif any(onset - policy.policy.window <= at <= onset for at in times):
                answers[key] = True
            elif times[0] < onset - policy.policy.window - LONGEST_DEPLOYMENT:
                answers[key] = False
            else:
                unsure[key] = partial(self._was_deployed, key, onset, policy)
        return answers | in_parallel(unsure)

    def _was_deployed(self, key: ServiceKey, onset: datetime, policy: ServicePolicy) -> bool:
        """Whether one of a service's newest deployments had begun by its onset, and not finished a window before it."""
        history, page = newest_of(self.clients, key, lambda: policy.code_deploy, self.names.prefix)
        newest = history.deployments(page.arns[:NEWEST])
        return any(
            d.start <= onset and (d.finished_at is None or onset - d.finished_at <= policy.policy.window)
            for d in newest
        )

    def _moment(self, now: datetime) -> datetime:
        return now + timedelta(seconds=monotonic() - self._began)
