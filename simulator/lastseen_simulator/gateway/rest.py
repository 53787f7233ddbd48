"""The snapshot service: `GET /{lang}/fixtures…`, answered from a picture of the market (§5)."""

import math
from typing import Any, Final

import attrs
import msgspec

from lastseen.dialects.oddspapi.wire import ACCEPTED_LANGUAGES
from lastseen_simulator.gateway.effects import HttpRequest, HttpResponse
from lastseen_simulator.gateway.history import Picture
from lastseen_simulator.gateway.limits import Allowance, RateLimits
from lastseen_simulator.gateway.login import permitted_bookmakers, permitted_channels
from lastseen_simulator.gateway.narrowing import member
from lastseen_simulator.gateway.options import GatewayOptions, KeyGrant
from lastseen_simulator.gateway.query import (
    BOOKMAKERS_MAX,
    FIXTURE_IDS_MAX,
    ProblemError,
    Query,
    read_query,
)
from lastseen_simulator.market import Market, status_of

__all__ = ["ENDPOINTS", "SnapshotService", "error_response", "split_path"]

ENDPOINTS: Final = {
    "/fixtures": ("fixtures", "scores"),
    "/fixtures/today": ("fixtures", "scores"),
    "/fixtures/live": ("fixtures", "scores"),
    "/fixtures/odds": ("bookmakers", "fixtures", "odds", "scores"),
    "/fixtures/odds/main": ("bookmakers", "fixtures", "odds", "scores"),
}
"""Path without the language → the channels its answer covers."""

_LIVE: Final = 1
_OVER: Final = (2, 3)
_DAY_S: Final = 86_400

Headers = tuple[tuple[str, str], ...]
_JSON: Final[Headers] = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))


def split_path(path: str) -> tuple[str | None, str]:
    """Language and the rest of a path; no language is None and the path as it is.

    >>> split_path("/en/fixtures/odds")
    ('en', '/fixtures/odds')
    """
    first, slash, rest = path.removeprefix("/").partition("/")
    if first in ACCEPTED_LANGUAGES and slash:
        return first, "/" + rest
    return None, path


def error_response(problem: ProblemError, headers: Headers = ()) -> HttpResponse:
    """The answer to a request that failed."""
    body = msgspec.json.encode(problem.body)
    return HttpResponse(status=problem.status, headers=(*_JSON, *headers), body=body)


