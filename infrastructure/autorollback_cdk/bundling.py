"""The function's zip, from its own code and the pinned distributions that are installed.

No Docker and no network: everything is pure Python, so what is installed here is what Lambda runs. The bytes depend on
the content alone, so that an unchanged function is not deployed again.
"""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath

LAMBDA = Path(__file__).resolve().parents[2] / "lambda"

# The clients that the function makes. STS is asked who we are; the account is part of ARNs.
AWS_SERVICES = frozenset(
    {
        "cloudwatch",
        "codedeploy",
        "dynamodb",
        "ecr",
        "ecs",
        "elbv2",
        "events",
        "iam",
        "secretsmanager",
        "sns",
        "ssm",
        "sts",
    }
)
# What Powertools' Logger and Metrics import: the package's own start needs the Tracer, the Logger jmespath_utils.
POWERTOOLS = (
    "exceptions",
    "logging",
    "metrics",
    "middleware_factory",
    "package_logger.py",
    "shared",
    "tracing",
    "utilities/__init__.py",
    "utilities/jmespath_utils",
    "utilities/typing",
    "warnings",
    "__init__.py",
)

_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)")
_COMPILED = {".so", ".pyd", ".dylib", ".dll"}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say


class BundlingError(Exception):
    """The environment does not hold what `lambda/requirements.txt` pins.

    The zip would not be what was tested.
    """


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of `lambda/requirements.txt`."""

    name: str
    version: str


def write_zip(target: Path, source: Path = LAMBDA) -> Path:
    """Write the function's zip to `target`, which it returns.

    The same content gives the same bytes.

    Raises:
        BundlingError: the sources are not there, or a pinned distribution is missing, has another version, or has
            compiled code.
    """
    if not (source / "requirements.txt").is_file():
        raise BundlingError(
            f"there is no {source / 'requirements.txt'}: the function's zip is made in a checkout of this project; "
            "install that into your app's environment: pip install -e <checkout>"
        )
    files = dict(_own_code(source))
    for pin in read_pins(source / "requirements.txt"):
        files.update(_distribution(pin))
    with zipfile.ZipFile(
        target,
        "w",
        zipfile.ZIP_DEFLATED,
        compresslevel=9,
    ) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            # Unix, wherever it was made: the permission bits below are read as such
            entry.create_system = 3
            # Lambda's user is another than the files' owner and must read them
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name].read_bytes())
    return target


def read_pins(requirements: Path) -> tuple[Pin, ...]:
    """The pinned distributions; anything but `name==version` is refused.

    Raises:
        BundlingError: naming the line.
    """
    pins = []
    for line in requirements.read_text(encoding="utf-8").splitlines():
        requirement = line.partition("#")[0].strip()
        if not requirement:
            continue
        match = _PIN.fullmatch(requirement)
        if match is None:
            message = f"{requirements}: {requirement!r} given; allowed: <name>==<version>"
            raise BundlingError(message)
        pins.append(Pin(match["name"], match["version"]))
    return tuple(pins)


def _own_code(source: Path) -> Iterator[tuple[str, Path]]:
    for path in (source / "autorollback").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(source).as_posix(), path


def _distribution(pin: Pin) -> Iterator[tuple[str, Path]]:
    distribution = _installed(pin)
    if not distribution.files:
        reason = f"{pin.name} is installed without a list of its files (an editable install?)"
        raise BundlingError(f"{reason}; {_REMEDY}")
    for file in distribution.files:
        if file.suffix in _COMPILED:
            reason = f"{pin.name} holds compiled code ({file})"
            raise BundlingError(f"{reason}, which would not run on every architecture")
        if _is_needed(PurePosixPath(file.as_posix())):
            yield file.as_posix(), Path(str(distribution.locate_file(file)))


def _installed(pin: Pin) -> metadata.Distribution:
    try:
        distribution = metadata.distribution(pin.name)
    except metadata.PackageNotFoundError as error:
        raise BundlingError(f"{pin.name} is not installed; {_REMEDY}") from error
    if distribution.version != pin.version:
        installed = f"{pin.name} {distribution.version} is installed"
        pinned = f"{pin.version} is pinned in lambda/requirements.txt"
        raise BundlingError(f"{installed}, {pinned}; {_REMEDY}")
    return distribution


_REMEDY = "install what is pinned: make install"


def _is_needed(file: PurePosixPath) -> bool:
    parts = file.parts
    if ".." in parts or "__pycache__" in parts or parts[0].endswith(".dist-info"):
        return False
    if parts[0] == "boto3":
        # its data is of boto3's resources; the function uses clients
        return parts[1] not in ("data", "examples")
    if parts[:2] == ("botocore", "data"):
        return _is_needed_model(parts[2:])
    if parts[0] == "aws_lambda_powertools":
        inside = PurePosixPath(*parts[1:])
        return any(inside.is_relative_to(kept) for kept in POWERTOOLS)
    return True


def _is_needed_model(parts: tuple[str, ...]) -> bool:
    """Of botocore's data: what is about all services (endpoints, partitions, retries), and the services used."""
    if len(parts) == 1:
        return True
    return parts[0] in AWS_SERVICES and not parts[-1].startswith("examples")
