"""The recent events, and the history snapshots made from them (§6)."""

import collections
from collections.abc import Iterable

import attrs

from lastseen_simulator.polynode.events import Event
from lastseen_simulator.polynode.markets import Markets
from lastseen_simulator.polynode.options import Plan, PolyNodeOptions
from lastseen_simulator.polynode.subscriptions import Subscription

__all__ = ["Buffer", "Snapshot"]


@attrs.frozen(kw_only=True)
class Snapshot:
    """What a subscribe gets of the past; `warnings` say what it asked for in vain."""

    events: tuple[Event, ...]
    warnings: tuple[str, ...]

    def frame(self, shape: str) -> str:
        """The frame as JSON text, `wrapped` like live events or `flat`."""
        texts = [each.text if shape == "wrapped" else each.flat for each in self.events]
        return f'{{"type":"snapshot","count":{len(texts)},"events":[{",".join(texts)}]}}'


@attrs.define(eq=False)
class Buffer:
    """The newest events as they were published: a settlement stays pending here for ever."""

    options: PolyNodeOptions
    markets: Markets
    _events: collections.deque[Event] = attrs.field(init=False, factory=collections.deque[Event])
    _forgotten_ms: int | None = attrs.field(init=False, default=None)

    def add(self, event: Event) -> None:
        """Keeps an event, at the expense of the oldest; price_feed has no past (§3.2)."""
        if event.channel == "price_feed":
            return
        self._events.append(event)
        if len(self._events) > self.options.buffer_events:
            self._forgotten_ms = self._events.popleft().published_ms

    def clear(self) -> None:
        """Forgets everything, as a restart does."""
        if self._events:
            self._forgotten_ms = self._events[-1].published_ms
        self._events.clear()

    def snapshot(self, asked: Subscription, plan: Plan, *, wall_ms: int) -> Snapshot | None:
        """The events after `since`, or the last ones; None when a snapshot is not in question.

        `since` wins over `snapshot_count` (§2.1). Events match by what they were then.
        """
        if asked.preset == "chainlink":
            return None
        if asked.since_ms is not None:
            floor_ms = wall_ms - round(plan.lookback_s * 1000)
            found = self._after(asked, max(asked.since_ms, floor_ms))
            warnings = self._holes(asked.since_ms, floor_ms, plan)
        else:
            wanted = asked.snapshot_count
            wanted = self.options.snapshot_default if wanted is None else wanted
            found = self._last(asked, min(wanted, plan.snapshot_count))
            warnings = self._too_many(wanted, plan)
        if not found and self.options.empty_snapshot == "omitted":
            return None
        oldest_first = self.options.snapshot_order == "oldest_first"
        ordered = reversed(found) if oldest_first else found
        return Snapshot(events=tuple(ordered), warnings=tuple(warnings))

    def _newest_first(self, asked: Subscription) -> Iterable[Event]:
        for event in reversed(self._events):
            yield from reversed(asked.forms(event, self.markets))

    def _after(self, asked: Subscription, since_ms: int) -> list[Event]:
        # The wall clock may step back, so the buffer is not sorted by it.
        return [each for each in self._newest_first(asked) if each.published_ms > since_ms]

    def _last(self, asked: Subscription, count: int) -> list[Event]:
        found: list[Event] = []
        for event in self._newest_first(asked):
            if len(found) >= count:
                break
            found.append(event)
        return found

    def _holes(self, since_ms: int, floor_ms: int, plan: Plan) -> Iterable[str]:
        if since_ms < floor_ms:
            yield f"since reaches further back than {plan.lookback_s:g} s; events may be missing"
        elif self._forgotten_ms is not None and since_ms < self._forgotten_ms:
            yield "since reaches further back than what is kept; events may be missing"

    def _too_many(self, wanted: int, plan: Plan) -> Iterable[str]:
        if wanted > plan.snapshot_count:
            yield f"snapshot_count is limited to {plan.snapshot_count}"
