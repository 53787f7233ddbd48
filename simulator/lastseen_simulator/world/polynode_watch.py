"""What must hold of a client of PolyNode, judged from the frames it was handed and what it told."""

import zlib
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, Final, final

import attrs
import msgspec

from lastseen.events import Entry, Event, Gap, HistoryApplied, ItemCause, ItemChanged
from lastseen.lifecycle import ItemState
from lastseen.shapes import as_list, as_object
from lastseen.status import Counters
from lastseen_simulator.gateways import Truth
from lastseen_simulator.polynode.events import identity_of, item_key
from lastseen_simulator.world.effort import EffortWatch
from lastseen_simulator.world.polynode_marks import PolyNodeMarks
from lastseen_simulator.world.secrecy import SecrecyWatch
from lastseen_simulator.world.tally import Tally, withheld_unseen
from lastseen_simulator.world.watching import SocketWatch, Watch

__all__ = ["PolyNodeWatch", "read_message"]

_RANK: Final = {ItemState.PENDING: 1, ItemState.TIMED_OUT: 2, ItemState.CONFIRMED: 3}
_CONTROLS: Final = ("subscribed", "unsubscribed", "snapshot", "heartbeat", "pong", "error")
_LATE_S: Final = 0.001

Told = tuple[str, Mapping[str, Any], Any]
"""The type of an event, its data, and its time on the server's clock."""


def read_message(frame: str | bytes) -> Mapping[str, Any] | None:
    """A message as an object, inflated if need be; None for what is none."""
    try:
        if isinstance(frame, bytes):
            frame = _inflated(frame)
        return as_object(msgspec.json.decode(frame))
    except (msgspec.MsgspecError, UnicodeError, RecursionError, zlib.error):
        return None


def _inflated(frame: bytes) -> bytes:
    whole = zlib.decompressobj(-zlib.MAX_WBITS)
    body = whole.decompress(frame)
    if not whole.eof:
        raise zlib.error("truncated")
    return body


