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

__all__ = ["REDACTED", "Record", "TruthLog", "is_secret", "unit_keys"]

Record = dict[str, Any]

REDACTED = "***"

_SECRET_NAMES = ("apikey", "key", "token", "authorization")
_FINISHED = (2, 3)
_SECTIONS = ("scores", "clock", "bookmakers")


@attrs.frozen(kw_only=True)
class _Unit:
    channel: str
    fixture_id: str
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
        skipped = max(0, len(self._records) - newer)
        return tuple(itertools.islice(self._records, skipped, None)) if newer > 0 else ()

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
        bookmakers: Iterable[str] | None = None,
    ) -> dict[str, Any]:
        """Unit key → value for a subscription; None is unfiltered.

        Inactive odds rows count as absent. Odds and bookmakers of finished or cancelled fixtures
        are left out: the vendor stops serving them, so nobody can be asked to agree on them.
        """
        wanted = None if channels is None else frozenset(channels)
        books = None if bookmakers is None else frozenset(bookmakers)
        fixtures = _Scope(
            units=self._units,
            sport_ids=None if sport_ids is None else frozenset(sport_ids),
            tournament_ids=None if tournament_ids is None else frozenset(tournament_ids),
            fixture_ids=None if fixture_ids is None else frozenset(fixture_ids),
        )
        state: dict[str, Any] = {}
        for key, unit in self._units.items():
            if wanted is not None and unit.channel not in wanted:
                continue
            if unit.bookmaker is not None and books is not None and unit.bookmaker not in books:
                continue
            if not fixtures.covers(unit.fixture_id):
                continue
            if unit.bookmaker is not None and fixtures.is_over(unit.fixture_id):
                continue
            if unit.channel == "odds" and not _member(unit.value, "active"):
                continue
            state[key] = unit.value
        return state

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


def _units_in(channel: str, payload: Mapping[str, Any]) -> Iterator[tuple[str, _Unit]]:
    fixture_id = payload.get("fixtureId")
    if not isinstance(fixture_id, str):
        return
    if channel == "fixtures":
        value = {name: member for name, member in payload.items() if name not in _SECTIONS}
        yield (
            f"fixtures/{fixture_id}",
            _Unit(channel=channel, fixture_id=fixture_id, bookmaker=None, value=value),
        )
        return
    for name, part in _members(payload.get(channel)):
        prefix = f"{channel}/{fixture_id}/{name}"
        if channel == "odds":
            for odds_id, row in _members(part):
                yield (
                    f"{prefix}/{odds_id}",
                    _Unit(channel=channel, fixture_id=fixture_id, bookmaker=name, value=row),
                )
        else:
            book = name if channel == "bookmakers" else None
            yield (
                prefix,
                _Unit(channel=channel, fixture_id=fixture_id, bookmaker=book, value=part),
            )


@attrs.define(eq=False)
class _Scope:
    """Which fixtures a filter covers, decided once for each."""

    units: Mapping[str, _Unit]
    sport_ids: frozenset[int] | None
    tournament_ids: frozenset[int] | None
    fixture_ids: frozenset[str] | None
    _covered: dict[str, bool] = attrs.field(init=False, factory=dict[str, bool])

    def covers(self, fixture_id: str) -> bool:
        known = self._covered.get(fixture_id)
        if known is None:
            known = self._covered[fixture_id] = self._judge(fixture_id)
        return known

    def is_over(self, fixture_id: str) -> bool:
        return _member(_member(self._fixture(fixture_id), "status"), "statusId") in _FINISHED

    def _judge(self, fixture_id: str) -> bool:
        fixture = self._fixture(fixture_id)
        sport_id = _member(_member(fixture, "sport"), "sportId")
        tournament_id = _member(_member(fixture, "tournament"), "tournamentId")
        return (
            (self.fixture_ids is None or fixture_id in self.fixture_ids)
            and (self.sport_ids is None or sport_id in self.sport_ids)
            and (self.tournament_ids is None or tournament_id in self.tournament_ids)
        )

    def _fixture(self, fixture_id: str) -> Any:
        unit = self.units.get(f"fixtures/{fixture_id}")
        return None if unit is None else unit.value


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - payloads are open


def _member(value: Any, name: str) -> Any:
    return dict(_members(value)).get(name)
