"""rollback.sh with the real aws command, against the deployed stack."""

import os
import pty
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from demo.scenario import Stage
from tests import confinement

PROJECT = Path(__file__).resolve().parent.parent.parent
SCRIPT = PROJECT / "rollback.sh"

pytestmark = pytest.mark.xdist_group("rollback.sh")


@dataclass(frozen=True)
class Said:
    """What the script ended with: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


def run(stage: Stage, home: Path, *arguments: str, **environment: str) -> Said:
    """Without a terminal, and with no AWS settings but those of the local cloud."""
    settings = surroundings(stage, home) | environment
    done = subprocess.run(
        [str(SCRIPT), *arguments],
        env={name: value for name, value in settings.items() if value},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def surroundings(stage: Stage, home: Path) -> dict[str, str]:
    """Of a person whose aws command talks to the local cloud, and to nothing else."""
    own = {"HOME": str(home), "TMPDIR": str(home)}
    return {**confinement.environment(), **own, **stage.cloud.environment("person")}


def test_a_person_rolls_back(scene: Callable[..., Stage], tmp_path: Path) -> None:
    stage = scene()
    good = {stage.digests["auth-service:v18"]: 4}
    stage.deploy_bad()
    stage.passes(timedelta(minutes=2))

    refused = run(stage, tmp_path, "auth-service")
    assert refused.code == 2
    assert "--plan or --yes" in refused.err

    planned = run(stage, tmp_path, "auth-service", "--plan")
    assert planned.code == 0, planned
    assert planned.out.startswith(
        "Plan: auth-service would be rolled back from auth-service:19 to auth-service:18"
    )
    assert stage.running_revision() == "auth-service:19"

    assert declined(stage, tmp_path).endswith("Nothing was changed.")
    assert stage.running_revision() == "auth-service:19"

    reason = 'it\'s "down" \\ $(touch pwned) `id`\nsecond line, ü'
    acted = run(stage, tmp_path, "auth-service", "18", "--yes", "--reason", reason)
    assert acted.code == 0, acted
    assert acted.out.startswith(
        "Rolled back: auth-service rolled back from auth-service:19 to auth-service:18"
    )
    stage.passes(timedelta(minutes=2))
    assert stage.running() == good
    (record,) = stage.incidents()
    assert 'it\'s \\"down\\" \\\\ $(touch pwned) `id` second line, \\u00fc' in record["intent"]

    again = run(stage, tmp_path, "auth-service", "auth-service:18", "--yes")
    assert again.code == 0, again
    assert again.out.startswith("Nothing to do: ")
    assert list(tmp_path.iterdir()) == [], "it leaves no files"


def test_what_cannot_be_undone_is_said_before_it_is_done(
    scene: Callable[..., Stage], tmp_path: Path
) -> None:
    stage = scene()
    service = stage.client("ecs").describe_services(
        cluster="my-cluster", services=["auth-service"]
    )["services"][0]["serviceArn"]
    tag = {"key": "auto-rollback:irreversible", "value": "orders table was split"}
    stage.client("ecs").tag_resource(resourceArn=service, tags=[tag])
    stage.deploy_bad()
    stage.passes(timedelta(minutes=3))

    for arguments in (["--plan"], ["--yes"], ["18", "--yes"], ["18", "--plan"]):
        held = run(stage, tmp_path, "auth-service", *arguments)
        assert held.code == 2, held
        assert "Held: auth-service is not rolled back: the service has the tag" in held.out
        assert "auto-rollback:irreversible; force acts all the same" in held.out
        assert "hold: irreversible_change: " in held.out
    assert stage.running_revision() == "auth-service:19"
    assert stage.incidents() == []

    planned = run(stage, tmp_path, "auth-service", "--plan", "--force")
    assert planned.code == 0, planned
    assert "passed: irreversible_change: the service has the tag" in planned.out
    acted = run(stage, tmp_path, "auth-service", "--yes", "--force")
    assert acted.code == 0, acted
    stage.passes(timedelta(minutes=2))
    assert stage.running_revision() == "auth-service:18"


def declined(stage: Stage, home: Path) -> str:
    """What is on a terminal after the question was answered with no."""
    controller, terminal = pty.openpty()
    settings = surroundings(stage, home)
    with subprocess.Popen(
        [str(SCRIPT), "auth-service"],
        env=settings,
        stdin=terminal,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        os.write(controller, b"n\n")
        out, _ = process.communicate(timeout=200)
    os.close(controller)
    os.close(terminal)
    assert process.returncode == 2
    assert "Plan: " in out
    assert "Roll back now? [y/N]" in out
    return out.strip()


def test_what_goes_wrong_is_said(scene: Callable[..., Stage], tmp_path: Path) -> None:
    stage = scene()

    rejected = run(stage, tmp_path, "auth-service", "99", "--yes")
    assert rejected.code == 2
    assert 'Rejected: revision: "99" given' in rejected.err

    unknown = run(stage, tmp_path, "nobody", "--yes")
    assert unknown.code == 2
    assert "the nearest are my-cluster/auth-service" in unknown.err

    not_deployed = run(stage, tmp_path, "auth-service", "--yes", "--name", "blue")
    assert not_deployed.code == 1
    assert "There is no function auto-rollback-blue" in not_deployed.err

    anonymous = run(
        stage, tmp_path, "auth-service", "--yes", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""
    )
    assert anonymous.code == 1
    assert "AWS credentials are missing" in anonymous.err

    bare = tmp_path / "bin"  # the machine's own folders may well hold an aws command
    bare.mkdir()
    (bare / "bash").symlink_to(str(shutil.which("bash")))
    without_aws = run(stage, tmp_path, "auth-service", "--yes", PATH=str(bare))
    assert without_aws.code == 1
    assert "The aws command is missing" in without_aws.err

    stage.client("lambda").update_function_configuration(
        FunctionName="auto-rollback", Handler="autorollback.missing.handle"
    )
    broken = run(stage, tmp_path, "auth-service", "--yes")
    assert broken.code == 1
    assert "The function failed: Runtime.ImportModuleError" in broken.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(
            ["auth-service", "--undo"],
            "Unknown option --undo",
            id="an option that does not exist",
        ),
        pytest.param(["auth-service", "18", "19"], "what is 19?", id="one word too many"),
        pytest.param(
            ["auth-service", "--reason"], "--reason needs a value", id="an option without its value"
        ),
        pytest.param(
            ["auth-service", ""],
            "An argument is empty",
            id="a revision that a script forgot to set",
        ),
        pytest.param(["auth-service", "--name", ""], "--name needs a value", id="an empty name"),
        pytest.param(
            ["auth-service", "--cluster="], "--cluster needs a value", id="an empty cluster"
        ),
    ],
)
def test_a_command_line_that_is_not_understood_does_nothing(
    arguments: list[str], said: str
) -> None:
    done = subprocess.run([str(SCRIPT), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr
