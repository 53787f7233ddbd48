"""The network of the world: wires with latency, and every way in which they fail."""

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, Protocol, assert_never, final

import attrs

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
from lastseen_simulator.gateways import GatewayCore
from lastseen_simulator.world.clock import Clock
from lastseen_simulator.world.trace import Trace

__all__ = ["Network", "Peer", "Side", "Wire"]

Side = Literal["both", "client", "gateway"]
"""Who gets to know that a connection has ended."""

TCP_TIMEOUT_S: Final = 20.0
"""After which a gateway notices that nobody is left at the other end of a dead wire."""

FOREVER: Final = float("inf")

_VIOLATION: Final = (1002, "violation of the protocol")


class Peer(Protocol):
    """The client's end of a wire."""

    def opened(self) -> None:
        """The connection is there; on a socket the upgrade, too."""
        ...

    def refused(self, response: HttpResponse | None) -> None:
        """It is not, or the request was refused; None when nobody listens."""
        ...

    def answered(self, headers: Sequence[tuple[str, str]]) -> None:
        """The head of a stream's answer came."""
        ...

    def received(self, frames: list[str | bytes]) -> None:
        """Messages, or pieces of a body, arrived together."""
        ...

    def ended(self, code: int | None, reason: str) -> None:
        """It is over: with a close frame or a body's proper end, or without (None)."""
        ...


_Item = tuple[float, str, Any]
"""When it arrives, what it is (open, refuse, head, frame, pong, ping, end), and its value."""


@final
@attrs.define(eq=False)
class Wire:
    """One connection. A dead direction loses all that is sent in it, and nobody is told."""

    number: int
    client: int
    peer: Peer | None
    stream: bool
    rng: random.Random
    dead_down: bool = False
    dead_up: bool = False
    stalled_until: float = 0.0
    at_gateway: bool = False
    """The gateway holds a connection for it."""
    granted: bool = False
    pending_bytes: int = 0
    down: deque[_Item] = attrs.field(factory=deque[_Item])
    held_up: list[Callable[[], None]] = attrs.field(factory=list[Callable[[], None]])
    down_last: float = 0.0
    up_last: float = 0.0


@attrs.define(eq=False)
class _Question:
    path: str
    answered: Callable[[HttpResponse, int], None]
    seen: int | None = None


