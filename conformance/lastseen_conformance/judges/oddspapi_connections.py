"""How a client connects, judged from the wire alone."""

from collections.abc import Callable, Iterator

from lastseen_conformance.case import Finding, Judge, broken, kept
from lastseen_conformance.history import (
    CloseSent,
    Connected,
    Dropped,
    Ended,
    History,
    Refused,
)
from lastseen_conformance.judges.oddspapi_wire import Link, Wire

__all__ = ["backs_off", "few_sockets", "left_alone", "no_new_connection", "sockets_within"]

LIMIT = 5


def sockets_within(limit: int) -> Judge:
    """op.connect.limit: never more sockets than the key may have."""

    def judge(history: History) -> Iterator[Finding]:
        for count, n in _counts(history):
            if count > limit:
                yield broken("op.connect.limit", f"{count} sockets, {limit} are allowed", n)
                return
        if history.count(Connected):
            yield kept("op.connect.limit")

    return judge


def few_sockets(history: History) -> Iterator[Finding]:
    """op.connect.one-replacement: two at a time are enough for everything."""
    for count, n in _counts(history):
        if count > 2:
            yield broken("op.connect.one-replacement", f"{count} sockets at once", n)
            return
    if history.count(Connected) > 1:
        yield kept("op.connect.one-replacement")


def _counts(history: History) -> Iterator[tuple[int, int]]:
    """How many sockets are open after each new one; one that the gateway ended does not count."""
    live: set[int] = set()
    for moment in history.moments:
        match moment:
            case Connected():
                live.add(moment.connection)
                yield len(live), moment.n
            case Ended() | CloseSent() | Dropped():
                live.discard(moment.connection)
            case _:
                pass


def backs_off(
    base_s: float, cap_s: float, attempts_min: int, ends: Callable[[Link], bool]
) -> Judge:
    """op.connect.backs-off: a row of failed attempts takes at least a quarter of its delays.

    The n-th of them may not come before a quarter of the sum of the delays that the timers ask for:
    a client that draws each delay between zero and the whole of it keeps that, one that does not
    wait, or that waits the same small time for ever, does not.
    """

    def judge(history: History) -> Iterator[Finding]:
        wire = history.view(Wire)
        times = [(link.at, link.n) for link in wire.links.values() if ends(link)]
        times += [(moment.at, moment.n) for moment in history.of(Refused)]
        times.sort(key=lambda item: item[1])
        if len(times) < 2:
            return
        start = times[0][0]
        for count in range(attempts_min, len(times) + 1):
            least = sum(min(cap_s, base_s * 2**k) for k in range(count - 1)) / 4
            took, n = times[count - 1][0] - start, times[count - 1][1]
            if took < least:
                text = f"{count} attempts in {took:.2f} s; their pauses add up to {4 * least:.2f} s"
                yield broken("op.connect.backs-off", text, n)
                return
        yield kept("op.connect.backs-off", f"{len(times)} attempts")

    return judge


def no_new_connection(rule: str, since: Callable[[History], int | None]) -> Judge:
    """The client stays where it is from a moment on."""

    def judge(history: History) -> Iterator[Finding]:
        start = since(history)
        if start is None:
            return
        later = [moment for moment in history.of(Connected) if moment.n > start]
        left = [moment for moment in history.of(Ended) if moment.n > start]
        if later:
            yield broken(rule, "it connected again", later[0].n)
        elif left:
            yield broken(rule, "it gave the connection up", left[0].n)
        else:
            yield kept(rule)

    return judge


def left_alone(rule: str, since: Callable[[History], int | None], *, fetches: bool = True) -> Judge:
    """Nothing came of what happened: the connection stays, and no snapshot is fetched for it.

    A client may look again at an unproven base at any time, once; so only what is asked for again
    and again counts.
    """

    def judge(history: History) -> Iterator[Finding]:
        start = since(history)
        if start is None:
            return
        moved = [m for m in (*history.of(Connected), *history.of(Ended)) if m.n > start]
        if moved:
            yield broken(rule, "it left the connection", moved[0].n)
            return
        seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
        for query in history.view(Wire).queries.values():
            key = (query.path, tuple(sorted(query.query.items())))
            if fetches and query.n > start and key in seen:
                yield broken(rule, f"{query.path} was fetched again and again", query.n)
                return
            if query.n > start:
                seen.add(key)
        yield kept(rule)

    return judge
