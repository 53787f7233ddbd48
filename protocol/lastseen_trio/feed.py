"""The trio driver of a session: sockets, fetches, commits and one timer around the pure core.

It holds no protocol state. Whatever happens is told to the session by exactly one `handle_*`, then
the effects are drained and started; doing an effect never waits.
"""

import ssl
from collections.abc import Awaitable, Callable
from typing import Self, assert_never, final

import attrs
import trio

from lastseen.dialect import Dialect, End, HttpResponse, SnapshotFault
from lastseen.dialects.oddspapi import OddsPapi, Subscription
from lastseen.effects import (
    CancelFetch,
    Close,
    Commit,
    Connect,
    Effect,
    FetchSnapshot,
    Ping,
    Send,
)
from lastseen.errors import LocalProtocolError
from lastseen.events import AnomalyCode, Entry, Event
from lastseen.position import Position
from lastseen.secret import Secret
from lastseen.session import Session
from lastseen.status import Counters, SessionStatus
from lastseen_trio.addresses import Address
from lastseen_trio.http import fetch_snapshot
from lastseen_trio.store import Binding, CommitError, Restored, Store
from lastseen_trio.websocket import (
    LOST,
    NO_UPGRADE,
    Socket,
    connect,
    open_room,
)

__all__ = ["Batches", "Feed"]

_CHECKPOINT_EVENTS = 64
"""So many events may be taken without letting the reader and the timers run."""

_BATCH_EVENTS = 1024
_LANGUAGE = "en"


@attrs.define(eq=False, repr=False)
class _Link:
    """One connection's tasks."""

    working: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    """Connecting and receiving; a `Close` ends it."""
    order: Close | None = None
    room: trio.Nursery | None = None
    socket: Socket | None = None
    pinging: bool = False
    end: End = NO_UPGRADE
    """How it ended, or how it would have if it were cut short now."""


