"""Entries that wait for their base: a replay or a snapshot must come first (R3, R5, R14)."""

from collections import deque
from typing import final

import attrs

from lastseen.events import Entry

__all__ = ["Hold", "Share"]


@final
@attrs.define(eq=False)
class Share:
    """What all holds of one kind in one channel may keep together, in bytes."""

    bytes_max: int
    bytes: int = 0


@attrs.define(eq=False, repr=False)
class Hold:
    """A bounded queue of live entries of one scope, in arrival order.

    `put` says False when a cap is crossed; the caller then resyncs the scope (R14), it never drops
    a part of what is held and goes on.
    """

    items_max: int
    bytes_max: int
    share: Share
    _entries: deque[Entry] = attrs.field(init=False, factory=deque[Entry])
    _bytes: int = attrs.field(init=False, default=0)

    def put(self, entry: Entry) -> bool:
        """Keeps an entry; False when that crosses a cap."""
        self._entries.append(entry)
        size = entry.size
        self._bytes += size
        self.share.bytes += size
        return (
            len(self._entries) <= self.items_max
            and self._bytes <= self.bytes_max
            and self.share.bytes <= self.share.bytes_max
        )

    def release(self) -> list[Entry]:
        """Gives everything back, oldest first, and is empty."""
        entries = list(self._entries)
        self._entries.clear()
        self.share.bytes -= self._bytes
        self._bytes = 0
        return entries

    def copy(self) -> tuple[Entry, ...]:
        """What is held now, oldest first."""
        return tuple(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
