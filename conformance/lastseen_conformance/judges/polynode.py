"""What holds for every PolyNode history."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, cast

from lastseen_conformance.case import Finding, Judge, broken, kept
from lastseen_conformance.history import (
    Connected,
    Ended,
    History,
    Pinged,
    Ponged,
    Refused,
    Said,
)
from lastseen_conformance.judges import pauses
from lastseen_conformance.judges.polynode_wire import PnWire

__all__ = [
    "asks",
    "forward",
    "item_difference",
    "no_new_connection",
    "once",
    "one_at_a_time",
    "outcomes",
    "pongs",
    "reaches_back",
    "slower",
]

_RANK: Final = {"unknown": 0, "pending": 1, "timed_out": 2, "confirmed": 3}


def asks(history: History) -> Iterator[Finding]:
    """pn.subscribe.asks: the first message is a subscribe; an application's ping may come first."""
    for link in history.view(PnWire).links.values():
        spoken = [frame for frame in link.frames if '"ping"' not in str(frame.data)]
        if not spoken:
            continue
        if link.subscribes and link.subscribes[0].n == spoken[0].n:
            yield kept("pn.subscribe.asks")
        else:
            yield broken("pn.subscribe.asks", "the first message was no subscribe", spoken[0].n)


def one_at_a_time(history: History) -> Iterator[Finding]:
    """pn.subscribe.one-at-a-time."""
    wire = history.view(PnWire)
    if wire.crowded_n is not None:
        text = "a second subscribe before the first was answered"
        yield broken("pn.subscribe.one-at-a-time", text, wire.crowded_n)
    elif wire.subscribed:
        yield kept("pn.subscribe.one-at-a-time")


def reaches_back(history: History) -> Iterator[Finding]:
    """pn.history.reaches-back: every later connection asks for what it may have missed."""
    rule = "pn.history.reaches-back"
    wire = history.view(PnWire)
    for link in list(wire.links.values())[1:]:
        if not link.subscribes:
            continue
        first = link.subscribes[0]
        newest = wire.newest_ms(first.n)
        if newest is None:
            continue
        since, count = first.filters.get("since"), first.filters.get("snapshot_count")
        if isinstance(since, int) and since > newest:
            yield broken(rule, f"since {since}, the newest event was of {newest}", first.n)
        elif since is None and not (isinstance(count, int) and count > 0):
            yield broken(rule, "neither since nor snapshot_count", first.n)
        else:
            yield kept(rule)


def outcomes(history: History) -> dict[str, list[tuple[Said, str]]]:
    """What the client said of each item, in order."""
    told: dict[str, list[tuple[Said, str]]] = {}
    for said in history.of(Said):
        line = said.line or {}
        if line.get("event") == "item":
            key = line.get("key")
            name = (
                "/".join(map(str, cast("list[object]", key))) if isinstance(key, list) else str(key)
            )
            told.setdefault(name, []).append((said, str(line.get("state"))))
    return told


def once(history: History) -> Iterator[Finding]:
    """pn.item.once: in one life of the client."""
    told = outcomes(history)
    for name, lines in told.items():
        seen: set[tuple[int, str]] = set()
        for said, state in lines:
            if (said.run, state) in seen:
                yield broken("pn.item.once", f"{name} is {state} once more", said.n)
                return
            seen.add((said.run, state))
    if told:
        yield kept("pn.item.once")


def forward(history: History) -> Iterator[Finding]:
    """pn.item.forward: along unknown, pending, timed out, confirmed."""
    told = outcomes(history)
    for name, lines in told.items():
        for (before, old), (said, new) in itertools.pairwise(lines):
            if before.run == said.run and _RANK.get(new, 9) < _RANK.get(old, 0):
                yield broken("pn.item.forward", f"{name} went from {old} to {new}", said.n)
                return
    if told:
        yield kept("pn.item.forward")


def pongs(history: History) -> Iterator[Finding]:
    """pn.alive.pongs: of two pings to a connection the first has been answered by the second.

    Pings are far enough apart for that; the last one may still be under way.
    """
    answered: dict[int, int] = {}
    waiting: dict[int, int] = {}
    for moment in history.moments:
        if isinstance(moment, Pinged):
            if waiting.get(moment.connection, 0) > 1:
                text = "two pings in a row without a pong"
                yield broken("pn.alive.pongs", text, moment.n)
                return
            waiting[moment.connection] = waiting.get(moment.connection, 0) + 1
        elif isinstance(moment, Ponged):
            waiting[moment.connection] = 0
            answered[moment.connection] = moment.n
    if answered:
        yield kept("pn.alive.pongs")


def slower(base_s: float, cap_s: float, attempts_min: int) -> Judge:
    """pn.connect.backs-off: as for every dialect, by connections and refused upgrades."""
    return pauses.slower(
        "pn.connect.backs-off",
        (Connected, Refused),
        base_s=base_s,
        cap_s=cap_s,
        attempts_min=attempts_min,
    )


def no_new_connection(rule: str, since: Callable[[History], int | None]) -> Judge:
    """The client stays where it is from a moment on."""

    def judge(history: History) -> Iterator[Finding]:
        start = since(history)
        if start is None:
            return
        moved = [m for m in history.moments if isinstance(m, Connected | Ended) and m.n > start]
        if moved:
            yield broken(rule, "it left the connection", moved[0].n)
        else:
            yield kept(rule)

    return judge


def item_difference(state: Mapping[str, Any], truth: Mapping[str, Any]) -> str | None:
    """Where a client's items and the true ones part.

    What the truth calls pending, a client may have given up waiting for; what it calls confirmed is
    confirmed. An item that nobody was told of is none.
    """
    for key, item in sorted(truth.items()):
        shown: Any = state.get(key)
        said = shown.get("state") if isinstance(shown, Mapping) else shown  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        wanted = ("confirmed",) if item["state"] == "confirmed" else ("pending", "timed_out")
        if said not in wanted:
            return f"{key} is {said or 'missing'}, should be {' or '.join(wanted)}"
    extra = sorted(set(state) - set(truth))
    return f"{extra[0]} should not be there" if extra else None
