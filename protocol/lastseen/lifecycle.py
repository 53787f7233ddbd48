"""Items that are pending until their transaction confirms, or until their time is up (R15).

States form a lattice: unknown < pending < timed out < confirmed. What is heard about an item, in
any order and any number of times, raises it and never lowers it, so every order ends the same.

*What a confirmation confirms.* It links to settlements by transaction hash (`facts/polynode.md`
§7), and the token it names need not be the taker's. A transaction takes effect whole or not at all,
so a confirmation confirms every item of its transaction, those heard of later as well. A rule that
looked at tokens first and at the rest only when none fits would depend on the order of arrival: the
item that fits may come last. Items of one transaction stay separate: each is told on its own.

*A timeout is no failure* (HZ-G14). It says that nobody told us the outcome; a confirmation that
comes later still counts, and is told once (HZ-G5).
"""

from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

import attrs
import msgspec

from lastseen.errors import ConfigurationError

__all__ = ["Cause", "Change", "Counts", "ItemKey", "ItemState", "Lifecycle"]

ItemKey = tuple[str, ...]
"""Names an item: its transaction first, then what tells items of one transaction apart."""

_COMPACT_ITEMS_MIN = 64


class ItemState(Enum):
    """How far an item has come; `TIMED_OUT` means that the outcome is unknown, not that it failed.

    >>> ItemState.CONFIRMED.merge(ItemState.PENDING)
    <ItemState.CONFIRMED: 'confirmed'>
    """

    PENDING = "pending"
    TIMED_OUT = "timed_out"
    CONFIRMED = "confirmed"

    @property
    def rank(self) -> int:
        """The place in the lattice; an unknown item would have 0."""
        return _RANKS[self]

    def merge(self, other: "ItemState") -> "ItemState":
        """The higher of both."""
        return self if self.rank >= other.rank else other


_RANKS = {state: rank for rank, state in enumerate(ItemState, start=1)}


