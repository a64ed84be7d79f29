"""The local cloud is AWS on this machine, and could serve any project."""

import re
from pathlib import Path

import pytest

import localcloud

FOLDER = Path(localcloud.__file__).parent
OF_THE_PRODUCT = re.compile(
    r"auto[-_ ]rollback(?!_configuration)|autorollback|\bAutoRollback\b|\bdemo\b|auth-service|services\.yaml|rollback\.sh"
)


@pytest.mark.parametrize(
    "file", sorted(FOLDER.rglob("*.py")), ids=lambda file: str(file.relative_to(FOLDER))
)
def test_it_does_not_mention_the_product(file: Path) -> None:
    """CodeDeploy's own word is `autoRollbackConfiguration`; it may stay."""
    text = file.read_text(encoding="utf-8")
    assert OF_THE_PRODUCT.findall(text) == []
