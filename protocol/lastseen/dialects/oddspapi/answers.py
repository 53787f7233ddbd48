"""REST answers in the form of updates: what a snapshot and the stream say alike is read alike.

Each reader takes one answer apart into mappings from channel to payload, one for each row of a list
(`facts` §5). Odds of futures and currencies have other shapes there than on the wire.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lastseen.dialect import SnapshotSource
from lastseen.dialects.oddspapi.channels import ROSTERS, Family
from lastseen.dialects.oddspapi.subscription import Subscription
from lastseen.errors import PayloadError
from lastseen.shapes import as_list, as_object, as_text, member

__all__ = [
    "AnswerReader",
    "Updates",
    "read_currencies",
    "read_fixture_odds",
    "read_fixtures",
    "read_future_odds",
    "read_futures",
]

Updates = Mapping[str, Mapping[str, Any]]
"""Payloads by channel."""

AnswerReader = Callable[[Any, SnapshotSource, Subscription], Iterator[Updates]]
"""From one decoded answer, all of the source or a part; raises `PayloadError` (HZ-C16)."""


def read_fixtures(
    value: Any, source: SnapshotSource, subscription: Subscription
) -> Iterator[Updates]:
    """`/fixtures`: fixtures with their scores and clocks."""
    for row in _listed(value, source, subscription):
        updates: dict[str, Mapping[str, Any]] = {"fixtures": row, "scores": {"scores": {}, **row}}
        # A fixture without a clock has no unit of one.
        if row.get("clock") is not None:
            updates["clocks"] = row
        yield updates


def read_futures(
    value: Any, source: SnapshotSource, subscription: Subscription
) -> Iterator[Updates]:
    """`/futures`: futures."""
    for row in _listed(value, source, subscription):
        yield {"futures": row}


def read_fixture_odds(
    value: Any, source: SnapshotSource, subscription: Subscription
) -> Iterator[Updates]:
    """`/fixtures/odds`: rows and statuses by bookmaker, as on the wire."""
    name = _entity(value, source, Family.FIXTURES)
    yield {
        channel: {name: source.entity, channel: _books(value, channel, subscription)}
        for channel in ("odds", "bookmakers")
    }


def read_future_odds(
    value: Any, source: SnapshotSource, subscription: Subscription
) -> Iterator[Updates]:
    """`/futures/odds`: each bookmaker's status, with the list of its rows in it (OP-A29)."""
    name = _entity(value, source, Family.FUTURES)
    odds: dict[str, Any] = {}
    statuses: dict[str, Any] = {}
    for book, status in _books(value, "bookmakers", subscription).items():
        members = as_object(status)
        if members is None:
            raise PayloadError("a bookmaker is not an object")
        # On the wire the key of a row says its id, and the row does not (OP-A29).
        rows = _by_id(members.get("odds"), "oddsId")
        odds[book] = {odds_id: _without(row, "oddsId") for odds_id, row in rows.items()}
        statuses[book] = _without(members, "odds")
    yield {
        "oddsFutures": {name: source.entity, "oddsFutures": odds},
        "bookmakersFutures": {name: source.entity, "bookmakers": statuses},
    }


def read_currencies(
    value: Any, _source: SnapshotSource, _subscription: Subscription
) -> Iterator[Updates]:
    """`/currencies`: an object in either shape of the wire, or a list (OP-A14)."""
    table = as_object(value)
    if table == {}:
        # No documented shape of a table that is empty (HZ-C16).
        raise PayloadError("the answer has no currencies")
    yield {"currencies": _by_id(value, "currency") if table is None else table}


def _listed(
    value: Any, source: SnapshotSource, subscription: Subscription
) -> Iterator[Mapping[str, Any]]:
    """The rows of a list that the subscription selects, each with a usable id."""
    family = ROSTERS[source.kind]
    listed = as_list(value)
    if listed is None:
        raise PayloadError(f"the answer is not a list of {source.kind}")
    for item in listed:
        row = as_object(item)
        if row is None:
            raise PayloadError(f"a row of {source.kind} is not an object")
        if _is_selected(row, family, subscription):
            if not as_text(row.get(family.value)):
                raise PayloadError(f"a row of {source.kind} without a {family.value}")
            yield row


def _is_selected(row: Mapping[str, Any], family: Family, subscription: Subscription) -> bool:
    checks: tuple[tuple[tuple[Any, ...], Any], ...] = (
        (subscription.named(family), row.get(family.value)),
        (subscription.tournament_ids, member(row, "tournament", "tournamentId")),
        (subscription.sport_ids, member(row, "sport", "sportId")),
    )
    return all(not wanted or value in wanted for wanted, value in checks)


def _entity(value: Any, source: SnapshotSource, family: Family) -> str:
    """The member that names the entity, once it names the one that was asked for."""
    if member(value, family.value) != source.entity:
        raise PayloadError(f"the answer is not about the {family.value} that was asked for")
    return family.value


def _books(value: Any, name: str, subscription: Subscription) -> Mapping[str, Any]:
    """A member by bookmaker, cut down to the bookmakers of the subscription."""
    books = as_object(member(value, name))
    if books is None:
        raise PayloadError(f"the answer has no {name}")
    asked = subscription.bookmakers
    return {book: item for book, item in books.items() if book in asked} if asked else books


def _by_id(value: Any, name: str) -> dict[str, dict[str, Any]]:
    """The objects of a list by the id that each carries; an id that two differ about is a fault."""
    listed = as_list(value)
    if listed is None:
        raise PayloadError(f"not a list of objects with {name}")
    rows: dict[str, dict[str, Any]] = {}
    for item in listed:
        row, key = as_object(item), as_text(member(item, name))
        if row is None or not key:
            raise PayloadError(f"a row without {name}")
        if rows.setdefault(key, row) != row:
            raise PayloadError(f"two rows of one {name}")
    return rows


def _without(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return {key: item for key, item in row.items() if key != name}
