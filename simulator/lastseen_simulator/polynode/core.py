"""The PolyNode gateway as one state machine: what happens comes in, effects go out.

It is driven as every gateway is (see `gateway.core`): hand in one thing, act on `poll_effects`,
sleep until `poll_deadline`. It is the oracle for clients, and shares nothing with them, not even
the structs of the wire.
"""

import random
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from lastseen_simulator.alarms import Alarm, Alarms, Rhythm, Timer
from lastseen_simulator.delivery import Delivery
from lastseen_simulator.effects import Effect, HttpRequest, RefuseUpgrade, Respond
from lastseen_simulator.faults import Fault, Receipt
from lastseen_simulator.lines import Line, Outgoing
from lastseen_simulator.mischief import Mischief, Placed
from lastseen_simulator.payloads import as_json
from lastseen_simulator.polynode.buffer import Buffer
from lastseen_simulator.polynode.connections import Connection, ConnectionView, Grant
from lastseen_simulator.polynode.events import Event, Traits
from lastseen_simulator.polynode.options import DEMO_KEY, KeyGrant, PolyNodeOptions
from lastseen_simulator.polynode.sessions import Sessions
from lastseen_simulator.polynode.spoiling import REWRITES
from lastseen_simulator.polynode.timers import SessionTimer
from lastseen_simulator.polynode.trading import Happening, Trading
from lastseen_simulator.polynode.truth import PolyNodeTruth
from lastseen_simulator.polynode.upgrades import changed_upgrade, judge_upgrade, refusal
from lastseen_simulator.strikes import Strikes, concerns_response
from lastseen_simulator.truth import REDACTED, is_secret

__all__ = [
    "CONTROL_TYPES",
    "DEMO_KEY",
    "ConnectionView",
    "KeyGrant",
    "PolyNodeGateway",
    "PolyNodeOptions",
]

CATCH_UP_MAX: Final = 1000
"""Happenings made up for in one call, after a driver was away for long."""

SILENCE_S: Final = 100.0
"""Default length of a silenced heartbeat: longer than anybody should wait for one (§8)."""

_FILTERS: Final[Mapping[str, tuple[str, type]]] = {
    "types": ("types", str),
    "connections": ("connections", int),
}
_SWITCHING: Final = 101

CONTROL_TYPES: Final = ("subscribed", "unsubscribed", "snapshot", "heartbeat", "pong", "error")
"""What frames are called that are no events (§3.1)."""

_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)


