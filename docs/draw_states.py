"""Draws the lifecycles of `lastseen.states` into `docs/reference/`.

`python docs/draw_states.py` writes the page and its pictures; with `--check` it only compares them
with what it would write, and fails when the tables have moved on.
"""

import sys
from collections.abc import Iterator, Mapping
from enum import Enum
from math import hypot
from pathlib import Path
from textwrap import wrap
from typing import Any
from xml.sax.saxutils import escape

import attrs

from lastseen.states import (
    CONNECTION_TRANSITIONS,
    SCOPE_TRANSITIONS,
    STREAM_TRANSITIONS,
    ConnectionInput,
    ConnectionState,
    ScopeInput,
    ScopeState,
    StreamInput,
)

REFERENCE = Path(__file__).parent / "reference"

Table = Mapping[tuple[Any, Any], Any]
Point = tuple[float, float]

_WIDTH, _HEIGHT = 172.0, 78.0
_COLUMN, _ROW, _MARGIN = 298.0, 190.0, 24.0
_LINE = 15.0
_STAYS_CHARACTERS = 26
_APART = 13.0
"""Half the distance between two arrows that go to and fro."""

_STYLE = """\
text { font-family: "Helvetica Neue", Helvetica, Arial, "DejaVu Sans", sans-serif; }
.state { font-size: 17px; font-weight: 600; fill: #14213d; text-anchor: middle; }
.stays { font-size: 11px; fill: #56617a; text-anchor: middle; }
.label { font-size: 13px; fill: #8a3b12; text-anchor: middle;
         paint-order: stroke; stroke: #ffffff; stroke-width: 5px; stroke-linejoin: round; }
.arc { stroke: #5b6b8c; stroke-width: 1.6; fill: none; }
.box { stroke: #14213d; stroke-width: 1.4; }"""


@attrs.frozen(kw_only=True)
class Lifecycle:
    """One table, what is said about it, and where its states stand in the picture."""

    title: str
    picture: str
    table: Table
    states: type[Enum]
    inputs: type[Enum]
    starts: tuple[Enum, ...]
    places: Mapping[Enum, Point]
    """Column and row."""
    fills: Mapping[Enum, str]
    words: Mapping[Enum, str]
    opening: str
    label_at: float = 0.5
    """How far along an arrow its label stands."""


_C, _S = ConnectionState, ScopeState

CONNECTION = Lifecycle(
    title="A connection",
    picture="connection-states.svg",
    table=CONNECTION_TRANSITIONS,
    states=ConnectionState,
    inputs=ConnectionInput,
    starts=(_C.CONNECTING,),
    places={
        _C.CLOSED: (1.5, 0.0),
        _C.CONNECTING: (0.0, 1.0),
        _C.LOGGING_IN: (1.0, 1.0),
        _C.LIVE: (2.0, 1.0),
        _C.DRAINING: (3.0, 1.0),
        _C.CLOSING: (1.5, 2.0),
    },
    fills={_C.LIVE: "#d8f0dc", _C.DRAINING: "#fdf0cf", _C.CLOSED: "#e6e8ee", _C.CLOSING: "#f6dedb"},
    words={
        _C.CONNECTING: "The driver was asked for a socket and has not reported one. One deadline "
        "covers TCP, TLS and the upgrade.",
        _C.LOGGING_IN: "The socket is open and the login has gone out, or waits for the message "
        "budget. Entries that come already are counted and put aside: there is no epoch yet that "
        "they could belong to.",
        _C.LIVE: "The login was accepted. From this moment the connection is the owner: its "
        "entries count, and those of the one before it no longer do.",
        _C.DRAINING: "The peer asked us to move. The connection still feeds us, and goes on until "
        "its replacement has logged in or the peer hangs up, whichever comes first.",
        _C.CLOSING: "We asked for the end. Whatever still arrives is fenced off, and if the driver "
        "never reports the end, the slot is free again after the close timeout.",
        _C.CLOSED: "Over. Nothing leads out of here; a new attempt is a new connection with a new "
        "number.",
    },
    opening="A connection is one socket with one login. Two can be alive at once: the owner, and "
    "the one that is to replace it.",
    label_at=0.42,
)

