"""Which entries of a channel were accepted before (HZ-A7, HZ-B8, HZ-F3).

The cursor answers for entries that arrive in order, at the cost of one comparison. The bounded
ring of exact ids answers where ids cannot be ordered: a server clock that stepped back, a sequence
that starts anew each millisecond, or a replay without a barrier.
"""

from collections import deque
from collections.abc import Iterable, Sequence

import attrs

from lastseen.position import Cursor

__all__ = ["Dedup"]

_RING_ITEMS_DEFAULT = 4096


@attrs.define(eq=False, repr=False)
class Dedup:
    """One channel's memory of accepted ids, inside one epoch."""

    ring_items: int = _RING_ITEMS_DEFAULT
    out_of_order: int = attrs.field(init=False, default=0)
    """How many accepted ids could not be ordered against the one before."""
    _high: int = attrs.field(init=False, default=-1)
    _low: int = attrs.field(init=False, default=-1)
    _ring: deque[Cursor] = attrs.field(init=False)
    _members: set[Cursor] | None = attrs.field(init=False, default=None)
    """The ring as a set, while order alone cannot tell a duplicate."""
    _ceiling: Cursor | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._ring = deque(maxlen=self.ring_items)

    def frontier(self) -> Cursor | None:
        """The last accepted id, if a greater one is new without a look at the ring."""
        return (self._high, self._low) if self._members is None else None

    def newest(self) -> Cursor | None:
        """The last accepted id."""
        return (self._high, self._low) if self._high >= 0 else None

    def pass_over(self, cursor: Cursor) -> None:
        """Nothing at or below this id is of use any more."""
        if cursor[0] >= self._high and cursor[1] >= self._low:
            self._high, self._low = cursor

    def advance(self, cursors: Sequence[Cursor]) -> None:
        """Accepts a run of ids that ascends, in both halves, from the frontier."""
        self._high, self._low = cursors[-1]
        self._ring.extend(cursors)

    def admit(self, cursor: Cursor) -> bool:
        """Accepts an id, or says that it was accepted before.

        A duplicate is an exact match in the ring, or an id both of whose halves are at or below the
        last accepted one's. Anything else is new, also when the halves disagree (HZ-A7).
        """
        high, low = cursor
        if self._members is None and high >= self._high and low > self._low:
            self._high, self._low = cursor
            self._ring.append(cursor)
            return True
        return self._admit_out_of_order(high, low)

    def admit_replayed(self, cursor: Cursor) -> bool:
        """Accepts an id of a replay without a barrier; only ids at or below the login cursor order.

        A base may have brought what they say, so that the ring never saw them (HZ-B8).
        """
        if cursor[0] <= self._high and cursor[1] <= self._low:
            return False
        return self.admit_exact(cursor)

    def admit_exact(self, cursor: Cursor) -> bool:
        """Accepts an id unless the ring holds it, whatever its order."""
        if cursor in self._exact():
            return False
        self._remember(cursor)
        return True

    def reset(self) -> None:
        """Forgets everything: ids of another epoch may come again (HZ-A9)."""
        self._high = self._low = -1
        self._ring.clear()
        self._members = self._ceiling = None

    def rewind(self, cursor: Cursor | None, fenced: Iterable[Cursor]) -> None:
        """Goes back to a login cursor: `fenced` ids were accepted but never handed on.

        A ring that no longer reaches back to the cursor knows only the later half of what the
        replay brings. To leave out that half would let the earlier one have the last word, so all
        of it is new again.
        """
        self._high, self._low = cursor if cursor is not None else (-1, -1)
        unseen = set(fenced)
        kept = [cursor for cursor in self._ring if cursor not in unseen]
        if cursor is not None and len(self._ring) == self.ring_items:
            oldest = self._ring[0]
            if oldest[0] > cursor[0] or oldest[1] > cursor[1]:
                kept = []
        self._ring = deque(kept, maxlen=self.ring_items)
        above = [(high, low) for high, low in kept if high > self._high or low > self._low]
        # Ids above the cursor are with the application now: only the exact check knows them.
        self._members = set(self._ring) if above else None
        if above:
            self._ceiling = max(high for high, _ in above), max(low for _, low in above)

    def _admit_out_of_order(self, high: int, low: int) -> bool:
        cursor = (high, low)
        if cursor in self._exact() or (high <= self._high and low <= self._low):
            return False
        if not (high >= self._high and low > self._low):
            self.out_of_order += 1
            self._ceiling = None
        self._high, self._low = cursor
        self._remember(cursor)
        if self._ceiling is not None and high >= self._ceiling[0] and low >= self._ceiling[1]:
            # Past everything that was with the application: order alone decides again.
            self._members = self._ceiling = None
        return True

    def _exact(self) -> set[Cursor]:
        if self._members is None:
            self._members = set(self._ring)
        return self._members

    def _remember(self, cursor: Cursor) -> None:
        members = self._exact()
        if len(self._ring) == self.ring_items:
            members.discard(self._ring.popleft())
        members.add(cursor)
        self._ring.append(cursor)
