"""The truth of a Polymarket US gateway: what it published, and how every unit stands.

The records are those of every gateway (see `truth`), and of the kind

    base        session, state                   the venue before the first change
    entry       channel, entryId, item
    asked       connection, path, channel, resumes, verdict     a stream was asked for
    restart     cause, session

`restart` begins another session of the gateway. The state is folded here from what is published,
unit by unit, apart from what any client thinks of it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from lastseen_simulator.truth import Record, TruthLog

__all__ = ["PolymarketUSTruth"]

_UNITS_MAX = 200_000


@attrs.define(eq=False)
class PolymarketUSTruth:
    """Records, and the newest value of every unit."""

    records_max: int
    _log: TruthLog = attrs.field(init=False)
    _units: dict[str, Mapping[str, Any]] = attrs.field(
        init=False, factory=dict[str, Mapping[str, Any]]
    )

    def __attrs_post_init__(self) -> None:
        self._log = TruthLog(records_max=self.records_max)

    @property
    def records(self) -> tuple[Record, ...]:
        """The kept records, oldest first."""
        return self._log.records

    @property
    def written(self) -> int:
        """How many records there ever were; the number of the newest."""
        return self._log.written

    def write(self, kind: str, /, *, now: float, **members: Any) -> None:
        """Appends a record."""
        self._log.write(kind, now=now, **members)

    def records_after(self, number: int) -> tuple[Record, ...]:
        """The kept records numbered above `number`, oldest first."""
        return self._log.records_after(number)

    def to_jsonl(self) -> str:
        """The kept records, one JSON object a line, in order."""
        return self._log.to_jsonl()

    def fold(self, unit: str, value: Mapping[str, Any]) -> None:
        """A unit is so from now on."""
        self._units.pop(unit, None)
        self._units[unit] = value
        if len(self._units) > _UNITS_MAX:
            del self._units[next(iter(self._units))]

    def state(
        self,
        *,
        channels: Iterable[str] | None = None,
        accounts: Iterable[str] | None = None,
        symbols: Iterable[str] | None = None,
    ) -> dict[str, Any]:
        """Unit key → value, of all units or of some; orders that are done are among them."""
        wanted = None if channels is None else frozenset(channels)
        state: dict[str, Any] = {}
        for unit, value in self._units.items():
            if wanted is not None and unit.partition("/")[0] not in wanted:
                continue
            if _is_of(value, "account", accounts) and _is_of(value, "symbol", symbols):
                state[unit] = dict(value)
        return state


def _is_of(value: Mapping[str, Any], member: str, names: Iterable[str] | None) -> bool:
    return names is None or member not in value or value[member] in frozenset(names)
