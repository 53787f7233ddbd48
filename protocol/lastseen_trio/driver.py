"""The trio driver of any session: sockets, one timer, and the way to the application.

It holds no protocol state. Whatever happens is told to the session by exactly one `handle_*`, then
the effects are drained and started; doing an effect never waits.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, Self, TypeVar, final

import attrs
import trio

from lastseen.dialect import End
from lastseen.effects import (
    CancelFetch,
    Close,
    Commit,
    Connect,
    Effect,
    FetchSnapshot,
    FetchToken,
    Ping,
    Send,
    Subscribe,
)
from lastseen.errors import LocalProtocolError
from lastseen.events import AnomalyCode, Entry, Event
from lastseen.machine import Machine
from lastseen.position import Position
from lastseen.status import Counters
from lastseen_trio.standstill import Standstill
from lastseen_trio.transport import LOST, Head, Line, Order, Transport

__all__ = ["Batches", "Driver"]

_CHECKPOINT_EVENTS = 64
"""So many events may be taken without letting the reader and the timers run."""

_BATCH_EVENTS = 1024

_M = TypeVar("_M", bound=Machine)


@attrs.define(eq=False, repr=False)
class _Link:
    """One connection's tasks."""

    end: End
    """How it ended, or how it would have if it were cut short now."""
    working: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    """Connecting and receiving; a `Close` ends it."""
    order: Close | None = None
    room: trio.Nursery | None = None
    line: Line | None = None
    pinging: bool = False


