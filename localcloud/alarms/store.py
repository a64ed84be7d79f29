"""All alarms of the cloud, and what a change of their states sets off."""

import json
import threading
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from moto.cloudwatch.models import CloudWatchBackend, cloudwatch_backends
from moto.core.exceptions import ServiceException
from moto.sns.models import sns_backends

from localcloud.alarms import definitions, messages, rules
from localcloud.alarms.alarm import Alarm, AlarmState, HistoryItem
from localcloud.alarms.definitions import COMPOSITE, METRIC, Definition
from localcloud.alarms.evaluation import (
    EXTRA_DATAPOINTS,
    Evaluation,
    Point,
    evaluate_alarm,
    timestamp,
)
from localcloud.alarms.expressions import ExpressionError
from localcloud.alarms.metrics import MetricStore
from localcloud.alarms.queries import shared_period
from localcloud.errors import Refusal

if TYPE_CHECKING:
    from localcloud.base import Cloud

HISTORY_KEPT = timedelta(
    days=30
)  # CloudWatch keeps an alarm's history for 30 days (DescribeAlarmHistory)


class AlarmStore:
    """The alarms of the cloud's account and region, evaluated minute by minute."""

    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self._backend: CloudWatchBackend = cloudwatch_backends[cloud.account][cloud.region]
        self._lock = threading.RLock()
        self.history: list[HistoryItem] = []
        self.metrics = MetricStore(self._backend, cloud.clock.now)

    @property
    def alarms(self) -> dict[str, Alarm]:
        """The alarms by name, in moto's own dictionary, so that its tagging finds them."""
        found: dict[str, Alarm] = self._backend.alarms
        return found

    def put(self, kind: str, definition: Definition) -> None:
        """Create or overwrite an alarm; one that existed keeps its state, as in AWS (PutMetricAlarm)."""
        definitions.refuse_unknown_parameters(kind, definition)
        definition = definitions.with_defaults(definition)
        self._check(kind, definition)
        with self._lock:
            now = self._cloud.clock.now()
            alarm, operation = self._define(kind, definition, now)
            if definition.get("Tags"):
                self._backend.tagger.tag_resource(alarm.alarm_arn, definition["Tags"])
            self._announce_configuration(alarm, operation, now)
            if kind == COMPOSITE:
                self._evaluate_composite(alarm, None, now)

    def _define(
        self,
        kind: str,
        definition: Definition,
        now: datetime,
    ) -> tuple[Alarm, str]:
        name = definition["AlarmName"]
        existing = self.alarms.get(name)
        if existing is None:
            arn = f"arn:aws:cloudwatch:{self._cloud.region}:{self._cloud.account}:alarm:{name}"
            created = Alarm(
                name,
                arn,
                kind,
                definition,
                now,
            )
            self.alarms[name] = created
            return created, messages.CREATE
        if existing.kind != kind:
            message = f"An alarm of the other type has the name {name} already"
            raise Refusal("ValidationError", message)
        existing.define(definition, now)
        return existing, messages.UPDATE

    def delete(self, names: Iterable[str]) -> None:
        """Forget alarms; their history stays, as in AWS.

        Raises:
            Refusal: one is unknown, or a composite alarm that stays depends on it.
        """
        names = list(names)
        with self._lock:
            for name in names:
                self._check_deletable(name, names)
            now = self._cloud.clock.now()
            for name in names:
                alarm = self.alarms.pop(name)
                self._announce_configuration(alarm, messages.DELETE, now)

    def _check_deletable(self, name: str, deleted_together: list[str]) -> None:
        if name not in self.alarms:
            raise Refusal("ResourceNotFound", f"Unknown alarm: {name}")
        for parent in self._parents(name):
            if parent.name not in deleted_together:
                message = f"Cannot delete {name} as there are composite alarm(s) depending on it."
                raise Refusal("ValidationError", message)

    def set_state(
        self,
        name: str,
        state: str,
        reason: str,
        reason_data: str | None,
    ) -> None:
        """Set a state until the next evaluation says otherwise (SetAlarmState)."""
        with self._lock:
            if name not in self.alarms:
                raise Refusal("ResourceNotFound", f"Unknown alarm: {name}")
            evaluation = Evaluation(state, reason, reason_data or "")
            self._change(self.alarms[name], evaluation, self._cloud.clock.now())

    def evaluate(self, now: datetime) -> None:
        """Evaluate every metric alarm on the periods that are complete at `now`."""
        with self._lock:
            for alarm in list(self.alarms.values()):
                if alarm.kind == METRIC:
                    with self._cloud.troubles.of(f"the alarm {alarm.name}"):
                        self._follow_metrics(alarm, now)

    def _follow_metrics(self, alarm: Alarm, now: datetime) -> None:
        evaluation = self._evaluate(alarm, now)
        if evaluation is not None and evaluation.state != alarm.state.value:
            self._change(alarm, evaluation, now)

    def _evaluate(self, alarm: Alarm, now: datetime) -> Evaluation | None:
        definition = alarm.definition
        period = shared_period(alarm.queries)
        count = int(definition["EvaluationPeriods"]) + EXTRA_DATAPOINTS
        points = self._points(
            alarm,
            period,
            count,
            now,
        )
        if _has_too_few_samples(definition, points[-1]):
            return None
        return evaluate_alarm(
            definition,
            points,
            period=period,
            now=now,
            state=alarm.state.value,
        )

    def _points(
        self,
        alarm: Alarm,
        period: int,
        count: int,
        now: datetime,
    ) -> list[Point]:
        """The last `count` periods, oldest first."""
        end = now.replace(second=0, microsecond=0)
        length = timedelta(seconds=period)
        moments = [end - age * length for age in range(count, 0, -1)]
        series = self.metrics.query(alarm.queries, moments, period)
        (evaluated,) = (query for query in alarm.queries if query.returns_data)
        is_plain_metric = len(alarm.queries) == 1

        points = []
        for moment in moments:
            samples = None
            if is_plain_metric and evaluated.stat is not None:
                samples = self.metrics.samples(evaluated.stat, moment, length).count or None
            points.append(Point(moment, series[evaluated.id].get(moment), samples))
        return points

    def _check(self, kind: str, definition: Definition) -> None:
        definitions.check_actions(definition)
        try:
            if kind == COMPOSITE:
                self._check_children(rules.parse(definition["AlarmRule"]))
            else:
                definitions.check_metric_alarm(definition)
        except (ExpressionError, rules.RuleError) as error:
            raise Refusal("ValidationError", str(error)) from error

    def _check_children(self, rule: rules.Rule) -> None:
        """AWS refuses too, and in these words: https://github.com/awsdocs/aws-cloudformation-user-guide/issues/911."""
        unknown = [child for child in rule.children if child not in self.alarms]
        if unknown:
            names = ", ".join(unknown)
            message = f"Could not save the composite alarm as alarms [{names}] in the alarm rule do not exist"
            raise Refusal("ValidationError", message)

    def _parents(self, name: str) -> list[Alarm]:
        """The composite alarms whose rule names this alarm."""
        return [alarm for alarm in self.alarms.values() if name in alarm.rule.children]

    def _change(
        self,
        alarm: Alarm,
        evaluation: Evaluation,
        now: datetime,
    ) -> None:
        """Take on a state.

        History, event and actions follow a transition, and so do composite alarms.
        """
        before = alarm.state
        reason_data = evaluation.reason_data or None
        alarm.state = AlarmState(
            evaluation.state,
            evaluation.reason,
            reason_data,
            now,
        )
        if alarm.state.value == before.value:
            return
        alarm.transitioned_at = now
        self.history.append(messages.history_of_state(alarm, before, now))
        self._cloud.emit(messages.event_of_state(alarm, before, now))
        troubles = self._cloud.troubles
        for topic in alarm.actions:
            with troubles.of(f"the action {topic} of the alarm {alarm.name}"):
                self._notify(
                    alarm,
                    before,
                    topic,
                    now,
                )
        for parent in self._parents(alarm.name):
            with troubles.of(f"the composite alarm {parent.name}"):
                self._evaluate_composite(parent, alarm, now)

    def _evaluate_composite(
        self,
        alarm: Alarm,
        changed: Alarm | None,
        now: datetime,
    ) -> None:
        """Follow a child that `changed`, None where the composite alarm itself is new."""
        state = "ALARM" if alarm.rule.holds(self._state_of) else "OK"
        if state == alarm.state.value:
            return
        if changed is None:
            reason = f"{alarm.alarm_arn} was created and its alarm rule evaluates to {state}"
        else:
            moment = f"{now:%A %d %B, %Y %H:%M:%S} UTC"
            reason = f"{changed.alarm_arn} transitioned to {changed.state.value} at {moment}"
        triggering = self._triggering(alarm.rule, state)
        data = json.dumps({"triggeringAlarms": triggering}, separators=(",", ":"))
        self._change(alarm, Evaluation(state, reason, data), now)

    def _triggering(self, rule: rules.Rule, state: str) -> list[dict[str, object]]:
        """The children that explain a change of state: those in alarm, or all where it ends."""
        triggering: list[dict[str, object]] = []
        for name in rule.children:
            child = self.alarms.get(name)
            if child is None or (state == "ALARM" and child.state.value != "ALARM"):
                continue
            since = timestamp(child.transitioned_at)
            child_state = {"value": child.state.value, "timestamp": since}
            triggering.append({"arn": child.alarm_arn, "state": child_state})
        return triggering

    def _state_of(self, name: str) -> str:
        if name not in self.alarms:
            return "INSUFFICIENT_DATA"
        return self.alarms[name].state.value

    def _announce_configuration(
        self,
        alarm: Alarm,
        operation: str,
        now: datetime,
    ) -> None:
        self.history.append(messages.history_of_configuration(alarm, operation, now))
        self._cloud.emit(messages.event_of_configuration(alarm, operation, now))

    def _notify(
        self,
        alarm: Alarm,
        before: AlarmState,
        topic: str,
        now: datetime,
    ) -> None:
        _, _, _, region, account, _ = topic.split(":", 5)
        found = sns_backends[account][region].topics.get(topic)
        succeeded = False
        if found is not None:
            subject, message = messages.notification(
                alarm,
                before,
                topic,
                now,
            )
            try:
                found.publish(message, subject=subject)
                succeeded = True
            except ServiceException:
                succeeded = False  # the alarm's history says so, as in AWS
        entry = messages.history_of_action(
            alarm,
            topic,
            now,
            succeeded=succeeded,
        )
        self.history.append(entry)


def _has_too_few_samples(definition: Definition, newest: Point) -> bool:
    """With `ignore` the state stays while the newest percentile rests on too few samples.

    Fewer than 10/(1-percentile) for an upper percentile, 10/percentile for a lower one:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/percentiles-with-low-samples.html
    """
    ignores = definition.get("EvaluateLowSampleCountPercentile") == "ignore"
    if not ignores or newest.sample_count is None:
        return False
    share = float(definition["ExtendedStatistic"].removeprefix("p")) / 100
    rare = min(share, 1 - share)
    return rare > 0 and newest.sample_count < 10 / rare
