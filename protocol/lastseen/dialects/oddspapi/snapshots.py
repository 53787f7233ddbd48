"""Which REST calls restore which scope, and what their answers say (`facts` §5)."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from lastseen.dialect import AsOf, HttpResponse, SnapshotContent, SnapshotFault, SnapshotSource
from lastseen.dialects.oddspapi.subscription import Subscription
from lastseen.dialects.oddspapi.units import is_finished, read_units
from lastseen.effects import Request
from lastseen.errors import PayloadError
from lastseen.payload import decode_json
from lastseen.position import Cursor, parse_cursor
from lastseen.secret import Secret
from lastseen.shapes import as_list, as_object, as_text, member

__all__ = ["BUDGETS", "ODDS", "ROSTER", "read_snapshot", "snapshot_requests"]

ROSTER = SnapshotSource("fixtures")
"""Every fixture of the subscription: restores `fixtures` and `scores`, and says which there are."""

ODDS = "odds"
"""The kind of source that restores `odds` and `bookmakers` of one fixture."""

BUDGETS: Mapping[str, tuple[int, float]] = {"odds": (10, 1.0), "other": (100, 60.0)}
"""The stricter of the documented limits: 10/s per odds endpoint, else 100/min (OP-A28)."""

_FIXTURES_PER_REQUEST = 50
_BOOKMAKERS_PER_REQUEST = 5
_RETRY_AFTER_S_MAX = 3600.0
_NO_CACHE = (("cache-control", "no-cache"),)
_AS_OF = "x-as-of"

_ROSTER_CHANNELS = ("odds", "bookmakers")


def snapshot_requests(
    source: SnapshotSource, subscription: Subscription, key: Secret
) -> tuple[Request, ...]:
    """The requests of one fetch; the narrowest filter selects, the others are applied to rows."""
    if source.entity is not None:
        books = subscription.bookmakers
        groups = _groups(books, _BOOKMAKERS_PER_REQUEST) or [()]
        return tuple(
            _request(
                "/fixtures/odds",
                (("fixtureId", source.entity), *((("bookmakers", ",".join(group)),) * bool(group))),
                key,
            )
            for group in groups
        )
    if subscription.fixture_ids:
        chosen = [
            ("fixtureIds", ",".join(group))
            for group in _groups(subscription.fixture_ids, _FIXTURES_PER_REQUEST)
        ]
    elif subscription.tournament_ids:
        chosen = [("tournamentId", str(number)) for number in subscription.tournament_ids]
    else:
        chosen = [("sportId", str(number)) for number in subscription.sport_ids]
    return tuple(_request("/fixtures", (selection,), key) for selection in chosen)


def read_snapshot(
    source: SnapshotSource, responses: tuple[HttpResponse, ...], subscription: Subscription
) -> SnapshotContent | SnapshotFault:
    """Reads all answers of a fetch, or says why they are no state (HZ-C15, HZ-C16)."""
    values: list[Any] = []
    for response in responses:
        fault = _fault(response)
        if fault is not None:
            return fault
        try:
            values.append(decode_json(response.body))
        except PayloadError:
            return SnapshotFault(reason="the body is not JSON")
    as_of = _as_of(responses)
    try:
        if source.entity is not None:
            return _read_odds(source.entity, values, subscription, as_of)
        return _read_fixtures(values, subscription, as_of)
    except PayloadError as error:
        return SnapshotFault(reason=str(error))


def _request(path: str, query: tuple[tuple[str, str], ...], key: Secret) -> Request:
    return Request(path=path, query=(("apiKey", key), *query), headers=_NO_CACHE)


def _groups(items: tuple[str, ...], size: int) -> list[tuple[str, ...]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _fault(response: HttpResponse) -> SnapshotFault | None:
    status = response.status
    if status == 200:
        kind = (response.header("content-type") or "").partition(";")[0].strip().lower()
        if kind != "application/json":
            return SnapshotFault(reason=f"HTTP 200 with content type {kind or 'none'}")
        if (response.header("age") or "0").strip() not in ("", "0"):
            return SnapshotFault(reason="a cache answered with an old object")
        return None
    code = _error_code(response.body)
    return SnapshotFault(
        reason=f"HTTP {status} {code}".strip(),
        retry_after_s=_retry_after_s(response) if status in (429, 503) else None,
        permanent=400 <= status < 500 and status not in (408, 425, 429),
    )


def _error_code(body: bytes) -> str:
    """The machine code, which is `code` live and `reason` in the documentation (`facts` §5)."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    code = as_text(member(value, "code")) or as_text(member(value, "reason")) or ""
    return code[:64]