@final
@attrs.define(eq=False, kw_only=True)
class PolyNodeWatch(Watch):
    """Follows events by identity and items by what was handed in about them.

    `strict` runs have no cap that could legally make the client forget.
    """

    truth: Truth
    sockets: SocketWatch
    effort: EffortWatch
    secrecy: SecrecyWatch
    types: frozenset[str]
    timeout_s: float
    strict: bool = True
    prompt: bool = True
    steady: bool = True
    """Nothing makes the server's clock or its memory unreliable."""
    tally: Tally = attrs.field(factory=Tally)
    deliveries: int = 0
    gaps: list[Gap] = attrs.field(factory=list[Gap])
    counted_since: float | None = None
    """When the first subscription of this life was granted."""
    _handed: dict[str, int] = attrs.field(factory=dict[str, int])
    _delivered: dict[str, bytes] = attrs.field(factory=dict[str, bytes])
    """Identity → what was told of it last."""
    _fresh: list[str] = attrs.field(factory=list[str])
    _first_seen: dict[str, float] = attrs.field(factory=dict[str, float])
    _items_of: dict[str, list[str]] = attrs.field(factory=dict[str, list[str]])
    _confirmed: set[str] = attrs.field(factory=set[str])
    """Transactions, and items that were born so."""
    _states: dict[str, ItemState] = attrs.field(factory=dict[str, ItemState])
    _touched: set[str] = attrs.field(factory=set[str])
    _due: deque[tuple[float, str]] = attrs.field(factory=deque[tuple[float, str]])
    _live: int | None = None
    _ended: bool = False
    """A connection was let go in this step: what came behind that counts no more."""
    _closing: set[int] = attrs.field(factory=set[int])
    _asked: dict[int, int] = attrs.field(factory=dict[int, int])
    _newest_ms: int = 0
    seen: PolyNodeMarks = attrs.field(
        init=False, default=attrs.Factory(lambda self: PolyNodeMarks(self.marks), takes_self=True)
    )

    def reborn(self) -> None:
        """Another life begins, which knows nothing."""
        self.sockets.reborn()
        self.effort.reborn()
        self.secrecy.reborn()
        for each in (self._handed, self._delivered, self._first_seen, self._items_of):
            each.clear()
        self._states.clear()
        self._confirmed.clear()
        self._fresh.clear()
        self._touched.clear()
        self._due.clear()
        self._closing.clear()
        self._asked.clear()
        self.gaps.clear()
        self.counted_since, self._live, self._newest_ms = None, None, 0

    def sent(self, connection: int, text: str) -> None:
        """INV-S15 and HZ-G18: a subscribe first, and one that reaches back to what is known."""
        message = msgspec.json.decode(text, type=dict[str, Any])
        if message.get("action") == "ping":
            return
        if message.get("action") != "subscribe":
            return
        first = connection not in self._asked
        self._asked[connection] = self._asked.get(connection, 0) + 1
        filters: Mapping[str, Any] = as_object(message.get("filters")) or {}
        since, count = filters.get("since"), filters.get("snapshot_count")
        if first and self._newest_ms and self.counted_since is not None:
            if since is None and not count:
                self.blame("S10", "asks for no history after a connection was lost")
            if isinstance(since, int) and since > self._newest_ms:
                self.blame(
                    "S10", f"asks since {since}, but the newest event is of {self._newest_ms}"
                )

    def lost(self, connection: int) -> None:
        """A connection is over, or was let go."""
        self._closing.add(connection)
        self._ended = True
        if connection == self._live:
            self._live = None
            self.sockets.lost()
            self.seen.dropped()

    def handed(self, connection: int, frames: Iterable[str | bytes]) -> None:
        """Frames are about to be handed to the session."""
        if connection in self._closing:
            return
        for frame in frames:
            message = read_message(frame)
            if message is None:
                self.seen.garbled()
                self.effort.odd(connection)
                continue
            kind = message.get("type")
            if kind in ("error", "unsubscribed"):
                self.effort.odd(connection)
            if kind == "subscribed":
                self._granted(connection)
                self.effort.half_answered(connection, kind)
            elif kind == "snapshot":
                events = list(_events_in(message))
                self.seen.history(granted=self._live == connection)
                self.effort.half_answered(connection, kind)
                for event in events:
                    self._event(event, live=False)
            elif isinstance(kind, str) and kind not in _CONTROLS:
                self.deliveries += 1
                data = as_object(message.get("data")) or {}
                self._event((kind, data, message.get("timestamp")), live=True)
                self.seen.live(granted=self._live == connection)

    def _granted(self, connection: int) -> None:
        if self.counted_since is None:
            self.counted_since = self.clock.now
        if self._live != connection:
            self._live = connection
            self.sockets.good_from_now()
            self.effort.accepted(connection)
        self.seen.granted()

    def _event(self, event: Told, *, live: bool) -> None:
        kind, data, timestamp = event
        if kind not in self.types:
            return
        identity = identity_of(kind, data, serial=0)
        before = self._handed.get(identity, 0)
        self.tally.comes(identity)
        if before:
            self.seen.repeated(live=live)
        self._handed[identity] = before + 1
        self._fresh.append(identity)
        if isinstance(timestamp, int):
            self._newest_ms = max(self._newest_ms, timestamp)
        tx_hash = str(data.get("tx_hash"))
        if "tx_hash" not in data:
            return
        if kind == "settlement":
            key = item_key(data)
            if key not in self._first_seen:
                self._first_seen[key] = self.clock.now
                self._items_of.setdefault(tx_hash, []).append(key)
                self._due.append((self.clock.now + self.timeout_s, key))
                if tx_hash in self._confirmed:
                    self.seen.orphan_matched()
            if data.get("status") == "confirmed":
                self._confirmed.add(key)
            self._touched.add(key)
        elif kind == "status_update":
            self._confirmed.add(tx_hash)
            keys = self._items_of.get(tx_hash, [])
            if any(self._states.get(key) is ItemState.TIMED_OUT for key in keys):
                self.seen.late_confirm()
            self._touched.update(keys)

    def told(self, event: Event) -> None:
        """An event that the application takes."""
        match event:
            case Entry():
                self._entry(event)
            case ItemChanged():
                self._item(event)
            case HistoryApplied():
                self.seen.merged(event.new)
            case Gap():
                self.gaps.append(event)
                self.seen.gap()
            case _:
                self.seen.told(event)

    def _entry(self, entry: Entry) -> None:
        if entry.channel not in self.types:
            return
        identity = identity_of(entry.channel, entry.payload, serial=0)
        if identity not in self._handed:
            self.blame("S7", f"tells of {identity}, which nobody delivered")
        before, body = self._delivered.get(identity), bytes(entry.raw)
        if before == body and self.strict:
            self.blame("S5", f"tells of {identity} twice")
        self.tally.tells(identity)
        self._delivered[identity] = body

    def rejected(self, entry: Entry) -> None:
        """The application cannot use an entry; it counts as told."""
        self.told(entry)

    def _item(self, change: ItemChanged) -> None:
        key = "/".join(("settlement", *(part or "-" for part in change.key)))
        before, state = self._states.get(key), change.state
        if before is not None and _RANK[state] <= _RANK[before] and self.strict:
            self.blame("S12", f"{key} goes from {before.value} to {state.value}")
        if key not in self._first_seen:
            self.blame("S7", f"tells of {key}, which nobody delivered")
        if state is ItemState.CONFIRMED and not self._is_confirmed(key, change.key[0]):
            self.blame("S12", f"{key} is called confirmed, and nobody said so")
        if state is ItemState.TIMED_OUT and change.cause is not ItemCause.LIMIT:
            due = self._first_seen[key] + self.timeout_s
            if self.clock.now < due - _LATE_S and self.strict:
                self.blame("S19", f"{key} times out {due - self.clock.now:.3f} s early")
            self.seen.timed_out()
        self._states[key] = state

    def _is_confirmed(self, key: str, tx_hash: str) -> bool:
        return key in self._confirmed or tx_hash in self._confirmed

    def stepped(self, counters: Mapping[str, Counters] | None, *, idle: bool) -> None:
        """INV-L2, S10, S12, S21, after every step."""
        for channel, row in (counters or {}).items():
            if not row.conserved:
                self.blame("S21", f"{channel}: {row}")
        if self._ended:
            self._ended = False
            self._unhear()
        if not (idle and self.strict and self.prompt):
            self._fresh.clear()
            self._touched.clear()
            return
        for identity in self._fresh:
            if identity not in self._delivered:
                self.blame("S21", f"{identity} was handed in and is nowhere")
        self._fresh.clear()
        for key in self._touched:
            state, tx_hash = self._states.get(key), key.split("/")[1]
            if state is None:
                self.blame("S12", f"{key} was handed in, and nothing is told of it")
            if self._is_confirmed(key, tx_hash) and state is not ItemState.CONFIRMED:
                self.blame("S12", f"{key} is {state.value}, and was confirmed")
        self._touched.clear()
        while self._due and self._due[0][0] + _LATE_S < self.clock.now:
            at, key = self._due.popleft()
            if self._first_seen.get(key) != at - self.timeout_s:
                # It was unheard, and perhaps heard again later.
                continue
            if self._states.get(key) is ItemState.PENDING:
                self.blame("L2", f"{key} is still pending after {self.timeout_s:g} s")

    def _unhear(self) -> None:
        """What came behind the end of its connection was not heard."""
        for identity in self._fresh:
            if identity not in self._delivered:
                self._handed.pop(identity, None)
        for key in self._touched:
            if key not in self._states:
                self._first_seen.pop(key, None)
        self._fresh.clear()
        self._touched.clear()

    def missing(self) -> str | None:
        """INV-S10: an event that never came, and that lies in no gap that was told."""
        missing = self.tally.lost(self.published())
        return None if missing is None else f"{missing} never came, and no gap tells of it"

    def published(self) -> Iterator[tuple[Iterable[Hashable], bool]]:
        """Every event of the wanted types, and whether the client may do without it."""
        judged = self.strict and self.steady and self.prompt
        since = self.counted_since
        withheld = withheld_unseen(self.truth.records)
        for record in self.truth.records:
            if record["kind"] != "entry" or record["channel"] not in self.types:
                continue
            identity = record["entryId"]
            wanted = record["kept"] and record["live"] and since is not None
            yield (
                (identity,),
                not (judged and wanted and record["at"] > (since or 0.0))
                or identity in self._handed
                or identity in withheld
                or any(_within(gap, record["timestamp"]) for gap in self.gaps),
            )


def _within(gap: Gap, at_ms: int) -> bool:
    return (gap.since_ms is None or gap.since_ms <= at_ms) and (
        gap.until_ms is None or at_ms <= gap.until_ms
    )


def _events_in(message: Mapping[str, Any]) -> Iterator[Told]:
    for each in as_list(message.get("events")) or ():
        event = as_object(each)
        if event is None:
            continue
        data = as_object(event.get("data"))
        kind = event.get("type") if data is not None else event.get("event_type")
        if isinstance(kind, str):
            yield kind, event if data is None else data, event.get("timestamp")
