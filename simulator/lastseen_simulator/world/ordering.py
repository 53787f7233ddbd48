"""INV-S9, S22: what a base does away with, and the order in which entries are told."""

from collections.abc import Collection, Iterable
from typing import final

import attrs

from lastseen_simulator.world.watching import Watch

__all__ = ["OrderWatch"]


@final
@attrs.define(eq=False, kw_only=True)
class OrderWatch(Watch):
    """Knows when each entry came, and what a base has."""

    _came: dict[tuple[str, str], int] = attrs.field(factory=dict[tuple[str, str], int])
    """(channel, id) → when it came first over the present connection, counted."""
    _told: dict[tuple[str, ...], tuple[int, str]] = attrs.field(
        factory=dict[tuple[str, ...], tuple[int, str]]
    )

    def comes(self, channel: str, entry_id: str) -> None:
        """An entry is handed in."""
        self._came.setdefault((channel, entry_id), len(self._came))

    def begins(self) -> None:
        """Another connection counts, and says anew what it has to say."""
        self._came.clear()
        self._told.clear()

    def tells(self, channel: str, entry_id: str, *which: str) -> None:
        """An entry is told; `which` says among what the order counts."""
        at = self._came.get((channel, entry_id))
        if at is None:
            return
        before, name = self._told.get((channel, *which), (-1, ""))
        if at < before:
            self.blame("S22", f"tells of {channel} {entry_id} after {name}, which came later")
        self._told[channel, *which] = (at, entry_id)

    def check_replaced(self, prefix: str, present: Iterable[str], based: Collection[str]) -> None:
        """A base was taken in: what it and what is laid on it do not have is gone."""
        for unit in present:
            if unit.startswith(prefix) and unit not in based:
                self.blame("S9", f"{unit} is still there after a base without it")
