"""A stream over HTTP as a state machine: its snapshot comes inside, and then what changes."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import assert_never, final

import attrs

from lastseen.accounts import Account, Bearer, Place, TokenFault
from lastseen.anomalies import Anomalies
from lastseen.backoff import Rng
from lastseen.commits import Commits
from lastseen.connections import Connection, Connections
from lastseen.delivery import Delivery
from lastseen.dialect import End
from lastseen.durability import Durability
from lastseen.effects import Commit, Effect, FetchToken, Subscribe
from lastseen.errors import LocalProtocolError
from lastseen.escalation import Escalation
from lastseen.events import AnomalyCode, Entry, Event, Failure, LoggedIn, Proof, Queued
from lastseen.gaps import Gaps
from lastseen.hold import Share
from lastseen.machine import Deadline
from lastseen.mechanisms import Mechanisms
from lastseen.options import StreamOptions
from lastseen.position import Position
from lastseen.secret import Secret
from lastseen.snapshots import ScopeKey
from lastseen.states import ConnectionState
from lastseen.status import Counters, StreamStatus
from lastseen.stream_dialect import Base, RecordReader, StreamDialect
from lastseen.stream_intake import StreamIntake
from lastseen.stream_messages import (
    Heartbeat,
    Malformed,
    PeerError,
    StreamMessage,
    StreamSnapshot,
    StreamUpdate,
)

__all__ = ["StreamSession"]

_NORMAL = 1000
"""Close codes are for the log; HTTP has none."""

_LIMIT_PAUSE_S = 1.0
"""The least time that a whole account stays quiet after it was told to (`facts` §4.5)."""

_UNAUTHENTICATED_MAX = 1
"""So often a fresh token is tried before a refusal is taken for one (HZ-H6)."""

_HEARD = (ConnectionState.LOGGING_IN, ConnectionState.LIVE)

_NO_VERDICT = (Failure.LIMIT, Failure.REJECTED, Failure.UNAUTHENTICATED, Failure.PLANNED)
_NO_VERDICT_STATUS = (429, 502, 503, 504)
"""Ends that say nothing of the token that was sent (R13)."""


@final
@attrs.define(eq=False)
class _Answer:
    """What one connection has said so far."""

    connection: Connection
    reader: RecordReader
    resumed: bool
    session_id: str | None = None


@final
@attrs.define(eq=False, repr=False)
class StreamSession:
    """The session of one stream. It does no I/O and never asks the time.

    Its driver runs the loop of `Session`, with three steps more: after `handle_opened` it is told
    to `Subscribe` and answers with `handle_answered` when the head of a success has come; the
    pieces of the body are its frames, cut wherever the transport cut them; and `FetchToken` is
    answered by `handle_token`. None of the methods raises for anything a peer did; misuse by the
    caller raises `LocalProtocolError` and changes nothing.

    Sessions of one account share an `Account`, and so wait for each other. A waiting session's
    `poll_deadline` says when it may go on, as of now; `place.wake` is called whenever that may have
    changed without anything having happened to this session.

    An answer counts as a login once it has delivered: a snapshot, an update, or where neither is
    due, any record. Only that lets the backoff begin anew (R12). With a `key` every request bears
    it, and no token is fetched; `anonymous` requests bear nothing.
    """

    dialect: StreamDialect
    rng: Rng
    options: StreamOptions = attrs.field(factory=StreamOptions)
    account: Account = attrs.field(factory=Account)
    mechanisms: Mechanisms = attrs.field(factory=Mechanisms)
    key: Secret | None = attrs.field(default=None, kw_only=True)
    anonymous: bool = attrs.field(default=False, kw_only=True)
    place: Place = attrs.field(init=False)
    _effects: list[Effect] = attrs.field(init=False, factory=list[Effect])
    _delivery: Delivery = attrs.field(init=False)
    _anomalies: Anomalies = attrs.field(init=False)
    _gaps: Gaps = attrs.field(init=False)
    _intake: StreamIntake = attrs.field(init=False)
    _connections: Connections = attrs.field(init=False)
    _commits: Commits = attrs.field(init=False)
    _durability: Durability = attrs.field(init=False)
    _escalation: Escalation = attrs.field(init=False)
    _answer: _Answer | None = attrs.field(init=False, default=None)
    """Of the one connection that counts."""
    _leased: set[int] = attrs.field(init=False, factory=set[int])
    """The connections whose slot we hold: until the socket is really gone."""
    _bearer: Secret | None = attrs.field(init=False, default=None, repr=False)
    """What the present request was sent with."""
    _needs_bearer: bool = attrs.field(init=False, default=False)
    _unauthenticated: int = attrs.field(init=False, default=0)
    _queued: str | None = attrs.field(init=False, default=None)
    _verdict: Failure = attrs.field(init=False, default=Failure.UNKNOWN)
    _status: int | None = attrs.field(init=False, default=None)
    """What the end that is being handled means, and with which HTTP status it came."""
    _base_due: float | None = attrs.field(init=False, default=None)
    """Until when a connection that feeds us may owe us a base."""

    def __attrs_post_init__(self) -> None:
        make, options, dialect = self.mechanisms, self.options, self.dialect
        self.place = self.account.join()
        self._delivery = make.delivery(options.delivery_items_max, options.delivery_bytes_max)
        self._anomalies = Anomalies(self._delivery, dialect.redact)
        self._gaps = Gaps(self._delivery)
        self._commits = make.commits(
            options.commit_interval_s, options.commit_items_max, options.commit_retry_cap_s
        )
        self._durability = Durability(
            self._commits, self._delivery, self._anomalies, options.report_commits
        )
        self._escalation = make.escalation(options.escalate_after)
        hold = partial(make.hold, options.hold_items_max, options.hold_bytes_max)
        self._intake = StreamIntake(
            dialect=dialect,
            delivery=self._delivery,
            keeper=make.tokens(),
            anomalies=self._anomalies,
            gaps=self._gaps,
            make_identities=lambda: make.identities(options.identities_max),
            progress=make.progress(options.units_max),
            pages=make.pages(options.snapshot_rows_max),
            hold=hold(Share(options.hold_bytes_max)),
            journal=hold(Share(options.hold_bytes_max)),
            report_discarded=options.report_discarded,
            on_doubt=self._reopen,
        )
        self._connections = Connections(
            options=options,
            mechanisms=make,
            rng=self.rng,
            delivery=self._delivery,
            effects=self._effects,
            sockets_max=1,
            listen=lambda now: make.liveness(
                interval_s=options.silence_limit_s, timeout_s=0.0, heard_at=now
            ),
            classify=lambda _end, _noticed: self._verdict,
            on_lost=lambda _: None,
            on_login_ended=self._connection_ended,
            may_connect=self._may_connect,
        )

    # In: what happened.

    def handle_begin(
        self,
        position: Position | None = None,
        bases: Collection[ScopeKey] = (),
        *,
        note: str | None = None,
        now: float,
    ) -> None:
        """Starts. A token counts only while the application holds the state it describes (R9).

        `bases` names the scopes whose state it holds; the stream's is `(channel, None)`. `note`
        says why what was kept is not used, and becomes an anomaly.
        """
        self._connections.begin(now=now)
        if note is not None:
            self._anomalies.note(AnomalyCode.STATE_SET_ASIDE, None, note)
        if position is not None:
            self._commits.restored(position)
            self._intake.restore(position, bases)
        self._intake.begin()
        self._pump(now)

    def handle_opened(self, connection: int, *, now: float) -> None:
        """A `Connect` succeeded: TCP and TLS are ready, and nothing has been sent."""
        waiting = self._connections.open.get(connection)
        deadline = waiting.deadline if waiting is not None else now
        opened = self._connections.opened(connection, now=now)
        if opened is not None:
            # One deadline over connect, TLS and head (HZ-K9).
            opened.deadline = deadline
            opened.login_waits, opened.awaits = True, "answer"
        self._pump(now)

    def handle_answered(self, connection: int, content_type: str | None, *, now: float) -> None:
        """The head of a success arrived; a refusal is told by `handle_closed` instead."""
        source = self._connections.open.get(connection)
        answers = source is not None and source is self._connections.candidate
        if source is not None and answers and source.login_sent and self._answer is None:
            source.liveness.heard(now=now)
            resumed = bool(source.login_position.tokens)
            self._answer = _Answer(source, self.dialect.reader(content_type), resumed)
            self._intake.opened(resumed=resumed)
            due = self._base_is_due
            source.awaits = "first snapshot" if due else "first record"
            source.deadline = now + (
                self.options.login_timeout_s if due else self.options.silence_limit_s
            )
        self._pump(now)

    def handle_frames(self, connection: int, frames: Sequence[str | bytes], *, now: float) -> None:
        """Pieces of the body arrived, cut anywhere."""
        answer = self._answer
        if answer is None or answer.connection.number != connection:
            return
        answer.connection.liveness.heard(now=now)
        decode, reader = self.dialect.decode, answer.reader
        for frame in frames:
            for record in reader.feed(frame if isinstance(frame, bytes) else _as_bytes(frame)):
                self._hear(answer, decode(record), now=now)
        if reader.fault is not None and self._counts(answer):
            self._intake.receive_malformed(reader.fault, now=now)
            cause = (Failure.UNKNOWN, reader.fault)
            self._connections.close(answer.connection, _NORMAL, "unreadable", cause, now=now)
        elif reader.ended and self._counts(answer):
            cause = (Failure.TRANSIENT, "the peer ended the stream")
            self._connections.close(answer.connection, _NORMAL, "ended", cause, now=now)
        self._pump(now)

    def handle_alive(self, connection: int, *, now: float) -> None:
        """The peer showed life without a byte of the body."""
        source = self._connections.open.get(connection)
        if source is not None:
            source.liveness.heard(now=now)

    def handle_closed(self, connection: int, end: End, *, now: float) -> None:
        """A socket is gone, or a `Connect` failed, or a request was refused."""
        source = self._connections.open.get(connection)
        if source is not None:
            end = attrs.evolve(
                end,
                reason=self.dialect.redact(end.reason),
                retry_after_s=self.dialect.retry_after_s(end),
            )
            if source.state is not ConnectionState.CLOSING:
                self._verdict = self._judge(source, end, now=now)
                self._status = end.http_status
            self._connections.ended(connection, end, now=now)
            self._status = None
        if connection in self._leased:
            self._leased.discard(connection)
            self.place.return_stream()
        self._pump(now)

    def handle_token(self, fetch: int, answer: Bearer | TokenFault, *, now: float) -> None:
        """A `FetchToken` came back, with a token or with why there is none."""
        fault = self.account.fetched(fetch, answer, self.rng, now=now)
        if fault is not None:
            self._anomalies.note(AnomalyCode.TOKEN_UNAVAILABLE, None, fault.reason)
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
        """The application cannot use this entry: quarantined, and a fresh snapshot is taken."""
        self._commits.note(self._intake.reject(entry, now=now))
        self._pump(now)

    def handle_resync(self, *, now: float) -> None:
        """The application asks for a fresh snapshot, or where there is none, for a new stream."""
        if self._connections.stopped is not None:
            raise LocalProtocolError("resync after the end")
        self._intake.doubt("asked for by the application", now=now)
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
        owner = self._connections.owner
        if owner is not None and self._base_due is not None and self._base_due <= now:
            self._connections.abandon(owner, "no snapshot came", now=now)
        self._connections.tick(now=now)
        self._pump(now)

    def leave(self) -> None:
        """The driver is gone, and every socket with it: others of the account may have its place.

        The last call; what follows it is ignored by the account, not by this session.
        """
        self._leased.clear()
        self.place.wake = None
        self.place.leave()

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
        moments: list[tuple[float | None, str]] = [(self._commits.deadline(), "commit")]
        connections = self._connections
        if connections.owner is not None:
            moments.append((self._base_due, "snapshot"))
        if connections.stopped is None and self._queued is not None:
            moments.append((self._turn_at(), self._queued))
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
        return (
            self._connections.stopped is not None
            and not self._connections.open
            and self._commits.settled
        )

    @property
    def position(self) -> Position:
        """What has been processed: the token that may be sent, if there is one."""
        return self._intake.keeper.value()

    def position_after(self, event: Event) -> Position:
        """The position once this event and all given before it are processed (R6, R9).

        Raises `LocalProtocolError` for an event that is not outstanding.
        """
        return self._intake.position_after(event)

    def status(self) -> StreamStatus:
        """Every claim of this moment."""
        line = {
            "streams": self.account.streams_line,
            "token": self.account.streams_line,
            "messages": self.account.messages_line,
        }
        ahead = line[self._queued].ahead(self.place) if self._queued is not None else None
        return StreamStatus(
            connected=self._connections.owner is not None,
            connections=len(self._connections.open),
            channel=self.dialect.channel,
            state=self._intake.state,
            proof=Proof.PROVEN,
            lag=self._delivery.load(self.dialect.channel),
            position=self.position,
            durable=self._commits.durable,
            durable_failed=self._commits.failures > 0,
            queued=self._queued,
            ahead=ahead or 0,
            gaps=self._gaps.total,
            stopped=self._connections.stopped,
            lost_notices=self._delivery.lost_notices,
        )

    def counters(self) -> dict[str, Counters]:
        """Where every received entry went; one row, as there is one stream."""
        channel = self.dialect.channel
        return {channel: self._intake.row.counters(self._delivery.load(channel))}

    def anomalies(self) -> dict[tuple[AnomalyCode, str | None], int]:
        """How often each anomaly was seen, by code and channel."""
        return dict(self._anomalies.counts)

    # One record.

    def _hear(self, answer: _Answer, message: StreamMessage, *, now: float) -> None:
        body = message.body
        if not self._counts(answer):
            if isinstance(body, StreamUpdate):
                self._intake.refuse(body.entries)
            return
        if message.oddity is not None:
            self._anomalies.note(AnomalyCode.ODD_EVENT, self.dialect.channel, message.oddity)
        self._check_session(answer, message.session_id, now=now)
        match body:
            case StreamUpdate():
                if self._intake.takes_updates:
                    self._promote(answer, now=now)
                answer.connection.entries += len(body.entries)
                self._intake.receive_update(body.entries, message.token, now=now)
            case StreamSnapshot():
                if body.last:
                    self._promote(answer, now=now)
                elif answer.connection is self._connections.candidate:
                    answer.connection.deadline = now + self.options.login_timeout_s
                self._intake.receive_snapshot(body, message.token, now=now)
            case Heartbeat():
                if self._intake.takes_updates:
                    self._promote(answer, now=now)
                self._intake.fed()
                self._intake.receive_token(message.token)
            case PeerError():
                self._complain(answer, body, now=now)
            case Malformed():
                self._intake.receive_malformed(body.detail, now=now)
                if self._counts(answer):
                    self._connections.misunderstand(answer.connection, now=now)
            case _:
                assert_never(body)
        if self._intake.based:
            self._base_due = None

    def _check_session(self, answer: _Answer, session_id: str | None, *, now: float) -> None:
        """Notices a peer that began anew without saying so (`facts` §5)."""
        if session_id is None or session_id == answer.session_id:
            return
        before, answer.session_id = answer.session_id, session_id
        if before is not None:
            answer.resumed = False
            self._intake.begin_anew()
            if self._base_is_due:
                self._base_due = now + self.options.login_timeout_s

    def _promote(self, answer: _Answer, *, now: float) -> None:
        """The first thing it delivered: the connection counts as logged in (R12)."""
        if answer.connection is not self._connections.candidate:
            return
        self._connections.promote(answer.connection, now=now)
        self._unauthenticated = 0
        resumed = (self.dialect.channel,) if answer.resumed else ()
        self._delivery.put(
            LoggedIn(
                connection=answer.connection.number,
                epoch=answer.session_id,
                resumed=resumed,
                denied=(),
            )
        )

    def _complain(self, answer: _Answer, error: PeerError, *, now: float) -> None:
        """The peer ends the stream with words.

        After an answer that delivered nothing, that is a failed open like any other (`facts`
        §7.11).
        """
        words = self.dialect.redact(f"{error.code}: {error.message}")
        self._anomalies.note(AnomalyCode.PEER_ERROR, self.dialect.channel, words)
        failure = self._judge(answer.connection, error, now=now)
        self._connections.close(
            answer.connection,
            _NORMAL,
            "error",
            (failure, words),
            retry_after_s=self.dialect.retry_after_s(error),
            now=now,
        )

    # One connection.

    def _counts(self, answer: _Answer) -> bool:
        return answer is self._answer and answer.connection.state in _HEARD

    @property
    def _base_is_due(self) -> bool:
        """Whether nothing can be made of the stream before a snapshot."""
        return self.dialect.base is Base.SNAPSHOT and not self._intake.takes_updates

    def _judge(self, source: Connection, end: End | PeerError, *, now: float) -> Failure:
        """What the end of a connection means, and what follows for the token and the account."""
        sent = bool(source.login_position.tokens) and source.login_sent
        failure = self.dialect.classify(end, token_sent=sent and not self._intake.moved)
        if failure is Failure.RESUME_REFUSED:
            if self._intake.token() is not None:
                self._intake.drop_token()
        elif failure is Failure.LIMIT:
            asked_s = self.dialect.retry_after_s(end) or 0.0
            self.account.pause(max(_LIMIT_PAUSE_S, asked_s), now=now)
        elif failure is Failure.UNAUTHENTICATED:
            if self._bearer is not None:
                self.account.refuse_bearer(self._bearer)
            self._unauthenticated += 1
            if self.key is not None or self.anonymous:
                return Failure.REJECTED
            if self._unauthenticated > _UNAUTHENTICATED_MAX:
                return Failure.REJECTED
        return failure

    def _connection_ended(self, source: Connection, now: float) -> None:
        """A connection that was connecting, waiting or feeding us has ended."""
        if self._queued == "messages":
            self._queued = None
            self.place.give_up()
        failure = source.cause[0] if source.cause is not None else self._verdict
        answered = self._answer is not None and self._answer.connection is source
        self._answer, self._base_due = None, None
        if source.login_sent:
            self._judge_resume(source, failure, now=now)
        if answered:
            self._intake.lost()

    def _judge_resume(self, source: Connection, failure: Failure, *, now: float) -> None:
        """The same failure at the same token too often: begin anew without it (R13, HZ-H5)."""
        token = self._intake.token()
        if token is None or source.login_position.token(self.dialect.channel) != token:
            return
        self._connections.gate.settle(now=now)
        good = source.promoted and self._connections.gate.failures == 0
        if self._intake.moved or good:
            self._escalation.succeeded()
        elif failure in _NO_VERDICT or self._status in _NO_VERDICT_STATUS:
            return
        elif self._escalation.failed(source.login_position):
            self._anomalies.note(
                AnomalyCode.RESUME_ABANDONED, self.dialect.channel, "resuming leads nowhere"
            )
            self._intake.drop_token()

    def _reopen(self, why: str, now: float) -> None:
        """Only a new subscription brings a fresh snapshot; the gate says when (HZ-C20)."""
        for connection in (self._connections.owner, self._connections.candidate):
            if connection is not None:
                cause = (Failure.PLANNED, why)
                self._connections.close(connection, _NORMAL, "reopening", cause, now=now)

    # One step.

    def _may_connect(self, now: float) -> bool:
        """Whether the account has room for this stream, and a token to open it with."""
        self.account.streams_line.join(self.place)
        fetches = self.key is None and not self.anonymous
        self._needs_bearer = fetches and self.account.bearer(now=now) is None
        if self._needs_bearer:
            self._queue("token")
            fetch = self.account.start_fetch(self.place, now=now)
            if fetch is not None:
                timeout_s = self.options.token_timeout_s
                self._effects.append(FetchToken(fetch=fetch, timeout_s=timeout_s))
            return False
        if not self.place.take_stream(now=now):
            self._queue("streams")
            return False
        self._queued = None
        return True

    def _turn_at(self) -> float | None:
        if self._queued == "messages":
            return self.place.message_at()
        if self._needs_bearer:
            if self.account.refusal is not None:
                return self.account.paused_until
            return self.account.fetch_at()
        return self.place.stream_at()

    def _queue(self, budget: str) -> None:
        if self._queued == budget:
            return
        self._queued = budget
        if budget != "token":
            line = self.account.streams_line if budget == "streams" else self.account.messages_line
            self._delivery.put(Queued(budget=budget, ahead=line.ahead(self.place) or 0))

    def _subscribe(self, source: Connection, *, now: float) -> None:
        """Sends the request, once the account allows a message more (INV-S14)."""
        if source.state is not ConnectionState.LOGGING_IN:
            source.login_waits = False
            return
        if not self.place.take_message(now=now):
            self._queue("messages")
            source.deadline = float("inf")
            return
        if self._queued is not None:
            # It waited for us, not for the peer.
            source.deadline = now + self.options.connect_timeout_s
            self._queued = None
        source.login_waits, source.login_sent = False, True
        self._bearer = self.key if self.key is not None else self.account.last_bearer()
        if self.anonymous:
            self._bearer = None
        token = self._intake.ask()
        if token is not None:
            source.login_position = Position(tokens=((self.dialect.channel, token),))
        self._effects.append(
            Subscribe(
                connection=source.number,
                request=self.dialect.request(token=token, bearer=self._bearer),
            )
        )

    def _pump(self, now: float) -> None:
        """Turns what has become possible into effects."""
        connections = self._connections
        refusal = self.account.refusal if self._needs_bearer else None
        if refusal is not None and connections.stopped is None:
            connections.stop(Failure.REJECTED, f"no token: {refusal}", now=now)
        candidate = connections.candidate
        connections.connect_if_due(now=now)
        opened = connections.candidate
        if opened is not None and opened is not candidate:
            self._leased.add(opened.number)
        if opened is not None and opened.login_waits:
            self._subscribe(opened, now=now)
        if connections.stopped is not None and self._queued is not None:
            self._queued = None
            self.place.give_up()
        commit = self._commits.poll(
            self._intake.keeper, flush=connections.stopped is not None, now=now
        )
        if commit is not None:
            self._effects.append(Commit(commit=commit[0], position=commit[1]))


def _as_bytes(frame: str | bytes) -> bytes:
    return frame if isinstance(frame, bytes) else frame.encode("utf-8", "surrogatepass")
