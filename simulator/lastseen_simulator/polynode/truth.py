"""The truth of a PolyNode gateway: what it published, and what became of every settlement.

The records are those of every gateway (see `truth`), and of the kind

    entry       channel, entryId, timestamp, payload, live, kept
    upgrade     connection, path, query, status              the key redacted
    subscribe   connection, type, filters, verdict, subscription
    unsubscribe connection, subscription, verdict
    restart     cause

`channel` is the type of the event, `entryId` its identity; what was not `live` was sent to nobody,
what was not `kept` is in no snapshot. A settlement is an item; it counts as confirmed once its
confirmation has been published, to anybody or to the snapshots. This is worked out here from the
events alone, apart from what any client thinks of them.
"""

import collections
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from lastseen_simulator.polynode.events import Event, item_key
from lastseen_simulator.truth import Record, TruthLog

__all__ = ["PolyNodeTruth"]

_FIELDS: Final = (
    "tx_hash", "taker_wallet", "taker_token", "taker_side", "taker_price", "taker_size",
    "market_slug", "detected_at",
)  # fmt: skip


@attrs.define(eq=False)
class _Item:
    """A settlement, by its newest body, and when it was published first."""

    event: Event
    published_ms: int
    born_confirmed: bool

    @property
    def data(self) -> Mapping[str, Any]:
        return self.event.data

    @property
    def tx_hash(self) -> str:
        return str(self.data.get("tx_hash"))

    @property
    def token(self) -> str:
        return str(self.data.get("taker_token"))


