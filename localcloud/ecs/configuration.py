"""The deployment configuration of a service."""

from localcloud.ecs import hooks
from localcloud.ecs.requests import refuse_unknown
from localcloud.errors import Refusal
from localcloud.shapes import ApiObject, Settings

CONFIGURATION_PARAMETERS = frozenset(
    {
        "deploymentCircuitBreaker",
        "maximumPercent",
        "minimumHealthyPercent",
        "alarms",
        "strategy",
        "bakeTimeInMinutes",
        "linearConfiguration",
        "canaryConfiguration",
        "lifecycleHooks",
    }
)
BREAKER_PARAMETERS = frozenset({"enable", "rollback"})
DEFAULT_CONFIGURATION: ApiObject = {
    "deploymentCircuitBreaker": {"enable": False, "rollback": False},
    "maximumPercent": 200,
    "minimumHealthyPercent": 100,
}


def checked_configuration(settings: Settings) -> ApiObject:
    """Read the `deploymentConfiguration` among the settings. Empty where there is none.

    Raises:
        NotModelled: it has a part that is not known.
        Refusal: AWS would refuse it.
    """
    configuration = dict(settings.get("deploymentConfiguration", {}))
    refuse_unknown("ecs deploymentConfiguration", configuration, CONFIGURATION_PARAMETERS)

    breaker = configuration.get("deploymentCircuitBreaker", {})
    where = "ecs deploymentConfiguration.deploymentCircuitBreaker"
    refuse_unknown(where, breaker, BREAKER_PARAMETERS)

    hooks.check(configuration)
    is_blue_green = configuration.get("strategy") == "BLUE_GREEN"
    if is_blue_green and "bakeTimeInMinutes" not in configuration:
        message = "bakeTimeInMinutes is required for the BLUE_GREEN deployment strategy."
        raise Refusal("InvalidParameterException", message)
    return configuration
