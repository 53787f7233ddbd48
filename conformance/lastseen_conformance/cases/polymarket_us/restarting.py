"""A client that is killed and started again on the same folder."""

from collections.abc import Iterator
from typing import Final

from lastseen_conformance.case import Case, Finding, Scene, Script, broken, kept
from lastseen_conformance.cases.polymarket_us.scripts import (
    agree,
    change,
    digest,
    enter,
    happens,
    made,
)
from lastseen_conformance.history import History, Launched
from lastseen_conformance.judges.polymarket_us import said
from lastseen_conformance.judges.polymarket_us_wire import PmLink, PmWire
from lastseen_conformance.steps import Compare, Kill, Linger, Start, Steps, Stop, Wait

__all__ = ["CASES"]

WITH_STATE: Final = "pm.token.with-state"
COMMIT_S: Final = 0.7
"""Longer than what a client may keep back before it writes."""


def _again(stream: str, *, kill: bool, kept_s: float) -> Script:
    """The client follows a stream, ends, and is started again; things happen meanwhile."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from happens(scene, stream, 1)
        yield from happens(scene, stream, 2)
        yield Linger(seconds=kept_s, why="the client may write what it has")
        yield Kill() if kill else Stop()
        yield change(stream, 3)
        yield Start()
        yield Wait(
            until=_second_granted,
            what="the client asks for its stream",
            rule="pm.connect.comes-back",
        )
        yield from digest(scene)
        yield from happens_again(scene, stream)

    play.__doc__ = _again.__doc__
    return play


def happens_again(scene: Scene, stream: str) -> Steps:
    """Something more happens; whoever went on from a token has all of it, and all before."""
    yield change(stream, 4)
    yield from digest(scene)
    if stream == "orders":
        yield from agree(scene)
    elif scene.reported and (yield from _resumed()):
        yield Compare(rule=WITH_STATE, what="the state of a client that went on is the venue's")


def _resumed() -> Steps:
    """Whether the second life asked with a token."""
    found: list[bool] = []

    def look(history: History) -> bool:
        found.append(bool(_of_life(history, 2)) and _of_life(history, 2)[0].token is not None)
        return True

    yield Wait(until=look, what="the requests of the second life are looked at")
    return found[-1]


def _of_life(history: History, life: int) -> list[PmLink]:
    starts = [each.n for each in history.of(Launched)]
    if len(starts) < life:
        return []
    return [link for link in history.view(PmWire).asks if link.n > starts[life - 1]]


def _second_granted(history: History) -> bool:
    return any(link.granted_n is not None for link in _of_life(history, 2))


def _token_with_state(history: History) -> Iterator[Finding]:
    """pm.token.with-state: a new life that has nothing sends no token."""
    links = _of_life(history, 2)
    if not links:
        return
    started = [each.n for each in history.of(Launched)][1]
    restored = [each for each in said(history, "restored") if each.n > started]
    if links[0].token is not None and not restored and history.reported:
        yield broken(WITH_STATE, "it brought nothing back and asks with a token", links[0].n)
    else:
        yield kept(WITH_STATE)


CASES: Final[tuple[Case, ...]] = tuple(
    made(
        f"restart/{slug}-{stream.replace('_', '-')}",
        f"{stream}: a client that is {words} goes on where its state is",
        f"{WITH_STATE} pm.connect.comes-back",
        _again(stream, kill=kill, kept_s=kept_s),
        _token_with_state,
        stream=stream,
        template="restart/again",
        hazards="HZ-A4 HZ-E1 HZ-E2",
        restarts=True,
    )
    for stream in ("orders", "trade_capture", "position_changes")
    for slug, words, kill, kept_s in (
        ("killed", "killed", True, COMMIT_S),
        ("killed-at-once", "killed at once", True, 0.0),
        ("stopped", "stopped", False, 0.0),
    )
)
