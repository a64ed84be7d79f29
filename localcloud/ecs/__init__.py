"""ECS as AWS has it and moto does not: service deployments and revisions that progress with the clock."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from moto.cloudwatch.models import cloudwatch_backends

from localcloud.ecs.operations import Ecs
from localcloud.ecs.scheduler import TICK, Fitness, Scheduler

if TYPE_CHECKING:
    from localcloud.base import Cloud


def install(cloud: "Cloud") -> None:
    """Teach moto's ECS, and let its deployments go on at each tick of the clock."""

    def red(names: Iterable[str]) -> tuple[str, ...]:
        alarms = cloudwatch_backends[cloud.account][cloud.region].alarms  # the entries are those of localcloud.alarms
        return tuple(name for name in names if name in alarms and alarms[name].state == "ALARM")

    scheduler = Scheduler(
        fitness=lambda _revision: Fitness(),  # until traffic says how the images behave
        alarms_in_alarm=red,
        emit=lambda event: cloud.emit(event),
    )
    ecs = Ecs(cloud, scheduler)
    ecs.install()
    cloud.add(ecs)
    cloud.clock.every(TICK, scheduler.tick)
