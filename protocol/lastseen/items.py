"""What the application hears of items: each outcome once, in order, and never too much to keep.

`Lifecycle` decides what there is to tell; here it is put into words and queued behind the event
that told it.
"""

from collections.abc import Collection, Sequence
from typing import final

import attrs
import msgspec

from lastseen.anomalies import Anomalies
from lastseen.delivery import Delivery
from lastseen.events import AnomalyCode, ItemCause, ItemChanged, Source
from lastseen.history_messages import News, WireEvent
from lastseen.lifecycle import Cause, Change, ItemKey, Lifecycle
from lastseen.options import HistoryOptions

__all__ = ["Items"]

_CAUSES = {Cause.DEADLINE: ItemCause.DEADLINE, Cause.LIMIT: ItemCause.LIMIT}


@final
@attrs.define(eq=False, repr=False)
class Items:
    """The way from an event, or a deadline, to what is told about an item.

    What waits for the application is bounded by what may wait of the events that bring items, and
    by the items that are remembered: an item has three outcomes at most.
    """

    options: HistoryOptions
    lifecycle: Lifecycle
    delivery: Delivery
    anomalies: Anomalies
    _evicted: int = attrs.field(init=False, default=0)
    _suspicious: bool = attrs.field(init=False, default=False)

    def hear(self, event: WireEvent, *, now: float) -> None:
        """Takes what an event says about items."""
        if event.news is News.PENDING:
            changes = self.lifecycle.pending(event.item, now=now)
        elif event.news is News.UPDATE:
            changes = self.lifecycle.update(event.item[0], now=now)
        else:
            changes = self.lifecycle.confirmed(event.item, now=now)
        if changes:
            self._tell(changes, event, now=now)

    def expire(self, *, now: float) -> None:
        """Items whose time is up are told as timed out (HZ-G10)."""
        changes = self.lifecycle.expire(now=now)
        if changes:
            self._tell(changes, None, now=now)
            self._check_ratio()

    def note_limits(self) -> None:
        """Counts what had to be forgotten before its time (HZ-G9)."""
        lifecycle = self.lifecycle
        evicted = (
            lifecycle.evicted_pending
            + lifecycle.evicted_tombstones
            + lifecycle.evicted_confirmations
        )
        for _ in range(evicted - self._evicted):
            words = "items or confirmations were forgotten before their time"
            self.anomalies.note(AnomalyCode.ITEM_LIMIT, None, words)
        self._evicted = evicted

    def give_up(self, dropped: Collection[WireEvent]) -> None:
        """These events were dropped before the application had them, which is told as a gap (R14).

        An item that only they told of is forgotten, and may come again by a history. One that the
        application has heard of is not left without its outcome, which is told a last time.
        """
        entries = set(map(id, dropped))

        def choose(changes: list[ItemChanged]) -> Collection[ItemChanged]:
            gone: set[ItemKey] = set()
            outcomes: dict[ItemKey, ItemChanged] = {}
            for change in changes:
                if change.before is None and id(change.entry) in entries:
                    gone.add(change.key)
                    self.lifecycle.forget(change.key)
                elif change.key not in gone:
                    earlier = outcomes.get(change.key, change)
                    # An entry would be kept for as long as this is not taken.
                    outcomes[change.key] = msgspec.structs.replace(
                        change, before=earlier.before, entry=None
                    )
            return outcomes.values()

        self.delivery.replace_items(choose)

    def deadline(self) -> float | None:
        """When `expire` will have something to say."""
        return self.lifecycle.deadline()

    def _tell(self, changes: Sequence[Change], event: WireEvent | None, *, now: float) -> None:
        for change in changes:
            told, cause = event, ItemCause.HISTORY
            if change.cause is not Cause.EVENT:
                told, cause = None, _CAUSES[change.cause]
            elif event is not None and event.source is Source.LIVE:
                cause = ItemCause.LIVE
            self.delivery.put(
                ItemChanged(
                    key=change.key,
                    state=change.state,
                    before=change.before,
                    cause=cause,
                    entry=told,
                    waited_s=now - change.first_seen_at,
                    detected_at_ms=told.detected_at_ms if told is not None else None,
                    latency_ms=told.latency_ms if told is not None else None,
                )
            )

    def _check_ratio(self) -> None:
        """Says once when so many items time out that confirmations seem to be missing."""
        timed_out = self.lifecycle.timed_out_total
        over = timed_out + self.lifecycle.confirmed_total
        if (
            not self._suspicious
            and timed_out >= self.options.unconfirmed_items_min
            and timed_out >= self.options.unconfirmed_ratio * over
        ):
            self._suspicious = True
            words = f"{timed_out} items timed out: are confirmations subscribed to?"
            self.anomalies.note(AnomalyCode.UNCONFIRMED, None, words)
