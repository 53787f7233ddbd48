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
from typing import Any, Final

import attrs

from lastseen_simulator.polymarket_us.channels import CHANNELS
from lastseen_simulator.polymarket_us.connections import member_of
from lastseen_simulator.polymarket_us.market import Happening
from lastseen_simulator.truth import Record, TruthLog

__all__ = ["PolymarketUSTruth"]

_UNITS_MAX: Final = 100_000
"""Units of a channel whose newest value is kept."""

_HEARD_ONLY: Final = frozenset(
    channel.name for channel in CHANNELS.values() if channel.base == "nothing"
)
"""Channels of which a client knows what it was told, and nothing else."""

Units = dict[str, Mapping[str, Any]]


@attrs.define(eq=False)
class PolymarketUSTruth:
    """Records, and the newest value of every unit."""

    records_max: int
    _log: TruthLog = attrs.field(init=False)
    _units: dict[str, Units] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._log = TruthLog(records_max=self.records_max)
        self._units = {name: {} for name in CHANNELS}

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

    def write_change(self, happening: Happening, *, now: float) -> None:
        """Appends a change, and takes in how it leaves its unit."""
        if happening.unit is not None and happening.value is not None:
            self.fold(happening.unit, happening.value)
        self.write(
            "entry",
            now=now,
            channel=happening.channel,
            entryId=happening.key,
            item=happening.item,
        )

    def records_after(self, number: int) -> tuple[Record, ...]:
        """The kept records numbered above `number`, oldest first."""
        return self._log.records_after(number)

    def entries(self) -> tuple[Record, ...]:
        """The kept records of kind `entry`."""
        return self._log.entries()

    def to_jsonl(self) -> str:
        """The kept records, one JSON object a line, in order."""
        return self._log.to_jsonl()

    def fold(self, unit: str, value: Mapping[str, Any]) -> None:
        """A unit is so from now on."""
        units = self._units[unit.partition("/")[0]]
        units.pop(unit, None)
        units[unit] = value
        if len(units) > _UNITS_MAX:
            del units[next(iter(units))]

    def state(
        self,
        *,
        channels: Iterable[str] | None = None,
        accounts: Iterable[str] | None = None,
        symbols: Iterable[str] | None = None,
        connections: Iterable[int] | None = None,
    ) -> dict[str, Any]:
        """Unit key → value, of all units or of some; orders that are done are among them.

        With `connections`, drop copies, trades and position changes are those that these streams
        were sent, as far as the kept records tell: nobody can know more of what has no snapshot.
        """
        wanted = frozenset(CHANNELS) if channels is None else frozenset(channels)
        theirs = None if accounts is None else frozenset(accounts)
        shown = None if symbols is None else frozenset(symbols)
        heard = {} if connections is None else self._heard(frozenset(connections))
        state: dict[str, Any] = {}
        for channel, units in self._units.items():
            if channel not in wanted:
                continue
            if connections is not None and channel in _HEARD_ONLY:
                units = heard.get(channel, {})
            for unit, value in units.items():
                if _is_of(value, "account", theirs) and _is_of(value, "symbol", shown):
                    state[unit] = dict(value)
        return state

    def _heard(self, connections: frozenset[int]) -> dict[str, Units]:
        """By channel, the units as these streams heard of them last."""
        sent = {
            (record["channel"], record["entryId"])
            for record in self._log.records
            if record["kind"] == "sent" and record["connection"] in connections
        }
        heard: dict[str, Units] = {}
        for record in self._log.entries():
            channel = record["channel"]
            if channel in _HEARD_ONLY and (channel, record["entryId"]) in sent:
                unit, value = unit_of(channel, record["item"])
                heard.setdefault(channel, {})[unit] = value
        return heard


def unit_of(channel: str, item: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Which unit a drop copy, a trade or a position change leaves how.

    >>> unit_of("trade_capture", {"id": "t-1", "state": "NEW"})
    ('trade_capture/t-1', {'id': 't-1', 'state': 'NEW'})
    """
    if channel == "position_changes":
        position = item["position"]
        unit = f"{channel}/{position['account']}/{position['symbol']}"
        return unit, {**position, "changeTime": item["changeTime"]}
    return f"{channel}/{item['id']}", item


def _is_of(value: Mapping[str, Any], member: str, names: frozenset[str] | None) -> bool:
    return names is None or member_of(value, member) in (None, *names)
