"""Which REST calls restore which scope, and what their answers say (`facts` §5)."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, final

import attrs
import msgspec

from lastseen.dialect import AsOf, HttpResponse, SnapshotContent, SnapshotFault, SnapshotSource
from lastseen.dialects.oddspapi.answers import (
    AnswerReader,
    read_currencies,
    read_fixture_odds,
    read_fixtures,
    read_future_odds,
    read_futures,
)
from lastseen.dialects.oddspapi.channels import ROSTERS, Family, read_units, restored_by
from lastseen.dialects.oddspapi.subscription import Subscription
from lastseen.dialects.oddspapi.units import is_finished
from lastseen.effects import Request
from lastseen.errors import PayloadError
from lastseen.payload import decode_json
from lastseen.position import Cursor, parse_cursor
from lastseen.secret import Secret
from lastseen.shapes import as_text, member

__all__ = ["BUDGETS", "budget_class", "read_snapshot", "snapshot_requests"]

BUDGETS: Mapping[str, tuple[int, float]] = {
    "odds": (10, 1.0),
    "future_odds": (10, 1.0),
    "other": (100, 60.0),
}
"""The stricter of the documented limits: 10/s for each odds endpoint, else 100/min (OP-A28)."""

_ENTITIES_PER_REQUEST = 50
_BOOKMAKERS_PER_REQUEST = 5
_RETRY_AFTER_S_MAX = 3600.0
_NO_CACHE = (("cache-control", "no-cache"),)
_AS_OF = "x-as-of"

_Query = tuple[tuple[str, str], ...]


def _selected(
    family: Family, parameter: str, _source: SnapshotSource, subscription: Subscription
) -> list[_Query]:
    """A list is asked for by its narrowest filter; the others are applied to its rows."""
    named = subscription.named(family)
    if named:
        return [((parameter, ",".join(group)),) for group in _groups(named, _ENTITIES_PER_REQUEST)]
    if subscription.tournament_ids:
        return [(("tournamentId", str(number)),) for number in subscription.tournament_ids]
    return [(("sportId", str(number)),) for number in subscription.sport_ids]


def _by_bookmakers(
    family: Family, source: SnapshotSource, subscription: Subscription
) -> list[_Query]:
    """One entity, of all permitted bookmakers or of a few at a time."""
    named = ((family.value, source.entity or ""),)
    groups = _groups(subscription.bookmakers, _BOOKMAKERS_PER_REQUEST)
    return [(*named, ("bookmakers", ",".join(group))) for group in groups] or [named]


def _unfiltered(_source: SnapshotSource, _subscription: Subscription) -> list[_Query]:
    return [()]


@final
@attrs.frozen(kw_only=True)
class _Source:
    """One endpoint: how it is asked, and how it answers."""

    path: str
    queries: Callable[[SnapshotSource, Subscription], list[_Query]]
    read: AnswerReader
    budget: str = "other"


_SOURCES: Mapping[str, _Source] = {
    "fixtures": _Source(
        path="/fixtures",
        queries=partial(_selected, Family.FIXTURES, "fixtureIds"),
        read=read_fixtures,
    ),
    "odds": _Source(
        path="/fixtures/odds",
        queries=partial(_by_bookmakers, Family.FIXTURES),
        read=read_fixture_odds,
        budget="odds",
    ),
    "futures": _Source(
        path="/futures",
        queries=partial(_selected, Family.FUTURES, "futureIds"),
        read=read_futures,
    ),
    "future_odds": _Source(
        path="/futures/odds",
        queries=partial(_by_bookmakers, Family.FUTURES),
        read=read_future_odds,
        budget="future_odds",
    ),
    "currencies": _Source(path="/currencies", queries=_unfiltered, read=read_currencies),
}
"""By kind; which channels each restores is said in `channels`."""


def snapshot_requests(
    source: SnapshotSource, subscription: Subscription, key: Secret
) -> tuple[Request, ...]:
    """The requests of one fetch, all of which must succeed."""
    endpoint = _SOURCES[source.kind]
    return tuple(
        Request(path=endpoint.path, query=(("apiKey", key), *query), headers=_NO_CACHE)
        for query in endpoint.queries(source, subscription)
    )


def budget_class(source: SnapshotSource) -> str:
    """Which of `BUDGETS` the requests of a fetch count against."""
    return _SOURCES[source.kind].budget


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
        return _gather(source, values, subscription, as_of)
    except PayloadError as error:
        return SnapshotFault(reason=str(error))


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


def _gather(
    source: SnapshotSource, values: list[Any], subscription: Subscription, as_of: AsOf | None
) -> SnapshotContent:
    """All answers together: the rows of each channel of the source and, of a list, its entities."""
    rows: dict[str, dict[str, Any]] = {channel: {} for channel in restored_by(source.kind)}
    entities: set[str] = set()
    family = ROSTERS.get(source.kind)
    for value in values:
        for updates in _SOURCES[source.kind].read(value, source, subscription):
            for channel, payload in updates.items():
                _add(rows, channel, payload, subscription)
            if family is not None and not is_finished(updates[source.kind]):
                entities.add(updates[source.kind][family.value])
    return SnapshotContent(
        rows=rows,
        entities=frozenset(entities) if family is not None else None,
        roster_channel=source.kind if family is not None else None,
        as_of=as_of,
    )


def _add(
    rows: dict[str, dict[str, Any]],
    channel: str,
    payload: Mapping[str, Any],
    subscription: Subscription,
) -> None:
    """Adds the units of one payload; a channel that nobody asked for is not covered, at worst."""
    if channel not in rows:
        return
    try:
        rows[channel].update(read_units(channel, payload))
    except PayloadError:
        if channel in subscription.channels:
            raise
        # One odd member must not cost the channels that are read from other members (INV-L3).
        del rows[channel]