SCOPE = Lifecycle(
    title="A scope",
    picture="scope-states.svg",
    table=SCOPE_TRANSITIONS,
    states=ScopeState,
    inputs=ScopeInput,
    starts=(_S.COLD, _S.LIVE_ONLY),
    places={
        _S.COLD: (0.0, 0.0),
        _S.SYNCING: (1.15, 0.0),
        _S.SYNCED: (2.5, 0.0),
        _S.LIVE_ONLY: (0.0, 1.2),
        _S.STALE: (1.15, 1.2),
        _S.RESUMING: (2.5, 1.2),
    },
    fills={
        _S.SYNCED: "#d8f0dc",
        _S.RESUMING: "#fdf0cf",
        _S.SYNCING: "#fdf0cf",
        _S.STALE: "#f6dedb",
        _S.LIVE_ONLY: "#dfe9f7",
        _S.COLD: "#e6e8ee",
    },
    words={
        _S.COLD: "There has never been a base. Entries wait, bounded, until there is one.",
        _S.SYNCING: "A snapshot is on its way. Entries that arrive meanwhile wait and are laid "
        "over it in the order of their arrival.",
        _S.SYNCED: "The base and every entry disclosed since are covered. The status also says "
        "whether the freshness of the base was proven by its source or only assumed.",
        _S.RESUMING: "The base was good when the connection went. It is kept while a replay "
        "fills the gap, and no claim is made until the peer says that the replay is complete.",
        _S.STALE: "Whatever there is must not be trusted, and no snapshot is under way at this "
        "moment: one is due, or there is nobody to ask.",
        _S.LIVE_ONLY: "The channel has no source of snapshots. Its entries are delivered, and it "
        "is never called synced.",
    },
    opening="A scope is what one snapshot covers: a whole channel, or one fixture of a channel "
    "that is fetched fixture by fixture. A channel reports the state of its worst scope.",
)

STREAM = Lifecycle(
    title="A stream",
    picture="stream-states.svg",
    table=STREAM_TRANSITIONS,
    states=ScopeState,
    inputs=StreamInput,
    starts=(_S.COLD,),
    places={
        _S.COLD: (0.0, 0.0),
        _S.SYNCING: (1.25, 0.0),
        _S.SYNCED: (2.75, 0.0),
        _S.LIVE_ONLY: (0.0, 1.4),
        _S.STALE: (1.25, 1.4),
        _S.RESUMING: (2.75, 1.4),
    },
    fills=SCOPE.fills,
    words={
        _S.COLD: "Nothing has come yet.",
        _S.SYNCING: "The request was answered, and the snapshot that begins the stream is awaited. "
        "Entries that come before it wait, bounded.",
        _S.SYNCED: "The snapshot and every entry since are covered, or every unit that was asked "
        "for has come. After a resume that nothing has followed for long it is called unproven.",
        _S.RESUMING: "There is a token, and the state before is kept: the connection is gone, or "
        "was answered and has yet to say whether it goes on or begins with a snapshot.",
        _S.STALE: "What there is must not be trusted, or of a stream without a base: it is not fed "
        "and cannot come back to where it was.",
        _S.LIVE_ONLY: "A stream that has no base is fed. Between two gaps that were told, nothing "
        "is missing of one with tokens.",
    },
    opening="A stream over HTTP brings its snapshot itself, or has none. The words are those of a "
    "scope, in a table of their own, because nothing is ever fetched.",
)

LIFECYCLES = (CONNECTION, SCOPE, STREAM)


def files() -> dict[Path, str]:
    """What belongs into `docs/reference/`, by path."""
    made = {REFERENCE / cycle.picture: draw(cycle) for cycle in LIFECYCLES}
    made[REFERENCE / "states.md"] = page()
    return made


def page() -> str:
    """The page with all lifecycles."""
    parts = [
        "# States\n",
        (
            "Every transition of a session stands in one of three tables in `lastseen.states`. "
            "This page is made from them by `python docs/draw_states.py`; a pair that is not "
            "listed is illegal and changes nothing.\n"
        ),
    ]
    for cycle in LIFECYCLES:
        parts += [
            f"## {cycle.title}\n",
            f"{cycle.opening}\n",
            f"![{cycle.title}: its states and what leads from one to the next]({cycle.picture})\n",
            "Inputs that leave a state as it is are written inside its box.\n",
            *(f"**{state.value}**: {cycle.words[state]}\n" for state in cycle.states),
            "### What is legal\n",
            matrix(cycle),
            "### As text\n",
            mermaid(cycle),
        ]
    return "\n".join(parts)


def matrix(cycle: Lifecycle) -> str:
    """State by input: the next state, or a dash."""
    inputs = list(cycle.inputs)
    lines = [
        "| | " + " | ".join(f"`{what.value}`" for what in inputs) + " |",
        "|---|" + "---|" * len(inputs),
    ]
    for state in cycle.states:
        cells = [cycle.table.get((state, what)) for what in inputs]
        shown = " | ".join("-" if after is None else after.value for after in cells)
        lines.append(f"| **{state.value}** | {shown} |")
    return "\n".join(lines) + "\n"


def mermaid(cycle: Lifecycle) -> str:
    """The table as a mermaid state diagram."""
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f"    [*] --> {start.value}" for start in cycle.starts]
    lines += [
        f"    {before.value} --> {after.value}: {what.value}"
        for (before, what), after in cycle.table.items()
    ]
    lines += [
        f"    {state.value} --> [*]" for state in cycle.states if not list(leaving(cycle, state))
    ]
    return "\n".join([*lines, "```"]) + "\n"


def leaving(cycle: Lifecycle, state: Enum) -> Iterator[Enum]:
    """The inputs a state knows."""
    return (what for before, what in cycle.table if before is state)


