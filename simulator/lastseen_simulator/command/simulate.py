"""`lastseen simulate`: many runs of the world in a box, each from a seed, judged at each step."""

import re
import time
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.console import Console
from rich.live import Live
from rich.text import Text

from lastseen.mechanisms import Mechanisms
from lastseen_simulator.command import CommandError
from lastseen_simulator.world.outcome import Outcome
from lastseen_simulator.world.picture import draw_story
from lastseen_simulator.world.plan import Plan, PlanError
from lastseen_simulator.world.plans import DRAWS, draw
from lastseen_simulator.world.shrink import shrink
from lastseen_simulator.world.sweep import Sweep, sweep
from lastseen_simulator.world.telling import plan_words, story_words
from lastseen_simulator.world.world import World

__all__ = ["simulate"]

_LOOK_S: Final = 0.1
_SHOWN_MAX: Final = 3
"""Failing seeds that are shrunk; the others are listed."""


class _Seeds(click.ParamType[range]):
    name = "FROM..TO"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> range:
        if isinstance(value, range):
            return value
        match = re.fullmatch(r"([0-9]{1,12})(?:\.\.([0-9]{1,12}))?", str(value))
        if match is None:
            self.fail(f"{value!r} is no range of seeds: write 0..999, or one seed", param, ctx)
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        if last < first:
            self.fail(f"{value!r} ends before it begins", param, ctx)
        return range(first, last + 1)


