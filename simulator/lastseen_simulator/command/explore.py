"""`lastseen explore`: every schedule of a small scope, over the real session and gateway."""

import sys
import time
from typing import Final

import click
import msgspec

from lastseen_simulator.broken import WITHOUT
from lastseen_simulator.command import CommandError
from lastseen_simulator.explore.dialects import DIALECTS
from lastseen_simulator.explore.scopes import Situation, bounds_of
from lastseen_simulator.explore.search import Finding, Progress, Search
from lastseen_simulator.explore.telling import lines_of, members_of
from lastseen_simulator.explore.worlds import World

__all__ = ["explore"]

_WATCHED_S: Final = 0.5
_UNWATCHED_S: Final = 5.0
"""Between two lines of progress, where each one is kept."""


@click.command(
    epilog="""\b
--json prints one object a line. Its 'event' is one of
  scope      dialect, scope, without, situations: the bounds of each, by name
  progress   states, transitions, depth, frontier, rate (states a processor second)
  violation  situation, length, steps, problems
  summary    states, transitions, depth, rate, complete, violation; always the last

\b
Exit codes:
  0  every state was looked at, and nothing is wrong in any
  1  a violation; its shortest schedule is printed
  2  interrupted, or --states was reached: what was done is printed

\b
Examples:
  lastseen explore --dialect oddspapi --scope small
  lastseen explore --dialect oddspapi --without R4
"""
)
@click.option(
    "--dialect", type=click.Choice(tuple(DIALECTS)), required=True, help="Whose feed is explored."
)
@click.option(
    "--scope",
    type=click.Choice(("small", "medium")),
    default="small",
    show_default=True,
    help="How much may happen.",
)
@click.option(
    "--without",
    type=click.Choice(tuple(WITHOUT)),
    help="Break this rule of the client, to see what it is good for.",
)
@click.option(
    "--everywhere",
    is_flag=True,
    help="With --without: all of the scope, not only where the rule shows soonest.",
)
@click.option(
    "--states",
    "states_max",
    type=click.IntRange(min=1),
    help="End after about so many distinct states.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON Lines on stdout, for programs.")
def explore(
    dialect: str,
    scope: str,
    without: str | None,
    everywhere: bool,
    states_max: int | None,
    as_json: bool,
) -> int:
    """Look at every state that a client and a gateway can get into within bounds.

    Both are the real ones; whatever may happen happens in every order. In each state the safety
    invariants are checked, and that the client recovers from there when nothing more goes wrong.
    """
    situations = _chosen(dialect, scope, without, everywhere=everywhere)
    world = DIALECTS[dialect].world(situations, without)
    search = Search(world)
    bounds = bounds_of(situations)
    if as_json:
        _print_json("scope", dialect=dialect, scope=scope, without=without, situations=bounds)
    else:
        for name, members in bounds.items():
            told = ", ".join(f"{kind} {most}" for kind, most in members.items())
            click.echo(f"{name}: at most {told}")
    progress = _Ticker(as_json=as_json)
    finding: Finding | None = None
    try:
        finding = search.run(progress.tell, states_max=states_max)
    except KeyboardInterrupt:
        search.stop()
    progress.end()
    _conclude(search, world, finding, as_json=as_json)
    if finding is not None:
        return 1
    return 0 if search.progress.complete else 2


def _chosen(
    dialect: str, scope: str, without: str | None, *, everywhere: bool
) -> tuple[Situation, ...]:
    """The situations that are asked for."""
    explored = DIALECTS[dialect]
    if without is not None and not everywhere:
        if without not in explored.shown_in:
            told = f"{without} has no part in a client of {dialect}; try --everywhere"
            raise CommandError(told, exit_code=2)
        return (explored.shown_in[without],)
    if scope not in explored.scopes:
        raise CommandError(f"{dialect} has no scope of this size: {scope}", exit_code=2)
    return explored.scopes[scope]


class _Ticker:
    """A line that is written over where somebody watches, and else now and then one more.

    With --json it is one of stdout.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._watched = sys.stderr.isatty()
        self._every_s = _WATCHED_S if as_json or self._watched else _UNWATCHED_S
        self._next = time.monotonic() + self._every_s

    def tell(self, progress: Progress) -> None:
        """Shows how far it is, not too often."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._every_s
        if self._as_json:
            _print_json("progress", **_figures(progress), frontier=progress.frontier)
            return
        line = (
            f"{progress.states:,} states, {progress.rate:,.0f}/s, depth {progress.depth}, "
            f"{progress.frontier:,} to look at"
        )
        click.echo(f"\r{line}\x1b[K" if self._watched else line, nl=not self._watched, err=True)

    def end(self) -> None:
        """Leaves a clean line."""
        if self._watched and not self._as_json:
            click.echo("\r\x1b[K", nl=False, err=True)


def _conclude(search: Search, world: World, finding: Finding | None, *, as_json: bool) -> None:
    progress = search.progress
    clients, venues = world.machines
    if as_json:
        if finding is not None:
            _print_json("violation", **members_of(finding, world))
        _print_json(
            "summary",
            **_figures(progress),
            complete=progress.complete,
            violation=finding is not None,
            clients=clients,
            gateways=venues,
            longest_recovery=progress.longest_recovery,
        )
        return
    click.echo(
        f"{progress.states:,} distinct states ({clients:,} of the client, {venues:,} of the "
        f"gateway), {progress.transitions:,} transitions, depth {progress.depth}, "
        f"{progress.rate:,.0f} states/s"
    )
    if finding is not None:
        click.echo("violation, by a shortest schedule")
        for line in lines_of(finding, world):
            click.echo(line)
    elif progress.complete:
        click.echo(
            "no violation in any state; from each the client recovers, in "
            f"{progress.longest_recovery} fault-free steps at most"
        )
    else:
        click.echo("not finished: no violation so far")


def _figures(progress: Progress) -> dict[str, int]:
    return {
        "states": progress.states,
        "transitions": progress.transitions,
        "depth": progress.depth,
        "rate": round(progress.rate),
    }


def _print_json(event: str, /, **members: object) -> None:
    click.echo(msgspec.json.encode({"event": event, **members}).decode())
