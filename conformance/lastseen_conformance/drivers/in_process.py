"""The bare sessions of our own core as clients: no sockets, no processes, a disk that is a dict."""

import random
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Generic, TypeVar, final

import attrs
import msgspec

from lastseen.dialect import End, HttpResponse, SnapshotFault
from lastseen.dialects import polynode
from lastseen.dialects.oddspapi import OddsPapi, Subscription
from lastseen.effects import (
    CancelFetch,
    Close,
    Commit,
    Connect,
    Effect,
    FetchSnapshot,
    Ping,
    Request,
    Send,
)
from lastseen.errors import PayloadError
from lastseen.events import Entry, Event, ItemChanged
from lastseen.history_session import HistorySession
from lastseen.lifecycle import ItemKey, ItemState
from lastseen.machine import Machine
from lastseen.mechanisms import Mechanisms
from lastseen.options import HistoryOptions, SessionOptions
from lastseen.replica import Replica
from lastseen.secret import Secret
from lastseen.session import Session
from lastseen_conformance.drivers.disk import Disk, Kept
from lastseen_conformance.drivers.network import LATENCY_S, Clock, Network
from lastseen_simulator import effects as gateway
from lastseen_simulator.command._tail_claims import Claims
from lastseen_simulator.command._tail_lines import ReportLines, item_name

__all__ = ["OddsPapiClient", "PolyNodeClient", "SessionClient", "revealed"]

_LANGUAGE: Final = "en"
_NO_UPGRADE: Final = "not a WebSocket answer"

S = TypeVar("S", bound=Machine)


@final
@attrs.define(eq=False)
class _Socket:
    """The client's end of one connection."""

    client: "SessionClient[Any]"
    number: int
    wire: int = 0
    over: bool = False

    def opened(self, headers: tuple[tuple[str, str], ...] = ()) -> None:
        del headers
        self.client.step(lambda s, now: s.handle_opened(self.number, now=now))

    def refused(self, response: gateway.HttpResponse | None) -> None:
        end = End(reason="refused")
        if response is not None:
            end = End(http_status=response.status, words=response.body.decode(errors="replace"))
        self._end(end)

    def received(self, data: str | bytes) -> None:
        if not self.over:
            self.client.hear(self.number, data)

    def ended(self, code: int | None, reason: str) -> None:
        self._end(End(code=1006 if code is None else code, reason=reason))

    def _end(self, end: End) -> None:
        if not self.over:
            self.over = True
            self.client.sockets.pop(self.number, None)
            self.client.lose(self.number, end)


