"""The bounded way to the application: what it has not taken, and what it has not finished (R14)."""

from collections import deque
from collections.abc import Callable
from operator import attrgetter
from typing import cast, final

import attrs

from lastseen.events import Entry, Event, StateSnapshot

__all__ = ["Delivery", "Load", "Notice"]

_OTHERS_MAX = 100_000


@final
@attrs.define(eq=False)
class Load:
    """What one channel has under way, in entries and bytes."""

    items: int = 0
    bytes: int = 0


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
    lasting: bool = False
    """Stays when what waits for its scope is withdrawn: it tells of a fall."""


_Item = Notice | Event

Finished = Callable[[str, list[Entry]], None]
"""Told a channel and those of its entries that the application has finished, in order."""

_channel = attrgetter("channel")
_size = attrgetter("size")


@attrs.define(eq=False)
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

    def put_entry(self, entry: Entry) -> bool:
        """Queues an entry; False when its channel has crossed a cap."""
        load = self._loads.get(entry.channel)
        if load is None:
            load = self._loads[entry.channel] = Load()
        self._queue.append(entry)
        load.items += 1
        load.bytes += entry.size
        return load.items <= self.items_max and load.bytes <= self.bytes_max

    def put_run(self, channel: str, entries: list[Entry]) -> bool:
        """Queues many entries of one channel, or none when they would cross a cap."""
        load = self._loads.get(channel)
        if load is None:
            load = self._loads[channel] = Load()
        items, size = load.items + len(entries), load.bytes + sum(map(_size, entries))
        if items > self.items_max or size > self.bytes_max:
            return False
        load.items, load.bytes = items, size
        self._queue.extend(entries)
        return True

    def put(self, item: Event | Notice, *, first: bool = False) -> None:
        """Queues anything else; `first` lets a fall in status overtake waiting entries."""
        if self._others >= _OTHERS_MAX and not isinstance(item, StateSnapshot | Notice):
            self.lost_notices += 1
            return
        self._others += 1
        if first:
            self._queue.appendleft(item)
        else:
            self._queue.append(item)
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

    def finish(self, event: Event, finished: Finished) -> None:
        """Ends the event and all that was given out before it, oldest first."""
        if event is self._taken[-1]:
            items = list(self._taken)
            self._taken.clear()
        else:
            items = list[_Item]()
            while not items or items[-1] is not event:
                items.append(self._taken.popleft())
        self._end(items, finished)

    def finish_before(self, entry: Entry, finished: Finished) -> None:
        """Ends all that was given out before the entry, and takes the entry itself away."""
        items: list[_Item] = []
        while self._taken[0] is not entry:
            items.append(self._taken.popleft())
        self._taken.popleft()
        self._unload(entry.channel, [entry])
        self._end(items, finished)

    def _end(self, items: list[_Item], finished: Finished) -> None:
        runs: dict[str, list[Entry]] = {}
        if not self._others:
            entries = cast("list[Entry]", items)
            names = set(map(_channel, entries))
            if len(names) == 1:
                runs[names.pop()] = entries
        if not runs:
            for item in items:
                if isinstance(item, Entry):
                    runs.setdefault(item.channel, []).append(item)
        for channel, entries in runs.items():
            self._unload(channel, entries)
            finished(channel, entries)
        if self._others:
            for item in items:
                if not isinstance(item, Entry):
                    self._finish_other(item)
            self._absorb()

    def withdraw(self, channel: str, entity: str | None = None) -> list[Entry]:
        """Takes back what waits for a scope (or for all of a channel) and returns its entries.

        Snapshots and notices of a rise go with them; what tells of a fall stays.
        """
        entries: list[Entry] = []
        kept: deque[_Item] = deque()
        for item in self._queue:
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
        self._queue = kept
        if entries:
            self._unload(channel, entries)
        self._absorb()
        return entries

    def load(self, channel: str) -> int:
        """Entries of a channel that the application has not finished."""
        load = self._loads.get(channel)
        return load.items if load is not None else 0

    @property
    def waiting(self) -> int:
        """How many items have not been given out."""
        return len(self._queue)

    def _unload(self, channel: str, entries: list[Entry]) -> None:
        load = self._loads[channel]
        load.items -= len(entries)
        load.bytes -= sum(map(_size, entries))

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


def _is_marker(item: _Item) -> bool:
    return type(item) is Notice and item.say is None
