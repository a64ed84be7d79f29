"""What `cdk` runs: reads the context, makes the stack."""

import sys
from pathlib import Path

import aws_cdk as cdk

from autorollback.naming import Names
from autorollback_cdk.bundling import BundlingError
from autorollback_cdk.rollback_stack import RollbackStack
from autorollback_cdk.services import load


def main() -> None:
    """Synthesizes the app; whatever is wrong with its input is one line on stderr."""
    app = cdk.App()
    names = Names(str(app.node.try_get_context("name") or ""))
    services = Path(app.node.try_get_context("services") or "services.yaml")
    RollbackStack(app, names=names, configuration=load(services, names))
    app.synth()


if __name__ == "__main__":
    try:
        main()
    except (ValueError, BundlingError) as error:
        sys.exit(str(error))
