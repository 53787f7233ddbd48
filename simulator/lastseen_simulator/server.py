"""The trio server around the pure gateway: one port, one gateway, no protocol state.

Everything that happens (a frame, a request, a control call, the time) is handed to `handle_*` of
its core with the server's clock, then the effects are drained and done. Doing an effect never
waits: it fills outboxes, wakes tasks or answers requests. So a handle and its drain are one step,
and the gateway sees one thing at a time.
"""

import random
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar, assert_never, final

import attrs
import trio

from lastseen_simulator.control import answer_control
from lastseen_simulator.dialects import DEFAULT, GATEWAYS, AnyOptions, kind_of
from lastseen_simulator.effects import (
    Abort,
    CloseConnection,
    Effect,
    HttpRequest,
    HttpResponse,
    OpenStream,
    Ping,
    RefuseConnections,
    RefuseUpgrade,
    Respond,
    Stall,
    Transmit,
    TransmitRaw,
)
from lastseen_simulator.faults import Fault, Receipt
from lastseen_simulator.gateways import GatewayCore
from lastseen_simulator.http_door import HttpDoor
from lastseen_simulator.outbox import PING
from lastseen_simulator.stream_door import StreamDoor
from lastseen_simulator.tcp_door import TcpDoor
from lastseen_simulator.websocket_door import WebSocketDoor

__all__ = ["GatewayServer", "open_gateway", "serve_gateway"]

T = TypeVar("T")

Door = WebSocketDoor | StreamDoor
"""The way out to one connection."""


@attrs.define(eq=False)
class _Question:
    """A REST request on its way through the gateway."""

    answered: trio.Event = attrs.field(factory=trio.Event)
    response: HttpResponse | None = None


