"""`lastseen demo`: a client survives a hostile gateway, with a verdict and a picture."""

import sys
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, Protocol

import click
import msgspec
import trio
from msgspec.structs import asdict
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from lastseen_simulator.demo import ACTS, Act, ActReport, DemoReport, Tell, run_demo
from lastseen_simulator.demo.cast import Shade
from lastseen_simulator.demo.run import Sample
from lastseen_trio.groups import alone

__all__ = ["demo"]

_PICTURE_COLUMNS: Final = 80
_PLAIN_COLUMNS: Final = 110
"""Width where there is no terminal to ask."""

_LABEL_COLUMNS: Final = 11

EVERY: Final = "all"

_COUNTED: Final = ("received", "applied", "duplicate", "buffered", "held", "discarded")
_RARE: Final = ("malformed", "quarantined", "dropped")
"""Counters that are shown when any of them counted."""


@click.command(
    epilog="""\b
--json prints one object a line. Its 'event' is one of
  act           name; a gateway and a client begin
  scene         name, tells; a scene begins
  logged_in     resumed: the channels that come back by replay; catches_up, in words
  disconnected  code, retry_in_s
  scene_done    name, passed, trouble, took_s, faults (kind, at, fired, wanted),
                claimed_synced, resumed, unseen, channels (units, difference)
  verdict       passed, failures, counters; always the last

\b
Examples:
  lastseen demo
  lastseen demo --dialect polynode
  lastseen demo --seed 7
  lastseen demo --json | tail -n 1
""",
)
@click.option(
    "--dialect",
    type=click.Choice((*ACTS, EVERY)),
    default=EVERY,
    show_default=True,
    help="Whose feed is played.",
)
@click.option("--seed", default=1, show_default=True, help="Another seed, another market.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines on stdout, for programs.")
def demo(dialect: str, seed: int, as_json: bool) -> int:
    """Watch a client survive duplicates, drops, restarts and worse, in under a minute.

    Gateway and client run in this process and talk over a loopback socket. After each scene the
    client's state is compared with the gateway's truth. Exit code 0 only if every fault fired and
    every channel was equal; else 1, and the last lines say which did not.
    """
    acts = tuple(act for name in ACTS if dialect in (name, EVERY) for act in ACTS[name])
    stage: _Stage = _Json() if as_json else _Screen(_console())
    try:
        report = _play(acts, seed, stage.tell)
    finally:
        stage.leave()
    stage.close(report)
    return 0 if report.passed else 1


def _play(acts: tuple[Act, ...], seed: int, tell: Tell) -> DemoReport:
    try:
        return trio.run(partial(run_demo, acts=acts, seed=seed, tell=tell))
    except BaseExceptionGroup as group:
        # Ctrl-C comes out of nurseries in groups.
        only = alone(group)
        if only is None:
            raise
        raise only from None


class _Stage(Protocol):
    """Where the demo is shown."""

    def tell(self, happening: dict[str, Any]) -> None:
        """Shows what happens."""
        ...

    def leave(self) -> None:
        """Lets go of the terminal, however it ended."""
        ...

    def close(self, report: DemoReport) -> None:
        """Shows what came of it."""
        ...


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PLAIN_COLUMNS)


class _Json:
    """Every happening as one line."""

    def tell(self, happening: dict[str, Any]) -> None:
        sys.stdout.write(msgspec.json.encode(happening).decode() + "\n")
        sys.stdout.flush()

    def leave(self) -> None:
        pass

    def close(self, report: DemoReport) -> None:
        counters = [
            {name: asdict(row) for name, row in act.counters.items()} for act in report.acts
        ]
        self.tell(
            {
                "event": "verdict",
                "passed": report.passed,
                "failures": list(report.failures),
                "counters": counters,
            }
        )


