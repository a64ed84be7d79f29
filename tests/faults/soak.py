"""Thousands of cases: `make soak`, or `python -m tests.faults.soak --cases 20000 --seed 1`. Says which seeds it went through."""

import itertools
import time

import click

from tests.faults.campaign import KINDS, Campaign, Case, Violation, campaign, deaths

AT_ONCE = 100
"""Cases on one cloud: old ones make it slow."""


@click.command()
@click.option("--cases", default=5000, show_default=True, help="How many cases, every death of every kind included.")
@click.option("--seed", default=1000, show_default=True, help="The first seed; each random case takes the next one.")
@click.option("--minutes", type=float, help="Stop after so many minutes.")
def soak(cases: int, seed: int, minutes: float | None) -> None:
    """Play cases until one violates an invariant, all are played, or the time is over."""
    began, played, last = time.monotonic(), 0, seed
    todo = itertools.islice(itertools.chain(_every_death(), _random(seed)), cases)
    while batch := list(itertools.islice(todo, AT_ONCE)):
        if minutes is not None and time.monotonic() - began > minutes * 60:
            break
        with campaign() as here:
            for case, service in zip(batch, here.prepare(len(batch)), strict=True):
                _play(here, case, service)
                played, last = played + 1, max(last, case.seed)
        click.echo(f"{played} cases, seeds up to {last}, {time.monotonic() - began:.0f} s: no violation", nl=True)


def _play(here: Campaign, case: Case, service: str) -> None:
    try:
        here.run(case, service)
    except Violation as violation:
        raise click.ClickException(str(violation)) from violation


def _every_death() -> "itertools.chain[Case]":
    def of(kind: str) -> list[Case]:
        with campaign() as here:
            undisturbed = Case(kind, 0)
            here.run(undisturbed, here.prepare(1)[0])
        return [c for seed in range(3) for c in deaths(kind, undisturbed.first.calls, seed, all_of_them=True)]

    return itertools.chain.from_iterable(of(kind) for kind in KINDS)


def _random(seed: int) -> "itertools.chain[Case]":
    return itertools.chain.from_iterable(
        [Case(KINDS[number % len(KINDS)], number, random_faults=True)] for number in itertools.count(seed)
    )


if __name__ == "__main__":
    soak()