@final
@attrs.define(eq=False)
class Network:
    """Does the gateway's effects, and carries what clients do to it.

    `settled` is called after each step of the gateway, so that its truth is read in time; `seen`
    then says how far the truth had come that an answer was made from.
    """

    core: GatewayCore
    clock: Clock
    trace: Trace
    seed: int
    latency_s: float
    jitter_s: float
    settled: Callable[[], None]
    seen: Callable[[str], int]
    wires: dict[int, Wire] = attrs.field(init=False, factory=dict[int, Wire])
    asked: int = attrs.field(init=False, default=0)
    silent_until: float = attrs.field(init=False, default=0.0)
    """Until when plain requests and their answers are lost."""
    cut_inside: bool = attrs.field(init=False, default=False)
    """A frame was once cut on its way."""
    _questions: dict[int, _Question] = attrs.field(init=False, factory=dict[int, "_Question"])
    _mode: ListenerMode = attrs.field(init=False, default="accept")
    _refuse_until: float = attrs.field(init=False, default=0.0)
    _numbers: int = attrs.field(init=False, default=0)
    _alarm_at: float | None = attrs.field(init=False, default=None)
    _rng: random.Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._rng = random.Random(f"{self.seed} requests")

    def step(self, handle: Callable[[], object]) -> None:
        """Hands one thing to the gateway and does what it says."""
        handle()
        while effects := self.core.poll_effects():
            for effect in effects:
                self._do(effect)
        self.settled()
        deadline = self.core.poll_deadline()
        if deadline is not None:
            at = max(deadline[0], self.clock.now)
            if self._alarm_at is None or at < self._alarm_at:
                self._alarm_at = at
                self.clock.at(at, lambda: self._ring(at))

    # What clients do.

    def dial(self, client: int, http: HttpRequest | None, peer: Peer) -> Wire:
        """Opens a socket with this upgrade, or without one a connection for a stream."""
        self._numbers += 1
        number = self._numbers
        rng = random.Random(f"{self.seed} wire {number}")
        wire = self.wires[number] = Wire(number, client, peer, http is None, rng)
        self.trace.note(self.clock.now, f"dial {client}")
        self._up(wire, lambda: self._arrive(wire, http))
        return wire

    def request(self, wire: Wire, http: HttpRequest) -> None:
        """Asks for a stream on an open connection."""
        self.trace.note(self.clock.now, f"request {wire.number}", http.body)
        self._up(wire, lambda: self._upgrade(wire, http))

    def send(self, wire: Wire, data: str | bytes) -> None:
        """Sends a message."""
        self.trace.note(self.clock.now, f"up {wire.number}", data)
        number = wire.number

        def arrive() -> None:
            if wire.at_gateway:
                self.step(lambda: self.core.handle_frame(number, data, now=self.clock.now))

        self._up(wire, arrive)

    def ping(self, wire: Wire, answered: Callable[[], None]) -> None:
        """Sends a ping; the gateway's library answers it."""
        self._up(wire, lambda: self._down(wire, "pong", answered))

    def hang_up(self, wire: Wire) -> None:
        """The client has gone from a wire."""
        wire.peer = None
        if wire.dead_up:
            self.clock.after(TCP_TIMEOUT_S, lambda: self._forget(wire))
        else:
            self._up(wire, lambda: self._forget(wire))

    def ask(self, http: HttpRequest, answered: Callable[[HttpResponse, int], None]) -> None:
        """Makes a plain request; `answered` is called unless the answer is lost.

        Its second argument says how far the truth had come that the answer was made from.
        """
        self.trace.note(self.clock.now, f"ask {http.path}")
        if self.clock.now < self.silent_until:
            return
        self.asked += 1
        number = self.asked

        question = self._questions[number] = _Question(http.path, answered)

        def arrive() -> None:
            self.step(lambda: self.core.handle_request(number, http, now=self.clock.now))
            if question.seen is None:
                # The answer comes later, and yet is what was seen now.
                question.seen = self.seen(http.path)

        self.clock.after(self._delay(self._rng), arrive)

    # What befalls it.

    def newest(self, client: int) -> Wire | None:
        """The youngest wire that a client still holds."""
        held = [each for each in self.wires.values() if each.client == client and each.peer]
        return held[-1] if held else None

    def cut(self, wire: Wire, heard: Side, keep: int, part: float) -> None:
        """Ends a connection; of what is on its way down `keep` messages and a part arrive."""
        self.trace.note(self.clock.now, f"cut {wire.number} {heard} {keep}")
        on_its_way = [item for item in wire.down if item[1] == "frame"]
        kept = deque(item for item in list(wire.down) if item[1] != "end")
        while sum(item[1] == "frame" for item in kept) > keep:
            at, what, data = kept.pop()
            inside = what == "frame" and sum(item[1] == "frame" for item in kept) == keep
            if inside and wire.stream and (size := int(len(data) * part)):
                kept.append((at, what, data[:size]))
                break
        self.cut_inside |= keep < len(on_its_way)
        wire.down = kept
        if heard == "gateway":
            wire.dead_down = True
        else:
            self._down(wire, "end", (None, ""))
        if heard == "client":
            wire.dead_up = True
        else:
            self._forget(wire)
        wire.dead_up = True

    def deaden(self, wire: Wire, *, down: bool, up: bool) -> None:
        """Loses all that is sent from now on, in one direction or both."""
        self.trace.note(self.clock.now, f"deaden {wire.number} {down} {up}")
        wire.dead_down |= down
        wire.dead_up |= up

    def stall(self, wire: Wire, seconds: float) -> None:
        """Holds everything back for a while, and delivers it then."""
        self.trace.note(self.clock.now, f"stall {wire.number}")
        self._stall(wire, self.clock.now + seconds)

    def refuse(self, mode: ListenerMode, seconds: float) -> None:
        """Nobody can connect for a while."""
        self._mode, self._refuse_until = mode, self.clock.now + seconds

    def heal(self) -> None:
        """Nothing is lost or held back any more; what was dead comes to its end."""
        self._mode, self._refuse_until, self.silent_until = "accept", 0.0, 0.0
        for wire in list(self.wires.values()):
            # A gateway that fell silent for ever has lost what it would have said.
            silent = wire.stalled_until == FOREVER
            if wire.stalled_until:
                self._unstall(wire)
            if wire.dead_up or wire.dead_down or silent:
                self._forget(wire)
                wire.dead_down = False
                self._down(wire, "end", (None, ""))

    # How it is done.

    def _delay(self, rng: random.Random) -> float:
        if not self.jitter_s:
            return self.latency_s
        # In whole milliseconds, so that some things arrive together.
        return self.latency_s + round(rng.random() * self.jitter_s, 3)

    def _arrive(self, wire: Wire, http: HttpRequest | None) -> None:
        mode = (
            self._mode
            if self.clock.now < self._refuse_until or not self._refuse_until
            else ("accept")
        )
        if mode == "refuse":
            self._down(wire, "refuse", None)
        elif mode == "accept_then_close":
            if http is None:
                self._down(wire, "open", None)
            self._down(wire, "end", (None, ""))
        elif http is None:
            self._down(wire, "open", None)
        else:
            self._upgrade(wire, http)

    def _upgrade(self, wire: Wire, http: HttpRequest) -> None:
        number = wire.number
        wire.granted = True
        self.step(lambda: self.core.handle_upgrade(number, http, now=self.clock.now))
        if not wire.granted:
            return
        wire.at_gateway = True
        if not wire.stream:
            self._down(wire, "open", None)
        self.step(lambda: self.core.handle_connected(number, now=self.clock.now))

    def _up(self, wire: Wire, act: Callable[[], None]) -> None:
        if wire.dead_up:
            return
        wire.up_last = max(wire.up_last, self.clock.now + self._delay(wire.rng))

        def arrive() -> None:
            if wire.stalled_until:
                wire.held_up.append(act)
            elif not wire.dead_up:
                act()

        self.clock.at(wire.up_last, arrive)

    def _down(self, wire: Wire, what: str, value: Any, *, slower_s: float = 0.0) -> None:
        if wire.dead_down:
            return
        at = self.clock.now + self._delay(wire.rng) + slower_s
        wire.down_last = max(wire.down_last, at)
        wire.down.append((wire.down_last, what, value))
        if not wire.stalled_until:
            self.clock.at(wire.down_last, lambda: self._pump(wire))

    def _pump(self, wire: Wire) -> None:
        """Delivers what has arrived by now, frames that came together as one batch."""
        if wire.stalled_until:
            return
        down, now = wire.down, self.clock.now
        while down and down[0][0] <= now and not wire.stalled_until:
            _, what, value = down.popleft()
            if what == "frame":
                frames = [value]
                while down and down[0][0] <= now and down[0][1] == "frame":
                    frames.append(down.popleft()[2])
                if wire.peer is not None:
                    wire.peer.received(frames)
            else:
                self._deliver(wire, what, value)
            down = wire.down

    def _deliver(self, wire: Wire, what: str, value: Any) -> None:
        peer = wire.peer
        if peer is None:
            return
        match what:
            case "open":
                peer.opened()
            case "refuse":
                wire.peer = None
                peer.refused(value)
            case "head":
                peer.answered(value)
            case "pong":
                value()
            case "ping":
                self._up(wire, lambda: self._pong(wire))
            case _:
                wire.peer = None
                peer.ended(*value)

    def _pong(self, wire: Wire) -> None:
        if wire.at_gateway:
            self.step(lambda: self.core.handle_pong(wire.number, now=self.clock.now))

    def _forget(self, wire: Wire) -> None:
        """The gateway hears that a connection is over."""
        self.wires.pop(wire.number, None)
        if wire.at_gateway:
            wire.at_gateway = False
            self.step(lambda: self.core.handle_disconnected(wire.number, now=self.clock.now))

    def _over(self, number: int, code: int | None, reason: str) -> None:
        """The gateway ends a connection; what it sent before arrives before."""
        wire = self.wires.pop(number, None)
        if wire is not None:
            wire.at_gateway = False
            self._down(wire, "end", (code, reason))
            if wire.stalled_until == FOREVER:
                self._unstall(wire)

    def _stall(self, wire: Wire, until: float) -> None:
        wire.stalled_until = until
        if until < FOREVER:
            self.clock.at(until, lambda: self._unstall_if_due(wire))

    def _unstall_if_due(self, wire: Wire) -> None:
        if wire.stalled_until and wire.stalled_until <= self.clock.now:
            self._unstall(wire)

    def _unstall(self, wire: Wire) -> None:
        wire.stalled_until, wire.pending_bytes = 0.0, 0
        held, wire.held_up = wire.held_up, []
        for act in held:
            act()
        if wire.at_gateway:
            self.step(lambda: self.core.handle_backlog(wire.number, 0, now=self.clock.now))
        self._pump(wire)
        for at, _, _ in wire.down:
            self.clock.at(at, lambda: self._pump(wire))

    def _do(self, effect: Effect) -> None:
        match effect:
            case Transmit():
                self._transmit(effect)
            case TransmitRaw():
                number, wire = effect.connection, self.wires.get(effect.connection)
                self.trace.note(self.clock.now, f"raw {number}", effect.data)
                if wire is not None and wire.stream:
                    # Not a chunk: the reader of the body gives up on it.
                    self._down(wire, "end", (None, "a body in bad order"))
                    wire.dead_down = True
                elif wire is not None:
                    self._down(wire, "end", _VIOLATION)
                    wire.dead_down = True
                    broken = wire
                    self.clock.after(self.latency_s, lambda: self._forget(broken))
            case Ping():
                if (wire := self.wires.get(effect.connection)) is not None:
                    self._down(wire, "ping", None)
            case CloseConnection():
                self.trace.note(self.clock.now, f"close {effect.connection} {effect.code}")
                self._over(effect.connection, effect.code, effect.reason)
            case Abort():
                self.trace.note(self.clock.now, f"abort {effect.connection}")
                self._over(effect.connection, None, "")
            case Stall():
                if (wire := self.wires.get(effect.connection)) is not None:
                    if effect.stalled:
                        self._stall(wire, FOREVER)
                    else:
                        self._unstall(wire)
            case Respond():
                self._respond(effect.request, effect.response)
            case RefuseUpgrade():
                wire = self.wires[effect.connection]
                wire.granted = False
                self._down(wire, "refuse", effect.response)
            case OpenStream():
                if (wire := self.wires.get(effect.connection)) is not None:
                    self._down(wire, "head", effect.headers)
            case RefuseConnections():
                self._mode, self._refuse_until = effect.mode, 0.0
            case _:
                assert_never(effect)

    def _transmit(self, effect: Transmit) -> None:
        wire, data = self.wires.get(effect.connection), effect.data
        if wire is None:
            return
        self.trace.note(self.clock.now, f"down {wire.number}", data)
        if wire.stream and isinstance(data, str):
            data = data.encode()
        if effect.cut_at is not None:
            self.cut_inside = True
            # A message arrives whole or not at all; of a body every byte counts.
            data = data[: effect.cut_at]
            if not wire.stream:
                return
        if not data:
            return
        pace = effect.drip_bytes_per_s
        slower = 0.0 if pace is None else len(data) / pace
        if effect.split_at is not None and wire.stream:
            self._down(wire, "frame", data[: effect.split_at])
            data = data[effect.split_at :]
        self._down(wire, "frame", data, slower_s=slower)
        if wire.stalled_until:
            wire.pending_bytes += len(data)
            pending = wire.pending_bytes
            self.core.handle_backlog(wire.number, pending, now=self.clock.now)

    def _respond(self, number: int, response: HttpResponse) -> None:
        question = self._questions.pop(number)
        self.trace.note(self.clock.now, f"answer {number} {response.status}", response.body)
        seen = self.seen(question.path) if question.seen is None else question.seen
        question.seen = seen
        lost = self.clock.now < self.silent_until
        if not (response.stall or response.silent or lost):
            self.clock.after(self._delay(self._rng), lambda: question.answered(response, seen))

    def _ring(self, at: float) -> None:
        if self._alarm_at == at:
            self._alarm_at = None
            self.step(lambda: self.core.handle_deadline(now=self.clock.now))
