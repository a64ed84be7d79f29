"""IAM's roles and policies, and KMS's keys."""

from localcloud.cloudformation.resources.base import (
    Aws,
    Properties,
    Type,
    as_text,
    delete_by,
    given,
    refuse_unknown,
)

_ROLE = frozenset(
    {
        "RoleName",
        "AssumeRolePolicyDocument",
        "Description",
        "Path",
        "MaxSessionDuration",
        "PermissionsBoundary",
        "ManagedPolicyArns",
        "Policies",
        "Tags",
    }
)
_POLICY = frozenset({"PolicyName", "PolicyDocument", "Roles"})
_MANAGED_POLICY = frozenset({"ManagedPolicyName", "PolicyDocument", "Description", "Path", "Roles"})
_KEY = frozenset(
    {
        "Description",
        "KeyPolicy",
        "EnableKeyRotation",
        "KeySpec",
        "KeyUsage",
        "PendingWindowInDays",
    }
)


def _create_role(aws: Aws, name: str, properties: Properties) -> str:
    refuse_unknown("AWS::IAM::Role", properties, _ROLE)
    role = given(
        properties,
        "Description",
        "Path",
        "MaxSessionDuration",
        "PermissionsBoundary",
        "Tags",
    )
    role["RoleName"] = name
    role["AssumeRolePolicyDocument"] = as_text(properties["AssumeRolePolicyDocument"])
    aws("iam").create_role(**role)
    _set_role_policies(
        aws,
        name,
        {},
        properties,
    )
    return name


def _update_role(
    aws: Aws,
    physical: str,
    old: Properties,
    new: Properties,
) -> None:
    refuse_unknown("AWS::IAM::Role", new, _ROLE)
    document = as_text(new["AssumeRolePolicyDocument"])
    aws("iam").update_assume_role_policy(RoleName=physical, PolicyDocument=document)
    aws("iam").update_role(RoleName=physical, **given(new, "Description", "MaxSessionDuration"))
    _set_role_policies(
        aws,
        physical,
        old,
        new,
    )


def _set_role_policies(
    aws: Aws,
    role: str,
    old: Properties,
    new: Properties,
) -> None:
    """Have those of `new`, and no longer those of `old`."""
    attached_before = set(old.get("ManagedPolicyArns", []))
    attached = new.get("ManagedPolicyArns", [])
    for arn in attached_before.difference(attached):
        aws("iam").detach_role_policy(RoleName=role, PolicyArn=arn)
    for arn in attached:
        aws("iam").attach_role_policy(RoleName=role, PolicyArn=arn)

    inline_before = _inline_policies(old)
    inline = _inline_policies(new)
    for name in inline_before.keys() - inline.keys():
        aws("iam").delete_role_policy(RoleName=role, PolicyName=name)
    for name, document in inline.items():
        aws("iam").put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)


def _inline_policies(properties: Properties) -> dict[str, str]:
    """The documents by name."""
    policies = properties.get("Policies", [])
    return {policy["PolicyName"]: as_text(policy["PolicyDocument"]) for policy in policies}


def _delete_role(aws: Aws, physical: str, properties: Properties) -> None:
    _set_role_policies(
        aws,
        physical,
        properties,
        {},
    )
    aws("iam").delete_role(RoleName=physical)


def _role_attributes(aws: Aws, physical: str, properties: Properties) -> dict[str, str]:
    path = properties.get("Path", "/")
    role = aws("iam").get_role(RoleName=physical)["Role"]
    return {"Arn": aws.global_arn("iam", f"role{path}{physical}"), "RoleId": role["RoleId"]}


def _put_policy(aws: Aws, name: str, properties: Properties) -> str:
    refuse_unknown("AWS::IAM::Policy", properties, _POLICY)
    document = as_text(properties["PolicyDocument"])
    for role in properties["Roles"]:
        aws("iam").put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)
    return name


def _update_policy(
    aws: Aws,
    physical: str,
    old: Properties,
    new: Properties,
) -> None:
    for role in set(old["Roles"]) - set(new["Roles"]):
        aws("iam").delete_role_policy(RoleName=role, PolicyName=physical)
    _put_policy(aws, physical, new)


def _delete_policy(aws: Aws, physical: str, properties: Properties) -> None:
    for role in properties["Roles"]:
        aws("iam").delete_role_policy(RoleName=role, PolicyName=physical)


def _create_managed_policy(aws: Aws, name: str, properties: Properties) -> str:
    refuse_unknown("AWS::IAM::ManagedPolicy", properties, _MANAGED_POLICY)
    policy = given(properties, "Description", "Path")
    policy["PolicyName"] = name
    policy["PolicyDocument"] = as_text(properties["PolicyDocument"])
    answer = aws("iam").create_policy(**policy)
    arn = str(answer["Policy"]["Arn"])
    _set_roles(
        aws,
        arn,
        {},
        properties,
    )
    return arn


