"""What a history snapshot can cover of the time away, and what nobody can show us any more.

A feed without cursors is caught up with by asking for recent events: those since a moment, or the
last few. Both have limits, and neither answer says whether it reached back far enough. So this
compares what came with what was missed, and names the bounds of a gap where it cannot be ruled out.
That no gap is named proves nothing: such a feed is never claimed to be gapless (`facts/polynode.md`
§6).
"""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple, final

import attrs

from lastseen.errors import ConfigurationError
from lastseen.events import Gap, GapReason

__all__ = ["Coverage", "Gap", "GapReason", "HistoryRequest"]

_STEP_MS = 60_000
"""Two clocks that differ by more do not merely run late."""

_STEPS_MAX = 3
"""So many readings in a row that differ by more are the truth about the peer's clock."""


@final
@attrs.frozen(kw_only=True)
class HistoryRequest:
    """What to ask for with a subscribe; both None leaves it to what the subscription says."""

    since_ms: int | None = None
    count: int | None = None


class _Away(NamedTuple):
    accepted_ms: int
    """The time of the last event before."""
    missing_from: int
    """Since when events may have been missed; later, when the connection outlived that event."""


def _positive(_: object, attribute: "attrs.Attribute[Any]", value: float | None) -> None:
    if value is not None and not value > 0:
        raise ConfigurationError(f"{attribute.name} must be above 0, not {value}")


def _below_lookback(coverage: "Coverage", _: object, value: int) -> None:
    if not 0 <= value < coverage.lookback_ms:
        raise ConfigurationError(f"overlap_ms must be below lookback_ms, not {value}")


