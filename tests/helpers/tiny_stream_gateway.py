"""A little peer of a stream, with the truth written down; it shares nothing with the client.

Orders only move forward and may vanish, which only a snapshot says. Everything that happens is in
a log; a token is a place in it. What is disclosed to the client is followed byte by byte, so that a
claim can be held against exactly what it has been handed.
"""

import random
from collections import deque
from typing import Any

import attrs
from toy_stream import error, heartbeat, snapshot, update

__all__ = ["Gateway", "Link"]


@attrs.define(eq=False)
class Record:
    """Bytes on their way, and what a client that has them all may know."""

    data: bytes
    base: dict[str, int] | None = None
    """A whole state, which replaces."""
    events: list[tuple[str, str, int]] = attrs.field(factory=list)
    """What happened: id, order, how far."""


@attrs.define(eq=False)
class Link:
    """The peer's end of one stream."""

    number: int
    resumed: bool
    since: int
    """How long the log was when it was opened."""
    queue: deque[Record] = attrs.field(factory=deque)
    known: dict[str, int] | None = None
    """What a perfect reader of this answer would hold now; None before it can."""
    partial: bytes = b""
    """The beginning of the next record, which the client has."""


@attrs.define(eq=False)
class Gateway:
    """The peer: orders, a log, and the streams that are open."""

    rng: random.Random
    tokens: bool
    snapshots: bool
    orders: dict[str, int] = attrs.field(factory=dict)
    log: list[tuple[str, str, int]] = attrs.field(factory=list)
    clock: int = 0
    session: int = 0
    links: dict[int, Link] = attrs.field(factory=dict)
    _names: int = 0

    # What happens in the market.

    def trade(self) -> None:
        """Some order moves on, or a new one comes."""
        self.clock += 1
        if not self.orders or self.rng.random() < 0.2:
            self._names += 1
            name, progress = f"o-{self._names}", 0
        else:
            name = self.rng.choice(sorted(self.orders))
            progress = self.orders[name] + self.rng.randint(1, 3)
        self.orders[name] = progress
        event = (f"x-{len(self.log) + 1}", name, progress)
        self.log.append(event)
        for link in self.links.values():
            self._send_events(link, [event])

    def finish(self) -> None:
        """An order is over: later snapshots leave it out."""
        if self.orders:
            self.clock += 1
            del self.orders[self.rng.choice(sorted(self.orders))]

    # What the peer says.

    def open(self, number: int, token: str | None) -> Link | None:
        """A request; None when its token is refused."""
        self.session += 1
        place = None if token is None else int(token)
        if place is not None and not 0 <= place <= len(self.log):
            return None
        link = self.links[number] = Link(number, place is not None, len(self.log))
        link.queue.append(Record(heartbeat(session=self._name)))
        replays = place is not None and (not self.snapshots or self.rng.random() < 0.7)
        if replays:
            assert place is not None
            # Inclusive now and then: at least once is all that is promised.
            start = max(0, place - self.rng.choice((0, 0, 1, 3)))
            self._send_events(link, self.log[start:])
        elif self.snapshots:
            self.send_snapshot(link)
        return link

    def send_snapshot(self, link: Link) -> None:
        """The whole state, in one page or in several."""
        beside: dict[str, Any] = {"session": self._name, "at": self.clock}
        names = sorted(self.orders)
        cut = self.rng.randint(0, len(names)) if self.rng.random() < 0.4 else 0
        if 0 < cut < len(names):
            page = {name: self.orders[name] for name in names[:cut]}
            link.queue.append(Record(snapshot(page, last=False, **beside)))
        rest = {name: self.orders[name] for name in names[cut if 0 < cut < len(names) else 0 :]}
        if self.tokens and self.rng.random() < 0.7:
            beside["token"] = str(len(self.log))
        link.queue.append(Record(snapshot(rest, **beside), base=dict(self.orders)))

    def repeat(self, link: Link) -> None:
        """Some recent event once more."""
        if self.log:
            self._send_events(link, [self.rng.choice(self.log[-6:])], token=False)

    def beat(self, link: Link) -> None:
        link.queue.append(Record(heartbeat(session=self._name)))

    def fail(self, link: Link, code: int) -> None:
        link.queue.append(Record(error(code, session=self._name)))

    def restart(self, link: Link) -> None:
        """The stream begins anew within the same answer."""
        self.session += 1
        if self.snapshots:
            self.send_snapshot(link)

    def _send_events(
        self, link: Link, events: list[tuple[str, str, int]], *, token: bool = True
    ) -> None:
        while events:
            count = self.rng.randint(1, 3)
            part, events = events[:count], events[count:]
            beside: dict[str, Any] = {"session": self._name}
            if self.tokens and token:
                beside["token"] = str(self.log.index(part[-1]) + 1)
            link.queue.append(Record(update(*part, **beside), events=list(part)))

    @property
    def _name(self) -> str:
        return f"s-{self.session}"
