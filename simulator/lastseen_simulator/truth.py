"""The truth log: everything the gateway published and did, and the state that follows from it.

The log is the oracle for every client, so it knows nothing of clients: it folds the published
entries itself, down to the unit that the wire replaces whole (`facts` §6.0).

A record is one JSON object with `n` (1, 2, …), `at` (the gateway's monotonic seconds), `kind` and,
by kind:

    base        epoch, state                     the market before the first entry
    epoch       epoch, cause                     a new epoch serves logins from here on
    entry       epoch, channel, entryId, payload
    opened      connection, ordinal
    login       connection, login, verdict       the key redacted
    control     connection, frame
    sent        connection, channel, entryId, how          live, replayed, duplicate
    withheld    connection, channel, entryId, why
    ignored     connection, size                 a frame after the login
    closed      connection, by, code, reason     by: server, client, server_abort
    request     request, method, path, query, status       the key redacted
    fault       fault, fault_kind, detail
"""

import collections
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs
import msgspec

from lastseen_simulator.channels import CHANNELS, ROOTS, Channel, entity_of, section_of

__all__ = ["REDACTED", "Record", "TruthLog", "is_secret", "unit_keys"]

Record = dict[str, Any]

REDACTED = "***"

_SECRET_NAMES = ("apikey", "key", "token", "authorization")
_FINISHED = (2, 3)


@attrs.frozen(kw_only=True)
class _Unit:
    channel: Channel
    entity: str
    bookmaker: str | None
    value: Any


@attrs.define(eq=False)
class TruthLog:
    """Records, the newest `records_max` of them, and the state after the last entry."""

    records_max: int = 200_000
    _records: collections.deque[Record] = attrs.field(init=False, factory=collections.deque[Record])
    _written: int = attrs.field(init=False, default=0)
    _units: dict[str, _Unit] = attrs.field(init=False, factory=dict[str, _Unit])

    @property
    def records(self) -> tuple[Record, ...]:
        """The kept records, oldest first."""
        return tuple(self._records)

    @property
    def written(self) -> int:
        """How many records there ever were; the number of the newest."""
        return self._written

    def write(self, kind: str, /, *, now: float, **members: Any) -> None:
        """Appends a record."""
        self._written += 1
        self._records.append({"n": self._written, "at": now, "kind": kind, **members})
        if len(self._records) > self.records_max:
            self._records.popleft()

    def write_base(
        self,
        epoch: str,
        payloads: Iterable[tuple[str, Mapping[str, Any]]],
        *,
        now: float,
    ) -> None:
        """Appends the state before the first entry, given as channel and payload."""
        for channel, payload in payloads:
            self.fold(channel, payload)
        state = {key: unit.value for key, unit in self._units.items()}
        self.write("base", now=now, epoch=epoch, state=state)

    def write_entry(
        self, epoch: str, channel: str, entry_id: str, payload: Mapping[str, Any], *, now: float
    ) -> None:
        """Appends an entry and folds it into the state; the same payload folds to the same."""
        self.write(
            "entry", now=now, epoch=epoch, channel=channel, entryId=entry_id, payload=payload
        )
        self.fold(channel, payload)

    def fold(self, channel: str, payload: Mapping[str, Any]) -> None:
        """Replaces the units the payload carries."""
        for key, unit in _units_in(channel, payload):
            self._units[key] = unit

    def records_after(self, number: int) -> tuple[Record, ...]:
        """The kept records numbered above `number`, oldest first."""
        newer = self._written - number
        if newer <= 0:
            return ()
        # From the newest end, where there are few of them and not all the others.
        return tuple(itertools.islice(reversed(self._records), newer))[::-1]

    def entries(self) -> tuple[Record, ...]:
        """The kept records of kind `entry`."""
        return tuple(record for record in self._records if record["kind"] == "entry")

    def state(
        self,
        *,
        channels: Iterable[str] | None = None,
        sport_ids: Iterable[int] | None = None,
        tournament_ids: Iterable[int] | None = None,
        fixture_ids: Iterable[str] | None = None,
        future_ids: Iterable[str] | None = None,
        bookmakers: Iterable[str] | None = None,
    ) -> dict[str, Any]:
        """Unit key → value for a subscription; None is unfiltered.

        Sports and tournaments narrow fixtures and futures, `fixture_ids` and `future_ids` only
        their own; no filter concerns currencies (§2.1).

        Inactive odds rows count as absent. Odds and bookmakers of whatever is finished or
        cancelled are left out: the vendor stops serving them, so nobody can be asked to agree on
        them.
        """
        wanted = None if channels is None else frozenset(channels)
        books = None if bookmakers is None else frozenset(bookmakers)
        entities = _Entities(
            units=self._units,
            sport_ids=None if sport_ids is None else tuple(sport_ids),
            tournament_ids=None if tournament_ids is None else tuple(tournament_ids),
            ids={
                "fixtureId": None if fixture_ids is None else frozenset(fixture_ids),
                "futureId": None if future_ids is None else frozenset(future_ids),
            },
        )
        return {
            key: unit.value
            for key, unit in self._units.items()
            if (wanted is None or unit.channel.name in wanted)
            and (unit.bookmaker is None or books is None or unit.bookmaker in books)
            and entities.covers(unit)
            and not (unit.channel.gated and entities.is_over(unit))
            and not (unit.channel.priced and not _member(unit.value, "active"))
        }

    def to_jsonl(self) -> str:
        """The kept records, one JSON object a line, in order."""
        return to_jsonl(self._records)