@click.command(
    epilog="""\b
Example:
  lastseen simulate --dialect oddspapi --seeds 0..999 --jobs 2
  lastseen simulate --replay failing-oddspapi-17.json
\b
Exit codes:
  0    every invariant held, and every coverage mark was hit
  1    a run failed, or a mark was missed
  2    wrong usage, or a file that is no plan
  130  Ctrl-C, after telling what was done
"""
)
@click.option(
    "--dialect",
    type=click.Choice(["all", *DRAWS]),
    default="all",
    show_default=True,
    help="Whose sessions and gateway.",
)
@click.option(
    "--seeds",
    type=_Seeds(),
    default="0..199",
    show_default=True,
    help="Which seeds, both ends included.",
)
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
@click.option(
    "--marks/--no-marks",
    default=True,
    show_default=True,
    help="Whether a coverage mark that no run hit makes the run set red.",
)
@click.option(
    "--replay",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Play the plan in this file instead, and tell its story.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where the files of failing seeds go; the present folder if not given.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON Lines on stdout, for programs.")
def simulate(
    dialect: str,
    seeds: range,
    jobs: int,
    marks: bool,
    replay: Path | None,
    out: Path,
    as_json: bool,
) -> int:
    """Play seeded runs of the world in a box and judge every step.

    Real sessions, the real gateway, a network, a disk and an application that fail, in one thread
    and in virtual time. A run breaks things and checks that nothing is ever silently wrong; then
    the faults end, and everything has to be in order again within a published bound. The same seeds
    give the same hash. A failing seed is shrunk to its shortest plan and written to a file.
    """
    if replay is not None:
        return _replay(replay, as_json=as_json)
    dialects = tuple(DRAWS) if dialect == "all" else (dialect,)
    console = Console(stderr=True)
    wanted = len(dialects) * len(seeds)
    total = Sweep(dialects)
    began = time.monotonic()
    interrupted = False
    try:
        with Live(console=console, refresh_per_second=1 / _LOOK_S, transient=True) as live:
            for total in sweep(dialects, seeds, jobs=jobs):
                if console.is_terminal:
                    live.update(_progress(total, wanted, time.monotonic() - began))
    except KeyboardInterrupt:
        interrupted = True
    elapsed = time.monotonic() - began
    return _report(
        total,
        wanted,
        elapsed,
        marks=marks and not interrupted,
        out=out,
        as_json=as_json,
        interrupted=interrupted,
    )


def _progress(total: Sweep, wanted: int, elapsed: float) -> Text:
    hit, there = total.marks
    rate = total.steps / elapsed if elapsed else 0.0
    return Text(
        f"{total.runs}/{wanted} runs  {rate:,.0f} steps/s  marks {hit}/{there}  "
        f"failures {len(total.failures)}"
    )


def _report(
    total: Sweep,
    wanted: int,
    elapsed: float,
    *,
    marks: bool,
    out: Path,
    as_json: bool,
    interrupted: bool,
) -> int:
    hit, there = total.marks
    missed = total.missed if marks else []
    for index, failure in enumerate(total.failures):
        if index < _SHOWN_MAX and not interrupted:
            _tell_failure(failure, out, as_json=as_json)
        elif as_json:
            _print_json({"event": "failure", **_failed(failure)})
        else:
            click.echo(f"{failure.dialect} seed {failure.seed}: {failure.violation}")
    summary = {
        "event": "summary",
        "runs": total.runs,
        "wanted": wanted,
        "failures": len(total.failures),
        "steps": total.steps,
        "events": total.events,
        "verdicts": dict(total.verdicts),
        "marks_hit": hit,
        "marks": there,
        "missed": [f"{dialect}: {mark}" for dialect, mark in total.missed],
        "slowest_recovery_s": round(total.slowest_s, 3),
        "hash": total.digest(),
    }
    if as_json:
        _print_json(summary)
    else:
        _print_summary(total, wanted, elapsed, missed, summary, interrupted=interrupted)
    if interrupted:
        return 130
    return 1 if total.failures or missed else 0


def _print_summary(
    total: Sweep,
    wanted: int,
    elapsed: float,
    missed: list[tuple[str, str]],
    summary: dict[str, Any],
    *,
    interrupted: bool,
) -> None:
    rate = total.steps / elapsed if elapsed else 0.0
    if interrupted:
        click.echo(f"stopped after {total.runs} of {wanted} runs")
    counted = ", ".join(f"{count} {verdict}" for verdict, count in summary["verdicts"].items())
    click.echo(
        f"{total.runs} runs, {total.steps:,} steps ({rate:,.0f}/s), "
        f"{total.events:,} entries handed in; {counted or 'no entries'}"
    )
    click.echo(
        f"marks {summary['marks_hit']}/{summary['marks']}; slowest recovery "
        f"{total.slowest_s:.1f} s; failures {len(total.failures)}"
    )
    for dialect, mark in missed:
        click.echo(f"missed: {dialect}: {mark}")
    click.echo(f"hash {summary['hash']}")
    green = not total.failures and not missed and not interrupted
    click.echo("green" if green else "red")


def _failed(failure: Outcome) -> dict[str, Any]:
    violation = failure.violation
    assert violation is not None
    return {
        "dialect": failure.dialect,
        "seed": failure.seed,
        "invariant": violation.invariant,
        "client": violation.client,
        "at": round(violation.at, 6),
        "words": violation.words,
    }


def _tell_failure(failure: Outcome, out: Path, *, as_json: bool) -> None:
    plan, found = shrink(draw(failure.dialect, failure.seed))
    path = out / f"failing-{failure.dialect}-{failure.seed}.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(plan.to_json(), encoding="utf-8")
        world = World(plan, Mechanisms(), told=True)
        title = f"{failure.dialect} seed {failure.seed}: {world.run().violation}"
        picture = draw_story(world.trace.story, title)
        path.with_suffix(".svg").write_text(picture, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}", exit_code=2) from None
    if as_json:
        _print_json(
            {"event": "failure", **_failed(found), "actions": len(plan.actions), "file": str(path)}
        )
        return
    click.echo(f"{failure.dialect} seed {failure.seed}: {failure.violation}")
    click.echo(f"shrunk to {len(plan.actions)} actions:")
    for line in (*plan_words(plan), *story_words(world.trace.story)):
        click.echo(f"  {line}")
    click.echo(f"  replay: lastseen simulate --replay {path}")
    click.echo(f"  picture: {path.with_suffix('.svg')}")


def _replay(path: Path, *, as_json: bool) -> int:
    try:
        plan = Plan.from_json(path.read_bytes())
        world = World(plan, Mechanisms(), told=True)
        outcome = world.run()
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", exit_code=2) from None
    except PlanError as error:
        raise CommandError(f"{path}: {error}", exit_code=2) from None
    if as_json:
        for each in world.trace.story:
            _print_json(
                {
                    "event": "step",
                    "at": round(each.at, 6),
                    "source": each.source,
                    "target": each.target,
                    "text": each.text,
                }
            )
        failed = {} if outcome.violation is None else _failed(outcome)
        _print_json(
            {
                "event": "outcome",
                "held": outcome.violation is None,
                **failed,
                "hash": outcome.digest,
            }
        )
    else:
        for line in plan_words(plan):
            click.echo(line)
        for line in story_words(world.trace.story):
            click.echo(line)
        click.echo(f"hash {outcome.digest}")
        click.echo("every invariant held" if outcome.violation is None else str(outcome.violation))
    return 0 if outcome.violation is None else 1


def _print_json(members: dict[str, Any]) -> None:
    click.echo(msgspec.json.encode(members).decode())
