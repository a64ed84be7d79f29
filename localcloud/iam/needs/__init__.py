"""What each operation asks the policies: the action, its resources, and the condition keys that AWS sends along.

An operation that is not here cannot be judged, and is refused by name.
"""

from collections.abc import Mapping

from localcloud.iam.needs import codedeploy, dynamodb, ecs, messaging, others
from localcloud.iam.needs.asked import Asked, Needs
from localcloud.iam.requests import Need, NotEvaluable

NEEDS: Mapping[str, Needs] = {
    **codedeploy.NEEDS,
    **dynamodb.NEEDS,
    **ecs.NEEDS,
    **messaging.NEEDS,
    **others.NEEDS,
}


def needs_of(asked: Asked) -> tuple[Need, ...]:
    """All that must be allowed for a call, in the order in which AWS would complain.

    Raises:
        NotEvaluable: what the operation asks for is not known here.
    """
    needs = NEEDS.get(asked.action)
    if needs is None:
        raise NotEvaluable(f"what {asked.action} asks for")
    try:
        return tuple(needs(asked))
    except KeyError as missing:
        raise NotEvaluable(f"{asked.action} without {missing}") from missing
