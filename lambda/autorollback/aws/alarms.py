"""Alarms as they are now, and their history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from autorollback.aws import alarm_answers
from autorollback.aws.alarm_answers import StateChanges
from autorollback.aws.alarm_tree import LEVELS, MOST, Answer, tree_under
from autorollback.decision.facts import Alarm, RedAlarm, Untold
from autorollback.naming import OWN_SIGNAL_PREFIX, SIGNALS, Names
from autorollback.policy import ServicePolicy
from autorollback.requests import AlarmChanged

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.literals import AlarmTypeType
    from mypy_boto3_cloudwatch.type_defs import AlarmHistoryItemTypeDef

    from autorollback.aws.clients import Clients


NAMES_A_CALL = 100
"""That DescribeAlarms takes at most, and alarms a page (botocore cloudwatch/2010-08-01)."""


Trees = Mapping[str, tuple[str, ...]]
"""The names of the alarms under each of a user's own that is a composite, by its name."""

NO_TREES: Trees = MappingProxyType({})


def signals_of(policy: ServicePolicy) -> tuple[str, ...]:
    """The signals that a service's policy knows, by which its alarms are named."""
    own = tuple(f"{OWN_SIGNAL_PREFIX}{alarm}" for alarm in policy.alarms)
    if policy.load_balancer is None:
        return own
    return (*SIGNALS, *own)


@dataclass(frozen=True, slots=True)
class Alarms:
    """Reads alarms: DescribeAlarms by exact names or by prefix and state, never polling."""

    clients: "Clients"
    names: Names

    def of(
        self,
        policy: ServicePolicy,
        event: AlarmChanged | None = None,
        trees: Trees = NO_TREES,
    ) -> tuple[Alarm, ...]:
        """The service's own alarms that exist.

        Those under composites are read with them, for the onset, as far as `trees` names them. The
        event that fired tells the onset of its alarm too, unless the alarm has changed its state
        again since.
        """
        signals = self._signals_by_alarm(policy)
        wanted = dict.fromkeys([*signals, *policy.alarms])
        for name in policy.alarms:
            under = trees.get(name, ())
            if len(wanted) + len(under) <= NAMES_A_CALL:
                wanted.update(dict.fromkeys(under))
        described = self._described(tuple(wanted), policy)
        if event and event.alarm in described:
            described[event.alarm] = alarm_answers.as_it_fired(described[event.alarm], event)

        alarms = []
        for name, signal in signals.items():
            if name in described:
                alarms.append(alarm_answers.read_alarm(described[name], signal, described))
        return tuple(alarms)

    def trees(self, policy: ServicePolicy) -> Trees:
        """The names of the alarms under each of a user's own that is a composite.

        Read level by level. One that is too large, or that cannot be read as a whole, is not there.
        """
        known: dict[str, Answer] = {}
        wanted: set[str] = set(policy.alarms)
        for _ in range(LEVELS + 1):
            if not wanted:
                break
            found = self._described(sorted(wanted), policy)
            known.update(found)
            missing = wanted - found.keys()
            wanted = set()
            for name in policy.alarms:
                tree = tree_under(name, known)
                if len(tree.members) <= MOST:
                    wanted.update(set(tree.unknown) - missing)

        trees: dict[str, tuple[str, ...]] = {}
        for name in policy.alarms:
            tree = tree_under(name, known)
            is_whole = tree.untold is not Untold.UNREAD
            if is_whole and len(tree.members) > 1:
                trees[name] = tree.members[1:]
        return trees

    def red(self, cloudwatch: "CloudWatchClient | None" = None) -> tuple[RedAlarm, ...]:
        """One page of this controller's alarms that are in ALARM: at most 100.

        Another client may be named.
        """
        client = cloudwatch or self.clients.cloudwatch
        answer = client.describe_alarms(
            AlarmNamePrefix=self.names.alarm_prefix,
            StateValue="ALARM",
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            MaxRecords=NAMES_A_CALL,
        )

        alarms = []
        for described in (*answer["MetricAlarms"], *answer["CompositeAlarms"]):
            alarm = self._red_alarm(described)
            if alarm is not None:
                alarms.append(alarm)
        return tuple(alarms)

    def history(
        self,
        name: str,
        since: datetime,
    ) -> StateChanges:
        """An alarm's changes of state since a moment.

        DescribeAlarmHistory keeps 30 days, and gives 100 items a page.
        """
        pages = self.clients.cloudwatch.get_paginator("describe_alarm_history").paginate(
            AlarmName=name,
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            HistoryItemType="StateUpdate",
            StartDate=since,
            ScanBy="TimestampDescending",
            PaginationConfig={"PageSize": 100},
        )
        items: list[AlarmHistoryItemTypeDef] = []
        for page in pages:
            items += page["AlarmHistoryItems"]
        return StateChanges(since, tuple(items))

    def _signals_by_alarm(self, policy: ServicePolicy) -> dict[str, str]:
        """The signals of the service's own alarms, by the names of the alarms."""
        return {self.names.alarm(policy.key, signal): signal for signal in signals_of(policy)}

    def _described(
        self,
        wanted: Sequence[str],
        policy: ServicePolicy,
    ) -> dict[str, Answer]:
        """The alarms that exist, by their names.

        DescribeAlarms hides composite and log alarms unless AlarmTypes asks for them (botocore
        cloudwatch/2010-08-01). Only a user's own alarm may be a log alarm.
        """
        kinds: list[AlarmTypeType] = ["MetricAlarm", "CompositeAlarm"]
        if policy.alarms:
            kinds.append("LogAlarm")

        described: dict[str, Answer] = {}
        for start in range(0, len(wanted), NAMES_A_CALL):
            answer = self.clients.cloudwatch.describe_alarms(
                AlarmNames=wanted[start : start + NAMES_A_CALL],
                AlarmTypes=kinds,
                MaxRecords=NAMES_A_CALL,
            )
            log_alarms = answer.get("LogAlarms", [])
            for alarm in (*answer["MetricAlarms"], *answer["CompositeAlarms"], *log_alarms):
                described[str(alarm["AlarmName"])] = alarm
        return described

    def _red_alarm(self, described: Answer) -> RedAlarm | None:
        name = str(described.get("AlarmName"))
        key = self.names.parse_alarm(name)
        if key is None:
            return None

        alarm = alarm_answers.read_alarm(described, key.signal, {})
        if alarm.onset is None:
            return None
        return RedAlarm(
            key,
            name,
            alarm.onset,
            alarm.grain,
        )