def to_jsonl(records: Iterable[Record]) -> str:
    """One JSON object a line; values are redacted when they are recorded, not here."""
    encoder = msgspec.json.Encoder()
    return "".join(encoder.encode(record).decode() + "\n" for record in records)


def is_secret(name: str) -> bool:
    """Whether a member or parameter of this name may hold a key, however it is spelled.

    >>> is_secret("api_key"), is_secret("sportId")
    (True, False)
    """
    return name.lower().replace("_", "").replace("-", "").removeprefix("x") in _SECRET_NAMES


def unit_keys(channel: str, payload: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys of the units a payload carries.

    >>> unit_keys("scores", {"fixtureId": "f1", "scores": {"p1": {}}})
    ('scores/f1/p1',)
    """
    return tuple(key for key, _ in _units_in(channel, payload))


def _units_in(name: str, payload: Mapping[str, Any]) -> Iterator[tuple[str, _Unit]]:
    channel = CHANNELS.get(name)
    if channel is None or channel.depth is None:
        return
    entity, section = entity_of(channel, payload), section_of(channel, payload)
    if entity is None or not isinstance(section, Mapping):
        return
    root = (name,) if channel.entity is None else (name, entity)
    for path, value in _leaves(section, channel.depth):
        book = path[0] if channel.gated else None
        unit = _Unit(channel=channel, entity=entity, bookmaker=book, value=value)
        yield "/".join(root + path), unit


def _leaves(value: Any, depth: int) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What lies so many names deep, with those names."""
    if depth == 0:
        yield (), value
        return
    for name, part in _members(value):
        for path, leaf in _leaves(part, depth - 1):
            yield (name, *path), leaf


@attrs.define(eq=False)
class _Entities:
    """Which fixtures and futures a filter covers, decided once for each; `ids` by what names it."""

    units: Mapping[str, _Unit]
    sport_ids: tuple[int, ...] | None
    tournament_ids: tuple[int, ...] | None
    ids: Mapping[str, frozenset[str] | None]
    _covered: dict[str, bool] = attrs.field(init=False, factory=dict[str, bool])

    def covers(self, unit: _Unit) -> bool:
        kind = unit.channel.entity
        if kind is None:
            return True
        described_by = f"{ROOTS[kind]}/{unit.entity}"
        known = self._covered.get(described_by)
        if known is None:
            known = self._judge(self._value(described_by), unit.entity, self.ids[kind])
            self._covered[described_by] = known
        return known

    def is_over(self, unit: _Unit) -> bool:
        kind = unit.channel.entity
        subject = None if kind is None else self._value(f"{ROOTS[kind]}/{unit.entity}")
        return _member(_member(subject, "status"), "statusId") in _FINISHED

    def _judge(self, subject: Any, entity: str, ids: frozenset[str] | None) -> bool:
        sport_id = _member(_member(subject, "sport"), "sportId")
        tournament_id = _member(_member(subject, "tournament"), "tournamentId")
        return (
            (ids is None or entity in ids)
            and (self.sport_ids is None or sport_id in self.sport_ids)
            and (self.tournament_ids is None or tournament_id in self.tournament_ids)
        )

    def _value(self, key: str) -> Any:
        unit = self.units.get(key)
        return None if unit is None else unit.value


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - payloads are open


def _member(value: Any, name: str) -> Any:
    return dict(_members(value)).get(name)
