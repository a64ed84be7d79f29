"""CloudWatch alarms that are evaluated every minute from metric data, with history, events and actions."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from moto.cloudwatch.models import CloudWatchBackend, cloudwatch_backends
from moto.sqs.models import Queue, sqs_backends

from localcloud.alarms import operations
from localcloud.alarms.store import AlarmStore

if TYPE_CHECKING:
    from localcloud.base import Cloud

_MINUTE = timedelta(minutes=1)


def install(cloud: "Cloud") -> None:
    """Evaluate the alarms at each full minute, and answer CloudWatch's operations on them."""
    store = AlarmStore(cloud)
    operations.install(cloud, store)
    cloud.clock.every(_MINUTE, lambda now: _measure_queues(cloud, now))
    cloud.clock.every(_MINUTE, store.evaluate)


def _measure_queues(cloud: "Cloud", now: datetime) -> None:
    """Put the metrics that SQS reports of its queues, as far as moto knows them.

    Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    """
    backend = cloudwatch_backends[cloud.account][cloud.region]
    queues = sqs_backends[cloud.account][cloud.region].queues
    for queue in list(queues.values()):
        with cloud.troubles.of(f"the metrics of the queue {queue.name}"):
            _measure_queue(backend, queue, now)


def _measure_queue(backend: CloudWatchBackend, queue: Queue, now: datetime) -> None:
    metrics = {
        "ApproximateNumberOfMessagesVisible": queue.approximate_number_of_messages,
        "ApproximateNumberOfMessagesNotVisible": queue.approximate_number_of_messages_not_visible,
        "ApproximateAgeOfOldestMessage": _age_of_oldest_message(queue, now),
    }
    data = []
    for name, value in metrics.items():
        datum = {
            "MetricName": name,
            "Value": float(value),
            "Timestamp": now - _MINUTE,
            "Dimensions": [{"Name": "QueueName", "Value": queue.name}],
        }
        data.append(datum)
    backend.put_metric_data("AWS/SQS", data)


def _age_of_oldest_message(queue: Queue, now: datetime) -> float:
    """Seconds, 0 where the queue is empty; moto keeps times as milliseconds since 1970."""
    ages = [0.0]
    for message in queue.messages:
        sent_at = float(message.sent_timestamp) / 1000
        ages.append(now.timestamp() - sent_at)
    return max(ages)
