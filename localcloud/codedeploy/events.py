"""The event that CodeDeploy sends, in the shape of the EventBridge reference's example (events-ref-codedeploy.html)."""

import uuid
from datetime import datetime
from typing import Any

from localcloud.codedeploy.model import Deployment


def state_change(deployment: Deployment, state: str, at: datetime) -> dict[str, Any]:
    """`state` is START, SUCCESS, FAILURE or STOP; READY does not happen here."""
    _, _, _, region, account, _ = deployment.service.arn.split(":", 5)
    application, group = deployment.group.application.application_name, deployment.group.deployment_group_name
    prefix = f"arn:aws:codedeploy:{region}:{account}"
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "CodeDeploy Deployment State-change Notification",
        "source": "aws.codedeploy",
        "account": account,
        "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [f"{prefix}:application:{application}", f"{prefix}:deploymentgroup:{application}/{group}"],
        "detail": {
            "instanceGroupId": deployment.group.deployment_group_id,
            "region": region,
            "application": application,
            "deploymentId": deployment.deployment_id,
            "state": state,
            "deploymentGroup": group,
        },
    }