@attrs.define(eq=False)
class SessionClient(Generic[S]):
    """One life of a client around a session; `say` gets its report, line by line.

    A broken variant is made by handing in other mechanisms, or by a subclass that does one thing
    of a driver wrong.
    """

    network: Network
    clock: Clock
    say: Callable[[dict[str, Any]], None]
    disk: Disk | None
    channels: tuple[str, ...]
    key: str = attrs.field(repr=False)
    timers: dict[str, Any]
    mechanisms: Mechanisms = attrs.field(factory=Mechanisms)
    seed: int = 0
    crash: Callable[[str], None] = lambda _: None
    """Ends the program for a reason of its own."""
    account: str | None = None
    session: S = attrs.field(init=False)
    sockets: dict[int, _Socket] = attrs.field(init=False, factory=dict[int, _Socket])
    alive: bool = attrs.field(init=False, default=True)
    _lines: ReportLines = attrs.field(init=False, factory=ReportLines)
    _alarm: int = attrs.field(init=False, default=0)

    def begin(self) -> None:
        """Starts, from what the disk has."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """The answer to `state`."""
        raise NotImplementedError

    def told(self, command: str) -> bool:
        """A line on its standard input; False when that ends it."""
        if command == "state":
            self.say({"event": "state", "state": self.state()})
        return command != "stop"

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        self.step(lambda s, now: s.handle_frames(connection, (data,), now=now))

    def lose(self, connection: int, end: End) -> None:
        """A connection is over, or never came to be."""
        self.step(lambda s, now: s.handle_closed(connection, end, now=now))

    def die(self) -> None:
        """Nothing of it acts any more, and its sockets are gone."""
        self.alive = False
        for socket in list(self.sockets.values()):
            socket.over = True
            self.network.hang_up(socket.wire)
        self.sockets.clear()

    def step(self, handle: Callable[[S, float], None]) -> None:
        """Tells the session one thing, does what it says, and lets the application take events."""
        if not self.alive:
            return
        handle(self.session, self.clock.now)
        self._drain()
        while events := self.session.poll_events():
            for event in events:
                self._take(event)
            self._drain()
        self._say_claims()
        self._rearm()

    def _options(self, kind: type[Any]) -> dict[str, Any]:
        """The timers that these options know."""
        known = kind.__struct_fields__
        return {name: value for name, value in self.timers.items() if name in known}

    def _take(self, event: Event) -> None:
        raise NotImplementedError

    def _say_claims(self) -> None:
        raise NotImplementedError

    def _do_more(self, effect: Effect) -> None:
        raise NotImplementedError

    def _tell(self, lines: list[str]) -> None:
        for line in lines:
            self.say(msgspec.json.decode(line))

    def _rearm(self) -> None:
        self._alarm += 1
        deadline = self.session.poll_deadline()
        if deadline is not None:
            armed = self._alarm
            # A real loop wakes a little late, never early and never at the very moment.
            wait = max(deadline.at - self.clock.now, 0.0) + 1e-6
            self.clock.after(wait, lambda: self._ring(armed))

    def _ring(self, armed: int) -> None:
        if armed == self._alarm:
            self.step(lambda s, now: s.handle_deadline(now=now))

    def _drain(self) -> None:
        while effects := self.session.poll_effects():
            for effect in effects:
                self._do(effect)

    def _do(self, effect: Effect) -> None:
        match effect:
            case Connect():
                socket = self.sockets[effect.connection] = _Socket(self, effect.connection)
                socket.wire = self.network.dial("/ws", revealed(effect.query), socket)
            case Send():
                if effect.connection in self.sockets:
                    wire = self.sockets[effect.connection].wire
                    self.network.send(wire, effect.text.reveal())
            case Ping():
                if effect.connection in self.sockets:
                    number = effect.connection
                    self.network.ping(
                        self.sockets[number].wire,
                        lambda: self.step(lambda s, now: s.handle_alive(number, now=now)),
                    )
            case Close():
                self._close(effect)
            case _:
                self._do_more(effect)

    def _close(self, effect: Close) -> None:
        socket = self.sockets.pop(effect.connection, None)
        if socket is None or socket.over:
            return
        socket.over = True
        self.network.hang_up(socket.wire)
        end = End(code=effect.code)
        self.clock.after(
            2 * LATENCY_S,
            lambda: self.step(lambda s, now: s.handle_closed(effect.connection, end, now=now)),
        )


def revealed(query: tuple[tuple[str, str | Secret], ...]) -> tuple[tuple[str, str], ...]:
    """Names and values as they go on the wire."""
    return tuple(
        (name, value.reveal() if isinstance(value, Secret) else value) for name, value in query
    )


@attrs.define(eq=False)
class OddsPapiClient(SessionClient[Session]):
    """A session with positions, a replica, and a disk that keeps both or neither."""

    receive_type: str = "json"
    replica: Replica = attrs.field(init=False)
    _kept: Kept = attrs.field(init=False)
    _claims: Claims = attrs.field(init=False, factory=Claims)
    _answered: set[int] = attrs.field(init=False, factory=set[int])

    def __attrs_post_init__(self) -> None:
        subscription = Subscription(channels=self.channels, receive_type=self.receive_type)
        dialect = OddsPapi(subscription=subscription, key=Secret(self.key))
        options = SessionOptions(
            report_discarded=True,
            report_commits=self.disk is not None,
            **self._options(SessionOptions),
        )
        self.session = Session(dialect, random.Random(self.seed), options, self.mechanisms)
        self.replica = Replica(OddsPapi(subscription=subscription), tracked=True)
        self._kept = Kept(self.replica, self.disk)

    def begin(self) -> None:
        """Starts, from what the disk has."""
        self._tell(self._lines.opening())
        position, bases = self._kept.load()
        if self.disk is not None:
            self._tell(self._lines.restored("disk", position, len(self.replica)))
        self.step(lambda s, now: s.handle_begin(position, bases, now=now))

    def state(self) -> dict[str, Any]:
        """The replica's."""
        return self.replica.state()

    def _take(self, event: Event) -> None:
        now = self.clock.now
        if isinstance(event, Entry):
            try:
                self.replica.dialect.units(event)
            except PayloadError:
                self.session.handle_rejected(event, now=now)
                self._drain()
                return
        self.replica.apply(event)
        self._tell(self._lines.event(event, epoch=self.session.position.epoch, at=now))
        if self._claims.take(event):
            self._say_claims()
        self.session.handle_processed(event, now=now)
        self._drain()

    def _say_claims(self) -> None:
        for channel, claim in self._claims.changes(self.session.status()).items():
            self._tell(self._lines.claim(channel, claim, at=self.clock.now))

    def _do_more(self, effect: Effect) -> None:
        match effect:
            case FetchSnapshot():
                self._fetch(effect, effect.requests, ())
                fault = SnapshotFault(reason="timed out")
                late = partial(self._answer, effect.fetch, fault)
                self.clock.after(effect.timeout_s, late)
            case CancelFetch():
                self._answer(effect.fetch, SnapshotFault(reason="cancelled"), soon=True)
            case Commit():
                self._commit(effect)
            case _:
                raise AssertionError(f"a feed with positions wants no {type(effect).__name__}")

    def _fetch(
        self,
        effect: FetchSnapshot,
        requests: tuple[Request, ...],
        responses: tuple[HttpResponse, ...],
    ) -> None:
        if not requests or effect.fetch in self._answered or not self.alive:
            if not requests:
                self._answer(effect.fetch, responses)
            return
        request = requests[0]
        http = gateway.HttpRequest(
            method="GET",
            path=f"/{_LANGUAGE}{request.path}",
            query=revealed(request.query),
            headers=request.headers,
        )

        def answered(response: gateway.HttpResponse) -> None:
            if response.cut_at is not None and response.cut_at < len(response.body):
                self._answer(effect.fetch, SnapshotFault(reason="the body was cut"))
                return
            headers = tuple((name.lower(), value) for name, value in response.headers)
            got = HttpResponse(status=response.status, headers=headers, body=response.body)
            rest = requests[1:] if 200 <= response.status < 300 else ()
            self._fetch(effect, rest, (*responses, got))

        self.network.ask(http, answered)

    def _answer(
        self,
        fetch: int,
        answer: tuple[HttpResponse, ...] | SnapshotFault,
        *,
        soon: bool = False,
    ) -> None:
        if fetch in self._answered:
            return
        self._answered.add(fetch)
        act: Callable[[], None] = lambda: self.step(  # noqa: E731 - said twice below
            lambda s, now: s.handle_snapshot(fetch, answer, now=now)
        )
        if soon:
            self.clock.after(0.0, act)
        else:
            act()

    def _commit(self, effect: Commit) -> None:
        image = self._kept.image()

        def durable() -> None:
            if not self.alive:
                return
            self._kept.write(effect.position, image)
            self.step(lambda s, now: s.handle_committed(effect.commit, now=now))

        self.clock.after(LATENCY_S, durable)


