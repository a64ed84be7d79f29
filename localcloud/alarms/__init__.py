"""CloudWatch alarms that mean it: judged every minute from metric data, with history, events and actions."""

from datetime import timedelta
from typing import TYPE_CHECKING

from localcloud.alarms import operations
from localcloud.alarms.board import Board

if TYPE_CHECKING:
    from localcloud.server import Cloud


def install(cloud: "Cloud") -> None:
    """Judge the alarms at each full minute of simulated time, and answer CloudWatch's operations on them."""
    board = Board(cloud)
    operations.install(cloud, board)
    cloud.clock.every(timedelta(minutes=1), board.evaluate)