@attrs.define(eq=False, repr=False)
class Driver(Generic[_M]):
    """What feeds of every kind share; each kind says how it begins, and what else it does."""

    _session: _M
    _transport: Transport
    _nursery: trio.Nursery = attrs.field(init=False)
    _running: trio.CancelScope = attrs.field(
        init=False, factory=lambda: trio.CancelScope(shield=True)
    )
    _timer: trio.CancelScope = attrs.field(init=False, factory=trio.CancelScope)
    _gone: bool = attrs.field(init=False, default=False)
    """Nobody is left to do what the session says."""
    _settled: trio.Event = attrs.field(init=False, factory=trio.Event)
    _arrived: trio.Event = attrs.field(init=False, factory=trio.Event)
    _links: dict[int, _Link] = attrs.field(init=False, factory=dict[int, _Link])
    _given: list[Event] = attrs.field(init=False, factory=list[Event])
    """What the application was given and has not yet answered for."""
    _closed_by: float | None = attrs.field(init=False, default=None)
    """When closing has had its time, however often it is asked for."""
    _taking: bool = attrs.field(init=False, default=False)
    _unchecked: int = attrs.field(init=False, default=0)

    # For the application.

    def __aiter__(self) -> Self:
        """Every event, one at a time."""
        return self

    async def __anext__(self) -> Event:
        """Acknowledges the last event and gives the next; ends once the session has stopped."""
        # One at a time: what is still with the session can be overtaken by a fall in status.
        events = await self._take(1)
        if not events:
            raise StopAsyncIteration
        return events[0]

    def batches(self, limit: int = _BATCH_EVENTS) -> "Batches":
        """Iterates over lists of up to `limit` events; asking for one acknowledges the last."""
        return Batches(self._take, limit)

    def acknowledge(self) -> None:
        """Says that everything given is done with, without asking for more."""
        given, self._given = self._given, []
        self._finish(given)

    def reject(self, entry: Entry) -> None:
        """Quarantines an entry that cannot be used; the connection stays.

        Everything given before it is acknowledged. Raises `LocalProtocolError` for an entry that is
        not outstanding.
        """
        index = next((n for n, event in enumerate(self._given) if event is entry), None)
        if index is None:
            raise LocalProtocolError("rejected an entry that is not outstanding")
        before, self._given = self._given[:index], self._given[index + 1 :]
        self._finish(before)
        self._reject(entry)

    def counters(self) -> dict[str, Counters]:
        """Where every received entry went, by channel; `?` is for channels that are not ours."""
        return self._session.counters()

    def anomalies(self) -> dict[tuple[AnomalyCode, str | None], int]:
        """How often each anomaly was seen, by code and channel."""
        return self._session.anomalies()

    @property
    def position(self) -> Position:
        """What has been acknowledged."""
        return self._session.position

    async def aclose(self) -> None:
        """Closes the sockets in order, within `SessionOptions.close_timeout_s`; may be repeated.

        What waits can still be taken afterwards; the iteration ends with it. A cancellation does
        not cut the closing short.
        """
        if self._gone:
            return
        self._step(lambda now: self._session.handle_close(now=now))
        if self._closed_by is None:
            # The session gives up a socket after one close timeout; the second is for commits.
            patience_s = 2 * self._session.options.close_timeout_s
            self._closed_by = trio.current_time() + patience_s
        with trio.CancelScope(deadline=self._closed_by, shield=True):
            while not self._gone and not self._session.finished:
                self._settled = trio.Event()
                await self._settled.wait()

    async def _take(self, limit: int) -> list[Event]:
        """Acknowledges what was given, then waits for more; an empty list is the end."""
        if self._taking:
            raise trio.BusyResourceError("another task is taking events from this feed")
        if self._gone:
            raise trio.ClosedResourceError("the feed was closed")
        self._taking = True
        try:
            self.acknowledge()
            if self._unchecked >= _CHECKPOINT_EVENTS:
                await self._checkpoint()
            while not (events := self._session.poll_events(limit)):
                if self._session.stopped is not None:
                    await self._checkpoint()
                    return []
                self._arrived = trio.Event()
                await self._arrived.wait()
                self._unchecked = 0
                if self._gone:
                    raise trio.ClosedResourceError("the feed was closed")
            self._given = list(events)
            self._unchecked += len(events)
            return events
        finally:
            self._taking = False

    async def _checkpoint(self) -> None:
        self._unchecked = 0
        await trio.lowlevel.checkpoint()

    def _finish(self, events: list[Event]) -> None:
        """The application is done with these, which were given in this order."""
        if events:
            self._processed(events[-1])

    def _processed(self, event: Event) -> None:
        self._step(lambda now: self._session.handle_processed(event, now=now))

    def _reject(self, entry: Entry) -> None:
        self._step(lambda now: self._session.handle_rejected(entry, now=now))

    # The driver.

    def _begin(self, now: float) -> None:
        """Tells the session to start; every kind of feed starts from something else."""
        raise NotImplementedError

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Lives until `stop`; a cancellation from outside leaves it time to close (`open_feed`)."""
        standstill = Standstill(self._session.options.blocked_after_s, self._stood_still)
        trio.lowlevel.add_instrument(standstill)
        try:
            with self._running:
                async with trio.open_nursery() as self._nursery:
                    self._step(self._begin)
                    task_status.started()
                    await self._keep_time()
        finally:
            trio.lowlevel.remove_instrument(standstill)
            self._gone = True
            self._settled.set()

    def stop(self) -> None:
        """Ends every task at once; `open_feed` does so when its block is left."""
        self._gone = True
        self._running.cancel()
        self._arrived.set()

    def _step(self, handle: Callable[[float], None]) -> None:
        """Tells the session one thing, then does what it says; never waits."""
        handle(trio.current_time())
        for effect in self._session.poll_effects():
            self._do(effect)
        if self._session.waiting or self._session.finished:
            self._arrived.set()
        if self._session.finished:
            self._settled.set()
        self._rearm()

    def _rearm(self) -> None:
        deadline = self._session.poll_deadline()
        at = deadline.at if deadline is not None else float("inf")
        if at != self._timer.deadline:
            self._timer.deadline = at

    async def _keep_time(self) -> None:
        while True:
            with trio.CancelScope() as self._timer:
                self._rearm()
                await trio.sleep_forever()
            # trio never wakes us before a deadline on the clock that `_step` reads.
            self._step(lambda now: self._session.handle_deadline(now=now))

    def _stood_still(self, seconds: float) -> None:
        if not self._gone:
            self._step(lambda now: self._session.handle_blocked(seconds, now=now))

    def _do(self, effect: Effect) -> None:
        match effect:
            case Connect():
                link = self._links[effect.connection] = _Link(end=self._transport.cut_short)
                self._nursery.start_soon(self._connect, effect, link)
            case Send() | Ping() | Subscribe() | Close():
                if effect.connection in self._links:
                    self._use(self._links[effect.connection], effect)
            case FetchSnapshot() | CancelFetch() | FetchToken() | Commit():
                self._do_more(effect)

    def _do_more(self, effect: FetchSnapshot | CancelFetch | FetchToken | Commit) -> None:
        """Effects that only some sessions have."""
        raise NotImplementedError

    def _use(self, link: _Link, effect: Order | Close) -> None:
        if isinstance(effect, Close):
            link.order = effect
            link.working.cancel()
        elif link.room is not None and link.line is not None:
            if isinstance(effect, Ping):
                if link.pinging:
                    return
                link.pinging = True
            link.room.start_soon(self._perform, effect, link, link.line)

    async def _connect(self, effect: Connect, link: _Link) -> None:
        """The whole life of one connection."""
        try:
            async with self._transport.room() as link.room:
                await self._converse(effect, link)
                link.room.cancel_scope.cancel()
        finally:
            link.room = None
            del self._links[effect.connection]
        self._step(lambda now: self._session.handle_closed(effect.connection, link.end, now=now))

    async def _converse(self, effect: Connect, link: _Link) -> None:
        assert link.room is not None
        try:
            with link.working:
                opened = await self._transport.open(link.room, effect)
                if isinstance(opened, End):
                    link.end = opened
                    return
                link.line, link.end = opened, LOST
                self._step(lambda now: self._session.handle_opened(effect.connection, now=now))
                link.end = await self._receive(effect.connection, opened)
            order = link.order
            if order is not None and not order.abandon and link.line is not None:
                timeout_s = self._session.options.close_timeout_s
                await link.line.close(order.code, order.reason, timeout_s=timeout_s)
        finally:
            if link.line is not None:
                await link.line.abort()

    async def _receive(self, connection: int, line: Line) -> End:
        while not isinstance(received := await line.receive(), End):
            if isinstance(received, Head):
                self._answered(connection, received)
                continue
            frames = received
            self._step(lambda now: self._session.handle_frames(connection, frames, now=now))  # noqa: B023 - called at once
        return received

    def _answered(self, connection: int, head: Head) -> None:
        """The head of an answer came, where a request is what begins a feed."""
        raise NotImplementedError

    async def _perform(self, order: Order, link: _Link, line: Line) -> None:
        try:
            alive = await line.perform(order)
        finally:
            if isinstance(order, Ping):
                link.pinging = False
        if alive:
            self._step(lambda now: self._session.handle_alive(order.connection, now=now))


@final
@attrs.define(eq=False)
class Batches:
    """Lists of events; made by `Feed.batches`."""

    _take: Callable[[int], Awaitable[list[Event]]]
    _limit: int

    def __aiter__(self) -> Self:
        """Every event, in lists."""
        return self

    async def __anext__(self) -> list[Event]:
        """Acknowledges the whole last list and gives the next, which is never empty."""
        events = await self._take(self._limit)
        if not events:
            raise StopAsyncIteration
        return events