@final
@attrs.define(eq=False, repr=False, on_setattr=attrs.setters.NO_OP)
class Coverage:
    """How far we have heard, by the server's clock, and what each subscription has yet to catch up.

    `heard` and `accepted` follow the live stream, `lost` marks the end of a connection. Then for
    each subscription `request` says what to ask for, and `covered` judges what came. A subscription
    that is lost once more before it has caught up still misses everything since the first time.
    """

    lookback_ms: int = attrs.field(default=30_000, validator=_positive)
    """How far the peer's history reaches; the published minimum (`facts` §6)."""
    count_max: int = attrs.field(default=20, validator=_positive)
    """How many events it holds; the published minimum."""
    overlap_ms: int = attrs.field(default=5_000, validator=_below_lookback)
    """Asked for once more, as events are sent in the order of their times at best roughly (`facts`
    §8). The vendor's own clients use 1 ms."""
    by_count: int | None = attrs.field(default=None, validator=_positive)
    """Ask for the last so many instead, as the vendor's advice to application authors has it."""
    implausible: int = attrs.field(init=False, default=0)
    """Event times that lay too far ahead of the server's clock to be believed."""
    _accepted_ms: int | None = attrs.field(init=False, default=None)
    _offset_ms: float | None = attrs.field(init=False, default=None)
    """The server's clock less ours; late frames make it too small, so the greatest one counts."""
    _steps: int = attrs.field(init=False, default=0)
    _away: dict[Hashable, _Away | None] = attrs.field(
        init=False, factory=dict[Hashable, _Away | None]
    )
    """By subscription, what it has to catch up with; None when there is nothing."""

    def heard(self, timestamp_ms: int, *, now: float) -> None:
        """A frame told the server's time: a heartbeat, or an event that was not history."""
        reading = timestamp_ms - now * 1000
        if self._offset_ms is None or abs(reading - self._offset_ms) <= _STEP_MS:
            known = self._offset_ms
            self._offset_ms = reading if known is None else max(reading, known)
            self._steps = 0
            return
        self._steps += 1
        if self._steps == _STEPS_MAX:
            self._offset_ms, self._steps = reading, 0

    def accepted(self, timestamp_ms: int, *, now: float) -> None:
        """An event of this time, live or history, is with the application."""
        if self._accepted_ms is not None and timestamp_ms <= self._accepted_ms:
            return
        if self._is_ahead(timestamp_ms, now=now):
            # Believed, it would make us skip all that happens until then.
            self.implausible += 1
            return
        self._accepted_ms = timestamp_ms

    @property
    def accepted_ms(self) -> int | None:
        """The time of the newest event."""
        return self._accepted_ms

    def server_ms(self, *, now: float) -> int | None:
        """The server's clock, behind by as much as its quickest frame took."""
        return None if self._offset_ms is None else round(now * 1000 + self._offset_ms)

    def lost(self, *, heard_at: float) -> None:
        """The connection is gone, and was last heard at this moment."""
        server_ms = self.server_ms(now=heard_at)
        if self._accepted_ms is not None and self._is_ahead(self._accepted_ms, now=heard_at):
            # Accepted before anything had told the time.
            self.implausible += 1
            self._accepted_ms = server_ms
        known = [] if self._accepted_ms is None else [self._accepted_ms]
        if server_ms is not None:
            # While the connection was there and nothing came, nothing was missed.
            known.append(server_ms - self.overlap_ms)
        away = _Away(known[0], max(known)) if known else None
        for name, still in self._away.items():
            self._away[name] = still or away

    def request(self, name: Hashable) -> HistoryRequest:
        """What a subscription asks for; the first time that is not for us to say."""
        away = self._away.setdefault(name, None)
        if away is None:
            return HistoryRequest()
        if self.by_count is not None:
            return HistoryRequest(count=self.by_count)
        return HistoryRequest(since_ms=max(0, away.accepted_ms - self.overlap_ms))

    def covered(
        self,
        name: Hashable,
        timestamps: Sequence[int | None],
        *,
        warned: bool = False,
        now: float,
    ) -> Gap | None:
        """Judges a history by its events' times; the subscription has caught up, gap or not.

        An answer that reaches back to where we were leaves nothing out. Any other may: when we were
        away for longer than the peer looks back, or when it is as long as an answer can be.
        """
        away = self._away.get(name)
        if away is None:
            return None
        self._away[name] = None
        times = [stamp for stamp in timestamps if stamp is not None]
        server_ms, full = self.server_ms(now=now), self._is_full(len(timestamps))
        if warned and away.accepted_ms == away.missing_from:
            # Otherwise we asked for more than was missed, and the warning may be about that.
            reason = GapReason.WARNED
        elif min(times, default=away.missing_from + 1) < away.missing_from + (not full):
            # What a count cuts off may have the very time of the last that it leaves.
            return None
        elif server_ms is None or away.missing_from < server_ms - self.lookback_ms:
            reason = GapReason.WINDOW
        elif full:
            reason = GapReason.COUNT
        else:
            return None
        later = [stamp for stamp in times if stamp > away.missing_from]
        until_ms = min(later, default=server_ms)
        return Gap(since_ms=away.missing_from, until_ms=until_ms, reason=reason, subscription=name)

    def uncovered(self, name: Hashable, *, now: float) -> Gap | None:
        """The history that was asked for did not come, and will not."""
        away = self._away.get(name)
        if away is None:
            return None
        self._away[name] = None
        until_ms = self.server_ms(now=now)
        return Gap(
            since_ms=away.missing_from,
            until_ms=until_ms,
            reason=GapReason.UNANSWERED,
            subscription=name,
        )

    def drop(self, name: Hashable) -> None:
        """The subscription is given up."""
        self._away.pop(name, None)

    def _is_full(self, count: int) -> bool:
        if self.by_count is not None:
            return count >= min(self.by_count, self.count_max)
        # More than that many show that answers to a moment are not limited so.
        return count == self.count_max

    def _is_ahead(self, timestamp_ms: int, *, now: float) -> bool:
        server_ms = self.server_ms(now=now)
        return server_ms is not None and timestamp_ms > server_ms + _STEP_MS
