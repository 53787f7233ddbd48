"""The Polymarket US gateway as one state machine: what happens comes in, effects go out.

It is driven as every gateway is (see `gateway.core`), but that its connections are answers to
requests: a stream that is asked for is judged by `handle_upgrade`, and `OpenStream` is its head. It
is the oracle for clients and shares no protocol with them.
"""

import random
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from lastseen_simulator.alarms import Alarm, Alarms, Rhythm, Timer
from lastseen_simulator.delivery import Delivery
from lastseen_simulator.effects import Effect, HttpRequest, HttpResponse, RefuseUpgrade, Respond
from lastseen_simulator.faults import Fault, Receipt
from lastseen_simulator.lines import Line, Outgoing
from lastseen_simulator.mischief import Mischief, Placed
from lastseen_simulator.payloads import as_json
from lastseen_simulator.polymarket_us.access import Desk
from lastseen_simulator.polymarket_us.channels import CHANNELS, PATHS, channel_at
from lastseen_simulator.polymarket_us.connections import Connection, ConnectionView, Grant
from lastseen_simulator.polymarket_us.journal import Journal
from lastseen_simulator.polymarket_us.market import Happening, Market
from lastseen_simulator.polymarket_us.misbehaving import Misbehaviour
from lastseen_simulator.polymarket_us.opening import Opening, let_go
from lastseen_simulator.polymarket_us.options import PolymarketUSOptions
from lastseen_simulator.polymarket_us.refusals import refusal
from lastseen_simulator.polymarket_us.sessions import Sessions, SessionTimer
from lastseen_simulator.polymarket_us.spoiling import REWRITES
from lastseen_simulator.polymarket_us.truth import PolymarketUSTruth
from lastseen_simulator.polymarket_us.wire import Wire
from lastseen_simulator.strikes import Strikes

__all__ = ["PolymarketUSGateway"]

_FILTERS: Final[Mapping[str, tuple[str, type]]] = {
    "channels": ("channels", str),
    "accounts": ("accounts", str),
    "symbols": ("symbols", str),
    "connections": ("connections", int),
}