@attrs.define(eq=False, init=False)
class PolyNodeGateway:
    """A simulated PolyNode event socket.

    `now` is monotonic seconds; wall-clock milliseconds follow from it and `wall_ms_at_zero`. The
    same options, generator and calls give the same effects and the same truth, byte for byte.
    """

    options: PolyNodeOptions
    truth: PolyNodeTruth
    trading: Trading
    _effects: list[Effect]
    _alarms: Alarms
    _mischief: Mischief
    _delivery: Delivery
    _strikes: Strikes
    _buffer: Buffer
    _sessions: Sessions
    _connections: dict[int, Connection]
    _granted: dict[int, Grant]
    _muffled: list[Placed]
    _settled: dict[str, tuple[Traits, ...]]
    _accepted: int
    _serial: int
    _ticks: int
    _wall_ms_at_zero: int

    def __init__(
        self, options: PolyNodeOptions, *, rng: random.Random, wall_ms_at_zero: int
    ) -> None:
        self.options = options
        self.truth = PolyNodeTruth(
            records_max=options.truth_records_max, items_max=options.truth_items_max
        )
        self.trading = Trading.begun(options, random.Random(rng.getrandbits(64)))
        self._effects = []
        self._connections = {}
        self._granted = {}
        self._muffled = []
        self._settled = {}
        self._accepted = self._serial = self._ticks = 0
        self._wall_ms_at_zero = wall_ms_at_zero
        self._alarms = Alarms()
        self._mischief = Mischief()
        self._buffer = Buffer(options, self.trading.markets)
        self._delivery = Delivery(
            effects=self._effects,
            truth=self.truth,
            mischief=self._mischief,
            strike=self._strike_line,
            withheld=_leave_it_to_snapshots,
            rewrites=REWRITES,
        )
        self._strikes = Strikes(
            dialect=self.dialect,
            mischief=self._mischief,
            delivery=self._delivery,
            alarms=self._alarms,
            meant=self._meant,
            all_kinds={
                "restart": self._strike_restart,
                "clock_step": self._strike_clock,
                "lose_confirmation": self._muffle,
                "confirmation_in_snapshot_only": self._muffle,
            },
            one_kinds={"silence_heartbeat": self._strike_heartbeat},
        )
        self._sessions = Sessions(
            options=options,
            truth=self.truth,
            markets=self.trading.markets,
            buffer=self._buffer,
            delivery=self._delivery,
            mischief=self._mischief,
            alarms=self._alarms,
            strikes=self._strikes,
        )

    @property
    def dialect(self) -> str:
        """What it speaks."""
        return "polynode"

    @property
    def epoch(self) -> None:
        """There are no epochs: the service keeps nothing across sockets (§1)."""
        return

    @property
    def filters(self) -> Mapping[str, tuple[str, type]]:
        """What `GET truth/state` takes."""
        return _FILTERS

    def opens_stream(self, http: HttpRequest) -> bool:
        """Nothing is streamed over plain HTTP here."""
        del http
        return False

    # What happens.

    def handle_upgrade(self, connection: int, http: HttpRequest, *, now: float) -> None:
        """A client asks for a WebSocket; the key is in the query (§1)."""
        self._open(now)
        response = self._strike_request(http, now)
        if response is None:
            verdict = judge_upgrade(
                http, self._connections.values(), self.options, wall_ms=self._wall_ms(now)
            )
            if isinstance(verdict, Grant):
                self._granted[connection] = verdict
            else:
                response = verdict
        if response is not None:
            self._effects.append(RefuseUpgrade(connection=connection, response=response))
        self.truth.write(
            "upgrade",
            now=now,
            connection=connection,
            path=http.path,
            query=_redacted(http.query),
            status=_SWITCHING if response is None else response.status,
        )
        self._forget_ended()

    def handle_connected(self, connection: int, *, now: float) -> None:
        """Its upgrade was granted; numbers are unique and ascend."""
        self._open(now)
        grant = self._granted.pop(connection)
        self._accepted += 1
        line = Line(number=connection, ordinal=self._accepted)
        opened = Connection(line=line, grant=grant, last_pong_at=now, last_heard_at=now)
        self._connections[connection] = opened
        self.truth.write("opened", now=now, connection=connection, ordinal=line.ordinal)
        if grant.close is not None:
            code, reason = grant.close
            self._delivery.close(line, code, reason, now=now)
        else:
            self._sessions.open(opened, now=now)
            self._strikes.strike_each(self._mischief.on_open(line.ordinal, now=now), line, now)
        self._forget_ended()

    def handle_frame(self, connection: int, data: str | bytes, *, now: float) -> None:
        """A whole message arrived."""
        self._open(now)
        speaker = self._connections.get(connection)
        if speaker is not None and not speaker.is_gone():
            self._sessions.hear(speaker, data, wall_ms=self._wall_ms(now), now=now)
            self._forget_ended()

    def handle_pong(self, connection: int, *, now: float) -> None:
        """A pong arrived, asked for or not."""
        self._open(now)
        alive = self._connections.get(connection)
        if alive is not None and not alive.is_gone():
            alive.last_pong_at = now

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
        """A plain HTTP request arrived; there is nothing to be had that way."""
        self._open(now)
        response = self._strike_request(http, now)
        if response is None:
            response = refusal(404, 0.0, wall_ms=0, message="not found")
        self._effects.append(Respond(request=request, response=response))
        self.truth.write(
            "request",
            now=now,
            request=request,
            method=http.method,
            path=http.path,
            query=_redacted(http.query),
            status=response.status,
        )
        self._forget_ended()

    def handle_deadline(self, *, now: float) -> None:
        """Time has passed; an early or repeated call does nothing."""
        self._open(now)
        self._ticks = 0
        self._alarms.ring(
            lambda alarm: self._ring(alarm, now), self._strikes.rhythm(), self._market(), now=now
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
        return self._alarms.deadline(self._strikes.rhythm(), self._market())

    # What an operator may do.

    def publish(self, channel: str, payload: dict[str, Any] | None = None, *, now: float) -> str:
        """Publishes an event of a type and returns its identity.

        Members of the payload stand as they are, the others are made to fit (see
        `Trading.publish`). Raises ValueError for what cannot be made, or is no JSON.
        """
        self._open(now)
        if not _TYPE.fullmatch(channel) or channel in CONTROL_TYPES:
            raise ValueError(f"no type of an event: {channel[:40]!r}")
        given = as_json(payload or {})
        happening = self.trading.publish(channel, given, now=now, wall_ms=self._wall_ms(now))
        event = self._happen(happening, now)
        self._forget_ended()
        return event.entry_id

    def restart(self, *, announce: bool, now: float) -> None:
        """Forgets the recent events and ends every connection: announced, with a close frame."""
        self._open(now)
        self._buffer.clear()
        self.truth.write("restart", now=now, cause="notice" if announce else "crash")
        for each in self._addressed(None):
            code = self.options.restart_close_code if announce else None
            self._sessions.end(each, code, "restart", now=now)
        self._forget_ended()

    def notice_reconnect(
        self, *, connection: int | None, reason: str, grace_s: float, now: float
    ) -> None:
        """There is no such notice here."""
        del connection, reason, grace_s, now
        raise ValueError("polynode knows no reconnect notice; restart with announce closes")

    def drop(self, connection: int | None, *, reset: bool, now: float) -> None:
        """Ends one connection or all without a close frame."""
        self._open(now)
        for dropped in self._addressed(connection):
            self._delivery.abort(dropped.line, reset=reset, now=now)
        self._forget_ended()

    def pause(self, *, now: float) -> None:
        """Stops the market and its chain; `publish` still works."""
        self._open(now)
        self.trading.pause()

    def resume(self, *, now: float) -> None:
        """Lets them go on."""
        self._open(now)
        self.trading.resume(now=now)

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
        """The open connections."""
        return tuple(each.view() for each in self._connections.values())

    # How it is done.

    def _open(self, now: float) -> None:
        """Lets the market begin with the first thing that happens, for only then is there a now."""
        if self._strikes.started_at is None:
            self._strikes.started_at = now
            self.trading.resume(now=now)

    def _wall_ms(self, now: float) -> int:
        return self._wall_ms_at_zero + round(now * 1000)

    def _market(self) -> Rhythm:
        return Rhythm(timer=Timer.TICK, next_at=lambda: self.trading.next_at, happen=self._tick)

    def _tick(self, now: float) -> None:
        self._ticks += 1
        caught_up = self._ticks >= CATCH_UP_MAX
        for happening in self.trading.tick(
            now=now, wall_ms=self._wall_ms(now), caught_up=caught_up
        ):
            self._happen(happening, now)

    def _happen(self, happening: Happening, now: float) -> Event:
        """Publishes an event to the buffer and to whoever has subscribed to it."""
        self._serial += 1
        wall_ms, tx_hash = self._wall_ms(now), str(happening.data.get("tx_hash"))
        update = happening.event_type == "status_update"
        event = Event.published(
            _envelope(happening, wall_ms),
            markets=self.trading.markets,
            linked=self._settled.get(tx_hash, ()) if update else (),
            serial=self._serial,
            wall_ms=wall_ms,
        )
        if event.channel == "settlement":
            self._remember(tx_hash, event.traits)
        if happening.mined:
            self.truth.write_mined(tx_hash, happening.data)
        live, kept = self._muffled_by(event, now) if update else (True, True)
        if kept:
            self._buffer.add(event)
        self.truth.write_event(event, live=live, kept=kept, now=now)
        for connection in list(self._connections.values()) if live else ():
            self._sessions.stream(connection, event, now=now)
        self.trading.again(happening, now=now)
        self._strikes.strike_each(self._mischief.on_entry(now=now), None, now)
        return event

    def _remember(self, tx_hash: str, traits: Traits) -> None:
        """Keeps what filters may ask of a settlement, for the sake of its confirmation."""
        self._settled[tx_hash] = (*self._settled.get(tx_hash, ()), traits)
        if len(self._settled) > self.options.truth_items_max:
            del self._settled[next(iter(self._settled))]

    def _muffled_by(self, event: Event, now: float) -> tuple[bool, bool]:
        """Whether a status_update is sent live, and kept for snapshots."""
        if not self._muffled:
            return True, True
        placed = self._muffled.pop(0)
        self._strikes.fired(placed, f"kept back {event.entry_id}", now)
        return False, placed.fault.kind == "confirmation_in_snapshot_only"

    def _ring(self, alarm: Alarm, now: float) -> None:
        connection = self._connections.get(alarm.connection or 0)
        self._strikes.ring(alarm, None if connection is None else connection.line, now)
        if connection is None or connection.line.ended:
            return
        match alarm.timer:
            case SessionTimer.HEARTBEAT:
                self._sessions.beat(connection, wall_ms=self._wall_ms(now), now=now)
            case SessionTimer.IDLE:
                self._sessions.judge_idleness(connection, now=now)
            case SessionTimer.ANSWER:
                self._sessions.answer(connection, now=now)
            case _:
                pass

    def _strike_request(self, http: HttpRequest, now: float) -> Any:
        """Performs the faults at a request; returns the answer of the last that gives one."""
        response = None
        for placed in self._mischief.on_request(http.path, now=now):
            if concerns_response(placed.fault):
                response, detail = changed_upgrade(
                    placed.fault, self.options, wall_ms=self._wall_ms(now)
                )
                self._strikes.fired(placed, f"{http.path}: {detail}", now)
            else:
                self._strikes.strike(placed, None, now)
        return response

    def _strike_line(self, placed: Placed, line: Line, now: float) -> None:
        self._strikes.strike(placed, line, now)

    def _strike_restart(self, placed: Placed, now: float) -> str:
        if placed.fault.how == "silent":
            self._buffer.clear()
            self.truth.write("restart", now=now, cause="silent")
            return "recent events forgotten, nobody told"
        announce = placed.fault.how == "notice"
        self.restart(announce=announce, now=now)
        return "recent events forgotten, everybody " + ("closed" if announce else "dropped")

    def _strike_clock(self, placed: Placed, _: float) -> str:
        offset_ms = placed.fault.offset_ms or 0
        self._wall_ms_at_zero += offset_ms
        return f"wall clock {offset_ms:+d} ms"

    def _strike_heartbeat(self, fault: Fault, line: Line, now: float) -> str:
        seconds = SILENCE_S if fault.seconds is None else fault.seconds
        self._connections[line.number].silent_until = now + seconds
        return f"no heartbeat for {seconds:g} s"

    def _muffle(self, placed: Placed, _: float) -> None:
        placed.miss("no status_update came")
        self._muffled.append(placed)

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


def _leave_it_to_snapshots(_: Line, __: Outgoing, ___: Fault, ____: float) -> None:
    """Nothing makes up for a gap; the next snapshot may have it."""


def _envelope(happening: Happening, wall_ms: int) -> dict[str, Any]:
    """The event as it goes out (§3.2); times are milliseconds but for prices (PN-9.8)."""
    data, kind = happening.data, happening.event_type
    if kind == "price_feed":
        feed, second = data.get("feed"), data.get("timestamp")
        shown = {name: value for name, value in data.items() if name != "event_type"}
        return {"type": kind, "feed": feed, "timestamp": second, "data": shown}
    at_ms = wall_ms if happening.at_ms is None else happening.at_ms
    return {"type": kind, "timestamp": at_ms, "data": data}


def _redacted(query: Iterable[tuple[str, str]]) -> list[list[str]]:
    return [[name, REDACTED if is_secret(name) else value] for name, value in query]