def _retry_after_s(response: HttpResponse) -> float | None:
    text = (response.header("retry-after") or "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(float(text), _RETRY_AFTER_S_MAX)
    return None


def _as_of(responses: tuple[HttpResponse, ...]) -> AsOf | None:
    """The oldest position among the answers, if each gives one and they agree on the epoch."""
    found: list[AsOf] = []
    for response in responses:
        epoch, _, rest = (response.header(_AS_OF) or "").partition(";")
        cursors: dict[str, Cursor] = {}
        for item in rest.split(","):
            channel, _, text = item.strip().partition("=")
            cursor = parse_cursor(text)
            if cursor is not None:
                cursors[channel] = cursor
        if not epoch.strip():
            return None
        found.append(AsOf(epoch=epoch.strip(), cursors=cursors))
    if not found or any(other.epoch != found[0].epoch for other in found):
        return None
    shared = set[str].intersection(*(set(one.cursors) for one in found))
    return AsOf(
        epoch=found[0].epoch,
        cursors={channel: min(one.cursors[channel] for one in found) for channel in shared},
    )


def _read_fixtures(
    values: list[Any], subscription: Subscription, as_of: AsOf | None
) -> SnapshotContent:
    fixtures: dict[str, Any] = {}
    scores: dict[str, Any] = {}
    entities: set[str] = set()
    for value in values:
        listed = as_list(value)
        if listed is None:
            raise PayloadError("the answer is not a list of fixtures")
        for item in listed:
            row = as_object(item)
            if row is None:
                raise PayloadError("a fixture is not an object")
            if not _selected(row, subscription):
                continue
            fixtures.update(read_units("fixtures", row))
            scores.update(read_units("scores", {"scores": {}, **row}))
            if not is_finished(row):
                entities.add(row["fixtureId"])
    rows: dict[str, dict[str, Any]] = {"fixtures": fixtures, "scores": scores}
    rows.update({channel: {} for channel in _ROSTER_CHANNELS})
    return SnapshotContent(
        rows=rows, entities=frozenset(entities), roster_channel="fixtures", as_of=as_of
    )


def _read_odds(
    entity: str, values: list[Any], subscription: Subscription, as_of: AsOf | None
) -> SnapshotContent:
    rows: dict[str, dict[str, Any]] = {channel: {} for channel in _ROSTER_CHANNELS}
    for value in values:
        if member(value, "fixtureId") != entity:
            raise PayloadError("the answer is about another fixture")
        for channel in _ROSTER_CHANNELS:
            books = as_object(member(value, channel))
            if books is None:
                raise PayloadError(f"the answer has no {channel}")
            if subscription.bookmakers:
                books = {k: v for k, v in books.items() if k in subscription.bookmakers}
            rows[channel].update(read_units(channel, {"fixtureId": entity, channel: books}))
    return SnapshotContent(rows=rows, as_of=as_of)


def _selected(row: Mapping[str, Any], subscription: Subscription) -> bool:
    checks: Iterable[tuple[tuple[Any, ...], Any]] = (
        (subscription.fixture_ids, row.get("fixtureId")),
        (subscription.tournament_ids, member(row, "tournament", "tournamentId")),
        (subscription.sport_ids, member(row, "sport", "sportId")),
    )
    return all(not wanted or value in wanted for wanted, value in checks)