@attrs.define(eq=False, init=False)
class PolymarketUSGateway:
    """A simulated venue. `now` is monotonic seconds; the wall clock follows from it.

    The same options, generator and calls give the same effects and the same truth, byte for byte.
    """

    options: PolymarketUSOptions
    truth: PolymarketUSTruth
    market: Market
    _effects: list[Effect]
    _alarms: Alarms
    _mischief: Mischief
    _delivery: Delivery
    _strikes: Strikes
    _journal: Journal
    _opening: Opening
    _sessions: Sessions
    _connections: dict[int, Connection]
    _granted: dict[int, Grant]
    _rng: random.Random
    _accepted: int
    _next_at: float | None
    _wall_ms_at_zero: int

    def __init__(
        self, options: PolymarketUSOptions, *, rng: random.Random, wall_ms_at_zero: int
    ) -> None:
        self.options = options
        self.truth = PolymarketUSTruth(records_max=options.truth_records_max)
        self.market = Market(options, random.Random(rng.getrandbits(64)))
        self._rng = random.Random(rng.getrandbits(64))
        self._effects = []
        self._connections, self._granted = {}, {}
        self._accepted = 0
        self._next_at = None
        self._wall_ms_at_zero = wall_ms_at_zero
        self._alarms, self._mischief = Alarms(), Mischief()
        self._journal = Journal(options, self._rng.randbytes(32))
        self._delivery = Delivery(
            effects=self._effects,
            truth=self.truth,
            mischief=self._mischief,
            strike=self._strike_line,
            withheld=_leave_it,
            rewrites=REWRITES,
        )
        misbehaviour = Misbehaviour(delivery=self._delivery, connections=self._connections)
        self._strikes = Strikes(
            dialect=self.dialect,
            mischief=self._mischief,
            delivery=self._delivery,
            alarms=self._alarms,
            meant=self._meant,
            all_kinds={"restart": self._strike_restart, "clock_step": self._strike_clock},
            one_kinds={**misbehaviour.kinds(), "snapshot": self._strike_snapshot},
        )
        self._sessions = misbehaviour.sessions = Sessions(
            options=options,
            market=self.market,
            journal=self._journal,
            wire=Wire(options),
            delivery=self._delivery,
            alarms=self._alarms,
            strikes=self._strikes,
        )
        self._opening = Opening(
            options=options,
            desk=Desk(options, random.Random(self._rng.getrandbits(64))),
            journal=self._journal,
            mischief=self._mischief,
            strikes=self._strikes,
        )

    @property
    def dialect(self) -> str:
        """What it speaks."""
        return "polymarket-us"

    @property
    def epoch(self) -> str | None:
        """There are none; a session of the gateway is told in every record."""
        return None

    @property
    def filters(self) -> Mapping[str, tuple[str, type]]:
        """The parameters that a question for the true state takes."""
        return _FILTERS

    def opens_stream(self, http: HttpRequest) -> bool:
        """Whether a request asks for a stream."""
        return http.method == "POST" and http.path in PATHS

    # What happens.

    def handle_upgrade(self, connection: int, http: HttpRequest, *, now: float) -> None:
        """Somebody asks for a stream (§3), or for a WebSocket, which is not to be had."""
        self._open(now)
        channel = channel_at(http.path)
        verdict: Grant | HttpResponse
        if channel is None:
            verdict = refusal(404, "there are no WebSockets here")
        else:
            verdict = self._opening.judge(http, channel, self._connections.values(), now=now)
        if isinstance(verdict, HttpResponse):
            self._effects.append(RefuseUpgrade(connection=connection, response=verdict))
        else:
            self._granted[connection] = verdict
        self.truth.write(
            "asked",
            now=now,
            connection=connection,
            path=http.path,
            channel=None if channel is None else channel.name,
            resumes=isinstance(verdict, Grant) and verdict.asked.token is not None,
            verdict="granted" if isinstance(verdict, Grant) else verdict.status,
        )
        self._forget_ended()

    def handle_connected(self, connection: int, *, now: float) -> None:
        """The answer may begin; numbers are unique and ascend."""
        self._open(now)
        self._accepted += 1
        line = Line(number=connection, ordinal=self._accepted)
        opened = Connection(line=line, grant=self._granted.pop(connection), last_sent_at=now)
        self._connections[connection] = opened
        self.truth.write("opened", now=now, connection=connection, ordinal=line.ordinal)
        self._sessions.open(opened, now=now)
        self._strikes.strike_each(self._mischief.on_open(line.ordinal, now=now), line, now)
        if not opened.is_gone():
            self._sessions.begin(opened, wall_ms=self._wall_ms(now), now=now)
        let_go(opened.marks, "the stream had nothing that it could change")
        opened.marks.clear()
        self._forget_ended()

    def handle_frame(self, connection: int, data: str | bytes, *, now: float) -> None:
        """Nothing is said on a stream by its reader."""
        del connection, data
        self._open(now)

    def handle_pong(self, connection: int, *, now: float) -> None:
        """There are no pings."""
        del connection
        self._open(now)

    def handle_disconnected(self, connection: int, *, now: float) -> None:
        """The socket has ended, whoever ended it."""
        self._open(now)
        ended = self._connections.pop(connection, None)
        if ended is not None:
            ended.line.ended = True
            self.truth.write(
                "closed", now=now, connection=connection, by="client", code=None, reason=""
            )

    def handle_backlog(self, connection: int, pending_bytes: int, *, now: float) -> None:
        """So many bytes wait for a slow reader."""
        self._open(now)
        slow = self._connections.get(connection)
        if slow is not None and not slow.is_gone():
            self._sessions.judge_backlog(slow, pending_bytes, now=now)
            self._forget_ended()

    def handle_request(self, request: int, http: HttpRequest, *, now: float) -> None:
        """A plain request: the token endpoint, health, or nothing there."""
        self._open(now)
        response = self._opening.answer(http, wall_ms=self._wall_ms(now), now=now)
        self._effects.append(Respond(request=request, response=response))
        self.truth.write(
            "request",
            now=now,
            request=request,
            method=http.method,
            path=http.path,
            query=[],
            status=response.status,
        )
        self._forget_ended()

    def handle_deadline(self, *, now: float) -> None:
        """Time has passed; an early or repeated call does nothing."""
        self._open(now)
        self._alarms.ring(
            lambda alarm: self._ring(alarm, now), self._strikes.rhythm(), self._rhythm(), now=now
        )
        self._forget_ended()

    def poll_effects(self) -> list[Effect]:
        """What the driver must do now, in order; empty when called again."""
        effects = list(self._effects)
        self._effects.clear()
        return effects

    def poll_deadline(self) -> tuple[float, str] | None:
        """When to call `handle_deadline`, and why; None is never."""
        if self._strikes.started_at is None:
            return (0.0, Timer.OPENING.value)
        return self._alarms.deadline(self._strikes.rhythm(), self._rhythm())

    # What an operator may do.

    def publish(self, channel: str, payload: dict[str, Any] | None = None, *, now: float) -> str:
        """Publishes a change of a channel and returns its id; raises ValueError."""
        self._open(now)
        if channel not in CHANNELS:
            raise ValueError(f"no such channel: {channel} (channels: {', '.join(CHANNELS)})")
        given = as_json(payload or {})
        made = list(self.market.make(channel, given, wall_ms=self._wall_ms(now)))
        for happening in made:
            self._happen(happening, now)
        self._forget_ended()
        return next(each.key for each in made if each.channel == channel)

    def restart(self, *, announce: bool, now: float) -> None:
        """Begins another session and ends every stream: announced, well; otherwise without."""
        self._open(now)
        self._journal.restart(forgets=self.options.restart_forgets)
        cause = "notice" if announce else "crash"
        self.truth.write("restart", now=now, cause=cause, session=self._journal.session)
        for each in self._addressed(None):
            if announce:
                self._sessions.end(each, "restart", now=now)
            else:
                self._delivery.abort(each.line, reset=False, now=now)
        self._forget_ended()

    def notice_reconnect(
        self, *, connection: int | None, reason: str, grace_s: float, now: float
    ) -> None:
        """There is no such notice here."""
        del connection, reason, grace_s, now
        raise ValueError("polymarket-us knows no reconnect notice; restart with announce ends well")

    def drop(self, connection: int | None, *, reset: bool, now: float) -> None:
        """Ends one stream or all without the end of the body."""
        self._open(now)
        for dropped in self._addressed(connection):
            self._delivery.abort(dropped.line, reset=reset, now=now)
        self._forget_ended()

    def pause(self, *, now: float) -> None:
        """Stops the market; `publish` still works."""
        self._open(now)
        self._next_at = None

    def resume(self, *, now: float) -> None:
        """Lets it go on."""
        self._open(now)
        self._plan(now)

    def place(self, fault: Fault) -> int:
        """Places a fault and returns its number, counted from 1; raises `FaultError`."""
        return self._strikes.place(fault)

    def heal(self) -> None:
        """Lets no placed fault strike any more; what has begun takes its course."""
        self._mischief.heal()

    def receipts(self) -> tuple[Receipt, ...]:
        """What became of each fault, in the order of their numbers."""
        return self._strikes.receipts()

    def connections(self) -> tuple[ConnectionView, ...]:
        """The open streams."""
        return tuple(each.view() for each in self._connections.values())

    # How it is done.

    def _open(self, now: float) -> None:
        """Lets the market begin with the first thing that happens, for only then is there a now."""
        if self._strikes.started_at is not None:
            return
        self._strikes.started_at = now
        self.market.open(wall_ms=self._wall_ms(now))
        for prefix, table in (
            ("orders", self.market.orders),
            ("market_data", self.market.books),
            ("instruments", self.market.instruments),
        ):
            for name, value in table.items():
                self.truth.fold(f"{prefix}/{name}", value)
        self.truth.write("base", now=now, session=self._journal.session, state=self.truth.state())
        self._plan(now)

    def _wall_ms(self, now: float) -> int:
        return self._wall_ms_at_zero + round(now * 1000)

    def _plan(self, now: float) -> None:
        rate = self.options.rate
        self._next_at = now + self._rng.expovariate(rate) if rate else None

    def _rhythm(self) -> Rhythm:
        return Rhythm(timer=Timer.TICK, next_at=lambda: self._next_at, happen=self._tick)

    def _tick(self, now: float) -> None:
        for happening in self.market.happen(wall_ms=self._wall_ms(now)):
            self._happen(happening, now)
        self._plan(now)

    def _happen(self, happening: Happening, now: float) -> None:
        """Publishes a change to the truth, the journal, and whoever has asked for it."""
        channel, item, wall_ms = happening.channel, happening.item, self._wall_ms(now)
        change = self._journal.add(channel, happening.key, item, wall_ms=wall_ms)
        self.truth.write_change(happening, now=now)
        for connection in list(self._connections.values()):
            self._sessions.stream(connection, change, wall_ms=wall_ms, now=now)
        self._strikes.strike_each(self._mischief.on_entry(now=now), None, now)

    def _ring(self, alarm: Alarm, now: float) -> None:
        connection = self._connections.get(alarm.connection or 0)
        self._strikes.ring(alarm, None if connection is None else connection.line, now)
        if connection is None or connection.is_gone():
            return
        if isinstance(alarm.timer, SessionTimer):
            self._sessions.ring(connection, alarm.timer, wall_ms=self._wall_ms(now), now=now)

    def _strike_line(self, placed: Placed, line: Line, now: float) -> None:
        self._strikes.strike(placed, line, now)

    def _strike_restart(self, placed: Placed, now: float) -> str:
        if placed.fault.how == "silent":
            self._journal.restart(forgets=self.options.restart_forgets)
            session = self._journal.session
            self.truth.write("restart", now=now, cause="silent", session=session)
            for each in self._addressed(None):
                self._sessions.snapshot(each, wall_ms=self._wall_ms(now), now=now)
            return f"session {session} goes on in the same answers"
        self.restart(announce=placed.fault.how == "notice", now=now)
        return f"session {self._journal.session}, every stream ended"

    def _strike_clock(self, placed: Placed, _: float) -> str:
        offset_ms = placed.fault.offset_ms or 0
        self._wall_ms_at_zero += offset_ms
        return f"wall clock {offset_ms:+d} ms"

    def _strike_snapshot(self, _: Fault, line: Line, now: float) -> str:
        connection = self._connections[line.number]
        self._sessions.snapshot(connection, wall_ms=self._wall_ms(now), now=now)
        return "sent a snapshot"

    def _meant(self, fault: Fault) -> Iterable[Line]:
        for each in self._connections.values():
            if fault.connection in (None, each.line.ordinal):
                yield each.line

    def _addressed(self, connection: int | None) -> list[Connection]:
        if connection is None:
            return [each for each in self._connections.values() if not each.line.ended]
        if connection not in self._connections:
            raise LookupError(f"no such connection: {connection}")
        return [self._connections[connection]]

    def _forget_ended(self) -> None:
        ended = [key for key, each in self._connections.items() if each.line.ended]
        for key in ended:
            del self._connections[key]


def _leave_it(_: Line, __: Outgoing, ___: Fault, ____: float) -> None:
    """Nothing makes up for a gap; the next snapshot has it, where there is one."""
