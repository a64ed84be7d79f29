"""Runs the story, and leaves nothing behind, however it ends."""

import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from demo.scenario import StageError, SynthesisError
from demo.story import Story, StoryError, begins
from localcloud import functions
from localcloud.cdk import DeploymentFailedError
from localcloud.server import Cloud, running

_INTERRUPTED = 130  # what a shell reports for a program that ended by Ctrl-C


def run(*, plain: bool) -> int:
    """The exit code: 0, 1 where the story did not come out, 130 after Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal that cannot show a sign shows a question mark
    console = Console(no_color=True, force_terminal=False) if plain else Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(
            prefix="auto-rollback-demo-", ignore_cleanup_errors=True
        ) as folder:
            _tell(Story(console, Path(folder)))
    except KeyboardInterrupt:
        console.print("\nStopped. Nothing is left running.")
        return _INTERRUPTED
    except (StoryError, StageError, SynthesisError, DeploymentFailedError) as error:
        console.print(f"\n[bold red]The story did not come out:[/] {escape(str(error))}")
        return 1
    return 0


def _tell(story: Story) -> None:
    assembly = story.synthesize()
    with running(begins(), cold=True) as cloud:
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