@final
@attrs.define(eq=False, repr=False)
class Feed:
    """Every event of a subscription, in order. Made by `open_feed`.

    Iterating is taking: asking for the next event says that the last one is done with. Leaving the
    loop by `break`, an exception or a cancellation says nothing, so the position never runs ahead
    of the application. One task at a time may take events.
    """

    _session: Session
    _key: Secret
    _websocket: Address
    _rest: Address | None
    _store: Store
    _ssl_context: ssl.SSLContext | None
    _message_bytes_max: int
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
    _fetches: dict[int, trio.CancelScope] = attrs.field(
        init=False, factory=dict[int, trio.CancelScope]
    )
    _given: list[Event] = attrs.field(init=False, factory=list[Event])
    """What the application was given and has not yet answered for."""
    _restored: Restored = attrs.field(init=False, factory=Restored)
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

    def reject(self, entry: Entry) -> None:
        """Quarantines an entry that cannot be used; its scope resyncs, the connection stays.

        Everything given before it is acknowledged. Raises `LocalProtocolError` for an entry that is
        not outstanding.
        """
        index = next((n for n, event in enumerate(self._given) if event is entry), None)
        if index is None:
            raise LocalProtocolError("rejected an entry that is not outstanding")
        before, self._given = self._given[:index], self._given[index + 1 :]
        self._finish(before)
        self._reject(entry)

    def position_after(self, event: Event) -> Position:
        """The position once this event, and all given before it, are processed.

        For an application that keeps its state in a database of its own: store this in the
        transaction that stores what the event does, and hand it to `open_feed` at the next start
        (R6, R9). Raises `LocalProtocolError` for an event that is not outstanding.
        """
        return self._session.position_after(event)

    def resync(self, channel: str | None = None) -> None:
        """Asks for a fresh snapshot of one channel, or of all."""
        self._step(lambda now: self._session.handle_resync(channel, now=now))

    def resubscribe(self, subscription: Subscription) -> None:
        """Changes the subscription by a new login; the old one feeds until that is accepted."""
        dialect = OddsPapi(subscription=subscription, key=self._key)
        if self._session.status().stopped is None:
            self._store.rebind(self._binding(dialect))
        self._step(lambda now: self._session.handle_resubscribe(dialect, now=now))

    def status(self) -> SessionStatus:
        """What the session claims at this moment."""
        return self._session.status()

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

    @property
    def restored(self) -> Restored:
        """What the store brought back when the feed was opened."""
        return self._restored

    async def aclose(self) -> None:
        """Closes the sockets in order, within `SessionOptions.close_timeout_s`; may be repeated.

        What waits can still be taken afterwards; the iteration ends with it. A cancellation does
        not cut the closing short.
        """
        if self._gone:
            return
        self._step(lambda now: self._session.handle_close(now=now))
        options = self._session.options
        # The session gives up a socket after one close timeout; the second is for a last commit.
        with trio.move_on_after(2 * options.close_timeout_s, shield=True):
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
            self._acknowledge()
            if self._unchecked >= _CHECKPOINT_EVENTS:
                await self._checkpoint()
            while not (events := self._session.poll_events(limit)):
                if self._session.status().stopped is not None:
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

    def _acknowledge(self) -> None:
        given, self._given = self._given, []
        self._finish(given)

    def _finish(self, events: list[Event]) -> None:
        """What the application is done with joins the state that the next commit makes durable."""
        while events:
            taken = self._store.take(events)
            if taken == len(events):
                self._processed(events[-1])
                return
            unreadable, events = events[taken], events[taken + 1 :]
            assert isinstance(unreadable, Entry)
            self._reject(unreadable)

    def _processed(self, event: Event) -> None:
        self._step(lambda now: self._session.handle_processed(event, now=now))

    def _reject(self, entry: Entry) -> None:
        self._step(lambda now: self._session.handle_rejected(entry, now=now))

    # The driver.

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Lives until `stop`; a cancellation from outside leaves it time to close (`open_feed`)."""
        try:
            with self._running:
                async with trio.open_nursery() as self._nursery:
                    self._step(self._begin)
                    task_status.started()
                    await self._keep_time()
        finally:
            self._gone = True
            self._settled.set()

    async def restore(self) -> None:
        """Asks the store for what it kept; `open_feed` does so before the feed runs."""
        self._restored = await self._store.open(self._binding(self._session.dialect))

    def _binding(self, dialect: Dialect) -> Binding:
        return Binding(
            dialect=dialect,
            name=dialect.name,
            endpoint=str(self._websocket),
            account=self._key,
            subscription=dialect.identity,
        )

    def _begin(self, now: float) -> None:
        kept = self._restored
        self._session.handle_begin(kept.position, kept.bases, note=kept.note, now=now)

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

    def _do(self, effect: Effect) -> None:
        match effect:
            case Connect():
                link = self._links[effect.connection] = _Link()
                self._nursery.start_soon(self._connect, effect, link)
            case Send() | Ping() | Close():
                if effect.connection in self._links:
                    self._use(self._links[effect.connection], effect)
            case FetchSnapshot():
                scope = self._fetches[effect.fetch] = trio.CancelScope()
                self._nursery.start_soon(self._fetch, effect, scope)
            case CancelFetch():
                if effect.fetch in self._fetches:
                    self._fetches[effect.fetch].cancel()
            case Commit():
                # Staged now: later events must not be in what this position describes (R6).
                write = self._store.stage(effect.position)
                self._nursery.start_soon(self._commit, effect.commit, write)
            case _:
                assert_never(effect)

    def _use(self, link: _Link, effect: Send | Ping | Close) -> None:
        if isinstance(effect, Close):
            link.order = effect
            link.working.cancel()
        elif link.room is not None and link.socket is not None:
            if isinstance(effect, Send):
                link.room.start_soon(link.socket.send, effect.text)
            elif not link.pinging:
                link.pinging = True
                link.room.start_soon(self._ping, effect.connection, link, link.socket)

    async def _connect(self, effect: Connect, link: _Link) -> None:
        """The whole life of one connection."""
        try:
            async with open_room() as link.room:
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
                opened = await connect(
                    link.room,
                    self._websocket,
                    timeout_s=effect.timeout_s,
                    ssl_context=self._ssl_context,
                    message_bytes_max=self._message_bytes_max,
                )
                if isinstance(opened, End):
                    link.end = opened
                    return
                link.socket, link.end = opened, LOST
                self._step(lambda now: self._session.handle_opened(effect.connection, now=now))
                link.end = await self._receive(effect.connection, opened)
            order = link.order
            if order is not None and not order.abandon and link.socket is not None:
                timeout_s = self._session.options.close_timeout_s
                await link.socket.close(order.code, order.reason, timeout_s=timeout_s)
        finally:
            if link.socket is not None:
                await link.socket.abort()

    async def _receive(self, connection: int, socket: Socket) -> End:
        while not isinstance(received := await socket.receive(), End):
            frames = received
            self._step(lambda now: self._session.handle_frames(connection, frames, now=now))  # noqa: B023 - called at once
        return received

    async def _ping(self, connection: int, link: _Link, socket: Socket) -> None:
        try:
            answered = await socket.ping()
        finally:
            link.pinging = False
        if answered:
            self._step(lambda now: self._session.handle_alive(connection, now=now))

    async def _fetch(self, effect: FetchSnapshot, scope: trio.CancelScope) -> None:
        answer: tuple[HttpResponse, ...] | SnapshotFault = SnapshotFault(reason="cancelled")
        with scope:
            answer = await fetch_snapshot(self._rest_base(), effect, ssl_context=self._ssl_context)
        del self._fetches[effect.fetch]
        self._step(lambda now: self._session.handle_snapshot(effect.fetch, answer, now=now))

    def _rest_base(self) -> Address:
        """As given, or beside the WebSocket with the language as its path (`facts` §1)."""
        if self._rest is not None:
            return self._rest
        dialect = self._session.dialect
        assert isinstance(dialect, OddsPapi)
        return _rest_beside(self._websocket, dialect.subscription.lang or _LANGUAGE)

    async def _commit(self, commit: int, write: Callable[[], Awaitable[None]]) -> None:
        trouble: str | None = None
        try:
            await write()
        except (CommitError, OSError) as error:
            trouble = str(error) or type(error).__name__
        self._step(lambda now: self._session.handle_committed(commit, trouble=trouble, now=now))


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


def _rest_beside(websocket: Address, language: str) -> Address:
    scheme = "https" if websocket.secure else "http"
    return attrs.evolve(websocket, scheme=scheme, target=f"/{language}")
