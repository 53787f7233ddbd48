"""Counting what is odd, and telling it without flooding anybody."""

from collections.abc import Callable
from typing import final

import attrs

from lastseen.delivery import Delivery
from lastseen.events import Anomaly, AnomalyCode

__all__ = ["Anomalies"]

_Kind = tuple[AnomalyCode, str | None]

_KINDS_MAX = 4096
_DETAIL_CHARACTERS_MAX = 200


@final
@attrs.define(eq=False, repr=False)
class Anomalies:
    """Every anomaly is counted; the 1st, 2nd, 4th, 8th … of a kind is also told."""

    delivery: Delivery
    redact: Callable[[str], str] = str
    """Takes our key out of a peer's words."""
    counts: dict[_Kind, int] = attrs.field(init=False, factory=dict[_Kind, int])

    def note_blocked(self, seconds: float) -> None:
        """Counts a time in which nothing could run (HZ-I1)."""
        words = f"nothing could run for {seconds:.1f} s"
        self.note(AnomalyCode.EVENT_LOOP_BLOCKED, None, words)

    def note(self, code: AnomalyCode, channel: str | None, detail: str) -> None:
        """Counts one anomaly; `detail` is our words, or the peer's made printable (HZ-K12)."""
        if len(self.counts) >= _KINDS_MAX and (code, channel) not in self.counts:
            channel = None
        count = self.counts[code, channel] = self.counts.get((code, channel), 0) + 1
        if count & (count - 1) == 0:
            words = self.redact(detail)[:_DETAIL_CHARACTERS_MAX]
            shown = "".join(c if c.isprintable() else "�" for c in words)
            self.delivery.put(Anomaly(code=code, channel=channel, detail=shown, count=count))
