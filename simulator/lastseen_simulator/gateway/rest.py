"""The snapshot service: `GET /{lang}/fixtures…`, judged and answered from a picture (§5)."""

import math
from typing import Any, Final

import attrs
import msgspec

from lastseen.dialects.oddspapi.wire import ACCEPTED_LANGUAGES
from lastseen_simulator.channels import CHANNELS
from lastseen_simulator.effects import HttpRequest, HttpResponse
from lastseen_simulator.gateway.answers import Question, answer
from lastseen_simulator.gateway.endpoints import ENDPOINTS, Endpoint
from lastseen_simulator.gateway.history import Picture
from lastseen_simulator.gateway.limits import Allowance, RateLimits
from lastseen_simulator.gateway.login import permitted_bookmakers, permitted_channels
from lastseen_simulator.gateway.options import GatewayOptions, KeyGrant
from lastseen_simulator.gateway.query import BOOKMAKERS_MAX, ProblemError, Query, read_query

__all__ = ["SnapshotService", "error_response", "split_path"]

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
    return _json(problem.status, problem.body, headers)


@attrs.define(eq=False)
class SnapshotService:
    """Judges requests in the vendor's order: path, method, key, limit, entitlement, parameters."""

    options: GatewayOptions
    _limits: RateLimits = attrs.field(init=False, factory=RateLimits)

    def answer(
        self, http: HttpRequest, picture: Picture, *, wall_ms: int, now: float
    ) -> HttpResponse:
        """Answers one request; never raises."""
        lang, path = split_path(http.path)
        headers: Headers = ()
        try:
            if lang is None or path not in ENDPOINTS:
                raise ProblemError(404, "not_found", "no such resource")
            if http.method != "GET":
                headers = (("Allow", "GET"),)
                raise ProblemError(405, "method_not_allowed", "only GET is served here")
            grant = self._grant(http)
            if self.options.rate_limiter_down:
                raise ProblemError(503, "rate_limiter_error", "the rate limiter is unavailable")
            allowance = self._take(grant, path, now=now)
            headers = _limit_headers(allowance, wall_ms)
            if allowance.refused:
                raise _rate_limited(allowance, path, http.method)
            body = self._body(path, http, grant, picture, wall_ms)
        except ProblemError as problem:
            if problem.status == 403 and self.options.entitlement_gap == "empty":
                # Such an answer covers nothing, so it names no position either.
                return _json(200, [], headers)
            return error_response(problem, headers)
        if self.options.as_of:
            headers = (*headers, ("X-As-Of", _as_of(ENDPOINTS[path], picture)))
        return _json(200, body, headers)

    def _grant(self, http: HttpRequest) -> KeyGrant:
        keys = [value for name, value in http.query if name == "apiKey"]
        if not keys or not keys[0]:
            raise ProblemError(401, "missing_api_key", "apiKey is missing")
        for grant in self.options.keys:
            if grant.key == keys[0] and not grant.revoked:
                return grant
        raise ProblemError(401, "invalid_api_key", "apiKey not accepted")

    def _take(self, grant: KeyGrant, path: str, *, now: float) -> Allowance:
        options = self.options
        odds = ENDPOINTS[path].odds
        return self._limits.take(
            grant.key,
            path if odds else "*",
            limit=options.odds_limit if odds else options.other_limit,
            window_s=options.odds_window_s if odds else options.other_window_s,
            now=now,
        )

    def _body(
        self, path: str, http: HttpRequest, grant: KeyGrant, picture: Picture, wall_ms: int
    ) -> Any:
        endpoint = ENDPOINTS[path]
        allowed = permitted_channels(grant, self.options)
        if endpoint.channel not in allowed:
            raise ProblemError(
                403,
                "channel_not_allowed",
                f"{endpoint.channel} is not allowed",
                requestedChannels=[endpoint.channel],
                allowedChannels=list(allowed),
            )
        query = read_query(http.query, required=endpoint.entity)
        bookmakers: tuple[str, ...] = ()
        if CHANNELS[endpoint.channel].entity is not None:
            bookmakers = self._bookmakers(query, grant, gated=endpoint.odds)
            self._check_sport(query, grant)
        return answer(
            Question(
                path=path,
                query=query,
                bookmakers=bookmakers,
                sport_ids=grant.sport_ids,
                tables=picture.tables,
                options=self.options,
                wall_ms=wall_ms,
            )
        )

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


def _json(status: int, body: Any, headers: Headers) -> HttpResponse:
    return HttpResponse(status=status, headers=(*_JSON, *headers), body=msgspec.json.encode(body))


def _as_of(endpoint: Endpoint, picture: Picture) -> str:
    heads = ", ".join(
        f"{channel}={picture.heads[channel]}"
        for channel in endpoint.covers
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


def _rate_limited(allowance: Allowance, path: str, method: str) -> ProblemError:
    window = float(allowance.window_s)
    return ProblemError(
        429,
        "rate_limited",
        "too many requests",
        limit=allowance.limit,
        windowSec=int(window) if window.is_integer() else window,
        retryAfterSec=allowance.retry_after_s,
        endpoint=path,
        method=method,
    )
