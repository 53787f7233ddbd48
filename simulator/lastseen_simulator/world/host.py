"""One life of a client: a real session, its sockets, its application, its disk."""

import random
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

import attrs

from lastseen.dialect import End
from lastseen.effects import Close, Commit, Connect, Effect, FetchSnapshot, Ping, Send, Subscribe
from lastseen.events import Event
from lastseen.machine import Machine
from lastseen.secret import Secret
from lastseen_simulator import effects as gateway
from lastseen_simulator.world.clock import Clock
from lastseen_simulator.world.effort import EffortWatch
from lastseen_simulator.world.network import Network, Wire
from lastseen_simulator.world.secrecy import SecrecyWatch
from lastseen_simulator.world.trace import Trace
from lastseen_simulator.world.watching import BrokenInvariantError, SocketWatch

__all__ = ["FrameWatch", "Host", "Setting", "Socket", "revealed", "shown"]

_EVENTS: Final = 1024
_SHOWN_MAX: Final = 150
_LATE_S: Final = 1e-6
"""A real loop wakes a little late, never early and never at the very moment."""


class FrameWatch(Protocol):
    """What every dialect's watch hears of connections."""

    effort: EffortWatch
    secrecy: SecrecyWatch

    def handed(self, connection: int, frames: list[Any], /) -> None:
        """These frames are about to reach the session."""
        ...

    def lost(self, connection: int, /) -> None:
        """A connection does not count any more."""
        ...


S = TypeVar("S", bound=Machine)
W = TypeVar("W", bound=FrameWatch)


@attrs.define(eq=False, kw_only=True)
class Setting:
    """What surrounds a client, and how its application and its driver behave just now."""

    clock: Clock
    network: Network
    trace: Trace
    number: int
    rng: random.Random
    one_by_one: bool = False
    """The application takes events one at a time, as `async for` does, not in batches."""
    linger_s: float = 0.0
    """For so long a socket that was told to close still delivers."""
    stubborn: bool = False
    """A cancelled fetch is answered all the same, as its answer may have been on its way."""
    pace_s: float = 0.0
    """The application takes its time before each batch."""
    slow_until: float = 0.0
    rejects: int = 0
    """So many entries will be rejected."""
    forgets: str | None = None
    """The channel whose state is gone when this life begins, and whose place is not."""


@attrs.define(eq=False)
class Socket:
    """The client's end of one wire."""

    host: "Host[Any, Any]"
    number: int
    wire: Wire | None = None
    over: bool = False
    closing: bool = False

    def opened(self) -> None:
        """The connection is there."""
        self.host.opened(self)

    def refused(self, response: gateway.HttpResponse | None) -> None:
        """It is not."""
        end = End(reason="refused")
        if response is not None:
            headers = {name.lower(): value for name, value in response.headers}
            retry = headers.get("retry-after")
            end = End(
                http_status=response.status,
                words=response.body.decode(errors="replace"),
                retry_after_s=float(retry) if retry else None,
            )
        self.finish(end)

    def answered(self, headers: Sequence[tuple[str, str]]) -> None:
        """The head of a stream's answer came."""
        if not self.over:
            self.host.answered(self, headers)

    def received(self, frames: list[str | bytes]) -> None:
        """Messages arrived."""
        if not self.over:
            self.host.received(self, frames)

    def ended(self, code: int | None, reason: str) -> None:
        """It is over."""
        self.finish(self.host.end_of(code, reason))

    def finish(self, end: End) -> None:
        """Tells the session, once."""
        if not self.over:
            self.over = True
            self.host.closed(self, end)


