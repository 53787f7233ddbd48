"""What one epoch has published: a sequence, a head and a replay buffer per channel."""

import collections
import re
from collections.abc import Callable
from typing import Any, Final, Literal

import attrs

__all__ = ["Entry", "Epoch", "Journal", "parse_entry_id"]

SequenceRule = Literal["never", "epoch", "millisecond"]

_ENTRY_ID: Final = re.compile(r"([0-9]{1,19})-([0-9]{1,19})", re.ASCII)


def parse_entry_id(text: str) -> tuple[int, int] | None:
    """The two halves of `<ts_ms>-<seq>`, None for anything else (§4, HZ-A6).

    >>> parse_entry_id("1790000000120-48811")
    (1790000000120, 48811)
    """
    match = _ENTRY_ID.fullmatch(text)
    return None if match is None else (int(match[1]), int(match[2]))


@attrs.frozen(kw_only=True)
class Entry:
    """One published entry; `ts` in wall-clock milliseconds is the first half of its id."""

    channel: str
    ts: int
    seq: int
    payload: dict[str, Any]

    @property
    def entry_id(self) -> str:
        """The cursor a client stores."""
        return f"{self.ts}-{self.seq}"

    @property
    def order(self) -> tuple[int, int]:
        """The halves of the id, as they compare."""
        return self.ts, self.seq


@attrs.define(eq=False)
class Journal:
    """One channel of one epoch.

    `coalesced` skips numbers, as an upstream that merged some entries does. The buffer keeps what
    the window can still ask for, and `entries_max` entries at most.
    """

    channel: str
    rule: SequenceRule
    window_ms: int
    entries_max: int
    seq: int = 0
    head: Entry | None = None
    _entries: collections.deque[Entry] = attrs.field(init=False, factory=collections.deque[Entry])
    _lost: Entry | None = attrs.field(init=False, default=None)

    def append(self, payload: dict[str, Any], *, wall_ms: int, coalesced: int = 0) -> Entry:
        """Publishes a payload as the channel's next entry."""
        if self.rule == "millisecond" and (self.head is None or self.head.ts != wall_ms):
            self.seq = coalesced
        else:
            self.seq += 1 + coalesced
        entry = Entry(channel=self.channel, ts=wall_ms, seq=self.seq, payload=payload)
        self.head = entry
        self._entries.append(entry)
        while self._entries and self._entries[0].ts < wall_ms - self.window_ms:
            self._entries.popleft()
        if len(self._entries) > self.entries_max:
            self._lost = self._entries.popleft()
        return entry

    def newest(self, wanted: Callable[[Entry], bool]) -> Entry | None:
        """The newest entry of this kind that the buffer still has."""
        return next((entry for entry in reversed(self._entries) if wanted(entry)), None)

    def after(
        self, cursor: str, *, wall_ms: int, inclusive: bool
    ) -> tuple[Entry, ...] | Literal["bad_cursor", "too_old"]:
        """The entries behind a cursor, or why there is no telling.

        The age of the cursor decides, not how long the client was away (§4). With `inclusive` the
        entry of the cursor itself comes first.
        """
        order = parse_entry_id(cursor)
        if order is None:
            return "bad_cursor"
        known = next((entry for entry in reversed(self._entries) if entry.order == order), None)
        if known is None and (self.head is None or order > self.head.order):
            return "bad_cursor"
        if wall_ms - order[0] > self.window_ms:
            return "too_old"
        if self._lost is not None and order < self._lost.order:
            return "too_old"
        entries = tuple(self._entries)
        if known is not None:
            return entries[entries.index(known) + (not inclusive) :]
        return tuple(entry for entry in entries if entry.order > order)


@attrs.define(eq=False)
class Epoch:
    """One life of the gateway: cursors of another life mean nothing here."""

    name: str
    number: int
    journals: dict[str, Journal]

    def head(self, channel: str) -> str | None:
        """The newest entry id of a channel."""
        head = self.journals[channel].head
        return None if head is None else head.entry_id

    def heads(self) -> dict[str, str]:
        """The newest entry id of every channel that has one."""
        return {
            channel: head
            for channel in sorted(self.journals)
            if (head := self.head(channel)) is not None
        }
