"""A feed without positions as a state machine: it catches up from histories, and follows items."""

from collections.abc import Hashable, Sequence
from typing import assert_never, final

import attrs

from lastseen.anomalies import Anomalies
from lastseen.backoff import Rng
from lastseen.budget import Budget
from lastseen.connections import Connection, Connections
from lastseen.coverage import Coverage
from lastseen.delivery import Delivery
from lastseen.dialect import End
from lastseen.effects import Effect, Send
from lastseen.errors import LocalProtocolError
from lastseen.events import AnomalyCode, Entry, Event, Failure, LoggedIn
from lastseen.gaps import Gaps
from lastseen.history_dialect import HistoryDialect
from lastseen.history_messages import (
    Bomb,
    ControlMessage,
    HeartbeatHeard,
    History,
    Malformed,
    Message,
    PeerError,
    PongHeard,
    Subscribed,
    Unsubscribed,
    WireEvent,
)
from lastseen.items import Items
from lastseen.keepalive import Keepalive
from lastseen.lifecycle import ItemKey, ItemState
from lastseen.machine import Deadline
from lastseen.mechanisms import Mechanisms
from lastseen.merge import Merge
from lastseen.options import HistoryOptions
from lastseen.position import Position
from lastseen.states import ConnectionState
from lastseen.status import Counters, HistoryStatus, ItemCounts
from lastseen.subscriptions import Subscriptions

__all__ = ["HistorySession"]

_NORMAL = 1000
_TOO_BIG = 1009

_HEARD = (ConnectionState.LOGGING_IN, ConnectionState.LIVE)


