"""Thousands of cases, all drawn from one seed: `make soak`, or `python -m tests.faults.soak --cases 20000 --seed 1`.

Every kind of incident has its turn, one after the other. Of each kind, a case that is foreseen (the process dies around one of its
calls, the answer of one is lost, nothing can be sent for an hour) takes turns with one in which anything may go wrong. The deaths come in an order that the seed draws, and begin anew when
all have been played; the random cases are numbered from the seed on, so that no two seeds far apart play the same.
"""

import io
import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace

import click

from tests.faults.campaign import KINDS, Campaign, Case, Violation, campaign, deaths, losses
from tests.flows import bad_input

AT_ONCE = 100
"""Cases on one cloud: old ones make it slow."""

NEXT_ONES = 3
"""Who goes on after a death: a retry, a duplicate or the sweep; each death is played with each of them."""


@click.command()
@click.option("--cases", default=5000, show_default=True, help="How many cases.")
@click.option(
    "--seed",
    default=1000,
    show_default=True,
    help="Of the order of deaths; random cases count on from it.",
)
@click.option("--minutes", type=float, help="Stop after so many minutes.")
@click.option(
    "--inputs",
    default=5000,
    show_default=True,
    help="How many inputs of each kind something went wrong with, before the cases.",
)
def soak(cases: int, seed: int, minutes: float | None, inputs: int) -> None:
    """Play cases until one violates an invariant, all are played, or the time is over."""
    began = time.monotonic()
    bad_inputs(seed, inputs)
    deaths_of = {kind: _deaths_of(kind) for kind in KINDS}
    todo = itertools.islice(drawn(deaths_of, seed), cases)
    played: list[Case] = []
    while batch := list(itertools.islice(todo, AT_ONCE)):
        if minutes is not None and time.monotonic() - began > minutes * 60:
            break
        with campaign() as here:
            for case, service in zip(batch, here.prepare(len(batch)), strict=True):
                _play(here, case, service)
                played.append(case)
        click.echo(f"{len(played)} cases, {time.monotonic() - began:.0f} s: no violation")
    for line in summary(played, deaths_of):
        click.echo(line)


def bad_inputs(seed: int, number: int) -> None:
    """Payloads, events, policies and ledger items, each with something wrong, from the seed on."""
    for kind, check in bad_input.CHECKS.items():
        for one in range(seed, seed + number):
            with redirect_stdout(io.StringIO()):  # what is counted is printed
                try:
                    check(one)
                except Exception as error:  # raised again, with the seed that makes it
                    error.add_note(f"{kind}, seed {one}")
                    raise
        click.echo(f"{number} inputs of the kind {kind}: refused by name, or read as they are")


def drawn(deaths_of: dict[str, list[Case]], seed: int) -> Iterator[Case]:
    """The cases of a seed, without end."""
    dying = {kind: _over_and_over(kind, found, seed) for kind, found in deaths_of.items()}
    numbers = itertools.count(seed)
    while True:
        for kind in deaths_of:
            yield next(dying[kind])
        for kind in deaths_of:
            yield Case(kind, next(numbers), random_faults=True)


def summary(played: list[Case], deaths_of: dict[str, list[Case]]) -> Iterator[str]:
    """What was played of each kind: how many of its deaths, and how many random cases by which seeds."""
    for kind, found in deaths_of.items():
        of_kind = [case for case in played if case.kind == kind]
        foreseen = [case for case in of_kind if not case.random_faults]
        died = Counter(str(case) for case in foreseen if case.first.dies_at is not None)
        lost = Counter(str(case) for case in foreseen if case.first.lost)
        silent = Counter(str(case) for case in foreseen if case.mail_fails)
        seeds = [case.seed for case in of_kind if case.random_faults]
        by_seeds = f", seeds {min(seeds)} to {max(seeds)}" if seeds else ""
        deaths_found = sum(case.first.dies_at is not None for case in found)
        losses_found = sum(bool(case.first.lost) for case in found)
        yield (
            f"{kind}: {len(died)} of {deaths_found} deaths, {len(lost)} of {losses_found} lost answers, "
            f"{silent.total()} without messages, {len(seeds)} random cases{by_seeds}"
        )


def _over_and_over(kind: str, found: list[Case], seed: int) -> Iterator[Case]:
    """All deaths of a kind in an order of their own, and again in another."""
    chance = random.Random(f"{seed} {kind}")  # noqa: S311 - the seed makes the order again
    while True:
        for case in chance.sample(found, len(found)):
            yield replace(case, first=replace(case.first, calls=[]))


def _deaths_of(kind: str) -> list[Case]:
    """All that is not left to chance: every death around a call of an undisturbed delivery, with whoever goes on.

    So is every write whose answer is lost, and an hour in which nothing can be sent.
    """
    with campaign() as here:
        undisturbed = Case(kind, 0)
        here.run(undisturbed, here.prepare(1)[0])
    calls = undisturbed.first.calls
    every = [
        case for turn in range(NEXT_ONES) for case in deaths(kind, calls, turn, all_of_them=True)
    ]
    every += [*losses(kind, calls), Case(kind, 0, mail_fails=True)]
    by_words = {str(replace(case, seed=0)): replace(case, seed=0) for case in every}
    return list(by_words.values())


def _play(here: Campaign, case: Case, service: str) -> None:
    try:
        here.run(case, service)
    except Violation as violation:
        raise click.ClickException(str(violation)) from violation


if __name__ == "__main__":
    soak()