@final
@attrs.define(eq=False)
class GatewayServer:
    """A running gateway. Made by `open_gateway` or `serve_gateway`, not by hand.

    Control methods may be called from any trio task of its run, or from any other thread. They take
    effect at once and return when their effects are under way.
    """

    core: GatewayCore
    host: str
    port: int
    seed: int
    _tcp: TcpDoor
    _started_at: float
    _token: trio.lowlevel.TrioToken
    _doors: dict[int, Door] = attrs.field(factory=dict[int, "Door"])
    _questions: dict[int, _Question] = attrs.field(factory=dict[int, _Question])
    _backlogs: dict[int, int] = attrs.field(factory=dict[int, int])
    _refusals: dict[int, HttpResponse] = attrs.field(factory=dict[int, HttpResponse])
    _timer_wakes_at: float | None = None
    _timer_wake: trio.Event = attrs.field(factory=trio.Event)
    _stepped: trio.Event = attrs.field(factory=trio.Event)
    _last_connection: int = 0
    _last_request: int = 0
    _draining: bool = False
    _stopped: bool = False

    @property
    def http_url(self) -> str:
        """Scheme, host and port, without a path."""
        return f"http://{self._authority}"

    @property
    def rest_url(self) -> str:
        """The REST base in English."""
        return f"http://{self._authority}/en"

    @property
    def ws_url(self) -> str:
        """Where clients connect."""
        return f"ws://{self._authority}/ws"

    @property
    def control_url(self) -> str:
        """The base of the control API."""
        return f"http://{self._authority}/_lastseen"

    @property
    def _authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def now(self) -> float:
        """Seconds since the server started; the clock every `now` of its gateway comes from."""
        return trio.current_time() - self._started_at

    def publish(self, channel: str, payload: Mapping[str, Any] | None = None) -> str:
        """Publishes an entry, made by the market when there is no payload; returns its entryId."""
        owned = None if payload is None else dict(payload)
        return self._step(lambda now: self.core.publish(channel, owned, now=now))

    def restart(self, *, announce: bool = False) -> None:
        """Restarts the feed under a new epoch; unannounced, every connection is dropped."""
        self._step(lambda now: self.core.restart(announce=announce, now=now))

    def notice_reconnect(
        self,
        connection: int | None = None,
        *,
        reason: str = "server_upgrade",
        grace_s: float = 3.0,
    ) -> None:
        """Sends `reconnect` to one connection or all, which end when the grace is over."""
        self._step(
            lambda now: self.core.notice_reconnect(
                connection=connection, reason=reason, grace_s=grace_s, now=now
            )
        )

    def drop(self, connection: int | None = None, *, reset: bool = False) -> None:
        """Drops one connection or all, without a close frame; with an RST when `reset`."""
        self._step(lambda now: self.core.drop(connection, reset=reset, now=now))

    def place(self, fault: Fault) -> int:
        """Places a fault and returns its id."""
        return self._step(lambda _now: self.core.place(fault))

    def receipts(self) -> tuple[Receipt, ...]:
        """What became of every fault placed so far."""
        return self._ask(self.core.receipts)

    def pause(self) -> None:
        """Stops the market; what is published by hand still goes out."""
        self._step(lambda now: self.core.pause(now=now))

    def resume(self) -> None:
        """Starts the market again."""
        self._step(lambda now: self.core.resume(now=now))

    def truth_state(self, **filters: Iterable[Any] | None) -> dict[str, Any]:
        """The true state as unit key → value, restricted; None means unfiltered.

        The filters are those of the dialect's truth log: `truth.TruthLog.state`,
        `polynode.truth.PolyNodeTruth.state`.
        """
        return self._ask(lambda: self.core.truth.state(**filters))

    def query_state(self, query: Mapping[str, list[str]]) -> dict[str, Any]:
        """The true state restricted by the parameters of a URL; raises ValueError."""
        known = self.core.filters
        filters: dict[str, list[Any]] = {}
        for name, texts in query.items():
            if name not in known:
                raise ValueError(f"unknown parameter: {name}")
            keyword, kind = known[name]
            try:
                filters[keyword] = [kind(text) for text in texts]
            except ValueError:
                wanted = f"{name} takes whole numbers, not {','.join(texts)}"
                raise ValueError(wanted) from None
        return self.truth_state(**filters)

    async def wait_receipt(self, fault_id: int, *, times: int = 1) -> Receipt:
        """Waits until a fault has fired so many times; KeyError for an unknown id."""
        while True:
            stepped = self._stepped
            found = [r for r in self.core.receipts() if r.fault_id == fault_id]
            if not found:
                raise KeyError(fault_id)
            if found[0].fired >= times:
                return found[0]
            await stepped.wait()

    async def wait_step(self) -> None:
        """Waits until the gateway has handled something more."""
        await self._stepped.wait()

    def health(self) -> dict[str, Any]:
        """Says that the server lives, and what it is."""
        return self._ask(
            lambda: {
                "status": "ok",
                "dialect": self.core.dialect,
                "seed": self.seed,
                "uptime_s": round(self.now, 3),
                "epoch": self.core.epoch,
                "connections": len(self._doors),
            }
        )

    def connections(self) -> list[dict[str, Any]]:
        """The open connections: how the gateway sees each, and what its socket holds."""
        return self._ask(
            lambda: [
                {**attrs.asdict(view), **self._doors[view.connection].describe()}
                for view in self.core.connections()
                if view.connection in self._doors
            ]
        )

    def jsonl(self) -> bytes:
        """The truth log so far, as JSON Lines."""
        return self._ask(self.core.truth.to_jsonl).encode()

    def take_frame(self, connection: int, data: str | bytes) -> None:
        """Takes one whole message of a client."""
        self._step(lambda now: self.core.handle_frame(connection, data, now=now))

    def take_pong(self, connection: int) -> None:
        """Takes a pong of a client."""
        self._step(lambda now: self.core.handle_pong(connection, now=now))

    def take_backlog(self, connection: int, pending_bytes: int) -> None:
        """Takes a slow reader's unsent bytes; while effects are being done, they are told after."""
        self._backlogs[connection] = pending_bytes
        if not self._draining:
            self._drain()

    def take_hang_up(self, connection: int) -> None:
        """Takes the end of a connection."""
        self._doors.pop(connection, None)
        self._backlogs.pop(connection, None)
        self._step(lambda now: self.core.handle_disconnected(connection, now=now))

    async def answer_rest(self, request: HttpRequest) -> HttpResponse:
        """Puts a REST request to the gateway and waits for its answer."""
        self._last_request += 1
        number = self._last_request
        question = self._questions[number] = _Question()
        try:
            self._step(lambda now: self.core.handle_request(number, request, now=now))
            await question.answered.wait()
        finally:
            del self._questions[number]
        assert question.response is not None
        return question.response

    def answer_control(self, request: HttpRequest) -> HttpResponse:
        """Answers a request of the control API."""
        return answer_control(self, request)

    def judge_upgrade(self, request: HttpRequest) -> int | HttpResponse:
        """Lets the gateway judge an upgrade; a granted one gets a number."""
        self._last_connection += 1
        connection = self._last_connection
        self._step(lambda now: self.core.handle_upgrade(connection, request, now=now))
        refusal = self._refusals.pop(connection, None)
        return connection if refusal is None else refusal

    async def serve_websocket(
        self, connection: int, stream: trio.SocketStream, greeting: bytes, first_bytes: bytes
    ) -> None:
        """Owns a granted connection until it has ended.

        The gateway knows it before the client can, so whoever has connected is known.
        """
        door = self._doors[connection] = WebSocketDoor(connection, stream, self)
        self._step(lambda now: self.core.handle_connected(connection, now=now))
        await door.run(greeting, first_bytes)

    def opens_stream(self, request: HttpRequest) -> bool:
        """Whether a plain request asks for a stream."""
        return self.core.opens_stream(request)

    async def serve_stream(
        self, connection: int, stream: trio.SocketStream, *, chunked: bool
    ) -> None:
        """Owns a granted stream until it has ended."""
        door = self._doors[connection] = StreamDoor(connection, stream, self, chunked=chunked)
        self._step(lambda now: self.core.handle_connected(connection, now=now))
        await door.run()

    def _step(self, handle: Callable[[float], T]) -> T:
        """Hands one thing to the gateway and does what it says."""
        return self._ask(lambda: self._handle(handle))

    def _ask(self, question: Callable[[], T]) -> T:
        """Calls in the server's own thread, hopping there from any other."""
        if _in_run_of(self._token):
            return question()
        return trio.from_thread.run_sync(question, trio_token=self._token)

    def _handle(self, handle: Callable[[float], T]) -> T:
        result = handle(self.now)
        if not self._draining:
            self._drain()
        return result

    def _drain(self) -> None:
        if self._stopped:
            return
        self._draining = True
        try:
            while True:
                effects = self.core.poll_effects()
                frames: dict[int, bytes] = {}
                for effect in effects:
                    self._do(effect, frames)
                if effects:
                    continue
                if not self._backlogs:
                    break
                connection, pending_bytes = self._backlogs.popitem()
                self.core.handle_backlog(connection, pending_bytes, now=self.now)
        finally:
            self._draining = False
        due = self.core.poll_deadline()
        if due is not None and (self._timer_wakes_at is None or due[0] < self._timer_wakes_at):
            self._timer_wake.set()
        if self._stepped.statistics().tasks_waiting:
            self._stepped.set()
            self._stepped = trio.Event()

    def _do(self, effect: Effect, frames: dict[int, bytes]) -> None:
        """Does one effect; `frames` holds what this drain has encoded, by identity of the data."""
        match effect:
            case OpenStream():
                if isinstance(door := self._doors.get(effect.connection), StreamDoor):
                    door.open(effect)
            case Transmit():
                if (door := self._doors.get(effect.connection)) is not None:
                    frame = frames.get(id(effect.data))
                    if isinstance(door, StreamDoor):
                        frame = door.encode(effect.data, split_at=effect.split_at)
                    elif frame is None:
                        frame = frames[id(effect.data)] = door.encode(effect.data)
                    door.send(
                        frame if effect.cut_at is None else frame[: effect.cut_at],
                        drip_bytes_per_s=effect.drip_bytes_per_s,
                    )
            case TransmitRaw():
                if (door := self._doors.get(effect.connection)) is not None:
                    door.send(effect.data)
            case Ping():
                if isinstance(door := self._doors.get(effect.connection), WebSocketDoor):
                    door.send(PING)
            case CloseConnection():
                if (door := self._doors.get(effect.connection)) is not None:
                    door.close(effect.code, effect.reason)
            case Abort():
                if (door := self._doors.get(effect.connection)) is not None:
                    door.abort(reset=effect.reset)
            case Stall():
                if (door := self._doors.get(effect.connection)) is not None:
                    door.stall(effect.stalled)
            case Respond():
                if (question := self._questions.get(effect.request)) is not None:
                    question.response = effect.response
                    question.answered.set()
            case RefuseUpgrade():
                self._refusals[effect.connection] = effect.response
            case RefuseConnections():
                self._tcp.switch(effect.mode)
            case _:
                assert_never(effect)

    async def run(self) -> None:
        """Accepts, keeps time, and on cancellation closes every socket at once."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_time)
                await self._tcp.run(lambda stream: HttpDoor(stream, self).run())
        finally:
            self._stopped = True

    def open(self) -> None:
        """Lets the feed begin, so that its truth can be asked for from now on."""
        self._step(lambda now: self.core.handle_deadline(now=now))

    async def _keep_time(self) -> None:
        while True:
            due = self.core.poll_deadline()
            self._timer_wakes_at = None if due is None else due[0]
            self._timer_wake = trio.Event()
            wake_at = float("inf") if due is None else self._started_at + due[0]
            with trio.move_on_at(wake_at):
                await self._timer_wake.wait()
            if due is not None and due[0] <= self.now:
                self._step(lambda now: self.core.handle_deadline(now=now))


def _in_run_of(token: trio.lowlevel.TrioToken) -> bool:
    try:
        return trio.lowlevel.current_trio_token() is token
    except RuntimeError:
        return False


def _made(options: AnyOptions | GatewayCore | None, seed: int) -> GatewayCore:
    if options is None:
        options = GATEWAYS[DEFAULT].options()
    if not isinstance(options, AnyOptions):
        return options
    _, kind = kind_of(options)
    wall_ms = int(time.time() * 1000)
    return kind.make(options, rng=random.Random(seed), wall_ms_at_zero=wall_ms)


async def _listening(
    options: AnyOptions | GatewayCore | None,
    host: str,
    port: int,
    seed: int,
    faults: Iterable[Fault],
) -> GatewayServer:
    core = _made(options, seed)
    for fault in faults:
        core.place(fault)
    tcp = await TcpDoor.bind(host, port)
    started_at, token = trio.current_time(), trio.lowlevel.current_trio_token()
    server = GatewayServer(core, host, tcp.port, seed, tcp, started_at, token)
    server.open()
    return server


async def serve_gateway(
    options: AnyOptions | GatewayCore | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    seed: int = 0,
    faults: Iterable[Fault] = (),
    task_status: trio.TaskStatus[GatewayServer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves until cancelled; `nursery.start` returns the server. Raises OSError when not bound."""
    server = await _listening(options, host, port, seed, faults)
    task_status.started(server)
    await server.run()


@asynccontextmanager
async def open_gateway(
    options: AnyOptions | GatewayCore | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    seed: int = 0,
    faults: Iterable[Fault] = (),
) -> AsyncGenerator[GatewayServer]:
    """Serves as long as the block of `async with` lasts.

    Takes the knobs of a gateway to make, or a gateway made elsewhere whose clock starts at zero.
    `port` 0 takes a free one; the same options, seed and calls at the same moments give the same
    feed. Leaving the block closes every socket at once. Raises OSError when the port is taken. An
    exception of the block comes out as it is, not in a group.
    """
    server = await _listening(options, host, port, seed, faults)
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        try:
            yield server
        except Exception as error:
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
