"""What each control frame does: every frame that is not an entry is heard here."""

from typing import final

import attrs

from lastseen.anomalies import Anomalies
from lastseen.channels import Channels
from lastseen.commits import Commits
from lastseen.connections import Connection, Connections
from lastseen.delivery import Delivery
from lastseen.dialect import Dialect
from lastseen.events import AnomalyCode, LoggedIn
from lastseen.intake import Intake
from lastseen.logins import Logins
from lastseen.messages import (
    LoginAccepted,
    LoginRefused,
    Malformed,
    Message,
    MoveRequested,
    PeerError,
    ReplayCompleted,
    SnapshotDemanded,
    Unknown,
)
from lastseen.position import PositionKeeper
from lastseen.recovery import Recovery
from lastseen.states import ConnectionState

__all__ = ["Control"]


@final
@attrs.define(eq=False, repr=False)
class Control:
    """Maps a message to the mechanism that it drives; the only place that knows all of them."""

    dialect: Dialect
    """With what is asked for, whatever is in effect."""
    connections: Connections
    channels: Channels
    recovery: Recovery
    intake: Intake
    delivery: Delivery
    position: PositionKeeper
    logins: Logins
    commits: Commits
    anomalies: Anomalies

    def hear(self, source: Connection, message: Message, *, admitted: bool, now: float) -> None:
        """Acts on a frame that is not an entry."""
        candidate = source is self.connections.candidate
        match message:
            case LoginAccepted() if candidate and source.state is ConnectionState.LOGGING_IN:
                self._accept(source, message, now=now)
            case LoginRefused() if candidate:
                reason = self.dialect.redact(message.reason)
                self.connections.refuse(source, message.failure, reason, now=now)
            case MoveRequested() if admitted or candidate:
                self.commits.hurry()
                self.connections.notice(source, now=now)
            case SnapshotDemanded() if admitted:
                self._demand(source, message, now=now)
            case ReplayCompleted() if admitted:
                self._complete(source, message, now=now)
            case Malformed() if admitted:
                self._misunderstand(source, message, now=now)
            case LoginRefused() | PeerError():
                self.anomalies.note(AnomalyCode.PEER_ERROR, None, message.reason)
            case Unknown():
                self.anomalies.note(AnomalyCode.UNKNOWN_TYPE, None, message.type)
            case _:
                name = type(message).__name__
                self.anomalies.note(AnomalyCode.UNEXPECTED_FRAME, None, name)

    def _accept(self, source: Connection, message: LoginAccepted, *, now: float) -> None:
        requested = self.dialect.asks
        same_epoch = self.logins.accepted(message)
        for oddity in message.oddities:
            self.anomalies.note(AnomalyCode.ODD_LOGIN_OK, None, oddity)
        self.connections.promote(source, now=now)
        self.commits.hurry()
        effective = self.dialect.accepted(message)
        sent = {channel for channel, _ in source.login_position.cursors}
        resumed = self.recovery.accept_login(
            effective,
            message,
            replayable=self.position.replayable,
            sent=sent,
            same_epoch=same_epoch,
            now=now,
        )
        source.resumed = not resumed
        self.delivery.put(
            LoggedIn(
                connection=source.number,
                epoch=message.epoch,
                resumed=resumed,
                denied=tuple(sorted(requested - effective.asks)),
            )
        )

    def _demand(self, source: Connection, message: SnapshotDemanded, *, now: float) -> None:
        if not message.expected:
            self.anomalies.note(AnomalyCode.UNKNOWN_REASON, None, message.reason)
        if message.reason == "client_backpressure":
            self.anomalies.note(AnomalyCode.BACKPRESSURE, None, "the peer says we are too slow")
        self._check_epoch(message.epoch, now=now)
        self.recovery.demand(message, now=now)
        self._note_verdict(source)

    def _complete(self, source: Connection, message: ReplayCompleted, *, now: float) -> None:
        self._check_epoch(message.epoch, now=now)
        if not self.recovery.complete_replay(
            lambda channel, entry: self.intake.admit(channel, entry, entry.cursor, now=now),
            now=now,
        ):
            self.anomalies.note(AnomalyCode.UNEXPECTED_FRAME, None, "nothing was replaying")
        self._note_verdict(source)

    def _check_epoch(self, epoch: str | None, *, now: float) -> None:
        """Any epoch but ours ends every claim at once, not only of the named channels (R1)."""
        if epoch is not None and epoch != self.position.epoch:
            self.anomalies.note(AnomalyCode.EPOCH_CHANGED, None, "inside one connection")
            self.recovery.change_epoch(epoch, now=now)

    def _note_verdict(self, source: Connection) -> None:
        if not any(channel.replaying for channel in self.channels.active.values()):
            source.resumed = True
            self.recovery.resume_deadline = None

    def _misunderstand(self, source: Connection, message: Malformed, *, now: float) -> None:
        self.intake.receive_malformed(message.channel, message.detail, now=now)
        if message.channel is None:
            self.connections.misunderstand(source, now=now)
