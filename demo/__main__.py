"""`python -m demo`: see `--help`."""

import sys

import click

from localcloud.isolation import forget_aws_of_the_user


@click.command()
@click.option(
    "--plain",
    is_flag=True,
    help="No colours and nothing that moves, as when the output is not a terminal.",
)
def main(plain: bool) -> None:  # noqa: FBT001 - click's way
    """Shows, on this machine and in less than a minute, a bad deployment being rolled back.

    The real template and the real zip of the function run on a local cloud: no AWS account, no Docker, no network.
    Simulated time passes quickly. It ends by checking that the service runs the good build again: exit code 0, or 1 with
    what was missing. Ctrl-C stops it at any moment and leaves nothing behind.
    """
    try:
        forget_aws_of_the_user()
        from demo.program import run

        sys.exit(run(plain=plain))
    except KeyboardInterrupt:
        sys.exit(130)  # before anything was begun


if __name__ == "__main__":
    main()
