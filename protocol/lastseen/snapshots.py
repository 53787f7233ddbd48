"""Which snapshots to fetch, and when: shared, single-flight, within the peer's limits.

Scopes say what they want; wants with the same source share one fetch. At most one fetch of a
source is under way (INV-S15), and a scope that wants again while one is under way waits for the
next, because only a request that starts after the want counts (R4).
"""

import heapq
from collections.abc import Callable, Mapping
from typing import NamedTuple, final

import attrs

from lastseen.backoff import Backoff, Rng
from lastseen.budget import Budget
from lastseen.dialect import SnapshotSource

__all__ = ["Fetch", "ScopeKey", "SnapshotQueue"]

_LATE = 60.0
"""Seconds; a permanent failure is retried no sooner (HZ-C14)."""


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


_Later = tuple[float, int, SnapshotSource]
_Ready = tuple[int, int, SnapshotSource]


@attrs.define(eq=False)
class _Want:
    fence: int
    due: float
    priority: int


@attrs.define(eq=False)
class _Pending:
    """What is wanted from one source, and how often fetching it failed in a row."""

    wants: dict[ScopeKey, _Want] = attrs.field(factory=dict[ScopeKey, _Want])
    attempts: int = 0
    not_before: float = float("-inf")
    under_way: bool = False
    scheduled: float | None = None
    """When the heap of later ones will bring it up."""
    ready: bool = False

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
    _order: int = attrs.field(init=False, default=0)
    _number: int = attrs.field(init=False, default=0)
    _wake_at: float | None = attrs.field(init=False, default=None)

    def want(
        self, source: SnapshotSource, key: ScopeKey, fence: int, *, priority: int, due: float
    ) -> None:
        """A scope wants a snapshot, not before `due`; replaces what it wanted before.

        The same want again does not put off the first, or a flood of them would do so for ever.
        """
        pending = self._pending.setdefault(source, _Pending())
        before = pending.wants.get(key)
        if before is not None and (before.fence, before.priority) == (fence, priority):
            due = min(due, before.due)
        pending.wants[key] = _Want(fence, due, priority)
        self._schedule(source, pending)

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
        self._wake_at = None
        return cancelled

    def start(self, *, now: float) -> list[Fetch]:
        """The fetches that may start at this moment."""
        self._ripen(now)
        self._wake_at = None
        started: list[Fetch] = []
        for name, heap in self._ready.items():
            while heap and len(self._under_way) < self.concurrency:
                source = heap[0][2]
                pending = self._pending.get(source)
                if pending is None or not pending.ready or not pending.wants:
                    heapq.heappop(heap)
                    continue
                cost = self.cost(source)
                if not self.budgets[name].take(cost, now=now):
                    self._wake(self.budgets[name].earliest(cost, now=now))
                    break
                heapq.heappop(heap)
                pending.ready = False
                fetch = self._begin(source, pending, now)
                if fetch is not None:
                    started.append(fetch)
        if self._later and len(self._under_way) < self.concurrency:
            self._wake(self._later[0][0])
        return started

    def finished(self, number: int) -> Fetch | None:
        """An answer came; None when the fetch is not, or no longer, ours."""
        fetch = self._under_way.pop(number, None)
        if fetch is not None:
            pending = self._pending[fetch.source]
            pending.under_way = False
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
        priority: int,
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
            self.budgets[self.budget_class(fetch.source)].pause(retry_after_s, now=now)
        pending.not_before = now + delay
        for key, fence in keys.items():
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
        asked = {key: want.fence for key, want in pending.wants.items() if want.due <= now}
        if not asked:
            self._schedule(source, pending)
            return None
        for key in asked:
            del pending.wants[key]
        pending.under_way = True
        self._number += 1
        fetch = Fetch(number=self._number, source=source, asked=asked)
        self._under_way[fetch.number] = fetch
        return fetch

    def _continue(self, source: SnapshotSource, pending: _Pending) -> None:
        pending.scheduled = None
        if pending.wants:
            self._schedule(source, pending)
        else:
            del self._pending[source]

    def _schedule(self, source: SnapshotSource, pending: _Pending) -> None:
        if pending.under_way or pending.ready:
            return
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
            if pending is None or pending.under_way or pending.ready or not pending.wants:
                continue
            pending.scheduled = None
            if pending.due() > now:
                self._schedule(source, pending)
                continue
            priority = min(want.priority for want in pending.wants.values() if want.due <= now)
            pending.ready = True
            self._order += 1
            heap = self._ready.setdefault(self.budget_class(source), [])
            heapq.heappush(heap, (priority, self._order, source))

    def _wake(self, moment: float) -> None:
        if self._wake_at is None or moment < self._wake_at:
            self._wake_at = moment
