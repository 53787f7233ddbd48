"""What became of every entry, five ways: applied, duplicate, skipped, lost, phantom.

Counted by name from what was handed in, what the application was told, and what was published; the
sessions' own counters are not asked.
"""

from collections.abc import Hashable, Iterable
from typing import Final, final

import attrs

from lastseen_simulator.delivery import UNKNOWABLE
from lastseen_simulator.truth import Record

__all__ = ["VERDICTS", "Tally", "withheld_unseen"]

VERDICTS: Final[tuple[str, ...]] = ("applied", "duplicate", "skipped", "lost", "phantom")


@final
@attrs.define(eq=False)
class Tally:
    """One client's entries, through all its lives."""

    _came: dict[Hashable, int] = attrs.field(factory=dict[Hashable, int])
    _told: dict[Hashable, int] = attrs.field(factory=dict[Hashable, int])
    _nameless: int = 0
    """Told, of those that have no names; what came of them."""
    _nameless_came: int = 0

    def comes(self, name: Hashable) -> None:
        """An entry is handed in; without a name when it is None."""
        if name is None:
            self._nameless_came += 1
        else:
            self._came[name] = self._came.get(name, 0) + 1

    def tells(self, name: Hashable) -> None:
        """The application is told."""
        if name is None:
            self._nameless += 1
        else:
            self._told[name] = self._told.get(name, 0) + 1

    def lost(self, published: Iterable[tuple[Iterable[Hashable], bool]]) -> Hashable | None:
        """The first that was published, never told, and that nothing accounts for.

        Each comes with all its names, and whether the client may do without it.
        """
        for names, spared in published:
            listed = list(names)
            if not spared and not any(name in self._told for name in listed):
                return listed[0]
        return None

    def count(self, published: Iterable[tuple[Iterable[Hashable], bool]]) -> dict[str, int]:
        """All five, in the order of `VERDICTS`."""
        made: dict[str, int] = dict.fromkeys(VERDICTS, 0)
        made["applied"] = min(self._nameless, self._nameless_came)
        made["skipped"] = max(self._nameless_came - self._nameless, 0)
        made["phantom"] = max(self._nameless - self._nameless_came, 0)
        for name, told in self._told.items():
            came = self._came.get(name, 0)
            made["applied"] += min(told, came)
            made["phantom"] += max(told - came, 0)
            made["duplicate"] += max(came - told, 0)
        known = set[Hashable]()
        for names, spared in published:
            listed = list(names)
            known.update(listed)
            came = sum(self._came.get(name, 0) for name in listed)
            if any(name in self._told for name in listed):
                continue
            made["duplicate"] += max(came - 1, 0)
            made["skipped" if spared else "lost"] += 1
        for name, came in self._came.items():
            if name not in known and name not in self._told:
                # The peer sent it, and never published it.
                made["skipped"] += came
        return made


def withheld_unseen(records: Iterable[Record]) -> set[str | None]:
    """The ids of what somebody was not sent and cannot know of."""
    return {
        each["entryId"]
        for each in records
        if each["kind"] == "withheld" and each["why"] in UNKNOWABLE
    }
