"""Sees the coverage marks of PolyNode: what a client of it has met."""

from collections.abc import Mapping
from typing import Final, final

import attrs

from lastseen.events import Anomaly, AnomalyCode, Event

__all__ = ["PolyNodeMarks"]

_NEW: Final = ("history with nothing new", "history with 1 new event", "history with many new")
_ANOMALIES: Final[Mapping[AnomalyCode, str]] = {
    AnomalyCode.SUBSCRIBE_UNANSWERED: "subscribe unanswered",
    AnomalyCode.HISTORY_UNANSWERED: "history unanswered",
    AnomalyCode.DELIVERY_OVERFLOW: "history delivery overflow",
    AnomalyCode.ITEM_LIMIT: "item limit",
}
_DROPS: Final[Mapping[str, str]] = {
    "granted": "drop between ack and history",
    "history": "drop after a history",
    "live": "drop among live events",
}


@final
@attrs.define(eq=False)
class PolyNodeMarks:
    """What the present connection has said, as far as marks depend on it."""

    marks: set[str]
    last: str = ""

    def granted(self) -> None:
        """A subscribe was acknowledged."""
        self.last = "granted"

    def history(self, *, granted: bool) -> None:
        """A history came, after the ack or before it."""
        if granted:
            self.marks.add("history after the ack")
        else:
            self.marks.add("history before the ack")
        self.last = "history"

    def live(self, *, granted: bool) -> None:
        """A live event came."""
        if not granted:
            self.marks.add("live event before the ack")
        self.last = "live"

    def merged(self, new: int) -> None:
        """A history was merged."""
        self.marks.add(_NEW[min(new, 2)])

    def repeated(self, *, live: bool) -> None:
        """An event came again."""
        if live:
            self.marks.add("duplicate suppressed among live events")
        else:
            self.marks.add("duplicate suppressed in a history")

    def orphan_matched(self) -> None:
        """A settlement came after its confirmation."""
        self.marks.add("orphan confirm matched")

    def late_confirm(self) -> None:
        """A confirmation came after its item had timed out."""
        self.marks.add("late confirm after timeout")

    def timed_out(self) -> None:
        """An item timed out."""
        self.marks.add("item timed out")

    def gap(self) -> None:
        """Something may have been missed, and that was told."""
        self.marks.add("gap told")

    def dropped(self) -> None:
        """The connection that counted has ended."""
        if self.last:
            self.marks.add(_DROPS[self.last])
        self.last = ""

    def garbled(self) -> None:
        """A message that cannot be read."""
        self.marks.add("undecodable message")

    def told(self, event: Event) -> None:
        """The session noticed something odd."""
        if isinstance(event, Anomaly) and event.code in _ANOMALIES:
            self.marks.add(_ANOMALIES[event.code])
