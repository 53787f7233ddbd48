"""A stream over HTTP as a state machine: its snapshot comes inside, and then what changes."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import final

import attrs

from lastseen.accounts import Account, Bearer, Place, TokenFault
from lastseen.admission import Admission
from lastseen.anomalies import Anomalies
from lastseen.backoff import Rng
from lastseen.commits import Commits
from lastseen.connections import Connection, Connections
from lastseen.delivery import Delivery
from lastseen.dialect import End
from lastseen.durability import Durability
from lastseen.effects import Commit, Effect, Subscribe
from lastseen.errors import LocalProtocolError
from lastseen.events import AnomalyCode, Entry, Event, Failure
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
from lastseen.stream_answers import Answers
from lastseen.stream_dialect import StreamDialect
from lastseen.stream_intake import StreamIntake
from lastseen.stream_turn import Turn
from lastseen.stream_verdicts import Verdicts
from lastseen.token_trail import TokenTrail

__all__ = ["StreamSession"]

_NORMAL = 1000
"""Close codes are for the log; HTTP has none."""

_SECRET_CHARACTERS_MIN = 4
"""Shorter than this it would be found in words that do not repeat it."""


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
    _effects: list[Effect] = attrs.field(init=False, factory=list[Effect])
    _delivery: Delivery = attrs.field(init=False)
    _anomalies: Anomalies = attrs.field(init=False)
    _gaps: Gaps = attrs.field(init=False)
    _intake: StreamIntake = attrs.field(init=False)
    _connections: Connections = attrs.field(init=False)
    _commits: Commits = attrs.field(init=False)
    _durability: Durability = attrs.field(init=False)
    _turn: Turn = attrs.field(init=False)
    _verdicts: Verdicts = attrs.field(init=False)
    _answers: Answers = attrs.field(init=False)
    _asked: set[int] = attrs.field(init=False, factory=set[int])
    """The connections whose request may still be on its way."""
    _leased: set[int] = attrs.field(init=False, factory=set[int])
    """The connections whose slot we hold: until the socket is really gone."""
    _verdict: Failure = attrs.field(init=False, default=Failure.UNKNOWN)
    _status: int | None = attrs.field(init=False, default=None)
    """What the end that is being handled means, and with which HTTP status it came."""

    def __attrs_post_init__(self) -> None:
        make, options, dialect = self.mechanisms, self.options, self.dialect
        self._delivery = make.delivery(options.delivery_items_max, options.delivery_bytes_max)
        self._anomalies = Anomalies(self._delivery, self._redact)
        self._gaps = Gaps(self._delivery)
        self._commits = make.commits(
            options.commit_interval_s, options.commit_items_max, options.commit_retry_cap_s
        )
        self._durability = Durability(
            self._commits, self._delivery, self._anomalies, options.report_commits
        )
        hold = partial(make.hold, options.hold_items_max, options.hold_bytes_max)
        self._intake = StreamIntake(
            dialect=dialect,
            delivery=self._delivery,
            trail=TokenTrail(dialect.channel, dialect.has_tokens, make.tokens(), self._delivery),
            anomalies=self._anomalies,
            gaps=self._gaps,
            admission=Admission(
                channel=dialect.channel,
                make_identities=lambda: make.identities(options.identities_max),
                progress=make.progress(options.units_max),
                anomalies=self._anomalies,
            ),
            pages=make.pages(options.snapshot_rows_max),
            hold=hold(Share(options.hold_bytes_max)),
            journal=hold(Share(options.hold_bytes_max)),
            report_discarded=options.report_discarded,
            on_doubt=self._reopen,
        )
        self._turn = Turn(
            account=self.account,
            delivery=self._delivery,
            effects=self._effects,
            key=self.key,
            anonymous=self.anonymous,
            token_timeout_s=options.token_timeout_s,
        )
        self._verdicts = Verdicts(
            dialect=dialect,
            intake=self._intake,
            turn=self._turn,
            escalation=make.escalation(options.escalate_after),
            anomalies=self._anomalies,
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
            may_connect=self._turn.may_connect,
        )
        self._answers = Answers(
            dialect=dialect,
            options=options,
            connections=self._connections,
            intake=self._intake,
            verdicts=self._verdicts,
            delivery=self._delivery,
            anomalies=self._anomalies,
            redact=self._redact,
        )

    @property
    def place(self) -> Place:
        """Where this session stands in its account."""
        return self._turn.place

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
        self._arrived(connection, now=now)
        if source is not None:
            self._answers.begin(source, content_type, now=now)
        self._pump(now)

    def handle_frames(self, connection: int, frames: Sequence[str | bytes], *, now: float) -> None:
        """Pieces of the body arrived, cut anywhere."""
        self._answers.receive(connection, frames, now=now)
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
                reason=self._redact(end.reason),
                retry_after_s=self.dialect.retry_after_s(end),
            )
            if source.state is not ConnectionState.CLOSING:
                self._verdict = self._verdicts.judge(source, end, now=now)
                self._status = end.http_status
            self._connections.ended(connection, end, now=now)
            self._status = None
        self._arrived(connection, now=now)
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
        self._answers.expire(now=now)
        self._connections.tick(now=now)
        self._pump(now)

    def leave(self, *, now: float) -> None:
        """The driver is gone, and every socket with it: others of the account may have its place.

        The last call; what follows it is ignored by the account, not by this session.
        """
        self._leased.clear()
        self.place.wake = None
        self.place.leave(now=now)

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
            moments.append((self._answers.base_due, "snapshot"))
        if connections.stopped is None and self._turn.queued is not None:
            moments.append((self._turn.at(), self._turn.queued))
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
        return self._intake.trail.keeper.value()

    def position_after(self, event: Event) -> Position:
        """The position once this event and all given before it are processed (R6, R9).

        Raises `LocalProtocolError` for an event that is not outstanding.
        """
        return self._intake.position_after(event)

    def status(self) -> StreamStatus:
        """Every claim of this moment."""
        return StreamStatus(
            connected=self._connections.owner is not None,
            connections=len(self._connections.open),
            channel=self.dialect.channel,
            state=self._intake.state,
            proof=self._intake.proof,
            lag=self._delivery.load(self.dialect.channel),
            position=self.position,
            durable=self._commits.durable,
            durable_failed=self._commits.failures > 0,
            queued=self._turn.queued,
            ahead=self._turn.ahead if self._turn.queued is not None else 0,
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

    # One connection.

    def _connection_ended(self, source: Connection, now: float) -> None:
        """A connection that was connecting, waiting or feeding us has ended."""
        self._turn.give_up(messages_only=True)
        failure = source.cause[0] if source.cause is not None else self._verdict
        answered = self._answers.end(source)
        if source.login_sent:
            self._connections.gate.settle(now=now)
            good = source.promoted and self._connections.gate.failures == 0
            self._verdicts.judge_resume(source, failure, self._status, good=good)
        if answered:
            self._intake.lost()

    def _redact(self, text: str) -> str:
        """A peer's words without what we said to it in confidence (HZ-K5)."""
        for secret in (self._turn.bearer, self._intake.token()):
            if secret is not None and len(plain := secret.reveal()) >= _SECRET_CHARACTERS_MIN:
                text = text.replace(plain, str(secret))
        return self.dialect.redact(text)

    def _reopen(self, why: str, now: float) -> None:
        """Only a new subscription brings a fresh snapshot; the gate says when (HZ-C20)."""
        for connection in (self._connections.owner, self._connections.candidate):
            if connection is not None:
                cause = (Failure.PLANNED, why)
                self._connections.close(connection, _NORMAL, "reopening", cause, now=now)

    # One step.

    def _subscribe(self, source: Connection, *, now: float) -> None:
        """Sends the request, once the account allows a message more (INV-S14)."""
        if source.state is not ConnectionState.LOGGING_IN:
            source.login_waits = False
            return
        waited = self._turn.queued is not None
        if not self._turn.may_send(now=now):
            source.deadline = float("inf")
            return
        if waited:
            # It waited for us, not for the peer.
            source.deadline = now + self.options.connect_timeout_s
        source.login_waits, source.login_sent = False, True
        token = self._intake.ask()
        if token is not None:
            source.login_position = Position(tokens=((self.dialect.channel, token),))
        self._asked.add(source.number)
        self._effects.append(
            Subscribe(
                connection=source.number,
                request=self.dialect.request(token=token, bearer=self._turn.bearer),
            )
        )

    def _arrived(self, connection: int, *, now: float) -> None:
        """The peer has answered a request, or its socket is gone."""
        if connection in self._asked:
            self._asked.discard(connection)
            self.place.message_arrived(now=now)

    def _pump(self, now: float) -> None:
        """Turns what has become possible into effects."""
        connections = self._connections
        refusal = self._turn.refusal
        if refusal is not None and connections.stopped is None:
            connections.stop(Failure.REJECTED, f"no token: {refusal}", now=now)
        candidate = connections.candidate
        connections.connect_if_due(now=now)
        opened = connections.candidate
        if opened is not None and opened is not candidate:
            self._leased.add(opened.number)
        if opened is not None and opened.login_waits:
            self._subscribe(opened, now=now)
        if connections.stopped is not None:
            self._turn.give_up()
        commit = self._commits.poll(
            self._intake.trail.keeper, flush=connections.stopped is not None, now=now
        )
        if commit is not None:
            self._effects.append(Commit(commit=commit[0], position=commit[1]))
