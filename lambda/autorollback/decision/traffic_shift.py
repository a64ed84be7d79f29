"""What was seen of the shift of traffic to a deployment, while it was watched."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from autorollback.decision.facts import Deployment, Status, Strategy, TrafficReading

_UNDER_WAY = (Status.PENDING, Status.IN_PROGRESS)


def is_watched(deployment: Deployment) -> bool:
    """Whether its traffic is worth another look.

    ECS keeps no time of the shift.
    """
    strategy = deployment.traffic.strategy
    by_ecs = strategy.shifts and strategy is not Strategy.CODE_DEPLOY
    return by_ecs and deployment.status in _UNDER_WAY


def reading_of(deployment: Deployment, now: datetime) -> TrafficReading:
    """What is seen of a deployment now.

    Of one that has ended it says nothing any more that it has no traffic.
    """
    traffic = deployment.traffic
    is_unserved = traffic.weight == 0 and is_watched(deployment)
    return TrafficReading(
        deployment.arn,
        unserved_at=now if is_unserved else None,
        baking_at=now if traffic.stage == "BAKE_TIME" else None,
    )


def with_readings(
    deployments: Iterable[Deployment],
    readings: Sequence[TrafficReading],
) -> tuple[Deployment, ...]:
    """The deployments with what was seen of them before."""
    by_arn = {reading.deployment: reading for reading in readings}
    seen: list[Deployment] = []
    for deployment in deployments:
        reading = by_arn.get(deployment.arn)
        if reading is not None:
            traffic = replace(
                deployment.traffic,
                unserved_at=reading.unserved_at,
                baking_at=reading.baking_at,
            )
            seen.append(replace(deployment, traffic=traffic))
        else:
            seen.append(deployment)
    return tuple(seen)
