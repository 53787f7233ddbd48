"""What the snapshot service shows of a picture, endpoint by endpoint (§5)."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import attrs

from lastseen.shapes import as_object, member
from lastseen_simulator.channels import CHANNELS, ROOTS, EntityMember, payload_of
from lastseen_simulator.gateway.options import GatewayOptions
from lastseen_simulator.gateway.query import FIXTURE_IDS_MAX, ProblemError, Query
from lastseen_simulator.market import Tables, status_of
from lastseen_simulator.market.fixtures import whole_fixture
from lastseen_simulator.market.futures import whole_future

__all__ = ["Question", "answer"]

_LIVE: Final = 1
_OVER: Final = (2, 3)
_DAY_S: Final = 86_400


@attrs.frozen(kw_only=True)
class Question:
    """A request that may be answered, and the tables to answer it from.

    `bookmakers` are those that are both asked for and permitted, `sport_ids` those of the key.
    """

    path: str
    query: Query
    bookmakers: tuple[str, ...]
    sport_ids: tuple[int, ...] | None
    tables: Tables
    options: GatewayOptions
    wall_ms: int


def answer(question: Question) -> Any:
    """The body of the answer; raises `ProblemError` when the parameters ask for nothing."""
    return _ANSWERS[question.path](question)


def _fixtures(asked: Question) -> list[Any]:
    books = asked.bookmakers if asked.options.book_statuses_in_fixtures else ()
    return [
        whole_fixture(asked.tables, fixture_id, books=books)
        for fixture_id in _listed(asked, "fixtureId", asked.query.fixture_ids)
    ]


def _futures(asked: Question) -> list[Any]:
    books = asked.bookmakers if asked.options.book_statuses_in_fixtures else ()
    return [
        whole_future(asked.tables, future_id, books=books)
        for future_id in _listed(asked, "futureId", asked.query.future_ids)
    ]


def _fixture_odds(asked: Question) -> Any:
    fixture_id = asked.query.fixture_id or ""
    _check_one(asked, "fixtureId", fixture_id)
    return _with_odds(asked, fixture_id)


def _main_lines(asked: Question) -> list[Any]:
    query = asked.query
    if (query.tournament_id is None) == (query.fixture_ids is None):
        raise ProblemError(
            400, "invalid_filters", "exactly one of tournamentId and fixtureIds is needed"
        )
    if query.fixture_ids is not None and len(query.fixture_ids) > FIXTURE_IDS_MAX:
        raise ProblemError(400, "invalid_filters", f"at most {FIXTURE_IDS_MAX} fixtureIds")
    main = attrs.evolve(asked, query=attrs.evolve(query, main_line=True))
    # Only with `since` do inactive rows appear (OP-A27).
    inactive = query.since is not None
    chosen = list(_selected(main, "fixtureId", query.fixture_ids))
    return [
        _with_odds(main, fixture_id, inactive=inactive)
        for fixture_id in chosen[: asked.options.main_fixtures_max]
    ]


def _future_odds(asked: Question) -> Any:
    """Unlike the stream and unlike fixtures: rows are an array inside each bookmaker (§5)."""
    query, tables = asked.query, asked.tables
    future_id = query.future_id or ""
    _check_one(asked, "futureId", future_id)
    statuses = tables["bookmakersFutures"].get(future_id, {})
    books: dict[str, Any] = {}
    for slug in asked.bookmakers:
        rows = [
            {"oddsId": key, **row}
            for key, row in _rows(asked, "oddsFutures", future_id, slug)
            # Rows of the stream do not say whether they are main lines; then all of them are.
            if not query.main_lines or row.get("mainLine") is not False
        ]
        if rows or slug in statuses:
            books[slug] = {**(as_object(statuses.get(slug)) or {}), "odds": rows}
    described: dict[str, Any] = tables["futures"][future_id] if query.include_future else {}
    return {**described, "futureId": future_id, "bookmakers": books}


def _currencies(asked: Question) -> Any:
    codes = asked.query.currency
    rates = {
        code: rate
        for code, rate in asked.tables["currencies"].get("", {}).items()
        if codes is None or code in codes
    }
    if not rates:
        return {"rates": {}} if asked.options.currencies_shape == "rates" else {}
    return payload_of(CHANNELS["currencies"], "", rates)


_ANSWERS: Final[Mapping[str, Callable[[Question], Any]]] = {
    "/fixtures": _fixtures,
    "/fixtures/today": _fixtures,
    "/fixtures/live": _fixtures,
    "/fixtures/odds": _fixture_odds,
    "/fixtures/odds/main": _main_lines,
    "/futures": _futures,
    "/futures/live": _futures,
    "/futures/odds": _future_odds,
    "/currencies": _currencies,
}


def _listed(asked: Question, kind: EntityMember, ids: tuple[str, ...] | None) -> Iterator[str]:
    """What a list endpoint lists; the narrower ones are for sports and tournaments only (§5)."""
    query, tables = asked.query, asked.tables
    root = ROOTS[kind]
    whole = asked.path == f"/{root}"
    if query.sport_id is None and query.tournament_id is None and (not whole or ids is None):
        wanted = "sportId or tournamentId" + (f" or {kind}s" if whole else "")
        raise ProblemError(400, "invalid_filters", f"one of {wanted} is needed")
    today = asked.wall_ms // 1000 // _DAY_S
    for entity in _selected(asked, kind, ids):
        start = member(tables[root][entity], "startTime")
        if asked.path.endswith("/live") and status_of(tables, entity, of=kind) != _LIVE:
            continue
        if asked.path.endswith("/today") and (type(start) is not int or start // _DAY_S != today):
            continue
        yield entity


def _selected(asked: Question, kind: EntityMember, ids: tuple[str, ...] | None) -> Iterator[str]:
    """The entities that all given filters and the key's sports cover."""
    query = asked.query
    for entity, subject in asked.tables[ROOTS[kind]].items():
        sport_id = member(subject, "sport", "sportId")
        start = member(subject, "startTime")
        start = start if type(start) is int else 0
        if (
            (ids is None or entity in ids)
            and query.sport_id in (None, sport_id)
            and query.tournament_id in (None, member(subject, "tournament", "tournamentId"))
            and (asked.sport_ids is None or sport_id in asked.sport_ids)
            and (query.start_time_from is None or start >= query.start_time_from)
            and (query.start_time_to is None or start <= query.start_time_to)
        ):
            yield entity