def arcs(cycle: Lifecycle) -> dict[tuple[Enum, Enum], list[str]]:
    """Arrows between different states, with every input that takes that way."""
    found: dict[tuple[Enum, Enum], list[str]] = {}
    for (before, what), after in cycle.table.items():
        if before is not after:
            found.setdefault((before, after), []).append(what.value)
    return found


def draw(cycle: Lifecycle) -> str:
    """The lifecycle as a picture that stands alone."""
    centres = {
        state: (
            _MARGIN + _WIDTH / 2 + column * _COLUMN,
            _MARGIN + _HEIGHT / 2 + row * _ROW,
        )
        for state, (column, row) in cycle.places.items()
    }
    width = max(x for x, _ in centres.values()) + _WIDTH / 2 + _MARGIN
    height = max(y for _, y in centres.values()) + _HEIGHT / 2 + _MARGIN
    found = arcs(cycle)
    lines: list[str] = []
    labels: list[str] = []
    for (before, after), inputs in found.items():
        aside = _APART if (after, before) in found else 0.0
        start, end = _between(centres[before], centres[after], aside)
        lines.append(f'<path class="arc" marker-end="url(#head)" d="M {_xy(start)} L {_xy(end)}"/>')
        labels += _label(start, end, inputs, cycle.label_at, aside)
    boxes = [line for state in cycle.states for line in _box(cycle, state, centres[state])]
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
                f'width="{width:.0f}" height="{height:.0f}" role="img">'
            ),
            f"<title>{escape(cycle.title)}</title>",
            f"<style>\n{_STYLE}\n</style>",
            (
                '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" '
                'markerHeight="8" orient="auto"><path d="M 0 0 L 10 5 L 0 10 z" fill="#5b6b8c"/>'
                "</marker></defs>"
            ),
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
            *lines,
            *boxes,
            *labels,
            "</svg>\n",
        ]
    )


def _box(cycle: Lifecycle, state: Enum, centre: Point) -> Iterator[str]:
    x, y = centre
    fill = cycle.fills.get(state, "#f4f5f8")
    yield (
        f'<rect class="box" x="{x - _WIDTH / 2:.1f}" y="{y - _HEIGHT / 2:.1f}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" rx="10" fill="{fill}"/>'
    )
    stays = [w.value for w in leaving(cycle, state) if cycle.table[state, w] is state]
    rows = wrap(", ".join(stays), _STAYS_CHARACTERS)
    top = y + 6 - 7 * len(rows)
    yield f'<text class="state" x="{x:.1f}" y="{top:.1f}">{escape(str(state.value))}</text>'
    for number, row in enumerate(rows):
        shown = ("↻ " if not number else "") + row
        yield (
            f'<text class="stays" x="{x:.1f}" y="{top + 18 + 13 * number:.1f}">'
            f"{escape(shown)}</text>"
        )


def _between(source: Point, target: Point, aside: float) -> tuple[Point, Point]:
    """The line from box to box, moved to its right by `aside`."""
    dx, dy = target[0] - source[0], target[1] - source[1]
    length = hypot(dx, dy)
    shift = (-dy / length * aside, dx / length * aside)
    from_edge, to_edge = _reach(dx, dy, aside), _reach(dx, dy, aside)
    start = (
        source[0] + shift[0] + dx / length * from_edge,
        source[1] + shift[1] + dy / length * from_edge,
    )
    end = (
        target[0] + shift[0] - dx / length * (to_edge + 2),
        target[1] + shift[1] - dy / length * (to_edge + 2),
    )
    return start, end


def _reach(dx: float, dy: float, aside: float) -> float:
    """How far the edge of a box is from its centre in this direction."""
    length = hypot(dx, dy)
    half_width = _WIDTH / 2 - aside * abs(dy) / length
    half_height = _HEIGHT / 2 - aside * abs(dx) / length
    across = half_width * length / abs(dx) if dx else float("inf")
    along = half_height * length / abs(dy) if dy else float("inf")
    return min(across, along)


def _label(start: Point, end: Point, inputs: list[str], at: float, aside: float) -> Iterator[str]:
    x, y = start[0] + (end[0] - start[0]) * at, start[1] + (end[1] - start[1]) * at
    level = abs(end[1] - start[1]) < 1.0
    if level:
        # Above its arrow, in the middle.
        x, y = (start[0] + end[0]) / 2, y - 8 - _LINE * (len(inputs) - 1)
    else:
        y += 4 - _LINE * (len(inputs) - 1) / 2
    if aside and not level:
        # Beside an arrow of a pair, on its outer side.
        x += 52 if end[1] < start[1] else -62
    for number, text in enumerate(inputs):
        yield (
            f'<text class="label" x="{x:.1f}" y="{y + _LINE * number:.1f}">{escape(text)}</text>'
        )


def _xy(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"


def main(arguments: list[str]) -> int:
    """Writes, or with `--check` compares; 1 when something is out of step."""
    stale: list[Path] = []
    for path, text in files().items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path)
        if arguments != ["--check"]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if arguments == ["--check"] and stale:
        names = ", ".join(path.name for path in stale)
        print(f"out of step: {names}; run python docs/draw_states.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
