"""The answer that a stream is: its records in order, and what each of them drives."""

from collections.abc import Callable, Sequence
from typing import assert_never, final

import attrs

from lastseen.anomalies import Anomalies
from lastseen.connections import Connection, Connections
from lastseen.delivery import Delivery
from lastseen.events import AnomalyCode, Failure, LoggedIn
from lastseen.options import StreamOptions
from lastseen.states import ConnectionState
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
from lastseen.stream_verdicts import Verdicts

__all__ = ["Answers"]

_NORMAL = 1000
"""Close codes are for the log; HTTP has none."""

_HEARD = (ConnectionState.LOGGING_IN, ConnectionState.LIVE)


@final
@attrs.define(eq=False)
class _Answer:
    """What one connection has said so far."""

    connection: Connection
    reader: RecordReader
    resumed: bool
    began_at: float
    session_id: str | None = None

    @property
    def counts(self) -> bool:
        """Whether what it says is still heard (R10)."""
        return self.connection.state in _HEARD


@final
@attrs.define(eq=False, repr=False)
class Answers:
    """At most one answer at a time: that of the connection that counts."""

    dialect: StreamDialect
    options: StreamOptions
    connections: Connections
    intake: StreamIntake
    verdicts: Verdicts
    delivery: Delivery
    anomalies: Anomalies
    redact: Callable[[str], str]
    base_due: float | None = attrs.field(init=False, default=None)
    """Until when a connection that feeds us may owe us a base."""
    _answer: _Answer | None = attrs.field(init=False, default=None)

    def begin(self, source: Connection, content_type: str | None, *, now: float) -> None:
        """The head of a success came for the candidate's request."""
        if source is not self.connections.candidate or not source.login_sent or self._answer:
            return
        source.liveness.heard(now=now)
        resumed = bool(source.login_position.tokens)
        self._answer = _Answer(source, self.dialect.reader(content_type), resumed, now)
        self.intake.opened(resumed=resumed)
        due = self._base_is_due
        source.awaits = "first snapshot" if due else "first record"
        source.deadline = now + (
            self.options.login_timeout_s if due else self.options.silence_limit_s
        )

    def receive(self, connection: int, frames: Sequence[str | bytes], *, now: float) -> None:
        """Pieces of the body came, cut anywhere."""
        answer = self._answer
        if answer is None or answer.connection.number != connection:
            return
        answer.connection.liveness.heard(now=now)
        decode, reader = self.dialect.decode, answer.reader
        for frame in frames:
            for record in reader.feed(frame if isinstance(frame, bytes) else _as_bytes(frame)):
                self._hear(answer, decode(record), now=now)
        if reader.fault is not None and answer.counts:
            self.intake.receive_malformed(reader.fault, now=now)
            cause = (Failure.UNKNOWN, reader.fault)
            self.connections.close(answer.connection, _NORMAL, "unreadable", cause, now=now)
        elif reader.ended and answer.counts:
            cause = (Failure.TRANSIENT, "the peer ended the stream")
            self.connections.close(answer.connection, _NORMAL, "ended", cause, now=now)

    def end(self, source: Connection) -> bool:
        """A connection ended; True when its answer had begun."""
        answered = self._answer is not None and self._answer.connection is source
        self._answer, self.base_due = None, None
        return answered

    def expire(self, *, now: float) -> None:
        """A snapshot that is owed did not come in time (HZ-C22)."""
        owner = self.connections.owner
        if owner is not None and self.base_due is not None and self.base_due <= now:
            self.connections.abandon(owner, "no snapshot came", now=now)

    @property
    def _base_is_due(self) -> bool:
        """Whether nothing can be made of the stream before a snapshot."""
        return self.dialect.base is Base.SNAPSHOT and not self.intake.takes_updates

    def _hear(self, answer: _Answer, message: StreamMessage, *, now: float) -> None:
        body = message.body
        if not answer.counts:
            if isinstance(body, StreamUpdate):
                self.intake.refuse(body.entries)
            return
        if message.oddity is not None:
            self.anomalies.note(AnomalyCode.ODD_EVENT, self.dialect.channel, message.oddity)
        self._check_session(answer, message.session_id, now=now)
        match body:
            case StreamUpdate():
                if self.intake.takes_updates:
                    self._promote(answer, now=now)
                answer.connection.entries += len(body.entries)
                self.intake.receive_update(body.entries, message.token, now=now)
            case StreamSnapshot():
                if body.last:
                    self._promote(answer, now=now)
                elif answer.connection is self.connections.candidate:
                    answer.connection.deadline = now + self.options.login_timeout_s
                elif self.base_due is not None:
                    self.base_due = now + self.options.login_timeout_s
                self.intake.receive_snapshot(body, message.token, now=now)
            case Heartbeat():
                if self.intake.takes_updates:
                    self._promote(answer, now=now)
                self.intake.fed()
                if answer.resumed and now >= answer.began_at + self.options.login_timeout_s:
                    self.intake.presume()
                self.intake.receive_token(message.token)
            case PeerError():
                self._complain(answer, body, now=now)
            case Malformed():
                self.intake.receive_malformed(body.detail, now=now)
                if answer.counts:
                    self.connections.misunderstand(answer.connection, now=now)
            case _:
                assert_never(body)
        if self.intake.based:
            self.base_due = None

    def _check_session(self, answer: _Answer, session_id: str | None, *, now: float) -> None:
        """Notices a peer that began anew without saying so (`facts` §5)."""
        if session_id is None or session_id == answer.session_id:
            return
        before, answer.session_id = answer.session_id, session_id
        if before is not None:
            answer.resumed = False
            self.intake.begin_anew()
            if self._base_is_due:
                self.base_due = now + self.options.login_timeout_s

    def _promote(self, answer: _Answer, *, now: float) -> None:
        """The first thing it delivered: the connection counts as logged in (R12)."""
        if answer.connection is not self.connections.candidate:
            return
        self.connections.promote(answer.connection, now=now)
        self.verdicts.delivered()
        self.delivery.put(
            LoggedIn(
                connection=answer.connection.number,
                epoch=answer.session_id,
                resumed=(self.dialect.channel,) if answer.resumed else (),
                denied=(),
            )
        )

    def _complain(self, answer: _Answer, error: PeerError, *, now: float) -> None:
        """The peer ends the stream with words.

        After an answer that delivered nothing, that is a failed open like any other (`facts`
        §7.11).
        """
        words = self.redact(f"{error.code}: {error.message}")
        self.anomalies.note(AnomalyCode.PEER_ERROR, self.dialect.channel, words)
        failure = self.verdicts.judge(answer.connection, error, now=now)
        self.connections.close(
            answer.connection,
            _NORMAL,
            "error",
            (failure, words),
            retry_after_s=self.dialect.retry_after_s(error),
            now=now,
        )


def _as_bytes(frame: str | bytes) -> bytes:
    return frame if isinstance(frame, bytes) else frame.encode("utf-8", "surrogatepass")
