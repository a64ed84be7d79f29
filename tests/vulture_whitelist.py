"""What is used from where vulture does not look. Real references: what is renamed or removed fails the type checker here."""

import autorollback_cdk
from autorollback import handler
from autorollback.decision.facts import Status, Strategy
from autorollback.decision.result import Result
from autorollback.flows import readiness
from autorollback_cdk import AutoRollback
from demo import scenario
from localcloud.dynamodb.transactions import Transactions
from localcloud.ecs.world import World
from localcloud.recorder import Recorder


def _more_candidates(result: Result) -> int:
    """Callers and people read it in the JSON."""
    return result.more_candidates


USED = (
    handler.handle,  # Lambda calls it, by the name that the template gives
    autorollback_cdk.__getattr__,  # Python calls it, where a name is imported from the package
    AutoRollback.protect,  # for apps of other people
    readiness.target_of_next,  # the tests compare it with what the judgement does
    _more_candidates,
    Status.STOP_IN_PROGRESS,  # ECS answers it
    (Strategy.LINEAR, Strategy.CANARY),  # so does it these
    World.loses_capacity,  # an instruction for tests
    scenario.WORKER,  # the end-to-end tests have it play, and ask the next
    scenario.Stage.codedeploy_deployments,
    Recorder.lose,  # for tests to lose an answer
    World.push_for,  # for tests of images for several platforms
    Transactions.ongoing,  # for tests to have a conflict
)
