"""`lastseen demo`: a client survives a hostile gateway, with a verdict and a picture."""

import sys
from functools import partial
from typing import Any, Final, Protocol

import attrs
import click
import msgspec
import trio
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from lastseen.states import ScopeState
from lastseen_simulator.demo import ActReport, DemoReport, Tell, run_demo
from lastseen_trio.groups import alone

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


@click.command(
    epilog="""\b
--json prints one object a line. Its 'event' is one of
  act           name; a gateway and a client begin
  scene         name, tells; a scene begins
  logged_in     resumed: the channels that come back by replay
  disconnected  code, retry_in_s
  scene_done    name, passed, trouble, took_s, faults (kind, at, fired, wanted),
                claimed_synced, resumed, channels (units, difference)
  verdict       passed, failures, counters; always the last

\b
Examples:
  lastseen demo
  lastseen demo --seed 7
  lastseen demo --json | tail -n 1
""",
)
@click.option("--seed", default=1, show_default=True, help="Another seed, another market.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines on stdout, for programs.")
def demo(seed: int, as_json: bool) -> int:
    """Watch a client survive duplicates, drops, restarts and worse, in under a minute.

    Gateway and client run in this process and talk over a loopback socket. After each scene the
    client's state is compared with the gateway's truth. Exit code 0 only if every fault fired and
    every channel was equal; else 1, and the last lines say which did not.
    """
    stage: _Stage = _Json() if as_json else _Screen(_console())
    try:
        report = _play(seed, stage.tell)
    finally:
        stage.leave()
    stage.close(report)
    return 0 if report.passed else 1


def _play(seed: int, tell: Tell) -> DemoReport:
    try:
        return trio.run(partial(run_demo, seed=seed, tell=tell))
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
            {name: attrs.asdict(row) for name, row in act.counters.items()} for act in report.acts
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

    def leave(self) -> None:
        if self._status is not None:
            self._status.stop()

    def close(self, report: DemoReport) -> None:
        for act in report.acts:
            self._console.print()
            self._console.print(_picture(act, report.channels, self._console.width))
        self._console.print(_legend())
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


def _picture(act: ActReport, channels: tuple[str, ...], width: int) -> Text:
    """What each channel claimed over time, one row a channel, one mark a scene."""
    picture = Text(f"{act.act.name}: what the client claimed over time\n", style="bold")
    samples = act.timeline
    if not samples:
        return picture
    end = samples[-1][0] or 1.0
    count = max(1, min(_PICTURE_COLUMNS, width - _LABEL_COLUMNS))
    columns: list[list[tuple[str, tuple[ScopeState, ...]]]] = [[] for _ in range(count)]
    for at, scene, states in samples:
        columns[min(int(at / end * count), count - 1)].append((scene, states))
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
    return legend.append("a, b: scenes\n", style="dim")


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
