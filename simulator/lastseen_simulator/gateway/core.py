"""The gateway as one state machine: what happens comes in, effects go out.

    1. hand in one thing that happened (a connection, a frame, a request, the deadline);
    2. act on `poll_effects()`, in order;
    3. sleep until `poll_deadline()` or until the next thing happens.

The gateway publishes what its market does, in every living epoch, and sends each connection what
its login covers. It is the oracle for clients: it shares the wire with them and nothing else.
"""

import random
from collections.abc import Mapping
from typing import Any, Final

import attrs

from lastseen.dialects.oddspapi.wire import Reconnect
from lastseen_simulator.alarms import Alarm, Alarms, Rhythm, Timer
from lastseen_simulator.delivery import Delivery
from lastseen_simulator.effects import Effect, HttpRequest, Respond
from lastseen_simulator.faults import Fault, Receipt
from lastseen_simulator.gateway.connections import Connection, ConnectionView
from lastseen_simulator.gateway.epochs import Epochs
from lastseen_simulator.gateway.feed import Feed, Publication, market_of
from lastseen_simulator.gateway.history import Picture
from lastseen_simulator.gateway.journal import Entry
from lastseen_simulator.gateway.options import DEMO_KEY, GatewayOptions, KeyGrant
from lastseen_simulator.gateway.rest import SnapshotService, split_path
from lastseen_simulator.gateway.sessions import Encoded, Sessions
from lastseen_simulator.gateway.strikes import EpochStrikes, changed_response
from lastseen_simulator.gateway.timers import SessionTimer
from lastseen_simulator.lines import Line, Outgoing
from lastseen_simulator.mischief import Mischief, Placed
from lastseen_simulator.strikes import Strikes, concerns_response
from lastseen_simulator.truth import REDACTED, TruthLog, is_secret

__all__ = ["DEMO_KEY", "ConnectionView", "Gateway", "GatewayOptions", "KeyGrant"]

CATCH_UP_MAX: Final = 1000
"""Market happenings made up for in one call, after a driver was away for long."""

FIN_CODE: Final = 1006

_FILTERS: Final[Mapping[str, tuple[str, type]]] = {
    "channels": ("channels", str),
    "sportIds": ("sport_ids", int),
    "tournamentIds": ("tournament_ids", int),
    "fixtureIds": ("fixture_ids", str),
    "futureIds": ("future_ids", str),
    "bookmakers": ("bookmakers", str),
}


