"""Sees the coverage marks of Polymarket US: what a client of one of its streams has met."""

from collections.abc import Mapping
from typing import Final, final

import attrs

from lastseen.events import Anomaly, AnomalyCode, Event
from lastseen.shapes import as_object

__all__ = ["PolymarketUSMarks"]

_ANOMALIES: Final[Mapping[AnomalyCode, str]] = {
    AnomalyCode.UNIT_REGRESSED: "unit behind what is known",
    AnomalyCode.SESSION_CHANGED: "session changed within an answer",
    AnomalyCode.NO_SNAPSHOT: "entries before their snapshot",
    AnomalyCode.HOLD_OVERFLOW: "stream hold overflow",
    AnomalyCode.DELIVERY_OVERFLOW: "stream delivery overflow",
    AnomalyCode.RESUME_ABANDONED: "token given up",
}
_UPDATES: Final = ("resume with 0 updates", "resume with 1 update", "resume with many updates")


@final
@attrs.define(eq=False)
class PolymarketUSMarks:
    """What the present connection has said, as far as marks depend on it."""

    marks: set[str]
    last: str = ""
    resumes: bool = False
    updates: int = 0

    def begun(self, *, resumes: bool) -> None:
        """The first record of an answer came."""
        self.last, self.resumes, self.updates = "", resumes, 0

    def snapshot(self, *, whole: bool) -> None:
        """A snapshot came, or a page of one."""
        if self.resumes and not self.updates:
            self.marks.add("snapshot after a token")
        if not whole:
            self.marks.add("snapshot in pages")
        self.last = "snapshot"

    def update(self, *, based: bool, snapshots: bool) -> None:
        """A change came."""
        if snapshots and not based and not self.resumes:
            self.marks.add("delta before its snapshot")
        self.last, self.updates = "update", self.updates + 1

    def repeated(self) -> None:
        """An execution came again."""
        self.marks.add("duplicate execution suppressed")

    def part(self) -> None:
        """A piece of the body ended inside a record."""
        self.marks.add("record cut across pieces")

    def failed(self, error: object) -> None:
        """An error ended the stream from inside."""
        if self.resumes and not self.updates and as_object(error) is not None:
            self.marks.add("token refused")
        else:
            self.marks.add("error inside a stream")

    def dropped(self) -> None:
        """The connection that counted has ended."""
        if self.resumes:
            self.marks.add(_UPDATES[min(self.updates, 2)])
        if self.last == "snapshot":
            self.marks.add("drop after the snapshot")
        elif self.last == "update":
            self.marks.add("drop among updates")
        self.last = ""

    def gap(self) -> None:
        """Something may have been missed, and that was told."""
        self.marks.add("stream gap told")

    def rebased(self) -> None:
        """A base was applied."""
        self.marks.add("base applied")

    def garbled(self) -> None:
        """A record that cannot be read."""
        self.marks.add("undecodable record")

    def told(self, event: Event) -> None:
        """The session noticed something odd."""
        if isinstance(event, Anomaly) and event.code in _ANOMALIES:
            self.marks.add(_ANOMALIES[event.code])
