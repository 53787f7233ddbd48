"""Mechanisms of which one is wrong, beside those of `lastseen_simulator.broken`."""

from collections.abc import Collection
from typing import final

import attrs

from lastseen.backoff import ConnectGate
from lastseen.dedup import Dedup
from lastseen.events import Entry
from lastseen.hold import Hold, Share
from lastseen.position import Cursor, Position, PositionKeeper

__all__ = [
    "AcceptsAll",
    "ClockDecides",
    "KeepsAcrossEpochs",
    "MovesWithoutPause",
    "NoPlace",
    "NumbersAsText",
    "tiny_hold",
]


@attrs.define(eq=False, repr=False)
class _Careful(Dedup):
    """Looks at every id on its own."""

    def frontier(self) -> Cursor | None:
        """None: no run of ids is taken without a look."""
        return None


@final
@attrs.define(eq=False, repr=False)
class AcceptsAll(_Careful):
    """Takes whatever comes, however often."""

    def admit(self, cursor: Cursor) -> bool:
        """New, always."""
        Dedup.admit(self, cursor)
        return True

    def admit_replayed(self, cursor: Cursor) -> bool:
        """New, always."""
        Dedup.admit_replayed(self, cursor)
        return True


@final
@attrs.define(eq=False, repr=False)
class KeepsAcrossEpochs(_Careful):
    """Remembers ids of an epoch that is over."""

    def reset(self) -> None:
        """Forgets nothing that it could compare exactly."""
        ring = list(self._ring)
        Dedup.reset(self)
        self._ring.extend(ring)
        self._members = set(ring)


@final
@attrs.define(eq=False, repr=False)
class NumbersAsText(_Careful):
    """Compares ids as texts: 9 comes after 10."""

    def admit(self, cursor: Cursor) -> bool:
        """Whether its text comes after the last one's."""
        newest = self.newest()
        if newest is not None and f"{cursor[0]}-{cursor[1]}" <= f"{newest[0]}-{newest[1]}":
            return False
        return Dedup.admit(self, cursor)


@final
@attrs.define(eq=False, repr=False)
class ClockDecides(_Careful):
    """Takes for old what carries an older time."""

    def admit(self, cursor: Cursor) -> bool:
        """Whether its time is not before the last one's."""
        newest = self.newest()
        if newest is not None and cursor[0] < newest[0]:
            return False
        return Dedup.admit(self, cursor)


@final
@attrs.define(eq=False, repr=False)
class _TinyHold(Hold):
    """Keeps the last entry of those that wait, and says that all is well."""

    def put(self, entry: Entry) -> bool:
        """Makes room by forgetting."""
        Hold.put(self, entry)
        while len(self._entries) > 1:
            size = self._entries.popleft().size
            self._bytes -= size
            self.share.bytes -= size
        return True


def tiny_hold(items_max: int, bytes_max: int, share: Share) -> Hold:
    """For `Mechanisms`."""
    return _TinyHold(items_max, bytes_max, share)


@final
@attrs.define(eq=False)
class NoPlace(PositionKeeper):
    """Does not remember where it is."""

    def restore(self, position: Position, bases: Collection[str]) -> None:
        """Starts from nothing."""

    def advance(self, channel: str, entry_id: str) -> None:
        """Notes nothing."""


@final
@attrs.define(eq=False)
class MovesWithoutPause(ConnectGate):
    """Follows each `reconnect` at once, however many there are."""

    def request(self, *, planned: bool = False, at_least_s: float = 0.0, now: float) -> float:
        """Without a delay when the move was asked for."""
        if planned and self.due_at is None:
            self.due_at = now
            return 0.0
        return ConnectGate.request(self, planned=planned, at_least_s=at_least_s, now=now)