class Cause(Enum):
    """What raised an item."""

    EVENT = "event"
    DEADLINE = "deadline"
    LIMIT = "limit"
    """There was no room for it any more: given up before its time."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """An item reached a state, for the first and only time."""

    key: ItemKey
    state: ItemState
    cause: Cause
    before: ItemState | None
    """The state it was in; None for an item that nobody knew."""
    first_seen_at: float


class Counts(NamedTuple):
    """How much is remembered, in items; confirmations are counted in transactions."""

    pending: int
    tombstones: int
    confirmations: int


class _Item(msgspec.Struct, eq=False, gc=False):
    # Not attrs: a million of them would cost every collection of garbage a tenth of a second.
    key: ItemKey
    first_seen_at: float
    state: ItemState
    over_at: float = 0.0


_PENDING, _TIMED_OUT, _CONFIRMED = ItemState
_EVENT = Cause.EVENT

_NOTHING: Sequence[Change] = ()


def _positive(_: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    if not value > 0:
        raise ConfigurationError(f"{attribute.name} must be above 0, not {value}")


def _covers_timeout(lifecycle: "Lifecycle", _: object, value: float) -> None:
    if not value >= lifecycle.timeout_s:
        raise ConfigurationError(f"remembered_s must not be below timeout_s, not {value}")


@attrs.define(eq=False, repr=False, on_setattr=attrs.setters.NO_OP)
class Lifecycle:
    """Every item's state, each outcome told once; `now` in seconds, and never going back.

    An item is pending for `timeout_s` from when it was first seen here, exactly (HZ-G8, HZ-G16).
    What is over leaves a tombstone, so that a snapshot that still calls it pending changes nothing
    (HZ-G6). Confirmations are remembered by transaction, for settlements that come later (HZ-G2).

    Nothing is forgotten by age, only when a cap is reached, the oldest first (HZ-G9): a pending
    item is told as timed out before it goes, the others are gone silently, and when they were
    younger than `remembered_s` that counts as an eviction. Every call costs a constant, amortised,
    and for each item that it tells about. An item takes about 0.7 KiB with keys of the usual
    length, so the default caps stay below 0.5 GiB altogether.
    """

    timeout_s: float = attrs.field(default=15.0, validator=_positive)
    """The published advice; confirmations take 2 to 5 s (`facts` §9.2)."""
    pending_max: int = attrs.field(default=250_000, validator=_positive)
    tombstones_max: int = attrs.field(default=250_000, validator=_positive)
    confirmations_max: int = attrs.field(default=250_000, validator=_positive)
    remembered_s: float = attrs.field(default=600.0, validator=_covers_timeout)
    """Twice the longest lookback of a history snapshot (`facts` §6)."""

    evicted_pending: int = attrs.field(init=False, default=0)
    evicted_tombstones: int = attrs.field(init=False, default=0)
    evicted_confirmations: int = attrs.field(init=False, default=0)
    timed_out_total: int = attrs.field(init=False, default=0)
    confirmed_total: int = attrs.field(init=False, default=0)
    """Both for the ratio that shows a subscription without confirmations (HZ-G17)."""

    _items: dict[ItemKey, _Item] = attrs.field(init=False, factory=dict[ItemKey, _Item])
    _open: dict[str, _Item | dict[ItemKey, _Item]] = attrs.field(
        init=False, factory=dict[str, _Item | dict[ItemKey, _Item]]
    )
    """What a confirmation would raise, by transaction; nearly always that is one item."""
    _due: deque[_Item] = attrs.field(init=False, factory=deque[_Item])
    """In the order of their deadlines, as all have the same time; some are over already."""
    _pending: int = attrs.field(init=False, default=0)
    _tombstones: deque[_Item] = attrs.field(init=False, factory=deque[_Item])
    _confirmed: dict[str, float] = attrs.field(init=False, factory=dict[str, float])
    _confirmations: deque[str] = attrs.field(init=False, factory=deque[str])

    def pending(self, key: ItemKey, *, now: float) -> Sequence[Change]:
        """Somebody says that the item is pending: news only for an item that nobody knew."""
        item = _Item(key, now, _PENDING)
        if self._items.setdefault(key, item) is not item:
            return _NOTHING
        transaction = key[0]
        if transaction in self._confirmed:
            return (self._bear_confirmed(item, now=now),)
        evicted = self._give_up_oldest(now=now) if self._pending >= self.pending_max else None
        there = self._open.setdefault(transaction, item)
        if there is not item:
            self._open_another(there, item)
        self._due.append(item)
        self._pending += 1
        change = Change(key, _PENDING, _EVENT, None, now)
        return (change,) if evicted is None else (evicted, change)

    def confirmed(self, key: ItemKey, *, now: float) -> Sequence[Change]:
        """Somebody says that the item, and nothing about its transaction, is confirmed (HZ-G11)."""
        newborn = _Item(key, now, _CONFIRMED)
        item = self._items.setdefault(key, newborn)
        if item is newborn:
            return (self._bear_confirmed(item, now=now),)
        if item.state is _CONFIRMED:
            return _NOTHING
        self._close(item)
        return (self._confirm(item, now=now),)

    def update(self, transaction: str, *, now: float) -> Sequence[Change]:
        """A transaction is confirmed, and with it all its items, known or still to come."""
        if transaction in self._confirmed:
            return _NOTHING
        self._confirmed[transaction] = now
        self._confirmations.append(transaction)
        if len(self._confirmations) > self.confirmations_max:
            since = self._confirmed.pop(self._confirmations.popleft())
            self.evicted_confirmations += now - since < self.remembered_s
        there = self._open.pop(transaction, None)
        if there is None:
            return _NOTHING
        if isinstance(there, _Item):
            return (self._confirm(there, now=now),)
        return [self._confirm(item, now=now) for item in there.values()]

    def expire(self, *, now: float) -> Sequence[Change]:
        """The items whose deadline has passed, in the order of their deadlines."""
        changes: list[Change] = []
        while (deadline := self.deadline()) is not None and deadline <= now:
            changes.append(self._time_out(Cause.DEADLINE, now=now))
        return changes

    def deadline(self) -> float | None:
        """When `expire` will have something to say."""
        return self._due[0].first_seen_at + self.timeout_s if self._pending else None

    def forget(self, key: ItemKey) -> None:
        """What was told of an item never reached anybody: the next event of it is its first."""
        item = self._items.pop(key, None)
        if item is None:
            return
        before, item.state = item.state, _CONFIRMED
        if before is not _CONFIRMED:
            self._close(item)
        if before is _PENDING:
            self._pending -= 1
            self._tidy()

    def state(self, key: ItemKey) -> ItemState | None:
        """Where an item stands, as far as it is remembered."""
        item = self._items.get(key)
        return item.state if item is not None else None

    def counts(self) -> Counts:
        """How much is remembered."""
        return Counts(self._pending, len(self._tombstones), len(self._confirmations))

    def _bear_confirmed(self, item: _Item, *, now: float) -> Change:
        item.state = _CONFIRMED
        self.confirmed_total += 1
        self._bury(item, now=now)
        return Change(item.key, _CONFIRMED, _EVENT, None, now)

    def _confirm(self, item: _Item, *, now: float) -> Change:
        before = item.state
        item.state = _CONFIRMED
        self.confirmed_total += 1
        if before is _PENDING:
            self._pending -= 1
            self._tidy()
            self._bury(item, now=now)
        return Change(item.key, _CONFIRMED, _EVENT, before, item.first_seen_at)

    def _time_out(self, cause: Cause, *, now: float) -> Change:
        """Gives up the oldest pending item."""
        item = self._due.popleft()
        item.state = _TIMED_OUT
        self.timed_out_total += 1
        self._pending -= 1
        self._tidy()
        self._bury(item, now=now)
        return Change(item.key, _TIMED_OUT, cause, _PENDING, item.first_seen_at)

    def _give_up_oldest(self, *, now: float) -> Change:
        self.evicted_pending += 1
        return self._time_out(Cause.LIMIT, now=now)

    def _tidy(self) -> None:
        """Keeps a pending item in front, and those that are over from being the most."""
        due = self._due
        while due and due[0].state is not _PENDING:
            due.popleft()
        if len(due) > 2 * self._pending + _COMPACT_ITEMS_MIN:
            self._due = deque(item for item in due if item.state is _PENDING)

    def _bury(self, item: _Item, *, now: float) -> None:
        item.over_at = now
        self._tombstones.append(item)
        if len(self._tombstones) > self.tombstones_max:
            oldest = self._tombstones.popleft()
            if self._items.get(oldest.key) is oldest:
                del self._items[oldest.key]
            if oldest.state is not _CONFIRMED:
                self._close(oldest)
            self.evicted_tombstones += now - oldest.over_at < self.remembered_s

    def _open_another(self, there: _Item | dict[ItemKey, _Item], item: _Item) -> None:
        if isinstance(there, _Item):
            there = self._open[item.key[0]] = {there.key: there}
        there[item.key] = item

    def _close(self, item: _Item) -> None:
        """No confirmation of its transaction would raise it any more."""
        transaction = item.key[0]
        there = self._open[transaction]
        if not isinstance(there, _Item):
            del there[item.key]
        if isinstance(there, _Item) or not there:
            del self._open[transaction]