@attrs.define(eq=False)
class PolyNodeTruth:
    """Records, the outcome of every settlement, and the newest body of every other event."""

    records_max: int
    items_max: int
    _log: TruthLog = attrs.field(init=False)
    _items: dict[str, _Item] = attrs.field(init=False, factory=dict[str, _Item])
    _items_of: dict[str, list[str]] = attrs.field(init=False, factory=dict[str, list[str]])
    _updates: dict[str, dict[str, Event]] = attrs.field(
        init=False, factory=dict[str, dict[str, Event]]
    )
    _orphans: dict[str, dict[str, Event]] = attrs.field(
        init=False, factory=dict[str, dict[str, Event]]
    )
    _mined: dict[str, dict[str, Any]] = attrs.field(init=False, factory=dict[str, dict[str, Any]])
    _others: collections.OrderedDict[str, Event] = attrs.field(
        init=False, factory=collections.OrderedDict[str, Event]
    )

    def __attrs_post_init__(self) -> None:
        self._log = TruthLog(records_max=self.records_max)

    @property
    def records(self) -> tuple[Record, ...]:
        """The kept records, oldest first."""
        return self._log.records

    @property
    def written(self) -> int:
        """How many records there ever were; the number of the newest."""
        return self._log.written

    def write(self, kind: str, /, *, now: float, **members: Any) -> None:
        """Appends a record."""
        self._log.write(kind, now=now, **members)

    def records_after(self, number: int) -> tuple[Record, ...]:
        """The kept records numbered above `number`, oldest first."""
        return self._log.records_after(number)

    def entries(self) -> tuple[Record, ...]:
        """The kept records of kind `entry`."""
        return self._log.entries()

    def to_jsonl(self) -> str:
        """The kept records, one JSON object a line, in order."""
        return self._log.to_jsonl()

    def write_event(self, event: Event, *, live: bool, kept: bool, now: float) -> None:
        """Appends an event, and takes in what it says unless nobody can ever hear it."""
        self.write(
            "entry",
            now=now,
            channel=event.channel,
            entryId=event.entry_id,
            timestamp=event.envelope.get("timestamp"),
            payload=event.data,
            live=live,
            kept=kept,
        )
        if not (live or kept):
            return
        if event.channel == "settlement":
            self._take_settlement(event)
            return
        if event.channel == "status_update":
            self._take_update(event)
        self._others[event.entry_id] = event
        self._others.move_to_end(event.entry_id)
        if len(self._others) > self.items_max:
            self._others.popitem(last=False)

    def write_mined(self, tx_hash: str, data: Mapping[str, Any]) -> None:
        """Takes in what the chain has confirmed, whether or not anybody is told."""
        self._mined[tx_hash] = {name: data.get(name) for name in ("block_number", "confirmed_at")}
        if len(self._mined) > self.items_max:
            del self._mined[next(iter(self._mined))]

    def state(
        self, *, types: Iterable[str] | None = None, connections: Iterable[int] | None = None
    ) -> dict[str, Any]:
        """Identity → what is true of it, of all types of events or of some.

        A settlement has `state` (`pending` or `confirmed`), `published_at` in wall-clock
        milliseconds, `confirmed_at` as its status_update says (null without one), `mined` (block
        and time at which the chain confirmed it whether or not anybody was told, null for never)
        and fields of the settlement itself. Any other event has its `timestamp` and its `data`, as
        they were published last.

        With `connections` only what those were sent counts, as far as the kept records tell: the
        state that a client which had these connections should have come to.
        """
        wanted = None if types is None else frozenset(types)
        sent = None if connections is None else self._sent_to(frozenset(connections))
        state: dict[str, Any] = {}
        if wanted is None or "settlement" in wanted:
            for key, item in self._items.items():
                if _is_in(item.event, sent):
                    state[key] = self._outcome(item, sent)
        for key, event in self._others.items():
            if (wanted is None or event.channel in wanted) and _is_in(event, sent):
                state[key] = {"timestamp": event.envelope.get("timestamp"), "data": event.data}
        return state

    def _sent_to(self, connections: frozenset[int]) -> frozenset[str]:
        return frozenset(
            record["entryId"]
            for record in self._log.records
            if record["kind"] == "sent" and record["connection"] in connections
        )

    def _take_settlement(self, event: Event) -> None:
        key = item_key(event.data)
        known = self._items.get(key)
        confirmed = event.traits.status == "confirmed"
        if known is not None:
            known.event = event
            known.born_confirmed |= confirmed
            return
        item = self._items[key] = _Item(event, event.published_ms, confirmed)
        tx_hash = item.tx_hash
        self._items_of.setdefault(tx_hash, []).append(key)
        if tx_hash in self._orphans:
            self._updates[tx_hash] = self._orphans.pop(tx_hash)
        if len(self._items) > self.items_max:
            self._forget(next(iter(self._items)))

    def _take_update(self, event: Event) -> None:
        tx_hash, token = str(event.data.get("tx_hash")), str(event.data.get("token_id"))
        # Those without a settlement are bounded by themselves, so that they push out nothing else.
        updates = self._updates if tx_hash in self._items_of else self._orphans
        updates.setdefault(tx_hash, {}).setdefault(token, event)
        if len(self._orphans) > self.items_max:
            del self._orphans[next(iter(self._orphans))]

    def _forget(self, key: str) -> None:
        tx_hash = self._items.pop(key).tx_hash
        self._items_of[tx_hash].remove(key)
        if not self._items_of[tx_hash]:
            del self._items_of[tx_hash]
            self._updates.pop(tx_hash, None)
            self._mined.pop(tx_hash, None)

    def _outcome(self, item: _Item, sent: frozenset[str] | None) -> dict[str, Any]:
        update = self._update_of(item, sent)
        fields = {name: item.data[name] for name in _FIELDS if name in item.data}
        return {
            "state": "confirmed" if item.born_confirmed or update is not None else "pending",
            "published_at": item.published_ms,
            "confirmed_at": None if update is None else update.data.get("confirmed_at"),
            "mined": self._mined.get(item.tx_hash),
            **fields,
        }

    def _update_of(self, item: _Item, sent: frozenset[str] | None) -> Event | None:
        """The status_update that tells when a settlement was confirmed.

        A transaction is mined whole or not at all, so any status_update of it confirms every
        settlement in it (§7). Of several the one with the settlement's own token knows best.
        """
        updates = {
            token: event
            for token, event in self._updates.get(item.tx_hash, {}).items()
            if _is_in(event, sent)
        }
        return updates.get(item.token) or next(iter(updates.values()), None)


def _is_in(event: Event, sent: frozenset[str] | None) -> bool:
    return sent is None or event.entry_id in sent
