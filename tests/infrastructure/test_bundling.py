"""The zip is small, always the same, and needs nothing but itself."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from autorollback_cdk.bundling import AWS_SERVICES, LAMBDA, BundlingError, write_zip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_zip(tmp_path_factory.mktemp("zip") / "function.zip")


def test_it_is_under_5_mb_and_holds_no_compiled_code(bundle: Path) -> None:
    assert bundle.stat().st_size < 5_000_000
    names = zipfile.ZipFile(bundle).namelist()
    assert "autorollback/naming.py" in names
    assert not [
        name for name in names if name.endswith((".so", ".pyc", ".pyd")) or "__pycache__" in name
    ]


def test_the_same_content_is_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    assert write_zip(tmp_path / "again.zip").read_bytes() == bundle.read_bytes()


def test_the_handler_and_every_client_start_from_the_zip_alone(
    bundle: Path, tmp_path: Path
) -> None:
    unpacked = tmp_path / "task"
    zipfile.ZipFile(bundle).extractall(unpacked)
    handler = (
        "import autorollback.handler\n" if (LAMBDA / "autorollback/handler.py").exists() else ""
    )
    script = (
        f"import sys; sys.path.insert(0, {str(unpacked)!r})\n"
        "import boto3\nfrom aws_lambda_powertools import Logger, Metrics\n"
        f"{handler}"
        f"for service in {sorted(AWS_SERVICES)!r}: boto3.client(service, region_name='eu-central-1')\n"
        "foreign = [m.__file__ for m in list(sys.modules.values()) if 'site-packages' in (getattr(m, '__file__', '') or '')]\n"
        "assert not foreign, foreign\n"
    )
    environment = {
        "AUTO_ROLLBACK_NAME": "auto-rollback",
        "LEDGER_TABLE": "ledger",
        "TOPIC_ARN": "arn:aws:sns:eu-central-1:123456789012:auto-rollback",
        "POWERTOOLS_SERVICE_NAME": "auto-rollback",
        "POWERTOOLS_METRICS_NAMESPACE": "AutoRollback",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    ran = subprocess.run(
        [sys.executable, "-S", "-I", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stderr, ran.returncode) == ("", 0)


def test_the_wheel_holds_both_packages_and_says_where_a_zip_can_be_made(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "--target",
        "wheel",
        "--directory",
        str(tmp_path),
    ]
    subprocess.run(build, cwd=LAMBDA.parent, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("ecs_auto_rollback-*.whl")
    top = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {
        "autorollback",
        "autorollback_cdk",
    }
    script = (
        f"import sys; sys.path.insert(0, {str(wheel)!r})\n"
        "import autorollback, autorollback_cdk\n"
        "from autorollback_cdk.bundling import BundlingError, write_zip\n"
        "try: write_zip('function.zip')\n"
        "except BundlingError as error: print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-S", "-I", "-c", script], capture_output=True, text=True, check=False
    )
    assert (ran.stderr, ran.returncode) == ("", 0)
    assert "pip install -e <checkout>" in ran.stdout


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        pytest.param(
            "boto3==1.0.0", "is installed, 1.0.0 is pinned", id="another version than was tested"
        ),
        pytest.param(
            "no-such-distribution==1", "no-such-distribution is not installed", id="missing"
        ),
        pytest.param("boto3>=1", "'boto3>=1' given; allowed: <name>==<version>", id="no pin"),
        pytest.param("MarkupSafe==3.0.4", "holds compiled code", id="not pure Python"),
    ],
)
def test_what_differs_from_the_pins_is_refused(
    tmp_path: Path, requirement: str, message: str
) -> None:
    (tmp_path / "requirements.txt").write_text(f"{requirement}  # why\n")
    with pytest.raises(BundlingError, match=r".") as raised:
        write_zip(tmp_path / "function.zip", tmp_path)
    assert message in str(raised.value)
