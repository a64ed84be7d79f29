"""The events that ECS sends, in the shapes of its developer guide (ecs_service_deployment_events.html, ecs_service_events.html)."""

import uuid
from datetime import datetime
from typing import Any

from localcloud.ecs.model import Revision, Service


def deployment_state_change(
    service: Service, name: str, revision: Revision, reason: str, at: datetime
) -> dict[str, Any]:
    """`name` is SERVICE_DEPLOYMENT_IN_PROGRESS, _COMPLETED or _FAILED; there are no others, also not for rollbacks."""
    detail = {
        "eventType": "ERROR" if name == "SERVICE_DEPLOYMENT_FAILED" else "INFO",
        "eventName": name,
        "deploymentId": revision.deployment_id,
        "updatedAt": _iso(at),
        "reason": reason,
    }
    return _event(service, "ECS Deployment State Change", detail, at)


def service_action(service: Service, name: str, severity: str, at: datetime) -> dict[str, Any]:
    """`severity` is the `eventType`: INFO, WARN or ERROR."""
    created = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
    detail = {"eventType": severity, "eventName": name, "clusterArn": service.cluster_arn, "createdAt": created}
    return _event(service, "ECS Service Action", detail, at)


def _event(service: Service, detail_type: str, detail: dict[str, Any], at: datetime) -> dict[str, Any]:
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
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
