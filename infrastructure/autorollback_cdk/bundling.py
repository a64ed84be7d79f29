"""The function's zip: its own code and the pinned distributions, copied from the environment that runs the synthesis.

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
    """The environment does not hold what `lambda/requirements.txt` pins, so the zip would not be what was tested."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of `lambda/requirements.txt`."""

    name: str
    version: str


def write_zip(target: Path, source: Path = LAMBDA) -> Path:
    """Writes the function's zip to `target`, which it returns; twice the same content is twice the same bytes.

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
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever it was made: the permission bits below are read as such
            entry.external_attr = 0o100644 << 16  # Lambda's user is another than the files' owner and must read them
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
            raise BundlingError(f"{requirements}: {requirement!r} given; allowed: <name>==<version>")
        pins.append(Pin(match["name"], match["version"]))
    return tuple(pins)


def _own_code(source: Path) -> Iterator[tuple[str, Path]]:
    for path in (source / "autorollback").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(source).as_posix(), path


def _distribution(pin: Pin) -> Iterator[tuple[str, Path]]:
    try:
        distribution = metadata.distribution(pin.name)
    except metadata.PackageNotFoundError as error:
        raise BundlingError(f"{pin.name} is not installed; {_REMEDY}") from error
    if distribution.version != pin.version:
        raise BundlingError(
            f"{pin.name} {distribution.version} is installed, {pin.version} is pinned in lambda/requirements.txt; {_REMEDY}"
        )
    if not distribution.files:
        raise BundlingError(f"{pin.name} is installed without a list of its files (an editable install?); {_REMEDY}")
    for file in distribution.files:
        if file.suffix in _COMPILED:
            raise BundlingError(f"{pin.name} holds compiled code ({file}), which would not run on every architecture")
        if _is_needed(PurePosixPath(file.as_posix())):
            yield file.as_posix(), Path(str(distribution.locate_file(file)))


_REMEDY = "install what is pinned: make install"


def _is_needed(file: PurePosixPath) -> bool:
    parts = file.parts
    if ".." in parts or "__pycache__" in parts or parts[0].endswith(".dist-info"):
        return False
    if parts[0] == "boto3":
        return parts[1] not in ("data", "examples")  # the data is of boto3's resources; the function uses clients
    if parts[:2] == ("botocore", "data"):
        # files in the root of data are about all services: endpoints, partitions, retries, defaults
        return len(parts) == 3 or (parts[2] in AWS_SERVICES and not parts[-1].startswith("examples"))
    if parts[0] == "aws_lambda_powertools":
        rest = "/".join(parts[1:])
        return any(rest == kept or rest.startswith(f"{kept}/") for kept in POWERTOOLS)
    return True
