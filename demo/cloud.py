"""`python -m demo.cloud`, which is `make cloud`: see `--help`."""

import sys

import click

from localcloud.isolation import forget_aws_of_the_user

PORT = 4566


@click.command()
@click.option(
    "--port",
    default=PORT,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="Where it listens, on localhost only.",
)
@click.option(
    "--speed",
    default=1,
    show_default=True,
    type=click.IntRange(1, 60),
    help="Minutes that pass in a minute.",
)
def main(port: int, speed: int) -> None:
    """Starts the local cloud, deploys the stack to it, and stays up until Ctrl-C.

    A service auth-service has served revision 18 for six days; revision 19 is registered and bad. Nothing touches AWS.
    """
    try:
        forget_aws_of_the_user()
        from demo.keep_up import keep_up

        sys.exit(keep_up(port, speed))
    except KeyboardInterrupt:
        sys.exit(130)  # before anything was begun


if __name__ == "__main__":
    main()
