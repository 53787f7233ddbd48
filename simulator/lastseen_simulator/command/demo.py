"""`lastseen demo`: a client survives a hostile gateway, with a verdict and a picture."""

import sys
from typing import Any, Final

import attrs
import click
import msgspec
import trio
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lastseen.states import ScopeState
from lastseen_simulator.demo import ActReport, DemoReport, run_demo

__all__ = ["demo"]

_PICTURE_COLUMNS: Final = 80
_PLAIN_COLUMNS: Final = 110
"""Width where there is no terminal to ask."""

_LABEL_COLUMNS: Final = 11

_SHADES: Final = {
    ScopeState.SYNCED: ("█", "green"),
    ScopeState.LIVE_ONLY: ("█", "green"),
    ScopeState.RESUMING: ("▓", "cyan"),
    ScopeState.SYNCING: ("▒", "yellow"),
    ScopeState.STALE: ("░", "red"),
    ScopeState.COLD: ("·", "bright_black"),
}
"""How a claim looks in the picture; the worse one wins where two share a column."""

_WORST_FIRST: Final = tuple(reversed(_SHADES))

_COUNTED: Final = ("received", "applied", "duplicate", "buffered", "held", "discarded")
_RARE: Final = ("malformed", "quarantined", "dropped")
"""Counters that are shown when any of them counted."""


@click.command()
@click.option("--seed", default=1, show_default=True, help="Another seed, another market.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines on stdout, for programs.")
def demo(seed: int, as_json: bool) -> int:
    r"""Watch a client survive duplicates, drops, restarts and worse, in under a minute.

    Gateway and client run in this process and talk over a loopback socket. After each scene the
    client's state is compared with the gateway's truth. Exit code 0 only if every fault fired and
    every channel was equal.

    \b
    Example:
      lastseen demo --seed 7
    """
    stage: _Json | _Screen = _Json() if as_json else _Screen(_console())
    report = trio.run(lambda: run_demo(seed=seed, tell=stage.tell))
    stage.close(report)
    return 0 if report.passed else 1


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PLAIN_COLUMNS)


class _Json:
    """Every happening as one line."""

    def tell(self, happening: dict[str, Any]) -> None:
        sys.stdout.write(msgspec.json.encode(happening).decode() + "\n")
        sys.stdout.flush()

    def close(self, report: DemoReport) -> None:
        counters = [
            {name: attrs.asdict(row) for name, row in act.counters.items()} for act in report.acts
        ]
        self.tell({"event": "verdict", "passed": report.passed, "counters": counters})


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
                resumed = ", ".join(happening["resumed"]) or "nothing, snapshots instead"
                self._console.print(f"      [dim]logged in, resuming {resumed}[/dim]")
            case "disconnected":
                retry = happening["retry_in_s"]
                again = f", again in {retry:.2f} s" if retry is not None else ""
                self._console.print(f"      [dim]disconnected ({happening['code']}){again}[/dim]")
            case "scene_done":
                self._end(happening)
            case _:
                pass

    def close(self, report: DemoReport) -> None:
        for act in report.acts:
            self._console.print()
            self._console.print(_picture(act, report.channels))
        self._console.print(_legend())
        self._console.print(_faults(report))
        self._console.print(_counters(report))
        verdict = (
            "[bold green]PASSED[/bold green]" if report.passed else "[bold red]FAILED[/bold red]"
        )
        self._console.print(
            f"{verdict}: every fault fired and, after each, client = truth"
            if report.passed
            else f"{verdict}: see the tables above"
        )

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
            words = "[red]✗[/red] " + _trouble(happening)
        self._console.print(f"      {words} [dim]({happening['took_s']:.1f} s)[/dim]")


def _trouble(happening: dict[str, Any]) -> str:
    for fault in happening["faults"]:
        if fault["fired"] < fault["wanted"]:
            return f"{fault['kind']} at {fault['at']!r} fired {fault['fired']} of {fault['wanted']}"
    for name, channel in happening["channels"].items():
        if channel["difference"] is not None:
            return f"{name}: {channel['difference']}"
    return "the client does not call every channel synced"


def _picture(act: ActReport, channels: tuple[str, ...]) -> Text:
    """What each channel claimed over time, one row a channel, one mark a scene."""
    picture = Text(f"{act.act.name}: what the client claimed over time\n", style="bold")
    samples = act.timeline
    if not samples:
        return picture
    end = samples[-1][0] or 1.0
    columns: list[list[tuple[str, tuple[ScopeState, ...]]]] = [[] for _ in range(_PICTURE_COLUMNS)]
    for at, scene, states in samples:
        columns[min(int(at / end * _PICTURE_COLUMNS), _PICTURE_COLUMNS - 1)].append((scene, states))
    picture.append(" " * _LABEL_COLUMNS + _marks(act, columns) + "\n", style="dim")
    for row, channel in enumerate(channels):
        picture.append(f"{channel:<{_LABEL_COLUMNS}}", style="default")
        last = ScopeState.COLD
        for column in columns:
            claims = [sample[1][row] for sample in column] or [last]
            last = claims[-1]
            mark, style = _SHADES[min(claims, key=_WORST_FIRST.index)]
            picture.append(mark, style=style)
        picture.append("\n")
    return picture


def _marks(act: ActReport, columns: list[list[tuple[str, tuple[ScopeState, ...]]]]) -> str:
    names = [scene.scene.name for scene in act.scenes]
    marks = [" "] * len(columns)
    seen: set[str] = set()
    for index, column in enumerate(columns):
        for scene, _ in column:
            if scene and scene not in seen:
                seen.add(scene)
                marks[index] = chr(ord("a") + names.index(scene))
    return "".join(marks)


def _legend() -> Text:
    legend = Text(" " * _LABEL_COLUMNS)
    for state, (mark, style) in _SHADES.items():
        if state is not ScopeState.LIVE_ONLY:
            legend.append(f"{mark} ", style=style).append(f"{state.value}  ", style="dim")
    return legend.append("a, b, …: a scene begins\n", style="dim")


def _faults(report: DemoReport) -> Table:
    table = Table(title="faults", title_justify="left", title_style="bold")
    for heading in ("scene", "fault", "position", "fired", "client = truth"):
        table.add_column(heading, justify="right" if heading == "fired" else "left")
    for act in report.acts:
        for scene in act.scenes:
            different = [verdict for verdict in scene.verdicts if not verdict.equal]
            equal = different[0].difference if different else "yes"
            for fault in scene.faults:
                enough = fault.fired >= fault.wanted
                fired = (
                    f"{fault.fired}" if enough else f"[red]{fault.fired} of {fault.wanted}[/red]"
                )
                shown = f"[green]{equal}[/green]" if equal == "yes" else f"[red]{equal}[/red]"
                table.add_row(scene.scene.name, fault.kind, fault.at, fired, shown)
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