@attrs.define(eq=False)
class Host(Generic[S, W]):
    """Runs a session as a driver does, in virtual time; each dialect adds what it is told."""

    setting: Setting
    sockets_watch: SocketWatch
    watch: W
    session: S = attrs.field(init=False)
    sockets: dict[int, Socket] = attrs.field(init=False, factory=dict[int, Socket])
    alive: bool = attrs.field(init=False, default=True)
    _alarm_at: float | None = attrs.field(init=False, default=None)
    _visit: bool = attrs.field(init=False, default=False)

    @property
    def now(self) -> float:
        """The client's monotonic clock."""
        return self.setting.clock.now

    def step(self, handle: Callable[[float], None]) -> None:
        """Tells the session one thing, does what it says, and lets the application take events."""
        if not self.alive:
            return
        try:
            handle(self.now)
            self._drain()
            if not self._slow():
                self._take_all()
            deadline = self.session.poll_deadline()
        except BrokenInvariantError:
            raise
        except Exception as error:  # noqa: BLE001, RUF100 - INV-S17 is what is watched here
            self.sockets_watch.blame("S17", f"{type(error).__name__}: {error}")
        self.watched()
        at = None if deadline is None else deadline.at
        self._rearm(at)
        if at is None and self.session.stopped is None and not self.busy():
            self.sockets_watch.blame("S20", "nothing is armed, and nothing is under way")

    def wake(self) -> None:
        """Lets the application take what waits."""
        self.step(lambda _: None)

    def die(self) -> None:
        """Nothing of it acts any more, and its sockets are gone."""
        self.check_claims()
        self.alive = False
        for socket in list(self.sockets.values()):
            socket.over = True
            if socket.wire is not None:
                self.setting.network.hang_up(socket.wire)
        self.sockets.clear()

    def check_claims(self) -> None:
        """INV-S16: what the session says of itself does not show the key."""
        if self.watch.secrecy.claims(self.session):
            self.sockets_watch.blame("S16", "the session's claims show the key")

    def tell(self, target: str, text: str) -> None:
        """Adds a line to the story."""
        self.setting.trace.tell(self.now, f"client {self.setting.number}", target, text)

    def hear(self, source: str, text: str) -> None:
        """Adds a line of somebody else to the story."""
        self.setting.trace.tell(self.now, source, f"client {self.setting.number}", text)

    def hidden(self, frame: str | bytes) -> str:
        """A message in one line, without the key where the peer repeats it."""
        text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
        return shown(self.watch.secrecy.canary.hide(text))

    # What each dialect says.

    def begin(self) -> None:
        """Starts, from what is durable."""
        raise NotImplementedError

    def apply(self, event: Event) -> bool:
        """The application takes an event; False when it rejects it."""
        raise NotImplementedError

    def do_more(self, effect: Effect) -> None:
        """Effects that only some sessions have."""
        raise NotImplementedError

    def watched(self) -> None:
        """After every step."""

    def is_ping(self, text: str) -> bool:
        """Whether a message is no more than a sign of life."""
        del text
        return False

    def busy(self) -> bool:
        """Whether something is under way that will be reported."""
        return bool(self.sockets)

    def end_of(self, code: int | None, reason: str) -> End:
        """How the end of a wire is told to a session."""
        return End(code=1006 if code is None else code, reason=reason)

    def dial(self, effect: Connect, socket: Socket) -> Wire:
        """Opens a WebSocket, unless a dialect has another wire."""
        http = gateway.HttpRequest(method="GET", path="/ws", query=revealed(effect.query))
        self.tell("gateway", f"connect {effect.connection}")
        return self.setting.network.dial(self.setting.number, http, socket)

    # What the sockets tell.

    def opened(self, socket: Socket) -> None:
        """A socket is open."""
        if socket.over:
            return
        self.sockets_watch.arrived(socket.number)
        self.watch.effort.heard(socket.number)
        self.step(lambda now: self.session.handle_opened(socket.number, now=now))

    def answered(self, socket: Socket, headers: Sequence[tuple[str, str]]) -> None:
        """The head of an answer came; a WebSocket has none."""

    def received(self, socket: Socket, frames: Sequence[str | bytes]) -> None:
        """Messages arrived together."""
        if self.setting.trace.told:
            for frame in frames:
                self.hear("gateway", f"on {socket.number}: {self.hidden(frame)}")

        def handle(now: float) -> None:
            self.watch.effort.heard(socket.number)
            self.watch.handed(socket.number, list(frames))
            self.session.handle_frames(socket.number, list(frames), now=now)

        self.step(handle)

    def closed(self, socket: Socket, end: End) -> None:
        """A socket has ended."""
        self.watch.lost(socket.number)
        why = f": {end.reason}" if end.reason else ""
        self.tell("application", f"connection {socket.number} has ended{why}")
        self.sockets.pop(socket.number, None)
        self.sockets_watch.gone(socket.number)
        self.watch.effort.ended(socket.number)
        self.step(lambda now: self.session.handle_closed(socket.number, end, now=now))
        if self.alive:
            self.check_claims()

    # How it is done.

    def _slow(self) -> bool:
        if self.now >= self.setting.slow_until:
            return False
        if not self._visit and self.session.waiting:
            self._visit = True
            self.setting.clock.after(self.setting.pace_s, self._visited)
        return True

    def _visited(self) -> None:
        self._visit = False
        if self.alive:
            self.step(lambda _: self._take_some(_EVENTS))

    def _take_all(self) -> None:
        limit = 1 if self.setting.one_by_one else _EVENTS
        while self.session.waiting:
            self._take_some(limit)

    def _take_some(self, limit: int) -> None:
        events = self.session.poll_events(limit)
        last: Event | None = None
        for event in events:
            if self.watch.secrecy.event(event):
                self.sockets_watch.blame("S16", f"a {type(event).__name__} shows the key")
            if self.apply(event):
                last = event
                continue
            if last is not None:
                self._processed(last)
                last = None
            rejected: Any = event
            self.session.handle_rejected(rejected, now=self.now)
            self._drain()
        if last is not None:
            self._processed(last)

    def _processed(self, event: Event) -> None:
        self.session.handle_processed(event, now=self.now)
        self._drain()

    def _rearm(self, at: float | None) -> None:
        if at is None or (self._alarm_at is not None and self._alarm_at <= at):
            return
        self._alarm_at = at = max(at, self.now)
        self.setting.clock.at(at + _LATE_S, lambda: self._ring(at))

    def _ring(self, at: float) -> None:
        if self._alarm_at != at:
            return
        self._alarm_at = None
        if self.alive:
            self.watch.effort.wakes += 1
        self.step(lambda now: self.session.handle_deadline(now=now))

    def _drain(self) -> None:
        while effects := self.session.poll_effects():
            for effect in effects:
                if self.watch.secrecy.effect(effect):
                    self.sockets_watch.blame("S16", f"a {type(effect).__name__} shows the key")
                self._count(effect)
                self._do(effect)

    def _count(self, effect: Effect) -> None:
        effort = self.watch.effort
        match effect:
            case Connect():
                effort.connect(effect.connection)
            case Send() if self.is_ping(effect.text.reveal()):
                effort.pings += 1
            case Send() | Subscribe():
                effort.said(effect.connection)
            case Ping():
                effort.pings += 1
            case FetchSnapshot():
                effort.fetches += 1
            case Commit():
                effort.commits += 1
            case _:
                pass

    def _do(self, effect: Effect) -> None:
        match effect:
            case Connect():
                self.sockets_watch.connect(effect.connection)
                socket = self.sockets[effect.connection] = Socket(self, effect.connection)
                socket.wire = self.dial(effect, socket)
                self.setting.clock.after(effect.timeout_s, lambda: self._expire(effect.connection))
            case Send():
                self.sockets_watch.said()
                self.sent(effect.connection, effect.text.reveal())
            case Ping():
                self._ping(effect.connection)
            case Close():
                self._close(effect)
            case _:
                self.do_more(effect)

    def sent(self, connection: int, text: str) -> None:
        """The session sends a message."""
        socket = self.sockets.get(connection)
        if socket is not None and socket.wire is not None:
            self.setting.network.send(socket.wire, text)

    def _expire(self, connection: int) -> None:
        """The driver's own deadline over the connect (HZ-K9)."""
        socket = self.sockets.get(connection)
        if socket is not None and self.sockets_watch.connecting == connection:
            if socket.wire is not None:
                self.setting.network.hang_up(socket.wire)
            socket.finish(End(reason="connect timed out"))

    def _ping(self, connection: int) -> None:
        socket = self.sockets.get(connection)
        if socket is None or socket.wire is None:
            return

        def answered() -> None:
            if not socket.over:
                self.watch.effort.heard(connection)
                self.step(lambda now: self.session.handle_alive(connection, now=now))

        self.setting.network.ping(socket.wire, answered)

    def _close(self, effect: Close) -> None:
        socket = self.sockets.get(effect.connection)
        if socket is None or socket.over or socket.closing:
            return
        if self.session.stopped is None:
            self.watch.effort.closing(effect.connection)
        self.closing(effect.connection)
        socket.closing = True
        linger_s = 0.0 if effect.abandon else self.setting.linger_s
        end = End(code=effect.code)

        def gone() -> None:
            if not socket.over and socket.wire is not None:
                self.setting.network.hang_up(socket.wire)
            socket.finish(end)

        if not linger_s and socket.wire is not None:
            # What still arrives is not read any more.
            self.setting.network.hang_up(socket.wire)
        self.setting.clock.after(linger_s + 2 * self.setting.network.latency_s, gone)

    def closing(self, connection: int) -> None:
        """The session lets a connection go."""
        self.watch.lost(connection)


def revealed(query: tuple[tuple[str, str | Secret], ...]) -> tuple[tuple[str, str], ...]:
    """A query as it is on the wire."""
    return tuple(
        (name, value.reveal() if isinstance(value, Secret) else value) for name, value in query
    )


def shown(frame: str | bytes) -> str:
    """A message in one line, and not all of it when it is long."""
    text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
    if len(text) > _SHOWN_MAX:
        text = text[:_SHOWN_MAX] + "…"
    return "".join(c if c.isprintable() else "·" for c in text)