def _check_one(asked: Question, kind: EntityMember, entity: str) -> None:
    subject = asked.tables[ROOTS[kind]].get(entity)
    if subject is None:
        raise ProblemError(404, "not_found", f"no such {kind.removesuffix('Id')}")
    sport_id = member(subject, "sport", "sportId")
    if asked.sport_ids is not None and sport_id not in asked.sport_ids:
        raise ProblemError(403, "sport_not_allowed", "sport not allowed", denied=[sport_id])


def _with_odds(asked: Question, fixture_id: str, *, inactive: bool = False) -> Any:
    query = asked.query
    odds: dict[str, Any] = {}
    for slug in asked.bookmakers:
        rows = {
            key: row
            for key, row in _rows(asked, "odds", fixture_id, slug, inactive=inactive)
            if query.market_active in (None, row.get("marketActive"))
            and query.main_line in (None, row.get("mainLine"))
        }
        if rows:
            odds[slug] = rows
    return {**whole_fixture(asked.tables, fixture_id, books=asked.bookmakers), "odds": odds}


def _rows(
    asked: Question, channel: str, entity: str, slug: str, *, inactive: bool = False
) -> Iterator[tuple[str, dict[str, Any]]]:
    """A bookmaker's rows that a snapshot shows: none once the fixture or future is over (§5)."""
    tables, since = asked.tables, asked.query.since
    kind = CHANNELS[channel].entity
    if kind is None or status_of(tables, entity, of=kind) in _OVER:
        return
    inactive = inactive or asked.options.inactive_rows == "served"
    for key, value in tables[channel].get(entity, {}).get(slug, {}).items():
        row = as_object(value)
        if row is None or not (inactive or row.get("active")):
            continue
        changed_at = row.get("changedAt")
        if since is None or (changed_at if type(changed_at) is int else 0) >= since:
            yield key, row
