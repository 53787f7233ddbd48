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
from lastseen_simulator.effects import (
    Effect,
    HttpRequest,
    HttpResponse,
    RefuseUpgrade,
    Respond,
    Transmit,
)
from lastseen_simulator.faults import Fault, Receipt
from lastseen_simulator.lines import Line, Outgoing
from lastseen_simulator.mischief import Mischief, Placed
from lastseen_simulator.payloads import as_json
from lastseen_simulator.polymarket_us.asking import (
    HEALTH_PATH,
    PATHS,
    TOKEN_PATH,
    Asked,
    Desk,
    answer,
    refusal,
)
from lastseen_simulator.polymarket_us.connections import Connection, ConnectionView
from lastseen_simulator.polymarket_us.journal import Journal
from lastseen_simulator.polymarket_us.market import CHANNELS, Happening, Market
from lastseen_simulator.polymarket_us.options import PolymarketUSOptions
from lastseen_simulator.polymarket_us.sessions import Sessions, SessionTimer
from lastseen_simulator.polymarket_us.truth import PolymarketUSTruth
from lastseen_simulator.polymarket_us.wire import Wire
from lastseen_simulator.strikes import Strikes, concerns_response, html_page

__all__ = ["PolymarketUSGateway"]

SILENCE_S: Final = 400.0
"""Default length of a silence: longer than anybody should wait (§6)."""