@final
@attrs.define(eq=False, repr=False)
class HistorySession:
    """The session of a feed that has no positions. It does no I/O and never asks the time.

    Its driver runs the loop of `Session`: one `handle_*` that says what happened, then drain the
    polls. None of the methods raises for anything a peer did; misuse by the caller raises
    `LocalProtocolError` and changes nothing.

    A connection counts as logged in from the first subscription that it grants. There is one at a
    time; the next one asks again for all that is wanted, and for the history of what was missed.
    Histories and live events are merged by identity, whichever comes first. That no gap is told
    proves nothing, so nothing here is ever called synced.

    Items that are pending when the session stops stay so: nobody will tell their outcome.
    """

    dialect: HistoryDialect
    rng: Rng
    options: HistoryOptions = attrs.field(factory=HistoryOptions)
    mechanisms: Mechanisms = attrs.field(factory=Mechanisms)
    _effects: list[Effect] = attrs.field(init=False, factory=list[Effect])
    _delivery: Delivery = attrs.field(init=False)
    _anomalies: Anomalies = attrs.field(init=False)
    _gaps: Gaps = attrs.field(init=False)
    _items: Items = attrs.field(init=False)
    _merge: Merge = attrs.field(init=False)
    _connections: Connections = attrs.field(init=False)
    _budget: Budget = attrs.field(init=False)
    """Of client messages."""
    _keepalive: Keepalive = attrs.field(init=False)
    _subscriptions: Subscriptions = attrs.field(init=False)
    _coverage: Coverage = attrs.field(init=False)
    _implausible: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        make, options, dialect = self.mechanisms, self.options, self.dialect
        self._delivery = make.delivery(options.delivery_items_max, options.delivery_bytes_max)
        self._anomalies = Anomalies(self._delivery, dialect.redact)
        self._gaps = Gaps(self._delivery)
        lifecycle = make.lifecycle(
            timeout_s=options.pending_timeout_s,
            pending_max=options.pending_max,
            tombstones_max=options.tombstones_max,
            confirmations_max=options.confirmations_max,
        )
        self._items = Items(options, lifecycle, self._delivery, self._anomalies)
        self._coverage = make.coverage(
            lookback_ms=dialect.lookback_ms,
            count_max=dialect.history_events_max,
            overlap_ms=options.overlap_ms,
            by_count=options.history_count,
        )
        self._merge = Merge(
            identities=make.identities(options.identities_max),
            items=self._items,
            coverage=self._coverage,
            delivery=self._delivery,
            gaps=self._gaps,
            anomalies=self._anomalies,
            is_recorded=dialect.is_recorded,
            on_dropped=lambda since_ms, now: self._subscriptions.look_back(since_ms, now=now),
        )
        self._connections = Connections(
            options=options,
            mechanisms=make,
            rng=self.rng,
            delivery=self._delivery,
            effects=self._effects,
            sockets_max=options.connection_limit,
            listen=lambda now: make.liveness(
                interval_s=options.ping_interval_s, timeout_s=options.ping_timeout_s, heard_at=now
            ),
            classify=lambda end, _: dialect.classify(end),
            on_lost=lambda _: None,
            on_login_ended=self._connection_ended,
            query=dialect.query,
        )
        self._budget = make.budget(options.messages_per_s, 1.0)
        self._keepalive = Keepalive(options.keepalive_interval_s, options.login_timeout_s)
        self._subscriptions = Subscriptions(
            options=options,
            dialect=dialect,
            rng=self.rng,
            asks=make.asks(
                budget=self._budget,
                timeout_s=options.login_timeout_s,
                attempts_max=options.attempts_max,
            ),
            coverage=self._coverage,
            delivery=self._delivery,
            gaps=self._gaps,
            anomalies=self._anomalies,
        )
        for subscription in dialect.subscriptions:
            self._subscriptions.add(subscription)

    # In: what happened.

    def handle_begin(self, *, now: float) -> None:
        """Starts; there is no position to start from."""
        self._connections.begin(now=now)
        self._pump(now)

    def handle_opened(self, connection: int, *, now: float) -> None:
        """A `Connect` succeeded: the upgrade is done."""
        if self._connections.opened(connection, now=now) is not None:
            self._keepalive.start(now=now)
        self._pump(now)

    def handle_frames(self, connection: int, frames: Sequence[str | bytes], *, now: float) -> None:
        """A batch of frames arrived: text frames as `str`, binary frames as `bytes`."""
        source = self._connections.open.get(connection)
        if source is None:
            return
        source.liveness.heard(now=now)
        decode, receive = self.dialect.decode, self._merge.receive
        counts = source.state in _HEARD
        for frame in frames:
            message = decode(frame)
            if not counts:
                self._refuse(message)
            elif isinstance(message, WireEvent):
                source.entries += 1
                receive(message, now=now)
            else:
                self._hear(source, message, now=now)
                counts = source.state in _HEARD
        self._pump(now)

    def handle_alive(self, connection: int, *, now: float) -> None:
        """The peer answered a ping, or showed life in another way."""
        source = self._connections.open.get(connection)
        if source is not None:
            source.liveness.heard(now=now)

    def handle_closed(self, connection: int, end: End, *, now: float) -> None:
        """A socket is gone, or a `Connect` failed."""
        end = attrs.evolve(
            end,
            reason=self.dialect.redact(end.reason),
            retry_after_s=self.dialect.retry_after_s(end),
        )
        self._connections.ended(connection, end, now=now)
        self._pump(now)

    def handle_processed(self, event: Event, *, now: float) -> None:
        """The application is done with an event, and with all it was given before."""
        self._merge.finish(event)
        self._pump(now)

    def handle_rejected(self, entry: Entry, *, now: float) -> None:
        """The application cannot use this entry: it is quarantined, and counted as such.

        There is nothing to bring it back from, and no need: the application has it, and what it
        says of items stands.
        """
        self._merge.reject(entry)
        self._pump(now)

    def handle_blocked(self, seconds: float, *, now: float) -> None:
        """Nothing could run for so long, this session included (HZ-I1)."""
        self._anomalies.note_blocked(seconds)
        self._pump(now)

    def handle_subscribe(self, subscription: Hashable, *, now: float) -> None:
        """The application wants one more subscription; it is asked for on the same connection.

        Raises `ConfigurationError` for one that cannot stand beside the others.
        """
        self._require_running("subscribe")
        self._subscriptions.add(subscription)
        self._pump(now)

    def handle_unsubscribe(self, subscription: Hashable, *, now: float) -> None:
        """The application wants one less; what it brought before may still come."""
        self._require_running("unsubscribe")
        self._subscriptions.remove(subscription)
        self._pump(now)

    def handle_resync(self, *, now: float) -> None:
        """The application asks for as much history as there is, to be merged once more."""
        self._require_running("resync")
        server_ms = self._coverage.server_ms(now=now)
        since_ms = None if server_ms is None else max(0, server_ms - self.dialect.lookback_ms)
        self._subscriptions.look_back(since_ms, now=now)
        self._pump(now)

    def handle_close(self, *, now: float) -> None:
        """The application wants no more."""
        self._connections.stop(None, "closed by the application", now=now)
        self._pump(now)

    def handle_deadline(self, *, now: float) -> None:
        """Time passed; early and repeated calls do nothing."""
        source = self._source
        # Before the sockets' own timers, which would say less about what is missing.
        if source is not None and self._subscriptions.expire(now=now):
            self._connections.abandon(source, "a request was not answered", now=now)
        self._connections.tick(now=now)
        self._pump(now)

    # Out: what to do, what to tell, when to come back.

    def poll_effects(self) -> list[Effect]:
        """What the driver must do now, in order; each effect is given once."""
        effects = list(self._effects)
        self._effects.clear()
        return effects

    def poll_events(self, limit: int = 1024) -> list[Event]:
        """Up to `limit` events for the application; they count as buffered until processed."""
        return self._delivery.take(limit)

    def poll_deadline(self) -> Deadline | None:
        """When to call `handle_deadline` at the latest; None is never."""
        connections, moments = self._connections, list[tuple[float | None, str]]()
        if connections.stopped is None:
            moments.append((self._items.deadline(), "item"))
        if self._source is not None:
            moments.append((self._subscriptions.deadline(now=0.0), "subscribe"))
            due_at = self._keepalive.due_at
            if due_at is not None and not self._subscriptions.asking:
                moments.append((self._budget.earliest(now=due_at), "keepalive"))
        armed = [Deadline(at, reason) for at, reason in moments if at is not None]
        connection = connections.deadline()
        if connection is not None:
            armed.append(Deadline(*connection))
        return min(armed, default=None)

    # What we claim.

    @property
    def waiting(self) -> int:
        """How many items `poll_events` has yet to give out."""
        return self._delivery.waiting

    @property
    def stopped(self) -> str | None:
        """Why nothing more is tried; None while something is."""
        return self._connections.stopped

    @property
    def finished(self) -> bool:
        """Stopped, and nothing is left for the driver to do."""
        return self._connections.stopped is not None and not self._connections.open

    @property
    def position(self) -> Position:
        """Always empty: there is nothing on this wire to come back to."""
        return Position()

    def position_after(self, event: Event) -> Position:
        """Empty; raises `LocalProtocolError` for an event that is not outstanding."""
        if not self._delivery.holds(event):
            raise LocalProtocolError("asked about an event that is not outstanding")
        return Position()

    def item(self, key: ItemKey) -> ItemState | None:
        """Where an item stands, as far as it is remembered."""
        return self._items.lifecycle.state(key)

    def status(self) -> HistoryStatus:
        """Every claim of this moment."""
        lifecycle = self._items.lifecycle
        return HistoryStatus(
            connected=self._connections.owner is not None,
            connections=len(self._connections.open),
            subscriptions=self._subscriptions.status(),
            items=ItemCounts(
                pending=lifecycle.counts().pending,
                timed_out=lifecycle.timed_out_total,
                confirmed=lifecycle.confirmed_total,
            ),
            accepted_ms=self._coverage.accepted_ms,
            gaps=self._gaps.total,
            stopped=self._connections.stopped,
            lost_notices=self._delivery.lost_notices,
        )

    def counters(self) -> dict[str, Counters]:
        """Where every received event went, by its type; the row `?` is for what is none."""
        return self._merge.counters()

    def anomalies(self) -> dict[tuple[AnomalyCode, str | None], int]:
        """How often each anomaly was seen, by code and event type."""
        return dict(self._anomalies.counts)

    # One frame.

    def _hear(self, source: Connection, message: ControlMessage, *, now: float) -> None:
        """Acts on a frame that is not a single event."""
        match message:
            case History():
                name = self._subscriptions.hear_history(message)
                new = self._merge.receive_history(message, now=now)
                self._subscriptions.merged(name, events=len(message.events), new=new, now=now)
            case Subscribed():
                self._grant(source, message, now=now)
            case Unsubscribed():
                self._end(source, message, now=now)
            case PeerError():
                self._complain(source, message, now=now)
            case HeartbeatHeard() | PongHeard():
                if message.timestamp_ms is not None:
                    self._coverage.heard(message.timestamp_ms, now=now)
                if isinstance(message, PongHeard):
                    self._keepalive.answered()
            case Malformed():
                self._merge.receive_malformed(message.detail)
                self._subscriptions.doubt(now=now)
                self._connections.misunderstand(source, now=now)
            case Bomb():
                self._merge.receive_malformed(message.detail)
                self._subscriptions.doubt(now=now)
                cause = (Failure.UNKNOWN, message.detail)
                self._connections.close(source, _TOO_BIG, "message too big", cause, now=now)
            case _:
                assert_never(message)

    def _grant(self, source: Connection, message: Subscribed, *, now: float) -> None:
        if source is self._connections.candidate and self._subscriptions.subscribing:
            self._connections.promote(source, now=now)
            self._delivery.put(
                LoggedIn(connection=source.number, epoch=None, resumed=(), denied=())
            )
        if not self._subscriptions.grant(message, now=now):
            self._unexpected("subscribed")

    def _end(self, source: Connection, message: Unsubscribed, *, now: float) -> None:
        if self._subscriptions.end(message.subscription_id):
            return
        self._unexpected("unsubscribed")
        if self._subscriptions.is_ours(message.subscription_id):
            # It feeds us less than it did, and only a new connection says what it feeds us.
            cause = (Failure.TRANSIENT, "the peer ended a subscription")
            self._connections.close(source, _NORMAL, "subscribing anew", cause, now=now)

    def _complain(self, source: Connection, message: PeerError, *, now: float) -> None:
        words = self.dialect.redact(f"{message.code}: {message.message}")
        if self._keepalive.refused(now=now) or not self._subscriptions.refuse(message, now=now):
            self._anomalies.note(AnomalyCode.PEER_ERROR, None, words)
        elif self._subscriptions.hopeless:
            reason = f"every subscription was refused, the last with {words}"
            self._connections.stop(Failure.FATAL, reason, now=now)
        elif source is self._connections.candidate:
            # It answers, so it has as much time for what is asked next.
            source.deadline = now + self.options.login_timeout_s

    def _refuse(self, message: Message) -> None:
        """Counts what a connection says that does not count any more (R10)."""
        if isinstance(message, WireEvent):
            self._merge.refuse(message)
        elif isinstance(message, History):
            for event in message.events:
                self._merge.refuse(event)

    def _unexpected(self, name: str) -> None:
        self._anomalies.note(AnomalyCode.UNEXPECTED_FRAME, None, f"{name}, and nothing was due")

    # One step.

    @property
    def _source(self) -> Connection | None:
        """The connection on which something can be asked."""
        owner, candidate = self._connections.owner, self._connections.candidate
        if owner is not None:
            return owner
        asks = candidate is not None and candidate.state is ConnectionState.LOGGING_IN
        return candidate if asks else None

    def _connection_ended(self, source: Connection, now: float) -> None:
        self._keepalive.stop()
        if source.login_sent:
            self._subscriptions.lose(heard_at=min(now, source.liveness.heard_at))

    def _require_running(self, verb: str) -> None:
        if self._connections.stopped is not None:
            raise LocalProtocolError(f"{verb} after the end")

    def _pump(self, now: float) -> None:
        """Turns what has become possible into effects, and what is overdue into news."""
        connections, subscriptions = self._connections, self._subscriptions
        if subscriptions.must_replace and connections.owner is not None:
            cause = (Failure.PLANNED, "a subscription without an id has to end")
            connections.close(connections.owner, _NORMAL, "moving", cause, now=now)
        connections.connect_if_due(now=now)
        source = self._source
        if source is not None:
            while (text := subscriptions.next(now=now)) is not None:
                source.login_sent = True
                self._effects.append(Send(connection=source.number, text=text))
            self._keep_alive(source, now=now)
        if connections.stopped is None:
            self._items.expire(now=now)
        self._items.note_limits()
        while self._implausible < self._coverage.implausible:
            self._implausible += 1
            words = "an event time too far ahead of the peer's clock"
            self._anomalies.note(AnomalyCode.IMPLAUSIBLE_TIME, None, words)

    def _keep_alive(self, source: Connection, *, now: float) -> None:
        """Pings while nothing is in flight, so that an error can be told from a refusal."""
        if not self._keepalive.is_due(now=now) or self._subscriptions.asking:
            return
        if self._budget.take(now=now):
            self._keepalive.sent(now=now)
            self._effects.append(Send(connection=source.number, text=self.dialect.ping()))
