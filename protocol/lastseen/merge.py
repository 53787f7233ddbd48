"""What happens to one event of a feed without positions: the half that runs once per event.

Live events and histories come in any order and overlap; both are merged by identity (HZ-G18).
"""

from collections.abc import Callable
from typing import cast, final

import attrs

from lastseen.anomalies import Anomalies
from lastseen.coverage import Coverage
from lastseen.delivery import Delivery
from lastseen.errors import LocalProtocolError
from lastseen.events import AnomalyCode, Entry, Event, Gap, GapReason, Source
from lastseen.gaps import Gaps
from lastseen.history_messages import History, WireEvent
from lastseen.identities import Identities, Verdict
from lastseen.items import Items
from lastseen.scopes import Row
from lastseen.status import Counters

__all__ = ["UNKNOWN", "Merge"]

UNKNOWN = "?"
"""The counters' row for frames that are no events, and for types beyond `_STRANGERS_MAX`."""

_STRANGERS_MAX = 64
"""Undocumented event types that get a row, and a share of the queue, of their own (HZ-J17)."""


@final
@attrs.define(eq=False, repr=False)
class Merge:
    """Events in, as they arrive; finished and rejected ones back from the application."""

    identities: Identities
    items: Items
    coverage: Coverage
    delivery: Delivery
    gaps: Gaps
    anomalies: Anomalies
    is_recorded: Callable[[str], bool]
    """Whether histories bring events of this type back."""
    on_dropped: Callable[[int | None, float], None]
    """Events since this moment, in epoch ms, were dropped here; None when nobody knows."""
    rows: dict[str, Row] = attrs.field(init=False, factory=lambda: {UNKNOWN: Row()})
    _of_items: set[str] = attrs.field(init=False, factory=set[str])
    """The types whose events say something about items."""
    _strangers: int = attrs.field(init=False, default=0)

    def receive(self, event: WireEvent, *, now: float) -> None:
        """Takes one live event."""
        if event.timestamp_ms is not None:
            self.coverage.heard(event.timestamp_ms, now=now)
        self._merge(event, now=now)

    def receive_history(self, history: History, *, now: float) -> int:
        """Takes a history, in an order that does not matter; returns how many events were new."""
        row = self.rows[UNKNOWN]
        row.received += history.malformed
        row.malformed += history.malformed
        if history.malformed:
            words = f"{history.malformed} members of a history are no events"
            self.anomalies.note(AnomalyCode.MALFORMED, None, words)
        new = 0
        for event in history.merge_order():
            event.source = Source.HISTORY
            new += self._merge(event, now=now)
        return new

    def receive_malformed(self, detail: str) -> None:
        """A frame that cannot be understood might have been any event."""
        row = self.rows[UNKNOWN]
        row.received += 1
        row.malformed += 1
        self.anomalies.note(AnomalyCode.UNDECODABLE, None, detail)

    def refuse(self, event: WireEvent) -> None:
        """Counts an event of a connection that we have ended, or that asked for nothing yet."""
        row = self._row(event)
        row.received += 1
        row.discarded += 1
        self.anomalies.note(AnomalyCode.FENCED, None, "event of a connection that does not count")

    def finish(self, event: Event) -> None:
        """The application is done with an event, and so with all that it was given before."""
        if not self.delivery.holds(event):
            raise LocalProtocolError("finished an event that is not outstanding")
        self.delivery.finish(event, self._finished)

    def reject(self, entry: Entry) -> None:
        """The application cannot use an event: counted, and nothing else (HZ-H14).

        What it says of items stands. There is no base to bring back, and the application has the
        event that it lacks in its hands.
        """
        if not self.delivery.holds(entry):
            raise LocalProtocolError("rejected an entry that is not outstanding")
        self.delivery.finish_before(entry, self._finished)
        self.rows[entry.channel].quarantined += 1
        self.anomalies.note(AnomalyCode.ENTRY_REJECTED, entry.channel, "by the application")

    def counters(self) -> dict[str, Counters]:
        """Where every received event went, by its type."""
        return {name: row.counters(self.delivery.load(name)) for name, row in self.rows.items()}

    def _merge(self, event: WireEvent, *, now: float) -> bool:
        """Judges one event; True when nobody had told it before."""
        row = self._row(event)
        row.received += 1
        verdict = self.identities.admit(event.identity, event.raw)
        if verdict is Verdict.REPEATED:
            row.duplicate += 1
            return False
        event.amends = verdict is Verdict.AMENDED
        if event.oddity is not None:
            self.anomalies.note(AnomalyCode.ODD_EVENT, event.channel, event.oddity)
        if event.timestamp_ms is not None and self.is_recorded(event.channel):
            self.coverage.accepted(event.timestamp_ms, now=now)
        fits = self.delivery.put_entry(event, 0)
        if event.news is not None:
            self._of_items.add(event.channel)
            self.items.hear(event, now=now)
        if not fits:
            self._overflow(event.channel, now=now)
        return not event.amends

    def _overflow(self, channel: str, *, now: float) -> None:
        """The application is too slow: what waits of a type is dropped, and told as a gap (R14).

        It is forgotten as well, so that a history can bring it once more.
        """
        with_items = channel in self._of_items
        dropped: list[WireEvent] = []
        # Settlements and confirmations are of one piece: without the others each tells too little.
        for name in sorted(self._of_items) if with_items else (channel,):
            entries = cast("list[WireEvent]", self.delivery.withdraw(name))
            self.rows[name].dropped += len(entries)
            dropped += entries
        for event in dropped:
            self.identities.forget(event.identity)
        if with_items:
            self.items.give_up(dropped)
        times = [event.timestamp_ms for event in dropped if event.timestamp_ms is not None]
        since_ms, until_ms = min(times, default=None), max(times, default=None)
        self.anomalies.note(AnomalyCode.DELIVERY_OVERFLOW, channel, "the application is too slow")
        self.gaps.tell(Gap(since_ms=since_ms, until_ms=until_ms, reason=GapReason.OVERFLOW))
        self.on_dropped(since_ms, now)

    def _finished(self, channel: str, era: int, entries: list[Entry]) -> None:
        del era
        self.rows[channel].applied += len(entries)

    def _row(self, event: WireEvent) -> Row:
        row = self.rows.get(event.channel)
        return row if row is not None else self._meet(event)

    def _meet(self, event: WireEvent) -> Row:
        """The first event of a type, or one of a type for which there is no room any more."""
        if not event.known:
            self.anomalies.note(AnomalyCode.UNKNOWN_TYPE, None, event.channel)
            if not event.channel or self._strangers >= _STRANGERS_MAX:
                event.channel = UNKNOWN
                return self.rows[UNKNOWN]
            self._strangers += 1
        row = self.rows[event.channel] = Row()
        return row
