"""What happens on a stream: how it begins, what it goes on with, how it ends."""

import enum
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from lastseen_simulator.alarms import Alarms
from lastseen_simulator.delivery import Delivery
from lastseen_simulator.effects import OpenStream
from lastseen_simulator.lines import Outgoing
from lastseen_simulator.polymarket_us.connections import Change, Connection
from lastseen_simulator.polymarket_us.journal import Journal
from lastseen_simulator.polymarket_us.market import Market, moment
from lastseen_simulator.polymarket_us.options import PolymarketUSOptions
from lastseen_simulator.polymarket_us.wire import CONTENT_TYPES, Wire

__all__ = ["SessionTimer", "Sessions"]

_SNAPSHOTS: Final = frozenset({"orders", "positions"})
_UNITS: Final = frozenset({"market_data", "instruments"})
_TOKENS: Final = frozenset({"drop_copy", "trade_capture", "position_changes", "instruments"})

_OUT_OF_RANGE: Final = 11
_ENDED: Final = 1000
"""What an end that was meant is called, as other dialects number theirs."""


class SessionTimer(enum.Enum):
    """What waits for its time on a stream."""

    HEARTBEAT = "heartbeat"
    SNAPSHOT = "snapshot"
    RESEND = "resend"
    IDLE = "idle"


