"""ECS as AWS has it and moto does not: deployments that progress with the clock."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from moto.cloudwatch.models import cloudwatch_backends

from localcloud.ecs import api
from localcloud.ecs.registry import Ecs
from localcloud.ecs.scheduler import TICK, Fitness, Scheduler

if TYPE_CHECKING:
    from localcloud.base import Cloud


def install(cloud: "Cloud") -> None:
    """Extend moto's ECS, and let deployments go on at each tick of the clock."""

    def in_alarm(names: Iterable[str]) -> tuple[str, ...]:
        # the entries are those of localcloud.alarms
        alarms = cloudwatch_backends[cloud.account][cloud.region].alarms
        return tuple(
            name for name in names if name in alarms and alarms[name].state.value == "ALARM"
        )

    scheduler = Scheduler(
        fitness=lambda _revision: Fitness(),  # until traffic says how the images behave
        alarms_in_alarm=in_alarm,
        emit=lambda event: cloud.emit(event),
        troubles=cloud.troubles,
    )
    ecs = Ecs(cloud, scheduler)
    api.install(ecs, cloud.replace)
    cloud.add(ecs)
    cloud.clock.every(TICK, scheduler.tick)
