"""What happens on a stream: how it begins, what it goes on with, how it ends."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from lastseen_simulator.alarms import Alarms
from lastseen_simulator.delivery import Delivery
from lastseen_simulator.effects import OpenStream
from lastseen_simulator.lines import Outgoing
from lastseen_simulator.mischief import Placed
from lastseen_simulator.polymarket_us.connections import Change, Connection
from lastseen_simulator.polymarket_us.framing import CONTENT_TYPES
from lastseen_simulator.polymarket_us.journal import UNKNOWN, Journal, Loss
from lastseen_simulator.polymarket_us.market import Market, moment
from lastseen_simulator.polymarket_us.options import PolymarketUSOptions
from lastseen_simulator.polymarket_us.wire import Wire
from lastseen_simulator.strikes import Strikes

__all__ = ["UNAVAILABLE", "SessionTimer", "Sessions"]

UNAVAILABLE: Final = 14
ENDED: Final = 1000
"""What an end that was meant is called, as other dialects number theirs."""

_WRONG_TYPE: Final = "text/plain"


class SessionTimer(enum.Enum):
    """What waits for its time on a stream."""

    HEARTBEAT = "heartbeat"
    SNAPSHOT = "snapshot"
    RESEND = "resend"
    IDLE = "idle"
    LIFETIME = "lifetime"


@attrs.define(eq=False)
class Sessions:
    """Speaks on one stream after another."""

    options: PolymarketUSOptions
    market: Market
    journal: Journal
    wire: Wire
    delivery: Delivery
    alarms: Alarms
    strikes: Strikes

    def open(self, connection: Connection, *, now: float) -> None:
        """Sends the head of the answer, which is all that some streams ever have."""
        asked, options = connection.asked, self.options
        content_type = CONTENT_TYPES[asked.framing]
        if (placed := connection.marks.pop("content_type", None)) is not None:
            content_type = placed.fault.text or _WRONG_TYPE
            self._fired(connection, placed, f"said {content_type}", now)
        headers = (("Content-Type", content_type), ("Cache-Control", "no-store"))
        self.delivery.effects.append(
            OpenStream(
                connection=connection.number,
                headers=headers,
                chunk_bytes=options.chunk_bytes,
                held_bytes=options.held_bytes,
            )
        )

    def begin(self, connection: Connection, *, wall_ms: int, now: float) -> None:
        """Begins with a snapshot, with what follows a token, with nothing yet, or with a refusal.

        The stream may have ended before, by a fault.
        """
        if connection.grant.refused is not None:
            self.error(connection, *connection.grant.refused, now=now)
            return
        options = self.options
        for timer, every_s in (
            (SessionTimer.HEARTBEAT, options.heartbeat_s),
            (SessionTimer.SNAPSHOT, options.snapshot_s),
            (SessionTimer.RESEND, options.resend_s),
            (SessionTimer.IDLE, options.idle_close_s),
            (SessionTimer.LIFETIME, options.lifetime_s),
        ):
            if every_s is not None:
                self.alarms.set(timer, now + every_s, connection=connection.number)
        if options.heartbeat_first:
            self._heartbeat(connection, wall_ms=wall_ms, now=now)
        if connection.is_gone():
            return
        self._begin(connection, wall_ms=wall_ms, now=now)
        if connection.asked.snapshot_only:
            self.end(connection, "snapshot only", now=now)

    def stream(self, connection: Connection, change: Change, *, wall_ms: int, now: float) -> None:
        """Sends a live change if its filters let it pass."""
        if connection.is_gone() or not connection.wants(change):
            return
        self._changes(connection, [change], "live", wall_ms=wall_ms, now=now)
        placed, connection.waits_for_delta = connection.waits_for_delta, None
        if placed is not None:
            self._fired(connection, placed, "a change came before the snapshot", now)
            self.snapshot(connection, wall_ms=wall_ms, now=now)

    def snapshot(self, connection: Connection, *, wall_ms: int, now: float) -> None:
        """Sends the whole state of a stream that has one, in pages where that is the way."""
        channel = connection.asked.channel
        if channel.base == "units":
            self._resend(connection, wall_ms=wall_ms, now=now)
        if not self._has_snapshots(connection):
            return
        items = self._items(connection)
        size = self.options.page_items or len(items) or 1
        pages = [items[at : at + size] for at in range(0, len(items), size)] or [[]]
        beside = self._beside(connection, None, wall_ms=wall_ms, now=now)
        if self.options.style == "guide" and channel.name == "orders":
            beside["id"] = f"m-s{self.journal.newest(channel.name)}"
        for number, page in enumerate(pages, start=1):
            eof = {"eof": number == len(pages)} if self.options.page_items is not None else {}
            record = self.wire.snapshot(connection.asked, page, **eof, **beside)
            if not self.options.page_items:
                connection.snapshots = [*connection.snapshots, record][-2:]
            told = {"snapshot": channel.name, "items": len(page)}
            self._send(connection, "snapshot", record, told=told, now=now)

    def ring(
        self, connection: Connection, timer: SessionTimer, *, wall_ms: int, now: float
    ) -> None:
        """Something is due."""
        options, loud = self.options, now >= connection.silent_until
        match timer:
            case SessionTimer.HEARTBEAT if options.heartbeat_s is not None:
                self._again(connection, timer, options.heartbeat_s, now)
                if loud:
                    self._heartbeat(connection, wall_ms=wall_ms, now=now)
            case SessionTimer.SNAPSHOT if options.snapshot_s is not None:
                self._again(connection, timer, options.snapshot_s, now)
                # A snapshot would end a wait that a fault has begun.
                if loud and self._has_snapshots(connection) and not connection.waits_for_delta:
                    self.snapshot(connection, wall_ms=wall_ms, now=now)
            case SessionTimer.RESEND if options.resend_s is not None:
                self._again(connection, timer, options.resend_s, now)
                if connection.asked.channel.name == "market_data" and loud:
                    self._resend(connection, wall_ms=wall_ms, now=now)
            case SessionTimer.IDLE if options.idle_close_s is not None:
                due = connection.last_sent_at + options.idle_close_s
                if due <= now:
                    self.end(connection, "idle", now=now)
                else:
                    self.alarms.set(timer, due, connection=connection.number)
            case SessionTimer.LIFETIME:
                self.error(connection, UNAVAILABLE, "the stream has lasted long enough", now=now)
            case _:
                pass

    def judge_backlog(self, connection: Connection, pending_bytes: int, *, now: float) -> None:
        """Drops a reader that is too slow; what it has not read is lost with the connection."""
        if pending_bytes > self.options.backlog_bytes:
            self.delivery.abort(connection.line, reset=True, now=now)

    def error(self, connection: Connection, code: int, message: str, *, now: float) -> None:
        """Ends a stream with an error inside an answer that began well (§4.5)."""
        data = self.wire.error(connection.asked, code, message)
        told = {"error": {"code": code, "message": message}}
        self.delivery.deliver(
            connection.line, Outgoing(name="error", data=data, control=told), now=now
        )
        self.delivery.close(connection.line, ENDED, message, now=now)

    def end(self, connection: Connection, reason: str, *, now: float) -> None:
        """Ends a stream well: Connect says so in words, the others by the end of the body."""
        data = self.wire.end(connection.asked)
        if data and not connection.is_gone():
            out = Outgoing(name="end", data=data, control={"end": reason})
            self.delivery.deliver(connection.line, out, now=now)
        self.delivery.close(connection.line, ENDED, reason, now=now)

    # How it is done.

    def _begin(self, connection: Connection, *, wall_ms: int, now: float) -> None:
        asked, marks = connection.asked, connection.marks
        resumes = self.options.has_tokens(connection.asked.channel)
        token = asked.token if resumes else None
        changes: Sequence[Change] | Loss | None = None
        if token is not None:
            changes = self.journal.since(asked.channel.name, token, now=now)
            if (placed := marks.pop("refuse_token", None)) is not None:
                self._fired(connection, placed, "refused the token", now)
                changes = UNKNOWN
        elif asked.since_ms is not None and resumes:
            changes = self.journal.since_time(asked.channel.name, asked.since_ms)
        if isinstance(changes, Loss):
            self.error(connection, changes.code, changes.message, now=now)
            return
        if changes is None or self.options.resume_snapshot or asked.channel.base == "units":
            self._first(connection, wall_ms=wall_ms, now=now)
        if changes is not None:
            self._replay(connection, self._inclusive(changes, token), wall_ms=wall_ms, now=now)

    def _first(self, connection: Connection, *, wall_ms: int, now: float) -> None:
        """The snapshot, unless a fault keeps it or lets something else come first."""
        marks = connection.marks if self._has_snapshots(connection) else {}
        if (placed := marks.pop("no_snapshot", None)) is not None:
            self._fired(connection, placed, "kept the snapshot", now)
        elif (placed := marks.pop("delta_first", None)) is not None:
            placed.miss("no change has come yet")
            connection.waits_for_delta = placed
        else:
            self.snapshot(connection, wall_ms=wall_ms, now=now)

    def _inclusive(self, changes: Sequence[Change], token: str | None) -> Sequence[Change]:
        """With the change that the token names, where that is the way."""
        if token is None or not self.options.resume_inclusive or not changes:
            return changes
        named = self.journal.at(changes[0].channel, changes[0].seq - 1)
        return changes if named is None else [named, *changes]

    def _replay(
        self, connection: Connection, changes: Iterable[Change], *, wall_ms: int, now: float
    ) -> None:
        wanted = [change for change in changes if connection.wants(change)]
        lists = connection.asked.channel.of_firms
        size = self.options.replay_batch if lists else 1
        for at in range(0, len(wanted), size):
            batch = wanted[at : at + size]
            self._changes(connection, batch, "replayed", wall_ms=wall_ms, now=now)

    def _has_snapshots(self, connection: Connection) -> bool:
        channel = connection.asked.channel
        return channel.base == "snapshot" or (channel.of_firms and self.options.events_snapshot)

    def _items(self, connection: Connection) -> list[Mapping[str, Any]]:
        market, name = self.market, connection.asked.channel.name
        tables: Mapping[str, Mapping[Any, Mapping[str, Any]]] = {
            "orders": market.orders,
            "positions": market.positions,
            "market_data": market.books,
            "instruments": market.instruments,
            "drop_copy": market.executions,
            "trade_capture": market.trades,
            "position_changes": {
                key: {"position": each, "changeTime": each["updateTime"]}
                for key, each in market.positions.items()
            },
        }
        return [
            item
            for item in tables[name].values()
            if connection.shows(item) and (name != "orders" or market.is_open(item))
        ]

    def _resend(self, connection: Connection, *, wall_ms: int, now: float) -> None:
        """Every unit once more, whole (§4.2)."""
        name = connection.asked.channel.name
        for item in self._items(connection):
            record = self.wire.update(
                connection.asked,
                [self._narrowed(connection, item)],
                **self._beside(connection, None, wall_ms=wall_ms, now=now),
            )
            told = {"resent": name, "symbol": item["symbol"]}
            self._send(connection, "snapshot", record, told=told, now=now)

    def _narrowed(self, connection: Connection, item: Mapping[str, Any]) -> Mapping[str, Any]:
        """A book to the depth that was asked for."""
        asked = connection.asked
        if asked.channel.name != "market_data":
            return item
        if asked.order_by_order:
            item = {**item, **self.market.order_by_order(item["symbol"])}
        if asked.depth is not None:
            item = {**item, **{side: item[side][: asked.depth] for side in ("bids", "offers")}}
        return item

    def _changes(
        self,
        connection: Connection,
        changes: Sequence[Change],
        name: str,
        *,
        wall_ms: int,
        now: float,
    ) -> None:
        record = self.wire.update(
            connection.asked,
            [self._narrowed(connection, change.item) for change in changes],
            **self._beside(connection, changes[-1].seq, wall_ms=wall_ms, now=now),
        )
        self._send(connection, name, record, changes=changes, now=now)

    def _heartbeat(self, connection: Connection, *, wall_ms: int, now: float) -> None:
        beside = self._beside(connection, None, wall_ms=wall_ms, now=now)
        record = self.wire.heartbeat(connection.asked, **{**beside, "resumeToken": None})
        self._send(connection, "heartbeat", record, told={"heartbeat": {}}, now=now)

    def _beside(
        self, connection: Connection, seq: int | None, *, wall_ms: int, now: float
    ) -> dict[str, Any]:
        token = None
        if self.options.has_tokens(connection.asked.channel):
            token = self.journal.token(connection.asked.channel.name, seq, now=now)
        return {
            "sessionId": f"{self.journal.session}-{connection.line.ordinal}",
            "processedSentTime": moment(wall_ms),
            "resumeToken": token,
        }

    def _send(
        self,
        connection: Connection,
        name: str,
        record: bytes,
        *,
        changes: Sequence[Change] = (),
        told: object = None,
        now: float,
    ) -> None:
        connection.last_sent_at = now
        data = self.wire.framed(connection.asked, record)
        out = Outgoing(
            name=name,
            data=data,
            entry=changes[-1] if changes else None,
            carries=tuple(changes),
            control=told,
        )
        self.delivery.deliver(connection.line, out, now=now)

    def _again(self, connection: Connection, timer: SessionTimer, s: float, now: float) -> None:
        self.alarms.set(timer, now + s, connection=connection.number)

    def _fired(self, connection: Connection, placed: Placed, detail: str, now: float) -> None:
        self.strikes.fired(placed, f"connection {connection.line.ordinal}: {detail}", now)