class _Screen:
    """Progress as it happens, then tables and a picture."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("") if console.is_terminal else None
        self._number = 0

    def tell(self, happening: dict[str, Any]) -> None:
        match happening["event"]:
            case "act":
                self._console.print(f"\n[bold]{happening['name']}[/bold]")
            case "scene":
                self._number += 1
                self._begin(happening)
            case "logged_in":
                how = happening["catches_up"]
                self._console.print(f"      [dim]logged in, catches up {how}[/dim]")
            case "disconnected":
                retry = happening["retry_in_s"]
                again = f", again in {retry:.2f} s" if retry is not None else ""
                self._console.print(f"      [dim]disconnected ({happening['code']}){again}[/dim]")
            case "scene_done":
                self._end(happening)
            case _:
                pass

    def leave(self) -> None:
        if self._status is not None:
            self._status.stop()

    def close(self, report: DemoReport) -> None:
        for act in report.acts:
            self._console.print()
            self._console.print(_picture(act, self._console.width))
            self._console.print(_legend(act.act.cast.shades))
        self._console.print(_faults(report))
        self._console.print(_counters(report))
        if report.passed:
            self._console.print(
                "[bold green]PASSED[/bold green]: every fault fired and, after each, client = truth"
            )
            return
        self._console.print("[bold red]FAILED[/bold red]")
        for failure in report.failures:
            self._console.print(Text(f"  {failure}"))

    def _begin(self, happening: dict[str, Any]) -> None:
        self._console.print(
            f"  [bold]{self._number}. {happening['name']}[/bold]: {happening['tells']}"
        )
        if self._status is not None:
            self._status.update(f"{happening['name']} …")
            self._status.start()

    def _end(self, happening: dict[str, Any]) -> None:
        if self._status is not None:
            self._status.stop()
        units = sum(channel["units"] for channel in happening["channels"].values())
        if happening["passed"]:
            words = f"[green]✓[/green] client = truth, {units} units"
        else:
            words = f"[red]✗[/red] {escape(happening['trouble'])}"
        self._console.print(f"      {words} [dim]({happening['took_s']:.1f} s)[/dim]")


def _picture(act: ActReport, width: int) -> Text:
    """What each row claimed over time, one mark a scene."""
    picture = Text(f"{act.act.name}: what the client claimed over time\n", style="bold")
    samples, shades = act.timeline, act.act.cast.shades
    if not samples:
        return picture
    worst_first = tuple(shades)[::-1]
    end = samples[-1][0] or 1.0
    count = max(1, min(_PICTURE_COLUMNS, width - _LABEL_COLUMNS))
    columns: list[list[Sample]] = [[] for _ in range(count)]
    for sample in samples:
        columns[min(int(sample[0] / end * count), count - 1)].append(sample)
    picture.append(" " * _LABEL_COLUMNS + _marks(act, columns) + "\n", style="dim")
    for row, name in enumerate(act.act.cast.rows):
        picture.append(f"{name:<{_LABEL_COLUMNS}}", style="default")
        last = worst_first[0]
        for column in columns:
            claims = [claims[row] for _, _, claims in column] or [last]
            last = claims[-1]
            mark, style = shades[min(claims, key=worst_first.index)]
            picture.append(mark, style=style)
        picture.append("\n")
    return picture


def _marks(act: ActReport, columns: list[list[Sample]]) -> str:
    names = [scene.scene.name for scene in act.scenes]
    marks = [" "] * len(columns)
    seen: set[str] = set()
    for index, column in enumerate(columns):
        for _, scene, _ in column:
            if scene and scene not in seen:
                seen.add(scene)
                marks[index] = chr(ord("a") + names.index(scene))
    return "".join(marks)


def _legend(shades: Mapping[str, Shade]) -> Text:
    words: dict[Shade, str] = {}
    for claim, shade in shades.items():
        words[shade] = f"{words[shade]}, {claim}" if shade in words else claim
    legend = Text(" " * _LABEL_COLUMNS)
    for (mark, style), claims in words.items():
        legend.append(f"{mark} ", style=style).append(f"{claims}  ", style="dim")
    return legend.append("a, b: scenes", style="dim")


def _faults(report: DemoReport) -> Table:
    table = Table(title="faults", title_justify="left", title_style="bold")
    for heading in ("scene", "fault", "fired", "client = truth"):
        table.add_column(heading, justify="right" if heading == "fired" else "left")
    for act in report.acts:
        for scene in act.scenes:
            differences = [each.difference for each in scene.verdicts if each.difference]
            equal = f"[red]{escape(differences[0])}[/red]" if differences else "[green]yes[/green]"
            for fault in scene.faults:
                fired = f"{fault.fired}"
                if fault.fired < fault.wanted:
                    fired = f"[red]{fault.fired} of {fault.wanted}[/red]"
                shown = fault.kind if fault.at == "soon" else f"{fault.kind} {fault.at}"
                table.add_row(scene.scene.name, shown, fired, equal)
    return table


def _counters(report: DemoReport) -> Table:
    rows = [row for act in report.acts for row in act.counters.values()]
    rare = [name for name in _RARE if any(getattr(row, name) for row in rows)]
    names = (*_COUNTED, *rare)
    table = Table(title="where every entry went", title_justify="left", title_style="bold")
    table.add_column("channel")
    for name in names:
        table.add_column(name, justify="right")
    for act in report.acts:
        for channel, row in act.counters.items():
            if row.received:
                table.add_row(channel, *(str(getattr(row, name)) for name in names))
        table.add_section()
    return table
