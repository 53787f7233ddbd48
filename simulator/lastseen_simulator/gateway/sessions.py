"""From login to live: the login answer, the replay, slow readers."""

import heapq
from collections.abc import Iterable
from typing import Final, TypeVar

import attrs
import msgspec

from lastseen.dialects.oddspapi.wire import (
    Access,
    ErrorFrame,
    LoginOk,
    Resume,
    ResumeComplete,
)
from lastseen_simulator.alarms import Alarms
from lastseen_simulator.delivery import Delivery
from lastseen_simulator.gateway.connections import Connection
from lastseen_simulator.gateway.epochs import Epochs
from lastseen_simulator.gateway.frames import data_frame, heads_of, snapshot_required
from lastseen_simulator.gateway.journal import Entry, Epoch
from lastseen_simulator.gateway.login import (
    Accepted,
    Rejected,
    Subscription,
    judge_login,
    redacted,
)
from lastseen_simulator.gateway.options import GatewayOptions
from lastseen_simulator.gateway.resume import Verdict, judge_resume
from lastseen_simulator.gateway.timers import SessionTimer
from lastseen_simulator.lines import Outgoing
from lastseen_simulator.market import Market

__all__ = ["Sessions"]

REPLAY_BURST: Final = 256
"""Replayed frames sent at once; between bursts a slow reader can be noticed."""

INTERLEAVE_GAP_S: Final = 0.005
"""Pause before each replayed frame when live ones may come between and none is set."""

HELD_MAX: Final = 50_000
"""Live frames kept back during a replay, before the reader counts as too slow."""

LIMIT_CODE: Final = 4003
SLOW_CODE: Final = 4002
FIRST_CODE: Final = 4000

_Item = TypeVar("_Item")

Encoded = dict[tuple[str, Subscription, bool], str | bytes | None]


