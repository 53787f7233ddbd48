"""The bounded way to the application: what it has not taken, and what it has not finished (R14)."""

from collections import deque
from collections.abc import Callable
from typing import final

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


_Item = Entry | StateSnapshot | Notice | Event


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

    def put_entry(self, entry: Entry) -> bool:
        """Queues an entry; False when its channel has crossed a cap."""
        load = self._loads.get(entry.channel)
        if load is None:
            load = self._loads[entry.channel] = Load()
        self._queue.append(entry)
        load.items += 1
        load.bytes += len(entry.raw)
        return load.items <= self.items_max and load.bytes <= self.bytes_max

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
        events: list[Event] = []
        queue, taken = self._queue, self._taken
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
        return any(item is event for item in self._taken)

    def finish(self, event: Event, finished: Callable[[Entry], None]) -> None:
        """Ends the event and all that was given out before it, oldest first."""
        while self._taken and self._end_oldest(finished) is not event:
            pass
        self._absorb()

    def finish_before(self, entry: Entry, finished: Callable[[Entry], None]) -> None:
        """Ends all that was given out before the entry, and takes the entry itself away."""
        while self._taken and self._taken[0] is not entry:
            self._end_oldest(finished)
        self._taken.popleft()
        self._unload(entry)
        self._absorb()

    def _end_oldest(self, finished: Callable[[Entry], None]) -> _Item:
        item = self._taken.popleft()
        if type(item) is Entry:
            self._unload(item)
            finished(item)
        else:
            self._finish_other(item)
        return item

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
            elif type(item) is Entry:
                entries.append(item)
                self._unload(item)
            else:
                self._others -= 1
        self._queue = kept
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

    def _unload(self, entry: Entry) -> None:
        load = self._loads[entry.channel]
        load.items -= 1
        load.bytes -= len(entry.raw)

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
