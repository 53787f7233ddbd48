"""The bounded way to the application: what it has not taken, and what it has not finished (R14)."""

from collections import deque
from collections.abc import Callable, Collection, Iterator
from itertools import repeat
from operator import attrgetter
from typing import TypeGuard, cast, final

import attrs
import msgspec

from lastseen.events import Entry, Event, ItemChanged, StateSnapshot, Stopped
from lastseen.position import PositionKeeper

__all__ = ["Delivery", "Load", "Notice"]

_NEWS_MAX = 100_000
"""So many other events may wait, where whoever queues them does not bound them."""


class _Chunk(msgspec.Struct, gc=False, eq=False):
    """Entries that came together: how many are left, their bytes, their stretch of trust."""

    items: int
    bytes: int
    era: int


@final
@attrs.define(eq=False)
class Load:
    """What one channel has under way, by the chunks it came in.

    A chunk's bytes count until the last of its entries is finished: never too few, and no entry
    has to be measured twice.
    """

    items: int = 0
    bytes: int = 0
    _chunks: deque[_Chunk] = attrs.field(init=False, factory=deque[_Chunk])

    def put(self, items: int, size: int, era: int) -> None:
        """Entries of one era were queued."""
        self.items += items
        self.bytes += size
        self._chunks.append(_Chunk(items, size, era))

    def finish(self, items: int) -> list[tuple[int, int]]:
        """The oldest entries are done; returns how many of which era, in order."""
        done: list[tuple[int, int]] = []
        self.items -= items
        while items:
            chunk = self._chunks[0]
            count = min(items, chunk.items)
            done.append((chunk.era, count))
            items -= count
            self._shrink(chunk, count)
            if not chunk.items:
                self._chunks.popleft()
        return done

    def eras(self) -> Iterator[int]:
        """The era of each entry, oldest first."""
        for chunk in self._chunks:
            yield from repeat(chunk.era, chunk.items)

    def withdraw(self, items: int) -> None:
        """Entries that had not been given out are gone: they were among the newest."""
        self.items -= items
        while items:
            chunk = self._chunks[-1]
            count = min(items, chunk.items)
            items -= count
            self._shrink(chunk, count)
            if not chunk.items:
                self._chunks.pop()

    def _shrink(self, chunk: _Chunk, count: int) -> None:
        chunk.items -= count
        if not chunk.items:
            self.bytes -= chunk.bytes


@final
@attrs.define(eq=False)
class Notice:
    """An item that says its event only when it is reached, or nothing at all.

    A marker is a notice that says nothing and acts when all before it is finished.
    """

    channel: str
    entity: str | None = None
    say: Callable[[], Event | None] | None = None
    reached: Callable[[], None] | None = None
    moves: Callable[[PositionKeeper], None] | None = None
    """What `reached` does to the position, for trying it out."""
    lasting: bool = False
    """Stays when what waits for its scope is withdrawn: it tells of a fall."""


_Item = Notice | Event

_UNCAPPED = (Entry, StateSnapshot, ItemChanged, Notice, Stopped)

Finished = Callable[[str, int, list[Entry]], None]
"""Told a channel, an era, and those of its entries that the application has finished, in order."""

_channel = attrgetter("channel")


