"""One synthesis for all tests of the stack: starting the CDK's Node process takes seconds."""

import pytest

from tests.infrastructure.synthesis import Template, synthesize


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The example configuration's only stack, checked by cdk-nag: its findings make the synthesis raise."""
    stacks = synthesize(tmp_path_factory.mktemp("cdk"), checked=True)
    assert list(stacks) == ["AutoRollback"]
    return stacks["AutoRollback"]
