"""`python -m localcloud.demo`: see `--help`."""

import signal
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from localcloud import functions
from localcloud.cdk import DeploymentFailedError
from localcloud.demo.story import Story, StoryError, begins
from localcloud.server import Cloud, running
from localcloud.stage import StageError, SynthesisError, forget_aws_of_the_user

_INTERRUPTED = 130  # what a shell reports for a program that ended by Ctrl-C


@click.command()
@click.option("--plain", is_flag=True, help="No colours and nothing that moves, as when the output is not a terminal.")
def main(plain: bool) -> None:  # noqa: FBT001 - click's way
    """Shows, on this machine and in less than a minute, a bad deployment being rolled back.

    The real template and the real zip of the function run on a local cloud: no AWS account, no Docker, no network.
    Simulated time passes quickly. It ends by checking that the service runs the good build again: exit code 0, or 1 with
    what was missing. Ctrl-C stops it at any moment and leaves nothing behind.
    """
    forget_aws_of_the_user()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal that cannot show a sign shows a question mark
    console = Console(no_color=True, force_terminal=False) if plain else Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="auto-rollback-demo-", ignore_cleanup_errors=True) as folder:
            _tell(Story(console, Path(folder)))
    except KeyboardInterrupt:
        console.print("\nStopped. Nothing is left running.")
        sys.exit(_INTERRUPTED)
    except (StoryError, StageError, SynthesisError, DeploymentFailedError) as error:
        console.print(f"\n[bold red]The story did not come out:[/] {escape(str(error))}")
        sys.exit(1)


def _tell(story: Story) -> None:
    assembly = story.synthesize()
    with running(begins()) as cloud:
        try:
            scene = story.set_scene(cloud, assembly)
            story.play(scene)
            story.sum_up(scene)
        finally:
            _let_functions_end(cloud)


def _let_functions_end(cloud: Cloud) -> None:
    """While the cloud still answers them; a further Ctrl-C does not leave them behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    functions.of(cloud).drain()


if __name__ == "__main__":
    main()