def _update_managed_policy(
    aws: Aws,
    physical: str,
    old: Properties,
    new: Properties,
) -> None:
    refuse_unknown("AWS::IAM::ManagedPolicy", new, _MANAGED_POLICY)
    _set_roles(
        aws,
        physical,
        old,
        new,
    )
    if old["PolicyDocument"] != new["PolicyDocument"]:
        document = as_text(new["PolicyDocument"])
        aws("iam").create_policy_version(
            PolicyArn=physical, PolicyDocument=document, SetAsDefault=True
        )
        _drop_old_versions(aws, physical)


def _set_roles(
    aws: Aws,
    policy: str,
    old: Properties,
    new: Properties,
) -> None:
    """Attach the policy to the roles of `new`, and no longer to those of `old`."""
    before = set(old.get("Roles", []))
    after = set(new.get("Roles", []))
    for role in before - after:
        aws("iam").detach_role_policy(RoleName=role, PolicyArn=policy)
    for role in after - before:
        aws("iam").attach_role_policy(RoleName=role, PolicyArn=policy)


def _drop_old_versions(aws: Aws, policy: str) -> None:
    versions = aws("iam").list_policy_versions(PolicyArn=policy)["Versions"]
    for version in versions:
        if not version["IsDefaultVersion"]:
            aws("iam").delete_policy_version(PolicyArn=policy, VersionId=version["VersionId"])


def _delete_managed_policy(aws: Aws, physical: str, properties: Properties) -> None:
    _set_roles(
        aws,
        physical,
        properties,
        {},
    )
    _drop_old_versions(aws, physical)
    aws("iam").delete_policy(PolicyArn=physical)


def _managed_policy_attributes(_aws: Aws, physical: str, _properties: Properties) -> dict[str, str]:
    return {"PolicyArn": physical}


def _create_key(aws: Aws, _name: str, properties: Properties) -> str:
    refuse_unknown("AWS::KMS::Key", properties, _KEY)
    key = given(
        properties,
        "Description",
        "KeySpec",
        "KeyUsage",
    )
    key["Policy"] = as_text(properties["KeyPolicy"])
    answer = aws("kms").create_key(**key)
    key_id = str(answer["KeyMetadata"]["KeyId"])
    _set_rotation(aws, key_id, properties)
    return key_id


def _update_key(
    aws: Aws,
    physical: str,
    _old: Properties,
    new: Properties,
) -> None:
    policy = as_text(new["KeyPolicy"])
    description = new.get("Description", "")
    aws("kms").put_key_policy(KeyId=physical, PolicyName="default", Policy=policy)
    aws("kms").update_key_description(KeyId=physical, Description=description)
    _set_rotation(aws, physical, new)


def _set_rotation(aws: Aws, key: str, properties: Properties) -> None:
    if properties.get("EnableKeyRotation"):
        aws("kms").enable_key_rotation(KeyId=key)


def _delete_key(aws: Aws, physical: str, properties: Properties) -> None:
    days = int(properties.get("PendingWindowInDays", 30))
    aws("kms").schedule_key_deletion(KeyId=physical, PendingWindowInDays=days)


def _key_attributes(aws: Aws, physical: str, _properties: Properties) -> dict[str, str]:
    return {"Arn": aws.arn("kms", f"key/{physical}"), "KeyId": physical}


def _create_alias(aws: Aws, _name: str, properties: Properties) -> str:
    aws("kms").create_alias(**properties)
    return str(properties["AliasName"])


TYPES: dict[str, Type] = {
    "AWS::IAM::Role": Type(
        create=_create_role,
        delete=_delete_role,
        update=_update_role,
        attributes=_role_attributes,
        name="RoleName",
        longest_name=64,
    ),
    "AWS::IAM::Policy": Type(
        create=_put_policy,
        delete=_delete_policy,
        update=_update_policy,
        name="PolicyName",
        longest_name=128,
    ),
    "AWS::IAM::ManagedPolicy": Type(
        create=_create_managed_policy,
        delete=_delete_managed_policy,
        update=_update_managed_policy,
        attributes=_managed_policy_attributes,
        name="ManagedPolicyName",
        longest_name=128,
        replaced_by=frozenset({"Path", "Description"}),
    ),
    "AWS::KMS::Key": Type(
        create=_create_key,
        delete=_delete_key,
        update=_update_key,
        attributes=_key_attributes,
    ),
    "AWS::KMS::Alias": Type(
        create=_create_alias,
        delete=delete_by("kms", "delete_alias", "AliasName"),
    ),
}
