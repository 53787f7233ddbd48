"""How far along each unit is: what says less of it than is known is old news (HZ-F5)."""

from collections.abc import Mapping

import attrs

__all__ = ["Progress"]


@attrs.define(eq=False, repr=False)
class Progress:
    """The last progress of at most `units_max` units; the one that moved least recently goes first.

    A unit that was forgotten is unguarded until it says its progress again: what it says then is
    believed, as it is of a unit that never says any.
    """

    units_max: int
    _known: dict[str, tuple[int, ...]] = attrs.field(init=False, factory=dict[str, tuple[int, ...]])

    def admit(self, unit: str, progress: tuple[int, ...]) -> bool:
        """Notes how far along a unit is; False for less than is known (`facts` §7.9).

        >>> progress = Progress(units_max=10)
        >>> [progress.admit("o-1", (cumulative,)) for cumulative in (0, 6, 4, 6)]
        [True, True, False, True]
        """
        known = self._known.pop(unit, None)
        if known is not None and progress < known:
            self._known[unit] = known
            return False
        self._known[unit] = progress
        if len(self._known) > self.units_max:
            del self._known[next(iter(self._known))]
        return True

    def is_behind(self, unit: str, progress: tuple[int, ...]) -> bool:
        """Whether a unit is known to be less far along than this, or is not known at all."""
        known = self._known.get(unit)
        return known is None or known < progress

    def regressing(self, units: Mapping[str, tuple[int, ...]]) -> str | None:
        """The first of these units that is known to be further along."""
        known = self._known
        for unit, progress in units.items():
            before = known.get(unit)
            if before is not None and progress < before:
                return unit
        return None

    def replace(self, units: Mapping[str, tuple[int, ...]]) -> None:
        """A new base says how far along its units are; all others are gone."""
        self._known = dict(units)
        while len(self._known) > self.units_max:
            del self._known[next(iter(self._known))]

    def __len__(self) -> int:
        return len(self._known)
