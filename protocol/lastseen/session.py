"""One feed subscription as a state machine: what happened goes in, what to do comes out."""

from collections.abc import Collection, Sequence
from typing import final

import attrs

from lastseen.anomalies import Anomalies
from lastseen.backoff import Backoff, Rng
from lastseen.budget import Budget
from lastseen.channels import Channels
from lastseen.commits import Commits
from lastseen.connections import Connection, Connections
from lastseen.control import Control
from lastseen.delivery import Delivery
from lastseen.dialect import Dialect, End, HttpResponse, SnapshotFault
from lastseen.durability import Durability
from lastseen.effects import CancelFetch, Commit, Effect, FetchSnapshot, Send
from lastseen.errors import LocalProtocolError
from lastseen.events import AnomalyCode, Entry, Event, Failure, Why
from lastseen.intake import UNKNOWN, Intake
from lastseen.join import Join
from lastseen.logins import Logins
from lastseen.machine import Deadline
from lastseen.mechanisms import Mechanisms
from lastseen.options import SessionOptions
from lastseen.position import Position, PositionKeeper
from lastseen.rebase import Rebase
from lastseen.recovery import Recovery
from lastseen.snapshots import WINDOW_MARGIN, ScopeKey, SnapshotQueue
from lastseen.states import ConnectionState
from lastseen.status import Counters, SessionStatus

__all__ = ["Deadline", "Session"]

_NORMAL = 1000