@attrs.define(eq=False, init=False)
class Gateway:
    """A simulated OddsPapi v5 gateway.

    `now` is monotonic seconds; wall-clock milliseconds follow from it and `wall_ms_at_zero`. The
    same options, generator and calls give the same effects and the same truth, byte for byte.
    Unknown connection numbers are passed over by `handle_*`, since a socket may end twice; the
    control methods raise `LookupError` for them and `ValueError` for channels not served.
    """

    truth: TruthLog
    options: GatewayOptions
    _effects: list[Effect]
    _alarms: Alarms
    _feed: Feed
    _mischief: Mischief
    _delivery: Delivery
    _sessions: Sessions
    _strikes: Strikes
    _snapshots: SnapshotService
    _connections: dict[int, Connection]
    _accepted: int
    _superseded: list[Entry]
    _late: dict[int, Respond]
    _ticks: int

    def __init__(
        self, options: GatewayOptions, *, rng: random.Random, wall_ms_at_zero: int
    ) -> None:
        self.options = options
        self.truth = TruthLog(records_max=options.truth_records_max)
        self._effects = []
        self._connections = {}
        self._superseded = []
        self._late = {}
        self._accepted = 0
        self._ticks = 0
        self._alarms = Alarms()
        self._mischief = Mischief()
        # One generator an actor, so that what one draws does not disturb the others.
        market = market_of(options, random.Random(rng.getrandbits(64)))
        self._feed = Feed(
            options=options,
            truth=self.truth,
            market=market,
            # The start is part of an epoch's name: cursors must not survive a new process.
            epochs=Epochs(
                options=options, rng=random.Random(rng.getrandbits(64) ^ wall_ms_at_zero)
            ),
            pace=random.Random(rng.getrandbits(64)),
            wall_ms_at_zero=wall_ms_at_zero,
        )
        self._delivery = Delivery(
            effects=self._effects,
            truth=self.truth,
            mischief=self._mischief,
            strike=self._strike_line,
            withheld=self._make_up_for,
        )
        self._sessions = Sessions(
            options=options,
            epochs=self._feed.epochs,
            market=market,
            delivery=self._delivery,
            alarms=self._alarms,
        )
        own = EpochStrikes(service=self, delivery=self._delivery)
        self._strikes = Strikes(
            dialect=self.dialect,
            mischief=self._mischief,
            delivery=self._delivery,
            alarms=self._alarms,
            meant=self._meant,
            all_kinds=own.all_kinds(),
            one_kinds=own.one_kinds(),
        )
        self._snapshots = SnapshotService(options=options)

    @property
    def dialect(self) -> str:
        """What it speaks."""
        return "oddspapi"

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
        """A client asks for a WebSocket; everybody gets one, for the key comes with the login."""

    def handle_pong(self, connection: int, *, now: float) -> None:
        """A pong arrived; this gateway asks for none, the pinging is the client's (§1)."""

    def handle_connected(self, connection: int, *, now: float) -> None:
        """A WebSocket upgrade was accepted; numbers are unique and ascend from 1."""
        self._open(now)
        self._accepted += 1
        line = Line(number=connection, ordinal=self._accepted)
        self._connections[connection] = Connection(line=line)
        self.truth.write("opened", now=now, connection=connection, ordinal=line.ordinal)
        late = now + self.options.login_timeout_s
        self._alarms.set(SessionTimer.LOGIN, late, connection=connection)
        self._strikes.strike_each(self._mischief.on_open(line.ordinal, now=now), line, now)
        self._forget_ended()

    def handle_frame(self, connection: int, data: str | bytes, *, now: float) -> None:
        """A message arrived: the login, or something no client should send."""
        self._open(now)
        speaker = self._connections.get(connection)
        if speaker is None or speaker.is_gone():
            return
        if speaker.stage != "open":
            self.truth.write("ignored", now=now, connection=connection, size=len(data))
            return
        strikes = self._mischief.on_login(speaker.line.ordinal, now=now)
        self._strikes.strike_each(strikes, speaker.line, now)
        if not speaker.is_gone():
            self._sessions.log_in(
                speaker, data, self._connections.values(), wall_ms=self._feed.wall_ms(now), now=now
            )
        self._forget_ended()

    def handle_disconnected(self, connection: int, *, now: float) -> None:
        """The socket has ended, whoever ended it."""
        self._open(now)
        ended = self._connections.pop(connection, None)
        if ended is not None:
            ended.line.ended = True
            self.truth.write(
                "closed", now=now, connection=connection, by="client", code=None, reason=""
            )
            self._retire_epochs()

    def handle_backlog(self, connection: int, pending_bytes: int, *, now: float) -> None:
        """The driver has so many bytes unsent for a slow reader; report when it has caught up."""
        self._open(now)
        slow = self._connections.get(connection)
        if slow is not None:
            self._sessions.judge_backlog(slow, pending_bytes, now=now)
            self._forget_ended()

    def handle_request(self, request: int, http: HttpRequest, *, now: float) -> None:
        """A REST request arrived; exactly one `Respond` answers it."""
        self._open(now)
        path = split_path(http.path)[1]
        strikes = self._mischief.on_request(path, now=now)
        changes = [placed for placed in strikes if concerns_response(placed.fault)]
        others = [placed for placed in strikes if placed not in changes]
        self._strikes.strike_each(others, None, now)
        self._forget_ended()
        stale = next((placed for placed in changes if placed.fault.kind == "stale"), None)
        picture = self._picture(path, stale, now)
        response = self._snapshots.answer(http, picture, wall_ms=self._feed.wall_ms(now), now=now)
        late_s = 0.0
        for placed in changes:
            if placed is not stale:
                response, detail = changed_response(placed.fault, response, path)
                self._strikes.fired(placed, f"{path}: {detail}", now)
            if placed.fault.kind == "late":
                late_s = placed.fault.seconds or 0.0
        self._respond(Respond(request=request, response=response), late_s, now)
        query = [[name, REDACTED if is_secret(name) else value] for name, value in http.query]
        self.truth.write(
            "request",
            now=now,
            request=request,
            method=http.method,
            path=http.path,
            query=query,
            status=response.status,
        )

    def handle_deadline(self, *, now: float) -> None:
        """Time has passed; an early or repeated call does nothing."""
        self._open(now)
        self._ticks = 0
        self._alarms.ring(
            lambda alarm: self._ring(alarm, now), self._strikes.rhythm(), self._market, now=now
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
        return self._alarms.deadline(self._strikes.rhythm(), self._market)

    # What an operator may do.

    def publish(self, channel: str, payload: dict[str, Any] | None = None, *, now: float) -> str:
        """Publishes one entry and returns its id in the current epoch.

        Without a payload the market makes one. A given payload changes the market too, so REST
        agrees with it.
        """
        self._open(now)
        publication = self._feed.publish(channel, payload, now=now)
        self._announce(publication, now)
        self._forget_ended()
        return publication.entry_id

    def restart(self, *, announce: bool, now: float) -> None:
        """Starts a new epoch: buffers and numbers are new, the market goes on.

        Announced, everybody gets `reconnect` and a grace; otherwise every connection ends at once.
        """
        self._open(now)
        if announce:
            self.notice_reconnect(
                connection=None, reason="server_upgrade", grace_s=self.default_grace_s, now=now
            )
            return
        self.begin_epoch("crash", now=now)
        self.drop(None, reset=False, now=now)

    def begin_epoch(self, cause: str, *, now: float) -> None:
        """Lets a new epoch serve logins from here on; open connections stay where they are."""
        self._open(now)
        self._feed.begin_epoch(cause, now=now)
        self._retire_epochs()

    def notice_reconnect(
        self, *, connection: int | None, reason: str, grace_s: float, now: float
    ) -> None:
        """Sends `reconnect` to one connection or to all that are logged in.

        They stream on in their epoch for `grace_s` seconds and are closed then; whoever logs in
        meanwhile meets a new epoch.
        """
        self._open(now)
        told = self._addressed(connection)
        self.begin_epoch("notice", now=now)
        for leaving in told:
            if connection is None and not leaving.logged_in:
                continue
            leaving.leaving = True
            self._alarms.set(SessionTimer.GRACE, now + grace_s, connection=leaving.number)
            self._delivery.control(leaving.line, "reconnect", Reconnect(reason=reason), now)
        self._forget_ended()

    def drop(self, connection: int | None, *, reset: bool, now: float) -> None:
        """Ends one connection or all without a close frame."""
        self._open(now)
        for dropped in self._addressed(connection):
            self._delivery.abort(dropped.line, reset=reset, now=now)
        self._forget_ended()

    def pause(self, *, now: float) -> None:
        """Stops the market; `publish` still works."""
        self._open(now)
        self._feed.pause()

    def resume(self, *, now: float) -> None:
        """Lets the market go on."""
        self._open(now)
        self._feed.resume(now=now)

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

    @property
    def epoch(self) -> str | None:
        """The epoch that serves new logins, None before anything has happened."""
        epochs = self._feed.epochs
        return epochs.current.name if epochs.living else None

    # What faults ask for (see `strikes.Service`).

    @property
    def default_grace_s(self) -> float:
        """Seconds between `reconnect` and the close."""
        return self.options.reconnect_grace_s

    def require_snapshot(
        self, connection: int, reason: str, channels: tuple[str, ...] | None, *, now: float
    ) -> tuple[str, ...]:
        """Sends `snapshot_required` for channels, or for all subscribed; returns which."""
        told = self._connections[connection]
        if channels is None:
            channels = () if told.login is None else told.login.subscription.channels
        self._sessions.require_snapshot(told, reason, channels, now)
        return channels

    def step_clock(self, offset_ms: int) -> None:
        """Steps the wall clock, forward or back."""
        self._feed.step_clock(offset_ms)

    # How it is done.

    def _open(self, now: float) -> None:
        """Lets the market begin with the first thing that happens, for only then is there a now."""
        if self._strikes.started_at is not None:
            return
        self._strikes.started_at = now
        self._feed.open(now=now)

    def _announce(self, publication: Publication, now: float) -> None:
        """Sends a publication to everybody whose epoch published it."""
        encoded: Encoded = {}
        for connection in list(self._connections.values()):
            epoch = connection.epoch
            if epoch is not None and epoch.name in publication.entries:
                entry = publication.entries[epoch.name]
                self._sessions.stream(connection, entry, encoded, now=now)
        self._strikes.strike_each(self._mischief.on_entry(now=now), None, now)

    def _ring(self, alarm: Alarm, now: float) -> None:
        """Does what an alarm was set for, unless its connection has gone meanwhile."""
        if alarm.timer is SessionTimer.SUPERSEDE:
            self._supersede_now(now)
        if alarm.timer is SessionTimer.ANSWER:
            self._effects.append(self._late.pop(alarm.connection or 0))
            return
        connection = self._connections.get(alarm.connection or 0)
        self._strikes.ring(alarm, None if connection is None else connection.line, now)
        if connection is None or connection.is_gone():
            return
        match alarm.timer:
            case SessionTimer.LOGIN:
                self._sessions.time_out(connection, now=now)
            case SessionTimer.REPLAY:
                self._sessions.continue_replay(connection, now=now)
            case SessionTimer.RESUME_COMPLETE:
                self._sessions.complete(connection, now=now)
            case SessionTimer.GRACE:
                self._end_grace(connection, now)
            case _:
                pass

    def _end_grace(self, connection: Connection, now: float) -> None:
        code = self.options.reconnect_close_code
        if code == FIN_CODE:
            self._delivery.abort(connection.line, reset=False, now=now)
        else:
            self._delivery.close(connection.line, code, "reconnect", now=now)

    def _make_up_for(self, line: Line, out: Outgoing, gap: Fault, now: float) -> None:
        """Newer values follow what was coalesced, an admission what was lost (§2.3)."""
        if gap.loss == "lost":
            channels = () if out.channel is None else (out.channel,)
            self.require_snapshot(line.number, "client_backpressure", channels, now=now)
        elif isinstance(out.entry, Entry):
            self._superseded.append(out.entry)
            self._alarms.set(SessionTimer.SUPERSEDE, now)

    def _supersede_now(self, now: float) -> None:
        superseded, self._superseded = self._superseded, []
        for entry in superseded:
            self._announce(self._feed.supersede(entry, now=now), now)

    def _respond(self, answer: Respond, late_s: float, now: float) -> None:
        if late_s > 0:
            self._late[answer.request] = answer
            self._alarms.set(SessionTimer.ANSWER, now + late_s, connection=answer.request)
        else:
            self._effects.append(answer)

    def _picture(self, path: str, stale: Placed | None, now: float) -> Picture:
        lag_s, entries = self.options.snapshot_lag_s, 0
        if stale is not None:
            fault = stale.fault
            lag_s = max(lag_s, fault.seconds or 0.0)
            entries = fault.entries or int(fault.entries is None and fault.seconds is None)
            self._strikes.fired(stale, f"{path}: {entries} entries, {lag_s:g} s behind", now)
        return self._feed.picture(path, lag_s=lag_s, entries=entries, now=now)

    @property
    def _market(self) -> Rhythm:
        return Rhythm(timer=Timer.TICK, next_at=lambda: self._feed.next_tick_at, happen=self._tick)

    def _tick(self, now: float) -> None:
        self._ticks += 1
        for publication in self._feed.tick(now=now, caught_up=self._ticks >= CATCH_UP_MAX):
            self._announce(publication, now)

    def _strike_line(self, placed: Placed, line: Line, now: float) -> None:
        self._strikes.strike(placed, line, now)

    def _meant(self, fault: Fault) -> list[Line]:
        return [
            each.line
            for each in self._connections.values()
            if (
                each.logged_in
                if fault.connection is None
                else each.line.ordinal == fault.connection
            )
        ]

    def _addressed(self, connection: int | None) -> list[Connection]:
        if connection is None:
            return [each for each in self._connections.values() if not each.is_gone()]
        if connection not in self._connections:
            raise LookupError(f"no such connection: {connection}")
        return [self._connections[connection]]

    def _forget_ended(self) -> None:
        ended = [key for key, each in self._connections.items() if each.line.ended]
        for key in ended:
            del self._connections[key]
        if ended:
            self._retire_epochs()

    def _retire_epochs(self) -> None:
        self._feed.epochs.retire(
            each.epoch for each in self._connections.values() if each.epoch is not None
        )