@attrs.define(eq=False)
class PolyNodeClient(SessionClient[HistorySession]):
    """A session with histories, and the newest state of every item it told of."""

    items: dict[ItemKey, ItemState] = attrs.field(init=False, factory=dict[ItemKey, ItemState])

    def __attrs_post_init__(self) -> None:
        subscriptions = tuple(
            polynode.Subscription(preset=polynode.Preset(name)) for name in self.channels
        )
        dialect = polynode.PolyNode(subscriptions=subscriptions, key=Secret(self.key))
        options = HistoryOptions(**self._options(HistoryOptions))
        self.session = HistorySession(dialect, random.Random(self.seed), options, self.mechanisms)

    def begin(self) -> None:
        """Starts; there is no place to keep."""
        self._tell(self._lines.opening())
        self.step(lambda s, now: s.handle_begin(now=now))

    def state(self) -> dict[str, Any]:
        """Every item by name."""
        return {item_name(key): {"state": state.value} for key, state in self.items.items()}

    def _take(self, event: Event) -> None:
        now = self.clock.now
        if isinstance(event, Entry):
            try:
                event.payload  # noqa: B018 - reading is the check
            except PayloadError:
                self.session.handle_rejected(event, now=now)
                self._drain()
                return
        if isinstance(event, ItemChanged):
            self.items[event.key] = event.state
        self._tell(self._lines.event(event, epoch=None, at=now))
        self.session.handle_processed(event, now=now)
        self._drain()

    def _say_claims(self) -> None:
        """A feed without positions claims nothing that could be judged."""

    def _do_more(self, effect: Effect) -> None:
        raise AssertionError(f"a feed with histories wants no {type(effect).__name__}")
