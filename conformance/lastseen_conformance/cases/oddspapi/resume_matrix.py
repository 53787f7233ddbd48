"""The decision matrix of resuming, as data: what a client has, what it meets, what it owes.

Three axes: what becomes of the epoch, where the cursor lies when the client is back, and which
channels are subscribed. Every cell ends the same way: whatever was resumed is whole, whatever was
not is fetched, and no cursor is sent that the epoch does not know.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import attrs

from lastseen_conformance.case import Case, Scene, Script
from lastseen_conformance.cases.oddspapi.scripts import (
    accepted,
    agree,
    enter,
    feed,
    made,
    nothing,
    resumes,
    settled,
)
from lastseen_conformance.steps import Drop, Linger, Place, Publish, Restart, Steps, Wait, now
from lastseen_simulator.faults import Fault

__all__ = ["CASES", "CHANNEL_SETS", "CURSORS", "EPOCHS", "Cell", "cells"]

EPOCHS: Final = ("same", "new", "absent", "flapping")
CURSORS: Final = ("in-window", "at-head", "below", "above", "none", "malformed")
CHANNEL_SETS: Final = {
    "one": ("scores",),
    "many": ("fixtures", "scores"),
    "mixed": ("fixtures", "scores", "odds"),
}

WINDOW_MS: Final = 1000
FAR_AHEAD: Final = "4102444800000-999999"
"""An id of the year 2100: no gateway has come so far."""


@attrs.frozen(kw_only=True)
class Cell:
    """One cell, and what the second login has to look like: `resumes`, `cold`, or `either`."""

    epoch: str
    cursor: str
    channels: str
    login: str

    @property
    def name(self) -> str:
        """The cell's part of the case id."""
        return f"{self.epoch}-{self.cursor}-{self.channels}"


def cells() -> Iterator[Cell]:
    """Every cell that can be played.

    Without an epoch there is nothing to keep, wherever a cursor would lie. A new or flapping epoch
    makes every cursor worthless, so only some of the places are played: what is sent, a client may
    decide by what it has seen so far.
    """
    for channels in CHANNEL_SETS:
        for cursor in CURSORS:
            login = {"none": "cold", "malformed": "either", "above": "either"}
            yield Cell(
                epoch="same",
                cursor=cursor,
                channels=channels,
                login=login.get(cursor, "resumes"),
            )
        for cursor in ("in-window", "at-head", "above", "none"):
            yield Cell(
                epoch="new",
                cursor=cursor,
                channels=channels,
                login="cold" if cursor == "none" else "either",
            )
        yield Cell(epoch="absent", cursor="in-window", channels=channels, login="cold")
        for cursor in ("in-window", "none"):
            yield Cell(
                epoch="flapping",
                cursor=cursor,
                channels=channels,
                login="cold" if cursor == "none" else "either",
            )


def _play(cell: Cell) -> Script:
    """One cell of the matrix: a loss, something meanwhile, and a login."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        live = [name for name in ("fixtures", "scores") if name in scene.channels]
        if cell.cursor != "none":
            yield from feed(scene, *live)
        if cell.cursor in ("above", "malformed"):
            yield now("send", text=_odd_entry(cell, scene))
            yield Linger(seconds=0.2, why="the client may process it")
        yield from _lose(cell)
        if cell.cursor != "at-head":
            yield Publish("scores", count=2)
        if cell.cursor == "below":
            yield Linger(seconds=WINDOW_MS / 1000 + 0.3, why="the cursor grows too old")
        logins = 3 if cell.epoch == "flapping" else 2
        yield Wait(
            until=accepted(logins), what="the client logs in again", rule="op.connect.comes-back"
        )
        yield from settled(scene, logins=logins)
        yield from agree(scene)

    play.__doc__ = _play.__doc__
    return play


def _lose(cell: Cell) -> Steps:
    if cell.epoch == "flapping":
        yield Place(Fault(kind="drop", at="after login_ok", connection=2))
        yield Place(Fault(kind="restart", at="on login", connection=2, how="silent"))
    pause = WINDOW_MS / 1000 + 0.5 if cell.cursor == "below" else 0.2
    yield now("refuse", seconds=pause)
    if cell.epoch in ("new", "flapping"):
        yield Restart()
    else:
        yield Drop()


def _odd_entry(cell: Cell, scene: Scene) -> str:
    entry_id = FAR_AHEAD if cell.cursor == "above" else "soon"
    payload: dict[str, Any] = {"fixtureId": scene.fixtures[0], "scores": {}}
    return json.dumps(
        {"channel": "scores", "type": "UPDATE", "ts": 1, "entryId": entry_id, "payload": payload}
    )


def _rules(cell: Cell) -> str:
    rules = "op.connect.comes-back op.snapshot.after-login op.state.equals-truth"
    return rules + (" op.resume.sent-when-valid" if cell.login == "resumes" else "")


def _knobs(cell: Cell) -> dict[str, Any]:
    knobs: dict[str, Any] = {}
    if cell.cursor == "below":
        knobs["resume_window_ms"] = WINDOW_MS
    if cell.epoch == "absent":
        knobs["resume_block"] = False
    return knobs


CASES: Final[tuple[Case, ...]] = tuple(
    made(
        f"matrix/{cell.name}",
        f"Epoch {cell.epoch}, cursor {cell.cursor}, channels {cell.channels}",
        _rules(cell),
        _play(cell),
        # What no cursor may say holds for every login, and is judged in every case.
        resumes if cell.login == "resumes" else nothing,
        template=f"matrix/{cell.epoch}",
        channels=CHANNEL_SETS[cell.channels],
        hazards="HZ-A1 HZ-A11 HZ-A14",
        **_knobs(cell),
    )
    for cell in cells()
)
