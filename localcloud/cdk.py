"""The CDK against the local cloud: its bootstrap resources, a deployment without Node.js, and an environment for its command line."""

import io
import json
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend

if TYPE_CHECKING:
    from localcloud.base import Cloud

QUALIFIER = "hnb659fds"  # of the default bootstrap stack: aws-cdk-lib's DefaultStackSynthesizer.DEFAULT_QUALIFIER
BOOTSTRAP_VERSION = "30"
_COMPLETE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")


@cache
def _aws_policies() -> dict[str, Any]:
    """Moto's copy of all AWS managed policies, by name; a megabyte that is read only when one is asked for."""
    policies: dict[str, Any] = json.loads(aws_managed_policies_data)
    return policies


class DeploymentFailedError(Exception):
    """A stack did not become what its template says; the message has the reasons of its resources."""


def install(cloud: "Cloud") -> None:
    """Have AWS's own managed policies where a role asks for one, as the bootstrap template and many others do."""
    attach = IAMBackend.attach_role_policy

    def attach_role_policy(self: IAMBackend, policy_arn: str, role_name: str) -> None:
        if (
            policy_arn.startswith("arn:aws:iam::aws:policy/")
            and policy_arn not in self.managed_policies
        ):
            name = policy_arn.rsplit("/", 1)[-1]
            found = _aws_policies().get(name)
            if found is not None:
                policy = AWSManagedPolicy.from_data(
                    name,
                    self.account_id,
                    self.region_name,
                    found,
                )
                self.managed_policies[policy.arn] = policy
        attach(self, policy_arn, role_name)

    cloud.replace(IAMBackend, "attach_role_policy", attach_role_policy)


def asset_bucket(cloud: "Cloud") -> str:
    """Where the CDK puts file assets of this account and region."""
    return f"cdk-{QUALIFIER}-assets-{cloud.account}-{cloud.region}"


def bootstrap(cloud: "Cloud") -> None:
    """What a deployment needs of `cdk bootstrap`: the bucket and the version. Twice does no harm, and `cdk bootstrap` may follow.

    The logical names are those of the CDK's own bootstrap template, so that its command line finds a stack that it can update.
    """
    client = cloud.session("cdk").client("cloudformation")
    if any(stack["StackName"] == "CDKToolkit" for stack in client.describe_stacks()["Stacks"]):
        return
    version = {
        "Name": f"/cdk-bootstrap/{QUALIFIER}/version",
        "Type": "String",
        "Value": BOOTSTRAP_VERSION,
    }
    template = {
        "Resources": {
            "StagingBucket": {
                "Type": "AWS::S3::Bucket",
                "Properties": {"BucketName": asset_bucket(cloud)},
            },
            "CdkBootstrapVersion": {"Type": "AWS::SSM::Parameter", "Properties": version},
        },
        "Outputs": {
            "BucketName": {"Value": {"Ref": "StagingBucket"}},
            "BucketDomainName": {"Value": {"Fn::GetAtt": ["StagingBucket", "RegionalDomainName"]}},
            "BootstrapVersion": {"Value": {"Fn::GetAtt": ["CdkBootstrapVersion", "Value"]}},
        },
    }
    client.create_stack(StackName="CDKToolkit", TemplateBody=json.dumps(template))


def deploy(cloud: "Cloud", assembly: Path) -> None:
    """Deploy every stack of a synthesized cloud assembly (cdk.out): upload its file assets, create or update the stack.

    Raises:
        DeploymentFailedError: a stack was rolled back.
        FileNotFoundError: the folder is no cloud assembly.
    """
    manifest = json.loads((assembly / "manifest.json").read_text())
    bootstrap(cloud)
    for artifact in manifest["artifacts"].values():
        if artifact["type"] == "cdk:asset-manifest":
            _upload(cloud, assembly, artifact["properties"]["file"])
    for name, artifact in manifest["artifacts"].items():
        if artifact["type"] == "aws:cloudformation:stack":
            properties = artifact["properties"]
            template = (assembly / properties["templateFile"]).read_text()
            _create_or_update(
                cloud,
                properties.get("stackName", name),
                template,
                properties.get("tags") or {},
            )


def _upload(cloud: "Cloud", assembly: Path, file: str) -> None:
    s3 = cloud.session("cdk").client("s3")
    for asset in json.loads((assembly / file).read_text()).get("files", {}).values():
        source = assembly / asset["source"]["path"]
        body = _zipped(source) if asset["source"].get("packaging") == "zip" else source.read_bytes()
        for destination in asset["destinations"].values():
            bucket = _concrete(cloud, destination["bucketName"])
            s3.put_object(Bucket=bucket, Key=_concrete(cloud, destination["objectKey"]), Body=body)


def _concrete(cloud: "Cloud", text: str) -> str:
    return (
        text.replace("${AWS::AccountId}", cloud.account)
        .replace("${AWS::Region}", cloud.region)
        .replace("${AWS::Partition}", "aws")
    )


def _zipped(source: Path) -> bytes:
    if source.is_file():
        return source.read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(source.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(source))
    return packed.getvalue()


def _create_or_update(
    cloud: "Cloud",
    name: str,
    template: str,
    tags: dict[str, str],
) -> None:
    client = cloud.session("cdk").client("cloudformation")
    bucket, key = asset_bucket(cloud), f"templates/{name}.json"
    cloud.session("cdk").client("s3").put_object(Bucket=bucket, Key=key, Body=template.encode())
    url = f"{cloud.endpoint}/{bucket}/{key}"
    pairs: Any = [{"Key": k, "Value": v} for k, v in tags.items()]
    exists = any(stack["StackName"] == name for stack in client.describe_stacks()["Stacks"])
    try:
        if exists:
            client.update_stack(StackName=name, TemplateURL=url, Tags=pairs)
        else:
            client.create_stack(StackName=name, TemplateURL=url, Tags=pairs)
    except client.exceptions.ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise DeploymentFailedError(f"{name}: {error}") from error
    (stack,) = client.describe_stacks(StackName=name)["Stacks"]
    if stack["StackStatus"] not in _COMPLETE:
        events = client.describe_stack_events(StackName=name)["StackEvents"]
        reasons = [
            f"{event['LogicalResourceId']} ({event['ResourceType']}): {event['ResourceStatusReason']}"
            for event in events
            if event["ResourceStatus"].endswith("_FAILED")
        ]
        raise DeploymentFailedError(f"{name} is {stack['StackStatus']}: " + "; ".join(reasons))
