"""CloudWatch alarms that mean it: judged every minute from metric data, with history, events and actions."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from moto.cloudwatch.models import cloudwatch_backends
from moto.sqs.models import Message, sqs_backends

from localcloud.alarms import operations
from localcloud.alarms.board import Board

if TYPE_CHECKING:
    from localcloud.base import Cloud

_MINUTE = timedelta(minutes=1)


def install(cloud: "Cloud") -> None:
    """Judge the alarms at each full minute of simulated time, and answer CloudWatch's operations on them."""
    board = Board(cloud)
    operations.install(cloud, board)
    cloud.clock.every(_MINUTE, lambda now: _measure_queues(cloud, now))
    cloud.clock.every(_MINUTE, board.evaluate)


def _measure_queues(cloud: "Cloud", now: datetime) -> None:
    """What SQS reports of each queue every minute, as far as moto knows it.

    Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    """
    metrics = cloudwatch_backends[cloud.account][cloud.region]
    for queue in list(sqs_backends[cloud.account][cloud.region].queues.values()):
        depths = {
            "ApproximateNumberOfMessagesVisible": queue.approximate_number_of_messages,
            "ApproximateNumberOfMessagesNotVisible": queue.approximate_number_of_messages_not_visible,
            "ApproximateAgeOfOldestMessage": max((_age(message, now) for message in queue.messages), default=0.0),
        }
        dimensions = [{"Name": "QueueName", "Value": queue.name}]
        data = [
            {"MetricName": name, "Value": float(depth), "Timestamp": now - _MINUTE, "Dimensions": dimensions}
            for name, depth in depths.items()
        ]
        metrics.put_metric_data("AWS/SQS", data)


def _age(message: Message, now: datetime) -> float:
    """Seconds since the message was sent, which moto keeps as milliseconds since 1970."""
    return max(0.0, now.timestamp() - float(message.sent_timestamp) / 1000)
