"""A stack's resources made, changed and removed, each step an event of the stack."""

from collections.abc import Iterable

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.clock import Clock
from localcloud.cloudformation.dependencies import in_order
from localcloud.cloudformation.functions import Resolver
from localcloud.cloudformation.resources import Aws, Properties, type_of
from localcloud.cloudformation.stack import Resource, Stack, Subject
from localcloud.cloudformation.template import Declaration
from localcloud.errors import Refusal


class Deployment:
    """The work on one stack.

    What fails is returned as a reason, which is None where nothing did.
    """

    def __init__(
        self,
        stack: Stack,
        aws: Aws,
        clock: Clock,
    ) -> None:
        self._stack = stack
        self._aws = aws
        self._clock = clock

    def apply(self, resolver: Resolver) -> str | None:
        """Bring the resources and outputs to what the resolver's template says.

        Raises:
            Refusal: the template cannot be resolved.
        """
        wanted = resolver.wanted_resources()
        for logical in in_order(resolver.template, wanted):
            failure = self._make(logical, resolver)
            if failure is not None:
                return failure
        superfluous = set(self._stack.resources) - wanted
        failure = self.remove(superfluous, keep_retained=True)
        self._stack.outputs = _outputs(resolver)
        return failure

    def remove(self, names: Iterable[str], *, keep_retained: bool) -> str | None:
        """Delete these resources, the last made first."""
        unwanted = set(names)
        failures = []
        for resource in reversed(list(self._stack.resources.values())):
            if resource.logical not in unwanted:
                continue
            if keep_retained and resource.retained:
                self._record(resource.subject, "DELETE_SKIPPED")
                failure = None
            else:
                failure = self._delete(resource)
            if failure is None:
                del self._stack.resources[resource.logical]
            else:
                failures.append(f"{resource.logical}: {failure}")

        if not failures:
            return None
        return f"The following resource(s) failed to delete: [{'; '.join(failures)}]"

    def _delete(self, resource: Resource) -> str | None:
        self._record(resource.subject, "DELETE_IN_PROGRESS")
        try:
            self._call_delete(resource)
        except (Refusal, ClientError, BotoCoreError) as error:
            self._record(resource.subject, "DELETE_FAILED", str(error))
            return str(error)
        self._record(resource.subject, "DELETE_COMPLETE")
        return None

    def _call_delete(self, resource: Resource) -> None:
        type_of(resource.type).delete(self._aws, resource.physical, resource.properties)

    def _make(self, logical: str, resolver: Resolver) -> str | None:
        """Create or change one resource."""
        declaration = resolver.template.resources[logical]
        old = self._stack.resources.get(logical)
        subject = Subject(logical, declaration.type)
        verb = "CREATE"
        if old is not None:
            subject = Subject(logical, declaration.type, old.physical)
            verb = "UPDATE"

        try:
            handler = type_of(declaration.type)
            properties = resolver.value(declaration.properties)
            if old is not None and _is_same(old, declaration, properties):
                old.retained = declaration.is_retained
                return None
            self._record(subject, f"{verb}_IN_PROGRESS")
            if old is None:
                made = self._create(logical, declaration, properties)
            elif old.type != declaration.type or handler.must_replace(old.properties, properties):
                made = self._replace(old, declaration, properties)
            else:
                made = self._update(old, declaration, properties)
        except (Refusal, ClientError, BotoCoreError, KeyError) as error:
            reason = _reason(error)
            self._record(subject, f"{verb}_FAILED", reason)
            failed = f"The following resource(s) failed to {verb.lower()}: [{logical}]"
            return f"{failed}. {reason}"

        self._stack.resources[logical] = made
        self._record(made.subject, f"{verb}_COMPLETE")
        return None

    def _create(
        self,
        logical: str,
        declaration: Declaration,
        properties: Properties,
    ) -> Resource:
        handler = type_of(declaration.type)
        name = handler.name_for(self._stack.name, logical, properties)
        physical = handler.create(self._aws, name, properties)
        return self._resource(
            logical,
            declaration,
            properties,
            physical,
        )

    def _update(
        self,
        old: Resource,
        declaration: Declaration,
        properties: Properties,
    ) -> Resource:
        handler = type_of(declaration.type)
        if handler.update is not None:
            handler.update(
                self._aws,
                old.physical,
                old.properties,
                properties,
            )
        updated = self._resource(
            old.logical,
            declaration,
            properties,
            old.physical,
        )
        updated.status = "UPDATE_COMPLETE"
        return updated

    def _replace(
        self,
        old: Resource,
        declaration: Declaration,
        properties: Properties,
    ) -> Resource:
        """Make a new resource, and delete the old one.

        The old one is deleted first where both would have the same name.
        """
        handler = type_of(declaration.type)
        name = handler.name_for(self._stack.name, old.logical, properties)
        same_name = handler.name is None or old.physical.endswith(name)
        if same_name:
            self._call_delete(old)
        physical = handler.create(self._aws, name, properties)
        if not same_name and declaration.replace_policy != "Retain":
            self._call_delete(old)
        return self._resource(
            old.logical,
            declaration,
            properties,
            physical,
        )

    def _resource(
        self,
        logical: str,
        declaration: Declaration,
        properties: Properties,
        physical: str,
    ) -> Resource:
        return Resource(
            logical=logical,
            type=declaration.type,
            physical=physical,
            properties=properties,
            retained=declaration.is_retained,
            changed_at=self._clock.now(),
        )

    def _record(
        self,
        subject: Subject,
        status: str,
        reason: str | None = None,
    ) -> None:
        self._stack.record(
            subject,
            status,
            reason,
            self._clock.now(),
        )


def _is_same(old: Resource, declaration: Declaration, properties: Properties) -> bool:
    return old.type == declaration.type and old.properties == properties


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):  # a property that the type needs
        return f"Resource handler returned message: {error!r}"
    return str(error)


def _outputs(resolver: Resolver) -> list[dict[str, str]]:
    outputs = []
    for name, declared in resolver.template.outputs.items():
        if not resolver.holds(declared.get("Condition")):
            continue
        output = {"OutputKey": name, "OutputValue": str(resolver.value(declared["Value"]))}
        if "Description" in declared:
            output["Description"] = declared["Description"]
        if "Export" in declared:
            output["ExportName"] = resolver.value(declared["Export"]["Name"])
        outputs.append(output)
    return outputs
