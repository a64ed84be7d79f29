"""What a definition needs besides, and nobody looks for: it is named, and fails nobody."""

from collections.abc import Iterator

from autorollback.decision.definition import Content, Definition
from autorollback.decision.formatting import first_few
from autorollback.decision.lookups import Lookup
from autorollback.decision.preflight_case import PreflightCase, PreflightCheck, PreflightTarget
from autorollback.decision.verdicts import Check, CheckName

NAMED = 8
"""As many are named; the rest is counted."""


def needs(_: PreflightTarget) -> frozenset[Lookup]:
    """Nothing: it is only named."""
    return frozenset()


def find(case: PreflightCase) -> tuple[Check, ...]:
    """One finding that names them all; none where there are none."""
    named = list(dict.fromkeys(_needed(case.target.definition)))
    if not named:
        return ()
    detail = f"not checked: {', '.join(first_few(named, NAMED))}"
    return (Check(CheckName.NEEDS, None, detail),)


def _needed(definition: Definition) -> Iterator[str]:
    """Log groups, files in S3, and file systems."""
    for container in definition.containers:
        yield from _of_logging(container.get("logConfiguration") or {})
        for file in container.get("environmentFiles", []):
            yield f"environment file {file.get('value')}"
        options = (container.get("firelensConfiguration") or {}).get("options") or {}
        if options.get("config-file-type") == "s3":
            yield f"log router's file {options.get('config-file-value')}"
    for spec in definition.credential_specs:
        if ":s3:" in spec:
            yield f"credential specification {spec}"
    for volume in definition.volumes:
        yield from _of_volume(volume)


def _of_logging(logging: Content) -> Iterator[str]:
    """The log group, unless the log driver makes it (awslogs-create-group, AWS's log driver)."""
    options = logging.get("options") or {}
    group = options.get("awslogs-group")
    makes_it = str(options.get("awslogs-create-group")).lower() == "true"
    if logging.get("logDriver") == "awslogs" and group and not makes_it:
        yield f"log group {group}"


def _of_volume(volume: Content) -> Iterator[str]:
    """The file system of a volume, of whichever kind has one."""
    elastic = volume.get("efsVolumeConfiguration") or {}
    if elastic:
        yield f"EFS file system {elastic.get('fileSystemId')}"
    windows = volume.get("fsxWindowsFileServerVolumeConfiguration") or {}
    if windows:
        yield f"FSx file system {windows.get('fileSystemId')}"
    if volume.get("s3filesVolumeConfiguration"):
        yield f"S3 files of the volume {volume.get('name')}"


CHECK = PreflightCheck(CheckName.NEEDS, needs, find)