_FILTERS: Final[Mapping[str, tuple[str, type]]] = {
    "channels": ("channels", str),
    "accounts": ("accounts", str),
    "symbols": ("symbols", str),
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
    _desk: Desk
    _wire: Wire
    _sessions: Sessions
    _connections: dict[int, Connection]
    _granted: dict[int, tuple[Asked, str | None, bool]]
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
        self._journal = Journal(options.journal)
        self._desk = Desk(options, frozenset(self.market.symbols))
        self._wire = Wire(options)
        self._delivery = Delivery(
            effects=self._effects,
            truth=self.truth,
            mischief=self._mischief,
            strike=self._strike_line,
            withheld=_leave_it,
        )
        self._strikes = Strikes(
            dialect=self.dialect,
            mischief=self._mischief,
            delivery=self._delivery,
            alarms=self._alarms,
            meant=self._meant,
            all_kinds={"restart": self._strike_restart, "clock_step": self._strike_clock},
            one_kinds={
                "silence_heartbeat": self._strike_heartbeat,
                "error": self._strike_error,
                "old_snapshot": self._strike_old_snapshot,
                "snapshot": self._strike_snapshot,
            },
        )
        self._sessions = Sessions(
            options=options,
            market=self.market,
            journal=self._journal,
            wire=self._wire,
            delivery=self._delivery,
            alarms=self._alarms,
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
        """Somebody asks for a stream (§3)."""
        self._open(now)
        response, content_type, delta_first = self._strike_request(http, now)
        verdict = None
        if response is None:
            verdict = self._judge(http, now)
            if isinstance(verdict, HttpResponse):
                response = verdict
            else:
                self._granted[connection] = (verdict, content_type, delta_first)
        if response is not None:
            self._effects.append(RefuseUpgrade(connection=connection, response=response))
        self.truth.write(
            "asked",
            now=now,
            connection=connection,
            path=http.path,
            channel=PATHS[http.path],
            resumes=isinstance(verdict, Asked) and verdict.token is not None,
            verdict="granted" if response is None else response.status,
        )
        self._forget_ended()

    def handle_connected(self, connection: int, *, now: float) -> None:
        """The answer may begin; numbers are unique and ascend."""
        self._open(now)
        asked, content_type, delta_first = self._granted.pop(connection)
        self._accepted += 1
        line = Line(number=connection, ordinal=self._accepted)
        opened = Connection(line=line, asked=asked, last_sent_at=now, waits_for_delta=delta_first)
        self._connections[connection] = opened
        self.truth.write("opened", now=now, connection=connection, ordinal=line.ordinal)
        self._strikes.strike_each(self._mischief.on_open(line.ordinal, now=now), line, now)
        if not opened.line.ended:
            wall_ms = self._wall_ms(now)
            self._sessions.open(opened, content_type=content_type, wall_ms=wall_ms, now=now)
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
        response, _, _ = self._strike_request(http, now)
        if response is None:
            response = self._answer(http, now)
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
        happening = self.market.make(channel, given, wall_ms=self._wall_ms(now))
        name = self._happen(happening, now)
        self._forget_ended()
        return name

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

    def _happen(self, happening: Happening, now: float) -> str:
        """Publishes a change to the truth, the journal, and whoever has asked for it."""
        channel, item = happening.channel, happening.item
        name = str(item.get("id") or f"{channel}-{self.truth.written}")
        change = self._journal.add(channel, name, item)
        if happening.unit is not None and happening.value is not None:
            self.truth.fold(happening.unit, happening.value)
        self.truth.write("entry", now=now, channel=channel, entryId=name, item=item)
        for connection in list(self._connections.values()):
            wall_ms = self._wall_ms(now)
            self._sessions.stream(connection, change, wall_ms=wall_ms, now=now)
        self._strikes.strike_each(self._mischief.on_entry(now=now), None, now)
        return name

    def _judge(self, http: HttpRequest, now: float) -> Asked | HttpResponse:
        streams: dict[str, int] = {}
        for each in self._connections.values():
            if not each.line.ended:
                streams[each.asked.client] = streams.get(each.asked.client, 0) + 1
        verdict = self._desk.judge(http, streams, now=now)
        if isinstance(verdict, HttpResponse) or verdict.token is None:
            return verdict
        known = self._journal.since(verdict.channel, verdict.token) is not None
        if not known and self.options.refused_token == "status":
            return refusal(400, "the resume token is not known, or not any more")
        return verdict

    def _answer(self, http: HttpRequest, now: float) -> HttpResponse:
        if http.path == HEALTH_PATH:
            return answer(200, {"status": "ok"})
        if http.path in PATHS or http.path == TOKEN_PATH:
            if http.method != "POST":
                return refusal(405, f"{http.path} takes POST")
            return self._desk.give_token(http, now=now)
        return refusal(404, "not found")

    def _ring(self, alarm: Alarm, now: float) -> None:
        connection = self._connections.get(alarm.connection or 0)
        self._strikes.ring(alarm, None if connection is None else connection.line, now)
        if connection is None or connection.is_gone():
            return
        if isinstance(alarm.timer, SessionTimer):
            self._sessions.ring(connection, alarm.timer, wall_ms=self._wall_ms(now), now=now)

    def _strike_request(
        self, http: HttpRequest, now: float
    ) -> tuple[HttpResponse | None, str | None, bool]:
        """Performs the faults at a request: an answer, a content type, a delta before the base."""
        response: HttpResponse | None = None
        content_type: str | None = None
        delta_first = False
        for placed in self._mischief.on_request(http.path, now=now):
            fault = placed.fault
            if not concerns_response(fault):
                self._strikes.strike(placed, None, now)
                continue
            match fault.kind:
                case "content_type":
                    content_type = fault.text or "text/plain"
                    detail = f"said {content_type}"
                case "delta_first":
                    delta_first = True
                    detail = "a delta will come before the snapshot"
                case "refuse_token":
                    response = refusal(400, "the resume token is not known, or not any more")
                    detail = "refused the token"
                case "status":
                    status = fault.status or 503
                    response = refusal(status, fault.message or f"status {status}")
                    if fault.retry_after_s is not None:
                        after = ("Retry-After", str(fault.retry_after_s))
                        response = attrs.evolve(response, headers=(*response.headers, after))
                    detail = f"answered {status}"
                case "stall":
                    response = HttpResponse(status=200, headers=(), body=b"", silent=True)
                    detail = "no answer"
                case _:
                    response, detail = html_page(), "answered HTML"
            self._strikes.fired(placed, f"{http.path}: {detail}", now)
        return response, content_type, delta_first

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

    def _strike_heartbeat(self, fault: Fault, line: Line, now: float) -> str:
        seconds = SILENCE_S if fault.seconds is None else fault.seconds
        self._connections[line.number].silent_until = now + seconds
        return f"no heartbeat for {seconds:g} s"

    def _strike_error(self, fault: Fault, line: Line, now: float) -> str:
        code = fault.code if isinstance(fault.code, int) else 14
        message = fault.message or "unavailable"
        self._sessions.error(self._connections[line.number], code, message, now=now)
        return f"error {code}"

    def _strike_old_snapshot(self, _: Fault, line: Line, now: float) -> str | None:
        connection = self._connections[line.number]
        if not connection.old_snapshots:
            return None
        record = connection.old_snapshots[0]
        data = self._wire.framed(record, connection.asked.framing)
        self._effects.append(Transmit(connection=line.number, data=data))
        self.truth.write("control", now=now, connection=line.number, frame={"odd": "old snapshot"})
        return "sent an older snapshot once more"

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