@attrs.define(eq=False, repr=False)
class Delivery:
    """A queue in arrival order with acknowledgement: finishing an event finishes all before it."""

    items_max: int
    bytes_max: int
    lost_notices: int = attrs.field(init=False, default=0)
    _queue: deque[_Item] = attrs.field(init=False, factory=deque[_Item])
    _taken: deque[_Item] = attrs.field(init=False, factory=deque[_Item])
    _loads: dict[str, Load] = attrs.field(init=False, factory=dict[str, Load])
    _others: int = attrs.field(init=False, default=0)
    """Items that are no entries, in the queue or given out."""
    _news: int = attrs.field(init=False, default=0)
    """Those of them in the queue that are capped."""
    _appended: int = attrs.field(init=False, default=0)
    """How many items ever joined the end of the queue."""
    _cleared: dict[str, int] = attrs.field(init=False, factory=dict[str, int])
    """The count of those when all of a channel was last withdrawn."""
    _chosen: int = attrs.field(init=False, default=0)
    """The count of those when news of items were last replaced."""

    def put_entry(self, entry: Entry, era: int) -> bool:
        """Queues an entry; False when its channel has crossed a cap."""
        load = self._load(entry.channel)
        self._queue.append(entry)
        self._appended += 1
        load.put(1, entry.size, era)
        return load.items <= self.items_max and load.bytes <= self.bytes_max

    def put_run(self, channel: str, entries: list[Entry], size: int, era: int) -> bool:
        """Queues entries of one channel, `size` bytes together; none when that crosses a cap."""
        load = self._load(channel)
        if load.items + len(entries) > self.items_max or load.bytes + size > self.bytes_max:
            return False
        self._queue.extend(entries)
        self._appended += len(entries)
        load.put(len(entries), size, era)
        return True

    def put(self, item: Event | Notice, *, first: bool = False) -> None:
        """Queues anything else; `first` lets a fall in status overtake waiting entries."""
        if not isinstance(item, _UNCAPPED):
            if self._news >= _NEWS_MAX:
                self.lost_notices += 1
                return
            self._news += 1
        self._others += 1
        if first:
            self._queue.appendleft(item)
        else:
            self._queue.append(item)
            self._appended += 1
        if type(item) is Notice:
            self._absorb()

    def take(self, limit: int) -> list[Event]:
        """Gives out up to `limit` events; they stay accounted for until finished."""
        queue, taken = self._queue, self._taken
        if not self._others and len(queue) <= limit:
            entries = cast("list[Event]", list(queue))
            queue.clear()
            taken.extend(entries)
            return entries
        events: list[Event] = []
        while queue and len(events) < limit:
            item = queue.popleft()
            if type(item) is Notice:
                event = item.say() if item.say is not None else None
                if event is None:
                    taken.append(item)
                else:
                    taken.append(event)
                    events.append(event)
            else:
                if self._news and not isinstance(item, _UNCAPPED):
                    self._news -= 1
                taken.append(item)
                events.append(item)
        self._absorb()
        return events

    def holds(self, event: Event) -> bool:
        """Whether the event was given out and is not finished."""
        taken = self._taken
        if not taken:
            return False
        return event is taken[-1] or any(item is event for item in taken)

    def try_finish(self, event: Event, finished: Finished) -> Iterator[Notice]:
        """Tells what `finish` would tell, and gives the markers that it would reach."""
        eras: dict[str, Iterator[int]] = {}
        over = False
        for item in self._taken:
            if type(item) is Notice:
                yield item
            elif over:
                return
            elif isinstance(item, Entry):
                era = next(eras.setdefault(item.channel, self._loads[item.channel].eras()))
                finished(item.channel, era, [item])
            over = over or item is event
        for item in self._queue:
            if not _is_marker(item):
                return
            yield item

    def finish(self, event: Event, finished: Finished) -> int:
        """Ends the event and all that was given out before it, oldest first.

        Returns how many of them change a state: entries and snapshots.
        """
        if event is self._taken[-1]:
            items = list(self._taken)
            self._taken.clear()
        else:
            items = list[_Item]()
            while not items or items[-1] is not event:
                items.append(self._taken.popleft())
        return self._end(items, finished)

    def finish_before(self, entry: Entry, finished: Finished) -> int:
        """Ends all that was given out before the entry, and takes the entry itself away.

        Returns the same count, without the entry.
        """
        items: list[_Item] = []
        while self._taken[0] is not entry:
            items.append(self._taken.popleft())
        self._taken.popleft()
        count = self._end(items, finished)
        self._loads[entry.channel].finish(1)
        return count

    def _end(self, items: list[_Item], finished: Finished) -> int:
        runs: dict[str, list[Entry]] = {}
        others: list[_Item] = []
        if not self._others:
            entries = cast("list[Entry]", items)
            names = set(map(_channel, entries))
            if len(names) == 1:
                runs[names.pop()] = entries
        if not runs:
            for item in items:
                if isinstance(item, Entry):
                    runs.setdefault(item.channel, []).append(item)
                else:
                    others.append(item)
        for channel, entries in runs.items():
            start = 0
            for era, count in self._loads[channel].finish(len(entries)):
                finished(channel, era, entries[start : start + count])
                start += count
        changing = len(items) - len(others)
        for item in others:
            changing += isinstance(item, StateSnapshot)
            self._finish_other(item)
        self._absorb()
        return changing

    def withdraw(self, channel: str, entity: str | None = None) -> list[Entry]:
        """Takes back what waits for a scope (or for all of a channel) and returns its entries.

        Snapshots and notices of a rise go with them; what tells of a fall stays.
        """
        entries: list[Entry] = []
        kept: list[_Item] = []
        queue = self._queue
        # Only what came after the last such call can be of this channel, so that a flood of them
        # does not pay for the whole queue each time.
        newer = min(len(queue), self._appended - self._cleared.get(channel, 0))
        for item in [queue.pop() for _ in range(newer)][::-1]:
            if (
                not isinstance(item, Entry | StateSnapshot | Notice)
                or item.channel != channel
                or (entity is not None and item.entity != entity)
                or (type(item) is Notice and item.lasting)
            ):
                kept.append(item)
            elif isinstance(item, Entry):
                entries.append(item)
            else:
                self._others -= 1
        queue.extend(kept)
        if entity is None:
            self._cleared[channel] = self._appended
        if entries:
            self._load(channel).withdraw(len(entries))
        self._absorb()
        return entries

    def replace_items(self, choose: Callable[[list[ItemChanged]], Collection[ItemChanged]]) -> None:
        """Takes back what waits to be told of items, and queues what `choose` makes of it.

        What it chooses stays for good: only news since the last such call are taken back.
        """
        queue = self._queue
        newer = min(len(queue), self._appended - self._chosen)
        items: list[ItemChanged] = []
        others: list[_Item] = []
        for item in [queue.pop() for _ in range(newer)][::-1]:
            if isinstance(item, ItemChanged):
                items.append(item)
            else:
                others.append(item)
        chosen = choose(items)
        queue.extend(others)
        queue.extend(chosen)
        self._others += len(chosen) - len(items)
        self._appended += len(chosen)
        self._chosen = self._appended
        self._absorb()

    def load(self, channel: str) -> int:
        """Entries of a channel that the application has not finished."""
        load = self._loads.get(channel)
        return load.items if load is not None else 0

    @property
    def waiting(self) -> int:
        """How many items have not been given out."""
        return len(self._queue)

    def _load(self, channel: str) -> Load:
        load = self._loads.get(channel)
        if load is None:
            load = self._loads[channel] = Load()
        return load

    def _finish_other(self, item: _Item) -> None:
        self._others -= 1
        if type(item) is Notice and item.reached is not None:
            item.reached()

    def _absorb(self) -> None:
        """Markers act as soon as everything before them is finished."""
        while True:
            if self._taken:
                if type(self._taken[0]) is not Notice:
                    return
                self._finish_other(self._taken.popleft())
            elif self._queue and _is_marker(self._queue[0]):
                self._finish_other(self._queue.popleft())
            else:
                return


def _is_marker(item: _Item) -> TypeGuard[Notice]:
    return type(item) is Notice and item.say is None
