"""Lambda's functions, the rules of EventBridge that invoke them, and ECR's repositories."""

import io
import zipfile

from localcloud.cloudformation.resources.base import (
    Aws,
    Properties,
    Type,
    arn_of,
    as_text,
    delete_by,
    refuse_unknown,
    tag_map,
    without,
)

_REPOSITORY = frozenset(
    {
        "RepositoryName",
        "ImageTagMutability",
        "LifecyclePolicy",
        "RepositoryPolicyText",
        "ImageScanningConfiguration",
    }
)


def _put_rule(aws: Aws, name: str, properties: Properties) -> str:
    rule = without(properties, "Targets") | {"Name": name}
    if "EventPattern" in rule:
        rule["EventPattern"] = as_text(rule["EventPattern"])
    aws("events").put_rule(**rule)
    if properties.get("Targets"):
        aws("events").put_targets(Rule=name, Targets=properties["Targets"])
    return name


def _update_rule(
    aws: Aws,
    physical: str,
    old: Properties,
    new: Properties,
) -> None:
    gone = _target_ids(old) - _target_ids(new)
    _remove_targets(aws, physical, gone)
    _put_rule(aws, physical, new)


def _delete_rule(aws: Aws, physical: str, properties: Properties) -> None:
    _remove_targets(aws, physical, _target_ids(properties))
    aws("events").delete_rule(Name=physical)


def _remove_targets(aws: Aws, rule: str, ids: set[str]) -> None:
    if ids:
        aws("events").remove_targets(Rule=rule, Ids=sorted(ids))


def _target_ids(properties: Properties) -> set[str]:
    targets = properties.get("Targets") or []
    return {target["Id"] for target in targets}


def _create_function(aws: Aws, name: str, properties: Properties) -> str:
    function = without(properties, "Tags", "ReservedConcurrentExecutions")
    function["FunctionName"] = name
    function["Code"] = _code(properties["Code"])
    function["Tags"] = tag_map(properties)
    aws("lambda").create_function(**function)
    _set_concurrency(aws, name, properties)
    return name


def _update_function(
    aws: Aws,
    physical: str,
    old: Properties,
    new: Properties,
) -> None:
    configuration = without(
        new,
        "Tags",
        "ReservedConcurrentExecutions",
        "Code",
        "Architectures",
        "PackageType",
    )
    configuration["FunctionName"] = physical
    aws("lambda").update_function_configuration(**configuration)
    if old["Code"] != new["Code"]:
        aws("lambda").update_function_code(FunctionName=physical, **_code(new["Code"]))
    _set_concurrency(aws, physical, new)


def _code(code: Properties) -> Properties:
    """Inline code becomes a zip with index.py, as the documentation of AWS::Lambda::Function says."""
    if "ZipFile" not in code:
        return code
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", code["ZipFile"])
    return {"ZipFile": packed.getvalue()}


def _set_concurrency(aws: Aws, name: str, properties: Properties) -> None:
    reserved = properties.get("ReservedConcurrentExecutions")
    if reserved is None:
        aws("lambda").delete_function_concurrency(FunctionName=name)
        return
    aws("lambda").put_function_concurrency(
        FunctionName=name, ReservedConcurrentExecutions=int(reserved)
    )


def _put_invoke_config(aws: Aws, _name: str, properties: Properties) -> str:
    aws("lambda").put_function_event_invoke_config(**properties)
    return f"{properties['FunctionName']}|{properties['Qualifier']}"


def _delete_invoke_config(aws: Aws, _physical: str, properties: Properties) -> None:
    name = properties["FunctionName"]
    aws("lambda").delete_function_event_invoke_config(FunctionName=name)


def _add_permission(aws: Aws, name: str, properties: Properties) -> str:
    aws("lambda").add_permission(**properties, StatementId=name)
    return name


def _remove_permission(aws: Aws, physical: str, properties: Properties) -> None:
    name = properties["FunctionName"]
    aws("lambda").remove_permission(FunctionName=name, StatementId=physical)


def _create_repository(aws: Aws, name: str, properties: Properties) -> str:
    refuse_unknown("AWS::ECR::Repository", properties, _REPOSITORY)
    repository: Properties = {"repositoryName": name}
    if properties.get("ImageTagMutability"):
        repository["imageTagMutability"] = properties["ImageTagMutability"]
    aws("ecr").create_repository(**repository)
    _configure_repository(
        aws,
        name,
        {},
        properties,
    )
    return name


def _configure_repository(
    aws: Aws,
    physical: str,
    _old: Properties,
    new: Properties,
) -> None:
    lifecycle = new.get("LifecyclePolicy", {}).get("LifecyclePolicyText")
    if lifecycle:
        aws("ecr").put_lifecycle_policy(
            repositoryName=physical, lifecyclePolicyText=as_text(lifecycle)
        )
    policy = new.get("RepositoryPolicyText")
    if policy:
        aws("ecr").set_repository_policy(repositoryName=physical, policyText=as_text(policy))


TYPES: dict[str, Type] = {
    "AWS::Events::Rule": Type(
        create=_put_rule,
        delete=_delete_rule,
        update=_update_rule,
        attributes=arn_of("events", "rule/{}"),
        name="Name",
        longest_name=64,
    ),
    "AWS::Lambda::Function": Type(
        create=_create_function,
        delete=delete_by("lambda", "delete_function", "FunctionName"),
        update=_update_function,
        attributes=arn_of("lambda", "function:{}"),
        name="FunctionName",
        longest_name=64,
    ),
    "AWS::Lambda::EventInvokeConfig": Type(
        create=_put_invoke_config,
        delete=_delete_invoke_config,
    ),
    "AWS::Lambda::Permission": Type(
        create=_add_permission,
        delete=_remove_permission,
        longest_name=100,
    ),
    "AWS::ECR::Repository": Type(
        create=_create_repository,
        delete=delete_by(
            "ecr",
            "delete_repository",
            "repositoryName",
            force=True,
        ),
        update=_configure_repository,
        attributes=arn_of("ecr", "repository/{}"),
        name="RepositoryName",
        lower_case=True,
    ),
}
