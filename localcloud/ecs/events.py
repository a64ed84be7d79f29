"""The events that ECS sends, in the shapes of its developer guide.

Sources: ecs_service_deployment_events.html, ecs_service_events.html.
"""

import uuid
from datetime import datetime

from localcloud.ecs.model import Revision, Service
from localcloud.shapes import ApiObject


def deployment_state_change(
    service: Service,
    name: str,
    revision: Revision,
    reason: str,
    at: datetime,
) -> ApiObject:
    """Make a deployment state change event.

    `name` is SERVICE_DEPLOYMENT_IN_PROGRESS, _COMPLETED or _FAILED; there are no others, also not
    for rollbacks.
    """
    event_type = "ERROR" if name == "SERVICE_DEPLOYMENT_FAILED" else "INFO"
    detail = {
        "eventType": event_type,
        "eventName": name,
        "deploymentId": revision.deployment_id,
        "updatedAt": _iso(at),
        "reason": reason,
    }
    return _event(
        service,
        "ECS Deployment State Change",
        detail,
        at,
    )


def service_action(
    service: Service,
    name: str,
    severity: str,
    at: datetime,
) -> ApiObject:
    """Make a service action event. `severity` is the `eventType`: INFO, WARN or ERROR."""
    milliseconds = at.microsecond // 1000
    detail = {
        "eventType": severity,
        "eventName": name,
        "clusterArn": service.cluster_arn,
        "createdAt": f"{at:%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z",
    }
    return _event(
        service,
        "ECS Service Action",
        detail,
        at,
    )


def _event(
    service: Service,
    detail_type: str,
    detail: dict[str, str],
    at: datetime,
) -> ApiObject:
    _, _, _, region, account, _ = service.arn.split(":", 5)
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": "aws.ecs",
        "account": account,
        "time": _iso(at),
        "region": region,
        "resources": [service.arn],
        "detail": detail,
    }


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
