"""Which snapshots to fetch, and when: shared, single-flight, within the peer's limits.

Scopes say what they want; wants with the same source share one fetch. At most one fetch of a
source is under way (INV-S15), and a scope that wants again while one is under way waits for the
next, because only a request that starts after the want counts (R4).

What goes first is a matter of `Priority`, inside one class of requests: classes have limits of
their own, so they share the concurrency evenly and none waits for another's queue.
"""

import heapq
from collections.abc import Callable, Collection, Mapping
from enum import IntEnum
from typing import NamedTuple, final

import attrs

from lastseen.backoff import Backoff, Rng
from lastseen.budget import Budget
from lastseen.dialect import SnapshotSource

__all__ = ["WINDOW_MARGIN", "Fetch", "Priority", "ScopeKey", "SnapshotQueue"]

WINDOW_MARGIN = 1.05
"""A window is kept this much longer than the peer's: requests overtake each other on the way, and a
429 costs a whole second where this costs a twentieth."""

_LATE = 60.0
"""Seconds; a permanent failure is retried no sooner (HZ-C14)."""


_PAUSE_S_MAX = 60.0
"""What one answer may put off all the others of its class: the longest of the peer's windows."""


class Priority(IntEnum):
    """Which of several wants goes first; whoever failed before comes after the others of its kind.

    With a thousand fixtures at 10/s the last one waits 100 s (OP-A7), so those that something
    happens in go before those that are quiet.
    """

    WHOLE = 0
    """A channel at once."""
    ROSTER = 1
    """Which fixtures there are."""
    BUSY = 2
    """A fixture whose entries wait for the base."""
    QUIET = 3
    VERIFICATION = 4
    """A base that is in use and could not be proven (R11)."""


class ScopeKey(NamedTuple):
    """A channel, or one fixture of it."""

    channel: str
    entity: str | None


@final
@attrs.frozen(kw_only=True)
class Fetch:
    """One fetch under way, and the fence of each scope at the moment it was asked for."""

    number: int
    source: SnapshotSource
    asked: Mapping[ScopeKey, int]
    priority: Mapping[ScopeKey, Priority]


_Later = tuple[float, int, SnapshotSource]
_Ready = tuple[Priority, int, SnapshotSource]


@attrs.define(eq=False)
class _Want:
    fence: int
    due: float
    priority: Priority


@attrs.define(eq=False)
class _Pending:
    """What is wanted from one source, and how often fetching it failed in a row."""

    wants: dict[ScopeKey, _Want] = attrs.field(factory=dict[ScopeKey, _Want])
    attempts: int = 0
    not_before: float = float("-inf")
    under_way: bool = False
    scheduled: float | None = None
    """When the heap of later ones will bring it up."""
    place: _Ready | None = None
    """Where it stands among those that are ready."""

    def due(self) -> float:
        return max(self.not_before, min(want.due for want in self.wants.values()))


