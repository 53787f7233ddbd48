"""What the end of a stream means, and what follows from it for its token and its account."""

from typing import final

import attrs

from lastseen.anomalies import Anomalies
from lastseen.connections import Connection
from lastseen.dialect import End
from lastseen.escalation import Escalation
from lastseen.events import AnomalyCode, Failure
from lastseen.stream_dialect import StreamDialect
from lastseen.stream_intake import StreamIntake
from lastseen.stream_messages import PeerError
from lastseen.stream_turn import Turn

__all__ = ["Verdicts"]

_LIMIT_PAUSE_S = 1.0
"""The least time that a whole account stays quiet after it was told to (`facts` §4.5)."""

_UNAUTHENTICATED_MAX = 1
"""So often a fresh token is tried before a refusal is taken for one (HZ-H6)."""

_NO_VERDICT = (Failure.LIMIT, Failure.REJECTED, Failure.UNAUTHENTICATED, Failure.PLANNED)
_NO_VERDICT_STATUS = (429, 502, 503, 504)
"""Ends that say nothing of the token that was sent (R13)."""


@final
@attrs.define(eq=False, repr=False)
class Verdicts:
    """The memory that the connections of one stream share."""

    dialect: StreamDialect
    intake: StreamIntake
    turn: Turn
    escalation: Escalation
    anomalies: Anomalies
    _unauthenticated: int = attrs.field(init=False, default=0)

    def delivered(self) -> None:
        """A stream was let in."""
        self._unauthenticated = 0

    def judge(self, source: Connection, end: End | PeerError, *, now: float) -> Failure:
        """What an end, a refusal or an error means; what it costs is done here."""
        sent = bool(source.login_position.tokens) and source.login_sent
        failure = self.dialect.classify(end, token_sent=sent and not self.intake.moved)
        if failure is Failure.RESUME_REFUSED:
            if self.intake.token() is not None:
                self.intake.drop_token()
        elif failure is Failure.LIMIT:
            asked_s = self.dialect.retry_after_s(end) or 0.0
            self.turn.account.pause(max(_LIMIT_PAUSE_S, asked_s), now=now)
        elif failure is Failure.UNAUTHENTICATED:
            if self.turn.bearer is not None:
                self.turn.account.refuse_bearer(self.turn.bearer)
            self._unauthenticated += 1
            if not self.turn.fetches or self._unauthenticated > _UNAUTHENTICATED_MAX:
                return Failure.REJECTED
        return failure

    def judge_resume(
        self, source: Connection, failure: Failure, status: int | None, *, good: bool
    ) -> None:
        """The same failure at the same token too often: begin anew without it (R13, HZ-H5).

        `status` is that of a refusal over HTTP; `good` says that the stream ran for long enough,
        though nothing may have happened in it.
        """
        token = self.intake.token()
        if token is None or source.login_position.token(self.dialect.channel) != token:
            return
        if self.intake.moved or good:
            self.escalation.succeeded()
        elif failure in _NO_VERDICT or status in _NO_VERDICT_STATUS:
            return
        elif self.escalation.failed(source.login_position):
            self.anomalies.note(
                AnomalyCode.RESUME_ABANDONED, self.dialect.channel, "resuming leads nowhere"
            )
            self.intake.drop_token()
