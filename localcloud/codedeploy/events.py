"""The event that CodeDeploy sends, in the shape of the EventBridge reference's example.

Source: events-ref-codedeploy.html.
"""

import uuid
from datetime import datetime

from localcloud.codedeploy.model import Deployment
from localcloud.shapes import ApiObject


def state_change(deployment: Deployment, state: str, at: datetime) -> ApiObject:
    """Make a state change event.

    `state` is START, SUCCESS, FAILURE or STOP; READY does not happen here.
    """
    _, _, _, region, account, _ = deployment.service.arn.split(":", 5)
    application = deployment.group.application.application_name
    group = deployment.group.deployment_group_name
    prefix = f"arn:aws:codedeploy:{region}:{account}"
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "CodeDeploy Deployment State-change Notification",
        "source": "aws.codedeploy",
        "account": account,
        "time": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "region": region,
        "resources": [
            f"{prefix}:application:{application}",
            f"{prefix}:deploymentgroup:{application}/{group}",
        ],
        "detail": {
            "instanceGroupId": deployment.group.deployment_group_id,
            "region": region,
            "application": application,
            "deploymentId": deployment.deployment_id,
            "state": state,
            "deploymentGroup": group,
        },
    }
