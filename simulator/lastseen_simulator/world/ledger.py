"""What the gateway of OddsPapi published, numbered in order, as its truth log tells it."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import Any, Final, final

import attrs

from lastseen_simulator.delivery import UNKNOWABLE
from lastseen_simulator.gateways import Truth
from lastseen_simulator.truth import Record, unit_keys

__all__ = ["Ledger", "Publication"]

_BEHIND: Final = re.compile(r"([0-9.e+-]+) s behind")


@final
@attrs.frozen(eq=False)
class Publication:
    """One published change: its number, from 1, and the units it sets."""

    number: int
    at: float
    channel: str
    units: tuple[str, ...]
    entity: str | None


@final
@attrs.define(eq=False)
class Ledger:
    """Publications by number, by channel, by unit, and by the ids they bear in each epoch."""

    truth: Truth
    lag_s: float = 0.0
    """By how much every answer is."""
    publications: list[Publication] = attrs.field(init=False, factory=list[Publication])
    ids: dict[tuple[str, str], dict[str, int]] = attrs.field(
        init=False, factory=dict[tuple[str, str], dict[str, int]]
    )
    """(epoch, channel) → entry id → number."""
    by_unit: dict[str, list[int]] = attrs.field(init=False, factory=dict[str, list[int]])
    by_channel: dict[str, list[Publication]] = attrs.field(
        init=False, factory=dict[str, list[Publication]]
    )
    withheld: set[int] = attrs.field(init=False, factory=set[int])
    """Those that somebody was not sent: coalesced into newer ones, or owned up to as lost."""
    slow: set[int] = attrs.field(init=False, factory=set[int])
    """Those that say they are older than one that was published before: a clock stepped back."""
    replayed: dict[int, int] = attrs.field(init=False, factory=dict[int, int])
    """Connection → how many entries it was replayed."""
    epochs: list[str] = attrs.field(init=False, factory=list[str])
    _read: int = attrs.field(init=False, default=0)
    _payload: Any = attrs.field(init=False, default=None)
    _behind_s: float = attrs.field(init=False, default=0.0)
    """By how much the newest answer is old, beyond what every answer is."""
    _empty: bool = attrs.field(init=False, default=False)
    """The newest answer has nothing, whatever there is."""
    _now: float = attrs.field(init=False, default=0.0)
    _latest_ms: int = attrs.field(init=False, default=0)
    _times: list[float] = attrs.field(init=False, factory=list[float])

    def read(self) -> None:
        """Takes in what the truth log has that was not read yet."""
        if self.truth.written == self._read:
            return
        for record in self.truth.records_after(self._read):
            self._take(record)
        self._read = self.truth.written

    @property
    def count(self) -> int:
        """The number of the newest publication."""
        return len(self.publications)

    def number(self, epoch: str | None, channel: str, entry_id: str | None) -> int | None:
        """Which publication an id names in an epoch; None when it was never issued there."""
        if epoch is None or entry_id is None:
            return None
        return self.ids.get((epoch, channel), {}).get(entry_id)

    def seen(self, path: str) -> int:
        """Up to which publication the answer that was just made goes; -1 for one that is a lie."""
        del path
        self._behind_s, self._empty = 0.0, False
        self.read()
        return -1 if self._lies() else self._as_of(max(self.lag_s, self._behind_s))

    def newest(self, unit: str, limit: int) -> int:
        """The newest publication of a unit up to a number; 0 when it is as it was at first."""
        numbers = self.by_unit.get(unit)
        if not numbers:
            return 0
        index = bisect_right(numbers, limit)
        return numbers[index - 1] if index else 0

    def _lies(self) -> bool:
        return self._empty

    def _as_of(self, behind_s: float) -> int:
        return bisect_left(self._times, self._now - behind_s) if behind_s else self.count

    def _take(self, record: Record) -> None:
        self._now = record["at"]
        match record["kind"]:
            case "entry":
                self._publish(record)
            case "epoch":
                self.epochs.append(record["epoch"])
            case "withheld" if record["why"] in UNKNOWABLE:
                self._withhold(record)
            case "sent":
                if record["how"] == "replayed":
                    number = record["connection"]
                    self.replayed[number] = self.replayed.get(number, 0) + 1
            case "fault":
                if record["fault_kind"] == "stale":
                    told = _BEHIND.search(record["detail"])
                    self._behind_s = float(told[1]) if told is not None else 0.0
                elif record["fault_kind"] == "empty":
                    self._empty = True
            case _:
                pass

    def _publish(self, record: Record) -> None:
        channel, payload = record["channel"], record["payload"]
        if payload is not self._payload:
            # The same change is published in every living epoch, one after the other.
            self._payload = payload
            publication = Publication(
                number=len(self.publications) + 1,
                at=record["at"],
                channel=channel,
                units=unit_keys(channel, payload),
                entity=_entity(payload),
            )
            self.publications.append(publication)
            at_ms = int(record["entryId"].partition("-")[0])
            if at_ms < self._latest_ms:
                self.slow.add(publication.number)
            self._latest_ms = max(self._latest_ms, at_ms)
            self._times.append(publication.at)
            self.by_channel.setdefault(channel, []).append(publication)
            for unit in publication.units:
                self.by_unit.setdefault(unit, []).append(publication.number)
        number = len(self.publications)
        self.ids.setdefault((record["epoch"], channel), {})[record["entryId"]] = number

    def _withhold(self, record: Record) -> None:
        for epoch in self.epochs:
            number = self.number(epoch, record["channel"] or "", record["entryId"])
            if number is not None:
                self.withheld.add(number)


def _entity(payload: Mapping[str, Any]) -> str | None:
    for member in ("fixtureId", "futureId"):
        named = payload.get(member)
        if isinstance(named, str):
            return named
    return None
