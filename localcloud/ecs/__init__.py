"""ECS as AWS has it and moto does not: service deployments and revisions that progress with the clock."""

from localcloud.server import Cloud


def install(cloud: Cloud) -> None:
    """Teach moto's ECS."""