@final
@attrs.define(eq=False, repr=False)
class Session:
    """The session of one subscription. It does no I/O and never asks the time.

    The loop of a driver, the only order in which the methods may be called:

    1. call `handle_begin` once;
    2. drain `poll_effects` and start doing what they say;
    3. give `poll_events` to the application when it has room, in order, and call
       `handle_processed` (or `handle_rejected`) when it is done with an event;
    4. sleep until something happened or until `poll_deadline`;
    5. call the one `handle_*` that says what happened, then go to 2.

    Every `handle_*` takes `now`: seconds on a monotonic clock. None of them raises for anything a
    peer did; misuse by the caller raises `LocalProtocolError` and changes nothing.
    """

    dialect: Dialect
    rng: Rng
    options: SessionOptions = attrs.field(factory=SessionOptions)
    mechanisms: Mechanisms = attrs.field(factory=Mechanisms)
    _effects: list[Effect] = attrs.field(init=False, factory=list[Effect])
    _delivery: Delivery = attrs.field(init=False)
    _anomalies: Anomalies = attrs.field(init=False)
    _position: PositionKeeper = attrs.field(init=False)
    _snapshots: SnapshotQueue = attrs.field(init=False)
    _channels: Channels = attrs.field(init=False)
    _recovery: Recovery = attrs.field(init=False)
    _rebase: Rebase = attrs.field(init=False)
    _intake: Intake = attrs.field(init=False)
    _connections: Connections = attrs.field(init=False)
    _budget: Budget = attrs.field(init=False)
    """Of client messages."""
    _commits: Commits = attrs.field(init=False)
    _durability: Durability = attrs.field(init=False)
    _logins: Logins = attrs.field(init=False)
    _join: Join = attrs.field(init=False)
    _control: Control = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        make, options = self.mechanisms, self.options
        self._delivery = make.delivery(options.delivery_items_max, options.delivery_bytes_max)
        self._anomalies = Anomalies(self._delivery, lambda text: self.dialect.redact(text))
        self._position = make.position()
        self._commits = make.commits(
            options.commit_interval_s, options.commit_items_max, options.commit_retry_cap_s
        )
        self._durability = Durability(
            self._commits, self._delivery, self._anomalies, options.report_commits
        )
        self._logins = Logins(self._position, make.escalation(options.escalate_after))
        self._join = make.join()
        self._snapshots = SnapshotQueue(
            concurrency=options.snapshot_concurrency,
            backoff=Backoff(
                base_s=options.snapshot_backoff_base_s, cap_s=options.snapshot_backoff_cap_s
            ),
            rng=self.rng,
            budgets={
                name: make.budget(limit, window * WINDOW_MARGIN)
                for name, (limit, window) in self.dialect.budgets.items()
            },
            budget_class=self.dialect.budget_class,
            cost=lambda source: len(self._channels.dialect.snapshot_requests(source)),
        )
        self._channels = Channels(options, make, self.dialect, self._delivery, self._position)
        self._recovery = Recovery(
            options=options,
            rng=self.rng,
            join=self._join,
            channels=self._channels,
            delivery=self._delivery,
            position=self._position,
            snapshots=self._snapshots,
            anomalies=self._anomalies,
        )
        self._rebase = Rebase(self._channels, self._recovery, self._anomalies)
        self._intake = Intake(
            channels=self._channels,
            recovery=self._recovery,
            delivery=self._delivery,
            position=self._position,
            anomalies=self._anomalies,
            join=self._join,
        )
        self._budget = make.budget(options.messages_per_s, 1.0)
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
            classify=lambda end, noticed: self.dialect.classify(end, noticed=noticed),
            on_lost=lambda _: self._recovery.lose_connection(),
            on_login_ended=self._login_ended,
        )
        self._control = Control(
            dialect=self.dialect,
            connections=self._connections,
            channels=self._channels,
            recovery=self._recovery,
            intake=self._intake,
            delivery=self._delivery,
            position=self._position,
            logins=self._logins,
            commits=self._commits,
            anomalies=self._anomalies,
        )
        self._channels.subscribe(self.dialect)

    # In: what happened.

    def handle_begin(
        self,
        position: Position | None = None,
        bases: Collection[ScopeKey] = (),
        *,
        note: str | None = None,
        now: float,
    ) -> None:
        """Starts. A position counts only for scopes whose state the application still holds (R9).

        `bases` names those scopes; without them the session starts cold. `note` says why what was
        kept is not used, and becomes an anomaly.
        """
        self._connections.begin(now=now)
        if note is not None:
            self._anomalies.note(AnomalyCode.STATE_SET_ASIDE, None, note)
        if position is not None:
            self._commits.restored(position)
            self._channels.restore(position, bases)
        self._recovery.begin(now=now)
        self._pump(now)

    def handle_opened(self, connection: int, *, now: float) -> None:
        """A `Connect` succeeded: the upgrade is done."""
        opened = self._connections.opened(connection, now=now)
        if opened is not None:
            opened.login_waits = True
        self._pump(now)

    def handle_frames(self, connection: int, frames: Sequence[str | bytes], *, now: float) -> None:
        """A batch of frames arrived: text frames as `str`, binary frames as `bytes`."""
        source = self._connections.open.get(connection)
        if source is None:
            return
        source.liveness.heard(now=now)
        admitted = self._admits(source)
        entries = self.dialect.decode_batch(frames) if admitted else None
        if entries is not None:
            source.entries += len(entries)
            self._intake.receive_batch(entries, list(map(len, frames)), now=now)
            self._pump(now)
            return
        decode, receive = self.dialect.decode, self._intake.receive
        for frame in frames:
            message = decode(frame)
            if isinstance(message, Entry):
                if admitted:
                    source.entries += 1
                    receive(message, now=now)
                else:
                    waiting = source is self._connections.candidate
                    why = Why.BEFORE_LOGIN if waiting else Why.FENCED
                    self._intake.refuse(message, why)
            else:
                self._control.hear(source, message, admitted=admitted, now=now)
                admitted = self._admits(source)
        self._pump(now)

    def handle_alive(self, connection: int, *, now: float) -> None:
        """The peer answered a ping, or showed life in another way."""
        source = self._connections.open.get(connection)
        if source is not None:
            source.liveness.heard(now=now)

    def handle_closed(self, connection: int, end: End, *, now: float) -> None:
        """A socket is gone, or a `Connect` failed."""
        end = attrs.evolve(end, reason=self.dialect.redact(end.reason))
        self._connections.ended(connection, end, now=now)
        self._pump(now)

    def handle_snapshot(
        self, fetch: int, answer: tuple[HttpResponse, ...] | SnapshotFault, *, now: float
    ) -> None:
        """A `FetchSnapshot` came back, with every response or with why there are none."""
        known = self._snapshots.finished(fetch)
        if known is not None:
            if isinstance(answer, SnapshotFault):
                self._rebase.fetch_finished(known, answer, now=now)
            else:
                content = self._channels.dialect.read_snapshot(known.source, answer)
                self._rebase.fetch_finished(known, content, now=now)
        self._pump(now)

    def handle_committed(self, commit: int, *, trouble: str | None = None, now: float) -> None:
        """A `Commit` is durable, or because of some trouble nothing of it is."""
        self._durability.finished(commit, trouble, now=now)
        self._pump(now)

    def handle_processed(self, event: Event, *, now: float) -> None:
        """The application is done with an event, and with all it was given before."""
        self._commits.note(self._intake.finish(event))
        self._pump(now)

    def handle_rejected(self, entry: Entry, *, now: float) -> None:
        """The application cannot use this entry: it is quarantined and its scope resyncs."""
        self._commits.note(self._intake.reject(entry, now=now))
        self._pump(now)

    def handle_resync(self, channel: str | None = None, *, now: float) -> None:
        """The application asks for a fresh snapshot of one channel, or of all."""
        if channel is None:
            self._recovery.doubt_all(now=now)
        elif channel in self._channels.active:
            self._recovery.doubt(self._channels.active[channel], now=now)
        else:
            raise LocalProtocolError(f"resync of {channel!r}, which is not subscribed")
        self._pump(now)

    def handle_resubscribe(self, dialect: Dialect, *, now: float) -> None:
        """The application wants another subscription; the wire knows only a new login for that.

        The old connection goes on until the new one has logged in; its cursors described another
        subscription and are not sent.
        """
        if self._connections.stopped is not None:
            raise LocalProtocolError("resubscribe after the end")
        self.dialect = self._control.dialect = dialect
        self._logins.cold = True
        owner, candidate = self._connections.owner, self._connections.candidate
        if candidate is not None and candidate.login_sent:
            # Its login asked for something else.
            self._connections.notice(candidate, now=now)
        if owner is not None:
            self._connections.notice(owner, now=now)
        self._commits.note(1)
        self._pump(now)

    def handle_blocked(self, seconds: float, *, now: float) -> None:
        """Nothing could run for so long, this session included (HZ-I1)."""
        self._anomalies.note_blocked(seconds)
        self._pump(now)

    def handle_close(self, *, now: float) -> None:
        """The application wants no more."""
        self._connections.stop(None, "closed by the application", now=now)
        self._pump(now)

    def handle_deadline(self, *, now: float) -> None:
        """Time passed; early and repeated calls do nothing."""
        self._connections.tick(now=now)
        resume_deadline = self._recovery.resume_deadline
        if resume_deadline is not None and resume_deadline <= now:
            self._recovery.expire_replay(now=now)
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
        moments: list[tuple[float | None, str]] = [
            (self._recovery.resume_deadline, "resume"),
            (self._snapshots.deadline(), "snapshot"),
            (self._commits.deadline(), "commit"),
        ]
        candidate = self._connections.candidate
        if candidate is not None and candidate.login_waits:
            moments.append((self._budget.earliest(now=0.0), "message budget"))
        armed = [Deadline(at, reason) for at, reason in moments if at is not None]
        connection = self._connections.deadline()
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
        return (
            self._connections.stopped is not None
            and not self._connections.open
            and self._commits.settled
        )

    @property
    def position(self) -> Position:
        """What has been processed: the epoch and every cursor that may be sent."""
        return Position() if self._logins.cold else self._position.value()

    def position_after(self, event: Event) -> Position:
        """The position once this event and all given before it are processed (R6, R9).

        Raises `LocalProtocolError` for an event that is not outstanding.
        """
        after = self._intake.position_after(event)
        return Position() if self._logins.cold else after

    def status(self) -> SessionStatus:
        """Every claim of this moment."""
        owner = self._connections.owner
        return SessionStatus(
            connected=owner is not None,
            connections=len(self._connections.open),
            position=self.position,
            durable=self._commits.durable,
            durable_failed=self._commits.failures > 0,
            channels=tuple(
                channel.status(self._position.cursor(name), self._delivery.load(name))
                for name, channel in self._channels.active.items()
            ),
            stopped=self._connections.stopped,
            lost_notices=self._delivery.lost_notices,
        )

    def counters(self) -> dict[str, Counters]:
        """Where every received entry went, by channel, also of earlier subscriptions.

        The row `?` is for channels that are not ours.
        """
        return {**self._channels.counters(), UNKNOWN: self._intake.unknown.counters(0)}

    def anomalies(self) -> dict[tuple[AnomalyCode, str | None], int]:
        """How often each anomaly was seen, by code and channel."""
        return dict(self._anomalies.counts)

    # One frame.

    def _admits(self, source: Connection) -> bool:
        owner = self._connections.owner
        return self._join.admits(source.number, owner.number if owner is not None else None)

    # One connection.

    def _login(self, source: Connection, *, now: float) -> None:
        """Sends the login, once the message budget allows it (INV-S14)."""
        if source.state is not ConnectionState.LOGGING_IN:
            source.login_waits = False
            return
        if not self._budget.take(now=now):
            return
        source.login_waits = False
        source.login_sent = True
        source.login_position = self._logins.resume_from(self.dialect.channels)
        self._effects.append(
            Send(connection=source.number, text=self.dialect.login(source.login_position))
        )

    def _login_ended(self, source: Connection, now: float) -> None:
        if self._logins.lead_nowhere(source):
            self._anomalies.note(AnomalyCode.RESUME_ABANDONED, None, "resuming leads nowhere")
            self._recovery.abandon_resume(now=now)

    def _leave_what_leads_nowhere(self, owner: Connection, *, now: float) -> None:
        """A connection on which no base can become right again ends (INV-L4)."""
        if self._rebase.foreign >= self.options.escalate_after:
            # No snapshot will fit an epoch that the peer has left.
            self._rebase.foreign, why = 0, "snapshots are of another epoch"
        elif self._recovery.muddled:
            why = "a replay without heads was cut short"
        else:
            return
        self._connections.close(owner, _NORMAL, why, (Failure.TRANSIENT, why), now=now)

    # One step.

    def _pump(self, now: float) -> None:
        """Turns what has become possible into effects."""
        connections = self._connections
        if connections.owner is not None:
            self._leave_what_leads_nowhere(connections.owner, now=now)
        connections.connect_if_due(now=now)
        candidate = connections.candidate
        if candidate is not None and candidate.login_waits:
            self._login(candidate, now=now)
        if self._recovery.cancelled:
            self._effects.extend(CancelFetch(fetch=fetch) for fetch in self._recovery.cancelled)
            self._recovery.cancelled.clear()
        if connections.stopped is None:
            for fetch in self._snapshots.start(now=now):
                self._rebase.fetch_started(fetch)
                self._effects.append(
                    FetchSnapshot(
                        fetch=fetch.number,
                        requests=self._channels.dialect.snapshot_requests(fetch.source),
                        timeout_s=self.options.snapshot_timeout_s,
                    )
                )
        commit = self._commits.poll(
            self._position,
            cold=self._logins.cold,
            flush=connections.stopped is not None,
            now=now,
        )
        if commit is not None:
            self._effects.append(Commit(commit=commit[0], position=commit[1]))