@attrs.define(eq=False)
class Sessions:
    """Speaks on one stream after another."""

    options: PolymarketUSOptions
    market: Market
    journal: Journal
    wire: Wire
    delivery: Delivery
    alarms: Alarms

    def open(
        self, connection: Connection, *, content_type: str | None, wall_ms: int, now: float
    ) -> None:
        """Begins: a head, then a snapshot, or what follows a token, or nothing yet."""
        asked, options = connection.asked, self.options
        headers = (
            ("Content-Type", content_type or CONTENT_TYPES[asked.framing]),
            ("Cache-Control", "no-store"),
        )
        self.delivery.effects.append(
            OpenStream(
                connection=connection.number, headers=headers, chunk_bytes=options.chunk_bytes
            )
        )
        for timer, every_s in (
            (SessionTimer.HEARTBEAT, options.heartbeat_s),
            (SessionTimer.SNAPSHOT, options.snapshot_s),
            (SessionTimer.RESEND, options.resend_s),
            (SessionTimer.IDLE, options.idle_close_s),
        ):
            if every_s is not None:
                self.alarms.set(timer, now + every_s, connection=connection.number)
        if options.heartbeat_first:
            self._heartbeat(connection, wall_ms=wall_ms, now=now)
        self._begin(connection, wall_ms=wall_ms, now=now)

    def stream(self, connection: Connection, change: Change, *, wall_ms: int, now: float) -> None:
        """Sends a live change if its filters let it pass."""
        if connection.is_gone() or not connection.wants(change):
            return
        self._change(connection, change, "live", wall_ms=wall_ms, now=now)
        if connection.waits_for_delta:
            connection.waits_for_delta = False
            self.snapshot(connection, wall_ms=wall_ms, now=now)

    def snapshot(self, connection: Connection, *, wall_ms: int, now: float) -> None:
        """Sends the whole state of a stream that has one, in pages where that is the way."""
        channel = connection.asked.channel
        if channel in _UNITS:
            self._resend(connection, wall_ms=wall_ms, now=now)
            return
        if channel not in _SNAPSHOTS:
            return
        items = list(self._items(connection))
        size = self.options.page_items or len(items) or 1
        pages = [items[at : at + size] for at in range(0, len(items), size)] or [[]]
        beside = self._beside(channel, None, wall_ms)
        for number, page in enumerate(pages, start=1):
            eof = {"eof": number == len(pages)} if self.options.page_items is not None else {}
            record = self.wire.snapshot(channel, page, **eof, **beside)
            if not self.options.page_items:
                connection.old_snapshots = [*connection.old_snapshots, record][-2:]
            told = {"snapshot": channel, "items": len(page)}
            self._send(connection, "snapshot", record, told=told, now=now)

    def ring(
        self, connection: Connection, timer: SessionTimer, *, wall_ms: int, now: float
    ) -> None:
        """Something is due."""
        options = self.options
        match timer:
            case SessionTimer.HEARTBEAT if options.heartbeat_s is not None:
                self._again(connection, timer, options.heartbeat_s, now)
                if now >= connection.silent_until:
                    self._heartbeat(connection, wall_ms=wall_ms, now=now)
            case SessionTimer.SNAPSHOT if options.snapshot_s is not None:
                self._again(connection, timer, options.snapshot_s, now)
                if connection.asked.channel in _SNAPSHOTS and now >= connection.silent_until:
                    self.snapshot(connection, wall_ms=wall_ms, now=now)
            case SessionTimer.RESEND if options.resend_s is not None:
                self._again(connection, timer, options.resend_s, now)
                if connection.asked.channel == "market_data" and now >= connection.silent_until:
                    self._resend(connection, wall_ms=wall_ms, now=now)
            case SessionTimer.IDLE if options.idle_close_s is not None:
                due = connection.last_sent_at + options.idle_close_s
                if due <= now:
                    self.end(connection, "idle", now=now)
                else:
                    self.alarms.set(timer, due, connection=connection.number)
            case _:
                pass

    def judge_backlog(self, connection: Connection, pending_bytes: int, *, now: float) -> None:
        """Drops a reader that is too slow."""
        if pending_bytes > self.options.backlog_bytes:
            self.delivery.abort(connection.line, reset=False, now=now)

    def error(self, connection: Connection, code: int, message: str, *, now: float) -> None:
        """Ends a stream with an error inside an answer that began well (§4.5)."""
        framing = connection.asked.framing
        record = self.wire.error(code, message)
        data = self.wire.framed(record, framing, last=True)
        told = {"error": {"code": code, "message": message}}
        self.delivery.deliver(
            connection.line, Outgoing(name="error", data=data, control=told), now=now
        )
        self.delivery.close(connection.line, _ENDED, message, now=now)

    def end(self, connection: Connection, reason: str, *, now: float) -> None:
        """Ends a stream well: Connect says so in words, the others by the end of the body."""
        if connection.asked.framing == "connect" and not connection.is_gone():
            data = self.wire.framed(b"{}", "connect", last=True)
            out = Outgoing(name="end", data=data, control={"end": reason})
            self.delivery.deliver(connection.line, out, now=now)
        self.delivery.close(connection.line, _ENDED, reason, now=now)

    def has_tokens(self, channel: str) -> bool:
        """Whether messages of a channel have tokens (§5)."""
        return channel in _TOKENS or (channel == "orders" and self.options.orders_resume)

    # How it is done.

    def _begin(self, connection: Connection, *, wall_ms: int, now: float) -> None:
        asked = connection.asked
        token = asked.token if self.has_tokens(asked.channel) else None
        if token is None:
            if not connection.waits_for_delta:
                self.snapshot(connection, wall_ms=wall_ms, now=now)
            return
        changes = self.journal.since(asked.channel, token)
        if changes is None:
            message = "the resume token is not known, or not any more"
            self.error(connection, _OUT_OF_RANGE, message, now=now)
            return
        if self.options.resume_snapshot or asked.channel in _UNITS:
            self.snapshot(connection, wall_ms=wall_ms, now=now)
        for change in changes:
            if connection.wants(change):
                self._change(connection, change, "replayed", wall_ms=wall_ms, now=now)

    def _items(self, connection: Connection) -> Iterable[Mapping[str, Any]]:
        market, asked = self.market, connection.asked
        tables: Mapping[str, Mapping[Any, dict[str, Any]]] = {
            "orders": market.orders,
            "positions": market.positions,
            "market_data": market.books,
            "instruments": market.instruments,
        }
        for item in tables[asked.channel].values():
            if asked.channel == "orders" and not market.is_open(item):
                continue
            if asked.accounts and item.get("account", None) not in (None, *asked.accounts):
                continue
            if not asked.symbols or item["symbol"] in asked.symbols:
                yield item

    def _resend(self, connection: Connection, *, wall_ms: int, now: float) -> None:
        """Every unit once more, whole (§4.2)."""
        channel = connection.asked.channel
        for item in list(self._items(connection)):
            change = Change(channel=channel, entry_id=f"again-{item['symbol']}", seq=0, item=item)
            self._change(connection, change, "snapshot", wall_ms=wall_ms, now=now)

    def _change(
        self, connection: Connection, change: Change, name: str, *, wall_ms: int, now: float
    ) -> None:
        asked, item = connection.asked, change.item
        if asked.depth is not None and asked.channel == "market_data":
            sides = {side: item[side][: asked.depth] for side in ("bids", "offers")}
            item = {**item, **sides}
        seq = change.seq or None
        record = self.wire.update(asked.channel, item, **self._beside(asked.channel, seq, wall_ms))
        if name == "snapshot":
            told = {"resent": change.entry_id}
            self._send(connection, name, record, told=told, now=now)
        else:
            self._send(connection, name, record, change=change, now=now)

    def _heartbeat(self, connection: Connection, *, wall_ms: int, now: float) -> None:
        record = self.wire.heartbeat(**self._beside(None, None, wall_ms))
        self._send(connection, "heartbeat", record, told={"heartbeat": {}}, now=now)

    def _beside(self, channel: str | None, seq: int | None, wall_ms: int) -> dict[str, Any]:
        token = None
        if channel is not None and self.has_tokens(channel):
            token = self.journal.token(channel, seq)
        return {
            "sessionId": self.journal.session,
            "processedSentTime": moment(wall_ms),
            "resumeToken": token,
        }

    def _send(
        self,
        connection: Connection,
        name: str,
        record: bytes,
        *,
        change: Change | None = None,
        told: object = None,
        now: float,
    ) -> None:
        connection.last_sent_at = now
        data = self.wire.framed(record, connection.asked.framing)
        out = Outgoing(name=name, data=data, entry=change, control=told)
        self.delivery.deliver(connection.line, out, now=now)

    def _again(self, connection: Connection, timer: SessionTimer, s: float, now: float) -> None:
        self.alarms.set(timer, now + s, connection=connection.number)
