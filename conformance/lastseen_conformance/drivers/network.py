"""A virtual clock, and a wire with a little latency between a gateway core and its clients."""

import heapq
import itertools
from collections.abc import Callable
from typing import Final, Protocol, assert_never, final

import attrs

from lastseen_conformance.drivers.body import LAST_CHUNK, Body
from lastseen_conformance.history import History
from lastseen_conformance.tap import Tap
from lastseen_simulator.effects import (
    Abort,
    CloseConnection,
    Effect,
    HttpRequest,
    HttpResponse,
    ListenerMode,
    OpenStream,
    Ping,
    RefuseConnections,
    RefuseUpgrade,
    Respond,
    Stall,
    Transmit,
    TransmitRaw,
)

__all__ = ["LATENCY_S", "Clock", "Network", "Peer"]

LATENCY_S: Final = 0.001


@final
@attrs.define(eq=False)
class Clock:
    """Moments and what is due at them; ties in the order they were set."""

    now: float = 0.0
    _due: list[tuple[float, int, Callable[[], None]]] = attrs.field(
        factory=list[tuple[float, int, Callable[[], None]]]
    )
    _count: "itertools.count[int]" = attrs.field(factory=itertools.count)

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Does something after so long."""
        heapq.heappush(self._due, (self.now + seconds, next(self._count), act))

    def next_at(self) -> float | None:
        """When the next thing is due."""
        return self._due[0][0] if self._due else None

    def step(self) -> None:
        """Goes to the next thing that is due, and does it."""
        at, _, act = heapq.heappop(self._due)
        self.now = max(self.now, at)
        act()


class Peer(Protocol):
    """The client's end of a connection."""

    def opened(self, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """The upgrade was granted, or the head of a stream came."""
        ...

    def refused(self, response: HttpResponse | None) -> None:
        """It was not; None when nobody listens."""
        ...

    def received(self, data: str | bytes) -> None:
        """A message, or a piece of a body, arrived."""
        ...

    def ended(self, code: int | None, reason: str) -> None:
        """The connection is over, with a close frame or without."""
        ...


@attrs.define(eq=False)
class _Wire:
    peer: Peer | None
    body: Body | None = None
    """Of a stream."""
    busy_until: float = 0.0
    """Its last piece is on the way until then; nothing overtakes it."""
    stalled: bool = False
    queued: list[Callable[[], None]] = attrs.field(factory=list[Callable[[], None]])
    gone: bool = False
    """The gateway has ended it, or knows that it has ended."""


@final
@attrs.define(eq=False)
class Network:
    """Does the gateway's effects, and carries what clients do to it."""

    tap: Tap
    clock: Clock
    history: History
    _wires: dict[int, _Wire] = attrs.field(init=False, factory=dict[int, _Wire])
    _questions: dict[int, Callable[[HttpResponse], None]] = attrs.field(
        init=False, factory=dict[int, Callable[[HttpResponse], None]]
    )
    answers_pings: bool = True
    """Whether the client's library does."""
    _connections: int = attrs.field(init=False, default=0)
    _requests: int = attrs.field(init=False, default=0)
    _refusals: dict[int, HttpResponse] = attrs.field(init=False, factory=dict[int, HttpResponse])
    _mode: ListenerMode = "accept"
    _alarm_at: float | None = None

    def step(self, handle: Callable[[], object]) -> None:
        """Hands one thing to the gateway and does what it says."""
        handle()
        while effects := self.tap.poll_effects():
            for effect in effects:
                self._do(effect)
        self._rearm()

    # What clients do.

    def dial(self, path: str, query: tuple[tuple[str, str], ...], peer: Peer) -> int:
        """Opens a connection; returns a number that `send` and `hang_up` take, 0 for none."""
        if self._mode != "accept":
            self.clock.after(LATENCY_S, lambda: peer.refused(None))
            return 0
        number, wire = self._wired(peer)
        http = HttpRequest(method="GET", path=path, query=query)
        self.clock.after(LATENCY_S, lambda: self._upgrade(number, http, wire))
        return number

    def ask_stream(self, http: HttpRequest, peer: Peer) -> int:
        """Asks for a stream on a connection of its own; returns the number of that."""
        number, wire = self._wired(peer)
        wire.body = Body()
        self.clock.after(LATENCY_S, lambda: self._upgrade(number, http, wire))
        return number

    @property
    def listens(self) -> bool:
        """Whether a connection would be accepted, and kept."""
        return self._mode == "accept"

    def send(self, number: int, data: str | bytes) -> None:
        """Sends a message."""
        self._up(number, lambda: self.tap.handle_frame(number, data, now=self.clock.now))

    def ping(self, number: int, answered: Callable[[], None]) -> None:
        """Sends a ping; the server's library answers it unless the connection is stalled."""

        def pong() -> None:
            wire = self._wires.get(number)
            if wire is not None and not wire.stalled and not wire.gone:
                self.clock.after(LATENCY_S, answered)

        self.clock.after(LATENCY_S, pong)

    def hang_up(self, number: int) -> None:
        """The client has gone from a connection."""
        wire = self._wires.get(number)
        if wire is None or wire.peer is None:
            return
        wire.peer = None
        self.clock.after(LATENCY_S, lambda: self._hung_up(number))

    def ask(self, http: HttpRequest, answered: Callable[[HttpResponse], None]) -> None:
        """Makes an HTTP request; `answered` is called unless the answer never comes."""
        self._requests += 1
        request = self._requests

        def arrive() -> None:
            self._questions[request] = answered
            self.step(lambda: self.tap.handle_request(request, http, now=self.clock.now))

        self.clock.after(LATENCY_S, arrive)

    # How it is done.

    def _upgrade(self, number: int, http: HttpRequest, wire: _Wire) -> None:
        self.step(lambda: self.tap.handle_upgrade(number, http, now=self.clock.now))
        refusal = self._refusals.pop(number, None)
        if refusal is not None:
            wire.gone = True
            if not refusal.silent:
                self._down(wire, lambda peer: peer.refused(refusal))
            return
        if wire.body is None:
            self._down(wire, lambda peer: peer.opened())
        self.step(lambda: self.tap.handle_connected(number, now=self.clock.now))

    def _wired(self, peer: Peer) -> tuple[int, _Wire]:
        self._connections += 1
        wire = self._wires[self._connections] = _Wire(peer)
        return self._connections, wire

    def _up(self, number: int, act: Callable[[], None]) -> None:
        def arrive() -> None:
            wire = self._wires.get(number)
            if wire is None or wire.gone:
                return
            if wire.stalled:
                wire.queued.append(lambda: self.step(act))
            else:
                self.step(act)

        self.clock.after(LATENCY_S, arrive)

    def _down(
        self, wire: _Wire, act: Callable[[Peer], None], *, seconds: float = LATENCY_S
    ) -> None:
        def arrive() -> None:
            if wire.peer is not None:
                act(wire.peer)

        if wire.stalled:
            wire.queued.append(lambda: self.clock.after(seconds, arrive))
        else:
            self.clock.after(seconds, arrive)

    def _receive(self, wire: _Wire, piece: bytes, seconds: float) -> None:
        wire.busy_until = max(wire.busy_until, self.clock.now + seconds)
        seconds = wire.busy_until - self.clock.now
        self._down(wire, lambda peer: peer.received(piece), seconds=seconds)

    def _hung_up(self, number: int) -> None:
        wire = self._wires[number]
        if not wire.gone:
            wire.gone = True
            self.step(lambda: self.tap.handle_disconnected(number, now=self.clock.now))

    def _over(self, number: int, code: int | None, reason: str) -> None:
        """The gateway ends a connection; both sides know of it a moment later."""
        wire = self._wires[number]

        def tell(peer: Peer) -> None:
            wire.peer = None
            peer.ended(code, reason)

        seconds = max(LATENCY_S, wire.busy_until - self.clock.now)
        self._down(wire, tell, seconds=seconds)
        self.clock.after(2 * LATENCY_S, lambda: self._hung_up(number))

    def _do(self, effect: Effect) -> None:
        match effect:
            case Transmit():
                wire, data = self._wires[effect.connection], effect.data
                if wire.body is not None:
                    for seconds, piece in wire.body.pieces(effect):
                        self._receive(wire, piece, LATENCY_S + seconds)
                elif effect.cut_at is None:
                    pace = effect.drip_bytes_per_s
                    seconds = LATENCY_S if pace is None else LATENCY_S + len(data) / pace
                    self._down(wire, lambda peer: peer.received(data), seconds=seconds)
            case TransmitRaw():
                if effect.data.startswith(LAST_CHUNK):
                    # A body that has ended; what comes after it is nobody's.
                    self._over(effect.connection, 1000, "ended")
                else:
                    self._over(effect.connection, None, "violation of the protocol")
            case Ping():
                number = effect.connection
                if self.answers_pings:
                    self._up(number, lambda: self.tap.handle_pong(number, now=self.clock.now))
            case CloseConnection():
                wire = self._wires[effect.connection]
                if wire.body is not None and (rest := wire.body.rest()):
                    self._receive(wire, rest, LATENCY_S)
                self._over(effect.connection, effect.code, effect.reason)
            case Abort():
                self._over(effect.connection, None, "")
            case Stall():
                self._stall(self._wires[effect.connection], effect.stalled)
            case Respond():
                self._respond(effect.request, effect.response)
            case RefuseUpgrade():
                self._refusals[effect.connection] = effect.response
            case OpenStream():
                wire = self._wires[effect.connection]
                assert wire.body is not None
                wire.body.open(effect)
                headers = effect.headers
                self._down(wire, lambda peer: peer.opened(headers))
            case RefuseConnections():
                self._mode = effect.mode
            case _:
                assert_never(effect)

    def _stall(self, wire: _Wire, stalled: bool) -> None:
        wire.stalled = stalled
        if not stalled:
            queued, wire.queued = wire.queued, []
            for act in queued:
                act()

    def _respond(self, request: int, response: HttpResponse) -> None:
        answered = self._questions.pop(request)
        if not response.stall and not response.silent:
            self.clock.after(LATENCY_S, lambda: answered(response))

    def _rearm(self) -> None:
        deadline = self.tap.poll_deadline()
        if deadline is None or deadline[0] == self._alarm_at:
            return
        self._alarm_at = max(deadline[0], self.clock.now)
        self.clock.after(self._alarm_at - self.clock.now, self._ring)

    def _ring(self) -> None:
        self._alarm_at = None
        self.step(lambda: self.tap.handle_deadline(now=self.clock.now))