@attrs.define(eq=False)
class Sessions:
    """What happens on one connection after another, seen from the gateway's side."""

    options: GatewayOptions
    epochs: Epochs
    market: Market
    delivery: Delivery
    alarms: Alarms

    def log_in(
        self,
        connection: Connection,
        data: str | bytes,
        others: Iterable[Connection],
        *,
        wall_ms: int,
        now: float,
    ) -> None:
        """Judges the first frame and answers it; on success the connection streams from here."""
        verdict = judge_login(data, self.options)
        resume = Verdict()
        if isinstance(verdict, Accepted):
            key = verdict.grant.key
            if sum(_uses_key(other, key) for other in others) >= self.options.connection_limit:
                verdict = _too_many(self.options.connection_limit)
            else:
                resume = judge_resume(verdict, self.epochs.current, self.options, wall_ms=wall_ms)
                if resume.failure:
                    verdict = Rejected(
                        error="login_failed",
                        message=resume.failure,
                        close_code=self.options.login_failed_close_code,
                        close_reason="login_failed",
                    )
        self.delivery.truth.write(
            "login",
            now=now,
            connection=connection.number,
            login=redacted(data),
            verdict=verdict.error if isinstance(verdict, Rejected) else "login_ok",
        )
        if isinstance(verdict, Rejected):
            self._reject(connection, verdict, now)
        else:
            self._accept(connection, verdict, resume, now)

    def time_out(self, connection: Connection, *, now: float) -> None:
        """Closes a connection that has not logged in in time (§1)."""
        if connection.stage == "open" and not connection.is_gone():
            self.delivery.close(connection.line, FIRST_CODE, "login timeout", now=now)

    def stream(self, connection: Connection, entry: Entry, encoded: Encoded, *, now: float) -> None:
        """Sends a live entry as far as the subscription covers it.

        `encoded` keeps what was encoded for others of the same subscription.
        """
        login = connection.login
        if login is None or not connection.logged_in or connection.epoch is None:
            return
        key = (connection.epoch.name, login.subscription, login.binary)
        if key not in encoded:
            encoded[key] = self._encoded(entry, login)
        data = encoded[key]
        if data is None:
            return
        out = Outgoing(name="live", data=data, entry=entry)
        if connection.stage == "replaying" and self.options.replay_order == "before_live":
            if len(connection.held) >= HELD_MAX:
                self.delivery.close(connection.line, SLOW_CODE, "backpressure", now=now)
                return
            connection.held.append(out)
            return
        self._send_live(connection, out, now)

    def continue_replay(self, connection: Connection, *, now: float) -> None:
        """Sends the next burst of the replay, and what follows once it is through."""
        if connection.stage != "replaying":
            return
        interleaved = self.options.replay_order == "interleaved"
        for _ in range(1 if interleaved else REPLAY_BURST):
            if connection.replay:
                self.delivery.deliver(connection.line, connection.replay.popleft(), now=now)
        if connection.is_gone():
            return
        if connection.replay:
            self._pause_replay(connection, now)
        else:
            self._finish_replay(connection, now)

    def complete(self, connection: Connection, *, now: float) -> None:
        """Sends `resume_complete`, and what was to be told after it."""
        if connection.epoch is not None:
            frame = ResumeComplete(serverEpoch=connection.epoch.name)
            self.delivery.control(connection.line, "resume_complete", frame, now)
        self._tell_owed(connection, now)

    def judge_backlog(self, connection: Connection, pending_bytes: int, *, now: float) -> None:
        """Bears with a slow reader, then stops bearing (§8).

        A replay that is not taken is cut short; odds are skipped, and owned up to when the reader
        has caught up; beyond the hard limit the connection is closed.
        """
        if not connection.logged_in:
            return
        if pending_bytes > self.options.backlog_hard_bytes:
            self.delivery.close(connection.line, SLOW_CODE, "backpressure", now=now)
        elif pending_bytes > self.options.backlog_soft_bytes:
            if connection.replay:
                self._cut_replay(connection, now)
            connection.skipping = True
        elif pending_bytes <= self.options.backlog_soft_bytes // 2 and connection.skipping:
            connection.skipping = False
            if connection.skipped:
                connection.skipped = False
                self.require_snapshot(connection, "client_backpressure", ("odds",), now)

    def require_snapshot(
        self, connection: Connection, reason: str, channels: tuple[str, ...], now: float
    ) -> None:
        """Sends `snapshot_required`, as often as the knobs say; the stream goes on (§2.2)."""
        epoch = connection.epoch or self.epochs.current
        login = connection.login
        subscription = Subscription(channels=()) if login is None else login.subscription
        heads = self._heads(subscription, channels, epoch)
        frame = snapshot_required(
            reason,
            channels,
            subscription.channels,
            epoch,
            heads if self.options.snapshot_required_heads else None,
            self.options,
        )
        for _ in range(self.options.snapshot_required_repeats):
            self.delivery.control(connection.line, "snapshot_required", frame, now)

    def _reject(self, connection: Connection, verdict: Rejected, now: float) -> None:
        connection.stage = "refused"
        frame = ErrorFrame(error=verdict.error, message=verdict.message)
        self.delivery.control(connection.line, "error", frame, now)
        if verdict.close_code is not None and not connection.is_gone():
            self.delivery.close(connection.line, verdict.close_code, verdict.close_reason, now=now)

    def _accept(self, connection: Connection, login: Accepted, resume: Verdict, now: float) -> None:
        connection.login = login
        connection.epoch = self.epochs.current
        connection.stage = "replaying"
        connection.replayed_channels = tuple(channel for channel, _ in resume.replayed)
        connection.replay.extend(self._replay_of(login, resume))
        self.delivery.control(connection.line, "login_ok", self._login_ok(connection, login), now)
        if resume.restarted and self.options.epoch_change_verdict == "sent":
            connection.owed = ("server_restarted", resume.restarted)
        if resume.refused:
            connection.owed = ("resume_window_exceeded", resume.refused)
        if self.options.snapshot_required_place == "before":
            self._tell_owed(connection, now)
        if connection.is_gone():
            return
        if not connection.replay:
            empty_counts = self.options.empty_replay_completes
            if not empty_counts:
                connection.replayed_channels = ()
            self._finish_replay(connection, now)
        elif self.options.replay_order == "interleaved":
            self._pause_replay(connection, now)
        else:
            self.continue_replay(connection, now=now)

    def _tell_owed(self, connection: Connection, now: float) -> None:
        """Says what a resume login cannot have, unless that has been said."""
        owed, connection.owed = connection.owed, None
        if owed is not None:
            self.require_snapshot(connection, *owed, now)

    def _login_ok(self, connection: Connection, login: Accepted) -> LoginOk:
        subscription = login.subscription
        epoch = self.epochs.current
        heads = epoch.heads()
        resume = Resume(
            enabled=True,
            serverEpoch=epoch.name,
            resumeWindowMs=self.options.resume_window_ms,
            replayChannels=list(self.options.replay_channels),
            serverCursors={
                channel: epoch.journals[channel].seq
                for channel in subscription.channels
                if channel in heads
            },
            serverEntryIds=self._heads(subscription, subscription.channels, epoch),
        )
        return LoginOk(
            region=self.options.region,
            connId=f"c-{connection.line.ordinal:04d}",
            userId="u-1",
            clientName=login.client_name,
            lang=login.lang,
            receiveType="binary" if login.binary else "json",
            channels=list(subscription.channels),
            sportIds=_listed(subscription.sport_ids),
            tournamentIds=_listed(subscription.tournament_ids),
            fixtureIds=_listed(subscription.fixture_ids),
            futureIds=_listed(subscription.future_ids),
            bookmakers=list(subscription.bookmakers),
            access=Access(live=login.grant.live, pregame=login.grant.pregame),
            resume=resume if self.options.resume_block else msgspec.UNSET,
        )

    def _heads(
        self, subscription: Subscription, channels: tuple[str, ...], epoch: Epoch
    ) -> dict[str, str | None] | None:
        if not self.options.server_entry_ids:
            return None
        return heads_of(channels, subscription, epoch, self.market.tables, self.options)

    def _replay_of(self, login: Accepted, resume: Verdict) -> list[Outgoing]:
        by_channel = [entries for _, entries in resume.replayed]
        if self.options.replay_channel_order == "by_time":
            order = list(heapq.merge(*by_channel, key=lambda entry: entry.ts))
        else:
            order = [entry for entries in by_channel for entry in entries]
        return [
            Outgoing(name="replayed", data=data, entry=entry)
            for entry in order
            if (data := self._encoded(entry, login)) is not None
        ]

    def _pause_replay(self, connection: Connection, now: float) -> None:
        gap_s = self.options.replay_gap_s
        if self.options.replay_order == "interleaved":
            gap_s = gap_s or INTERLEAVE_GAP_S
        self.alarms.set(SessionTimer.REPLAY, now + gap_s, connection=connection.number)

    def _finish_replay(self, connection: Connection, now: float) -> None:
        if connection.replayed_channels:
            match self.options.resume_complete:
                case "sent":
                    self.complete(connection, now=now)
                case "late":
                    late = now + self.options.resume_complete_delay_s
                    self.alarms.set(
                        SessionTimer.RESUME_COMPLETE, late, connection=connection.number
                    )
                case "never":
                    self._tell_owed(connection, now)
        else:
            self._tell_owed(connection, now)
        if connection.is_gone():
            return
        connection.stage = "live"
        held, connection.held = connection.held, []
        for out in held:
            self._send_live(connection, out, now)

    def _cut_replay(self, connection: Connection, now: float) -> None:
        cut = {out.channel for out in connection.replay if out.channel is not None}
        connection.replay.clear()
        connection.replayed_channels = tuple(
            channel for channel in connection.replayed_channels if channel not in cut
        )
        self.require_snapshot(connection, "client_backpressure", tuple(sorted(cut)), now)
        if not connection.is_gone():
            self._finish_replay(connection, now)

    def _send_live(self, connection: Connection, out: Outgoing, now: float) -> None:
        if connection.skipping and out.channel == "odds":
            connection.skipped = True
            self.delivery.withhold(connection.line, out, "skipped", now=now)
        else:
            self.delivery.deliver(connection.line, out, now=now)

    def _encoded(self, entry: Entry, login: Accepted) -> str | bytes | None:
        return data_frame(
            entry, login.subscription, self.market.tables, self.options, binary=login.binary
        )


def _uses_key(connection: Connection, key: str) -> bool:
    login = connection.login
    return connection.logged_in and login is not None and login.grant.key == key


def _too_many(limit: int) -> Rejected:
    return Rejected(
        error="too_many_connections",
        message=f"more than {limit} connections",
        close_code=LIMIT_CODE,
        close_reason="too_many_connections",
    )


def _listed(items: tuple[_Item, ...] | None) -> list[_Item] | None:
    return None if items is None else list(items)