@attrs.define(eq=False)
class SnapshotService:
    """Judges requests in the vendor's order: path, method, key, limit, entitlement, parameters."""

    options: GatewayOptions
    market: Market
    _limits: RateLimits = attrs.field(init=False, factory=RateLimits)

    def answer(
        self, http: HttpRequest, picture: Picture, *, wall_ms: int, now: float
    ) -> HttpResponse:
        """Answers one request; never raises."""
        lang, endpoint = split_path(http.path)
        headers: Headers = ()
        try:
            if lang is None or endpoint not in ENDPOINTS:
                raise ProblemError(404, "not_found", "no such resource")
            if http.method != "GET":
                headers = (("Allow", "GET"),)
                raise ProblemError(405, "method_not_allowed", "only GET is served here")
            grant = self._grant(http)
            allowance = self._take(grant, endpoint, now=now)
            headers = _limit_headers(allowance, wall_ms)
            if allowance.refused:
                raise _rate_limited(allowance, endpoint, http.method)
            body = self._body(endpoint, http, grant, picture, wall_ms)
        except ProblemError as problem:
            return error_response(problem, headers)
        if self.options.as_of:
            headers = (*headers, ("X-As-Of", _as_of(endpoint, picture)))
        return HttpResponse(status=200, headers=(*_JSON, *headers), body=msgspec.json.encode(body))

    def _grant(self, http: HttpRequest) -> KeyGrant:
        keys = [value for name, value in http.query if name == "apiKey"]
        if not keys or not keys[0]:
            raise ProblemError(401, "missing_api_key", "apiKey is missing")
        for grant in self.options.keys:
            if grant.key == keys[0] and not grant.revoked:
                return grant
        raise ProblemError(401, "invalid_api_key", "apiKey not accepted")

    def _take(self, grant: KeyGrant, endpoint: str, *, now: float) -> Allowance:
        if "odds" in endpoint:
            return self._limits.take(
                grant.key,
                endpoint,
                limit=self.options.odds_limit,
                window_s=self.options.odds_window_s,
                now=now,
            )
        return self._limits.take(
            grant.key,
            "*",
            limit=self.options.other_limit,
            window_s=self.options.other_window_s,
            now=now,
        )

    def _body(
        self, endpoint: str, http: HttpRequest, grant: KeyGrant, picture: Picture, wall_ms: int
    ) -> Any:
        channel = "odds" if "odds" in endpoint else "fixtures"
        allowed = permitted_channels(grant)
        if channel not in allowed:
            raise ProblemError(
                403,
                "channel_not_allowed",
                f"{channel} is not allowed",
                requestedChannels=[channel],
                allowedChannels=list(allowed),
            )
        required = "fixtureId" if endpoint == "/fixtures/odds" else None
        query = read_query(http.query, required=required)
        bookmakers = self._bookmakers(query, grant, gated=channel == "odds")
        self._check_sport(query, grant)
        match endpoint:
            case "/fixtures/odds":
                return self._one_fixture_odds(query, grant, picture, bookmakers)
            case "/fixtures/odds/main":
                return self._main_lines(query, grant, picture, bookmakers)
            case _:
                return self._fixtures(endpoint, query, grant, picture, wall_ms)

    def _bookmakers(self, query: Query, grant: KeyGrant, *, gated: bool) -> tuple[str, ...]:
        permitted = permitted_bookmakers(grant, self.options)
        asked = query.bookmakers
        if asked is None:
            if gated and self.options.missing_bookmaker:
                raise ProblemError(400, "missing_bookmaker", "bookmakers is missing")
            return permitted
        if len(asked) > BOOKMAKERS_MAX:
            raise ProblemError(
                400,
                "invalid_filters",
                "too many bookmakers",
                hint=f"ask for at most {BOOKMAKERS_MAX} bookmakers",
            )
        denied = [slug for slug in asked if slug not in permitted]
        if denied:
            raise ProblemError(403, "bookmaker_not_allowed", "bookmaker not allowed", denied=denied)
        return tuple(slug for slug in permitted if slug in asked)

    def _check_sport(self, query: Query, grant: KeyGrant) -> None:
        if grant.sport_ids is None or query.sport_id is None:
            return
        if query.sport_id not in grant.sport_ids:
            raise ProblemError(
                403, "sport_not_allowed", "sport not allowed", denied=[query.sport_id]
            )

    def _fixtures(
        self, endpoint: str, query: Query, grant: KeyGrant, picture: Picture, wall_ms: int
    ) -> list[Any]:
        narrow = query.sport_id is not None or query.tournament_id is not None
        if not narrow and (endpoint != "/fixtures" or query.fixture_ids is None):
            wanted = "sportId or tournamentId" + (
                " or fixtureIds" if endpoint == "/fixtures" else ""
            )
            raise ProblemError(400, "invalid_filters", f"one of {wanted} is needed")
        today = wall_ms // 1000 // _DAY_S
        found: list[Any] = []
        for fixture_id in self._selected(query, grant, picture):
            start: Any = picture.tables["fixtures"][fixture_id].get("startTime")
            if endpoint == "/fixtures/live" and status_of(picture.tables, fixture_id) != _LIVE:
                continue
            if endpoint == "/fixtures/today" and not (
                isinstance(start, int) and start // _DAY_S == today
            ):
                continue
            found.append(self.market.whole_fixture(fixture_id, picture.tables))
        return found

    def _selected(self, query: Query, grant: KeyGrant, picture: Picture) -> list[str]:
        """The fixtures that all given filters and the key's sports cover."""
        ids = query.fixture_ids
        selected: list[str] = []
        for fixture_id, fixture in picture.tables["fixtures"].items():
            sport_id = member(fixture, "sport", "sportId")
            start = _whole(member(fixture, "startTime"))
            if (
                (ids is None or fixture_id in ids)
                and query.sport_id in (None, sport_id)
                and query.tournament_id in (None, member(fixture, "tournament", "tournamentId"))
                and (grant.sport_ids is None or sport_id in grant.sport_ids)
                and (query.start_time_from is None or start >= query.start_time_from)
                and (query.start_time_to is None or start <= query.start_time_to)
            ):
                selected.append(fixture_id)
        return selected

    def _one_fixture_odds(
        self, query: Query, grant: KeyGrant, picture: Picture, bookmakers: tuple[str, ...]
    ) -> Any:
        fixture_id = query.fixture_id or ""
        fixture: Any = picture.tables["fixtures"].get(fixture_id)
        if fixture is None:
            raise ProblemError(404, "not_found", "no such fixture")
        sport_id = member(fixture, "sport", "sportId")
        if grant.sport_ids is not None and sport_id not in grant.sport_ids:
            raise ProblemError(403, "sport_not_allowed", "sport not allowed", denied=[sport_id])
        return self._with_odds(fixture_id, query, picture, bookmakers, inactive=False)

    def _main_lines(
        self, query: Query, grant: KeyGrant, picture: Picture, bookmakers: tuple[str, ...]
    ) -> list[Any]:
        if (query.tournament_id is None) == (query.fixture_ids is None):
            raise ProblemError(
                400, "invalid_filters", "exactly one of tournamentId and fixtureIds is needed"
            )
        if query.fixture_ids is not None and len(query.fixture_ids) > FIXTURE_IDS_MAX:
            raise ProblemError(400, "invalid_filters", f"at most {FIXTURE_IDS_MAX} fixtureIds")
        query = attrs.evolve(query, main_line=True)
        # Only with `since` do inactive rows appear (OP-A27).
        inactive = query.since is not None
        return [
            self._with_odds(fixture_id, query, picture, bookmakers, inactive=inactive)
            for fixture_id in self._selected(query, grant, picture)
        ]

    def _with_odds(
        self,
        fixture_id: str,
        query: Query,
        picture: Picture,
        bookmakers: tuple[str, ...],
        *,
        inactive: bool,
    ) -> Any:
        statuses = picture.tables["bookmakers"].get(fixture_id, {})
        books = picture.tables["odds"].get(fixture_id, {})
        odds: dict[str, Any] = {}
        if status_of(picture.tables, fixture_id) not in _OVER:
            for slug in bookmakers:
                rows = {
                    key: row
                    for key, row in books.get(slug, {}).items()
                    if _row_is_wanted(row, query, inactive=inactive)
                }
                if rows:
                    odds[slug] = rows
        return {
            **self.market.whole_fixture(fixture_id, picture.tables),
            "bookmakers": {slug: statuses[slug] for slug in bookmakers if slug in statuses},
            "odds": odds,
        }