@final
@attrs.define(eq=False, repr=False)
class SnapshotQueue:
    """The fetches of one session."""

    concurrency: int
    backoff: Backoff
    rng: Rng
    budgets: Mapping[str, Budget]
    budget_class: Callable[[SnapshotSource], str]
    cost: Callable[[SnapshotSource], int]
    """How many requests a fetch of this source makes."""
    _pending: dict[SnapshotSource, _Pending] = attrs.field(
        init=False, factory=dict[SnapshotSource, _Pending]
    )
    _under_way: dict[int, Fetch] = attrs.field(init=False, factory=dict[int, Fetch])
    _later: list[_Later] = attrs.field(init=False, factory=list[_Later])
    _ready: dict[str, list[_Ready]] = attrs.field(init=False, factory=dict[str, list[_Ready]])
    _busy: dict[str, int] = attrs.field(init=False, factory=dict[str, int])
    """How many fetches of each class are under way."""
    _order: int = attrs.field(init=False, default=0)
    _number: int = attrs.field(init=False, default=0)
    _wake_at: float | None = attrs.field(init=False, default=None)
    _stirred: bool = attrs.field(init=False, default=False)
    """Something may start that could not when `start` was last called."""

    def want(
        self, source: SnapshotSource, key: ScopeKey, fence: int, *, priority: Priority, due: float
    ) -> None:
        """A scope wants a snapshot, not before `due`; replaces what it wanted before.

        The same want again does not put off the first, or a flood of them would do so for ever.
        """
        pending = self._pending.setdefault(source, _Pending())
        if pending.attempts:
            # It had its turn: whoever has not been asked for comes before it, or an answer that
            # puts everybody off would do so again and again (HZ-C13).
            priority = max(priority, Priority.QUIET)
        before = pending.wants.get(key)
        if before is not None and (before.fence, before.priority) == (fence, priority):
            due = min(due, before.due)
        pending.wants[key] = _Want(fence, due, priority)
        self._schedule(source, pending)

    def hasten(self, source: SnapshotSource, key: ScopeKey) -> None:
        """Entries wait for this scope now; what failed before is not hastened."""
        pending = self._pending.get(source)
        want = pending.wants.get(key) if pending is not None else None
        if pending is None or want is None or pending.attempts or want.priority <= Priority.BUSY:
            return
        want.priority = Priority.BUSY
        if pending.place is not None and pending.place[0] > Priority.BUSY:
            self._queue(source, pending, Priority.BUSY)

    def forget(self, source: SnapshotSource, key: ScopeKey) -> None:
        """A scope wants nothing any more."""
        pending = self._pending.get(source)
        if pending is not None:
            pending.wants.pop(key, None)
            if not pending.wants and not pending.under_way:
                del self._pending[source]

    def clear(self) -> list[int]:
        """The connection is gone: nothing is wanted; returns the fetches to cancel."""
        cancelled = list(self._under_way)
        self._pending.clear()
        self._under_way.clear()
        self._later.clear()
        self._ready.clear()
        self._busy.clear()
        self._wake_at = None
        return cancelled

    def start(self, *, now: float) -> list[Fetch]:
        """The fetches that may start at this moment."""
        if not self._stirred and (self._wake_at is None or now < self._wake_at):
            # Asked after every frame while a queue drains.
            return []
        self._ripen(now)
        self._wake_at = None
        started: list[Fetch] = []
        spent: set[str] = set()
        while len(self._under_way) < self.concurrency:
            name = self._next_class(spent)
            if name is None:
                break
            heap = self._ready[name]
            source = heap[0][2]
            cost = self.cost(source)
            if not self.budgets[name].take(cost, now=now):
                self._wake(self.budgets[name].earliest(cost, now=now))
                spent.add(name)
                continue
            heapq.heappop(heap)
            pending = self._pending[source]
            pending.place = None
            fetch = self._begin(source, pending, now)
            if fetch is not None:
                started.append(fetch)
        if self._later and len(self._under_way) < self.concurrency:
            self._wake(self._later[0][0])
        self._stirred = False
        return started

    def finished(self, number: int) -> Fetch | None:
        """An answer came; None when the fetch is not, or no longer, ours."""
        fetch = self._under_way.pop(number, None)
        if fetch is not None:
            pending = self._pending[fetch.source]
            pending.under_way = False
            self._stirred = True
            self._busy[self.budget_class(fetch.source)] -= 1
        return fetch

    def succeeded(self, fetch: Fetch) -> None:
        """The answer was good; what was wanted meanwhile is next."""
        pending = self._pending.get(fetch.source)
        if pending is None:
            return
        pending.attempts = 0
        pending.not_before = float("-inf")
        self._continue(fetch.source, pending)

    def failed(
        self,
        fetch: Fetch,
        keys: Mapping[ScopeKey, int],
        *,
        retry_after_s: float | None,
        permanent: bool,
        now: float,
    ) -> float:
        """The answer was no good for these scopes; returns the delay until it is tried again."""
        pending = self._pending.setdefault(fetch.source, _Pending())
        delay = self.backoff.delay(pending.attempts, self.rng)
        pending.attempts += 1
        if permanent:
            delay = max(delay, _LATE)
        if retry_after_s is not None:
            delay = max(delay, retry_after_s)
            budget = self.budgets[self.budget_class(fetch.source)]
            budget.pause(min(retry_after_s, _PAUSE_S_MAX), now=now)
        pending.not_before = now + delay
        for key, fence in keys.items():
            priority = max(fetch.priority[key], Priority.QUIET)
            pending.wants.setdefault(key, _Want(fence, now, priority))
        self._continue(fetch.source, pending)
        return delay

    def deadline(self) -> float | None:
        """When `start` may have something to give; None while only an answer can change that."""
        return self._wake_at

    @property
    def under_way(self) -> int:
        """How many fetches have not been answered."""
        return len(self._under_way)

    def _begin(self, source: SnapshotSource, pending: _Pending, now: float) -> Fetch | None:
        due = {key: want for key, want in pending.wants.items() if want.due <= now}
        if not due:
            self._schedule(source, pending)
            return None
        for key in due:
            del pending.wants[key]
        pending.under_way = True
        self._number += 1
        fetch = Fetch(
            number=self._number,
            source=source,
            asked={key: want.fence for key, want in due.items()},
            priority={key: want.priority for key, want in due.items()},
        )
        self._under_way[fetch.number] = fetch
        name = self.budget_class(source)
        self._busy[name] = self._busy.get(name, 0) + 1
        return fetch

    def _next_class(self, spent: Collection[str]) -> str | None:
        """The class whose turn it is: that with the fewest under way, then the most important."""
        heads = [
            (self._busy.get(name, 0), heap[0][:2], name)
            for name, heap in self._ready.items()
            if name not in spent and self._has_head(heap)
        ]
        return min(heads)[2] if heads else None

    def _has_head(self, heap: list[_Ready]) -> bool:
        """Whether anything is ready, once what was forgotten or hastened is out of the way."""
        while heap:
            pending = self._pending.get(heap[0][2])
            if pending is not None and pending.place is heap[0]:
                return True
            heapq.heappop(heap)
        return False

    def _continue(self, source: SnapshotSource, pending: _Pending) -> None:
        pending.scheduled = None
        if pending.wants:
            self._schedule(source, pending)
        else:
            del self._pending[source]

    def _schedule(self, source: SnapshotSource, pending: _Pending) -> None:
        if pending.under_way or pending.place is not None:
            return
        self._stirred = True
        due = pending.due()
        if pending.scheduled is None or due < pending.scheduled:
            pending.scheduled = due
            self._order += 1
            heapq.heappush(self._later, (due, self._order, source))
        self._wake(due)

    def _ripen(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            source = heapq.heappop(self._later)[2]
            pending = self._pending.get(source)
            if pending is None or pending.under_way or pending.place is not None:
                continue
            pending.scheduled = None
            if pending.due() > now:
                self._schedule(source, pending)
                continue
            due = (want.priority for want in pending.wants.values() if want.due <= now)
            self._queue(source, pending, min(due))

    def _queue(self, source: SnapshotSource, pending: _Pending, priority: Priority) -> None:
        self._order += 1
        pending.place = (priority, self._order, source)
        heapq.heappush(self._ready.setdefault(self.budget_class(source), []), pending.place)

    def _wake(self, moment: float) -> None:
        if self._wake_at is None or moment < self._wake_at:
            self._wake_at = moment