def _row_is_wanted(row: Any, query: Query, *, inactive: bool) -> bool:
    changed_at = member(row, "changedAt")
    return (
        (inactive or bool(member(row, "active")))
        and (query.since is None or (changed_at or 0) >= query.since)
        and query.market_active in (None, member(row, "marketActive"))
        and query.main_line in (None, member(row, "mainLine"))
    )


def _as_of(endpoint: str, picture: Picture) -> str:
    heads = ", ".join(
        f"{channel}={picture.heads[channel]}"
        for channel in ENDPOINTS[endpoint]
        if channel in picture.heads
    )
    return f"{picture.epoch}; {heads}" if heads else picture.epoch


def _limit_headers(allowance: Allowance, wall_ms: int) -> Headers:
    resets_at = math.ceil(wall_ms / 1000 + allowance.resets_in_s)
    headers: Headers = (
        ("X-RateLimit-Limit", str(allowance.limit)),
        ("X-RateLimit-Remaining", str(allowance.remaining)),
        ("X-RateLimit-Reset", str(resets_at)),
    )
    if allowance.refused:
        headers += (("Retry-After", str(allowance.retry_after_s)),)
    return headers


def _rate_limited(allowance: Allowance, endpoint: str, method: str) -> ProblemError:
    window = float(allowance.window_s)
    return ProblemError(
        429,
        "rate_limited",
        "too many requests",
        limit=allowance.limit,
        windowSec=int(window) if window.is_integer() else window,
        retryAfterSec=allowance.retry_after_s,
        endpoint=endpoint,
        method=method,
    )


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0
