"""Who may ask for what: the path, the body, the bearer token, the limits (§2, §3, §4.5, §6)."""

import base64
import collections
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import attrs
import msgspec

from lastseen.shapes import as_list, as_object
from lastseen_simulator.effects import HttpRequest, HttpResponse
from lastseen_simulator.polymarket_us.options import Framing, KeyGrant, PolymarketUSOptions
from lastseen_simulator.polymarket_us.wire import framing_for

__all__ = ["PATHS", "Asked", "Desk", "answer", "refusal"]

PATHS: Final[Mapping[str, str]] = {
    "/v1/orders/subscribe": "orders",
    "/v1/marketdata/subscribe": "market_data",
    "/v1/positions/subscribe": "positions",
    "/v1/dropcopy/subscribe": "drop_copy",
    "/v1/tradecapture/subscribe": "trade_capture",
    "/v1/positionchanges/subscribe": "position_changes",
    "/v1/instruments/subscribe": "instruments",
    # The same by their older names (§0, L2).
    "/api/v1beta1/create_order_subscription": "orders",
    "/api/v1beta1/create_market_data_subscription": "market_data",
    "/api/v1beta1/create_position_change_subscription": "position_changes",
}

TOKEN_PATH: Final = "/oauth/token"
HEALTH_PATH: Final = "/v1/health"

_CODES: Final = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 3, 429: 8, 500: 13, 503: 14}
"""The code in the body of a refusal, by its status (§4.5)."""

_OF_ACCOUNT: Final = frozenset(PATHS.values()) - {"market_data", "instruments"}


@attrs.frozen(kw_only=True)
class Asked:
    """A stream that somebody may have."""

    channel: str
    framing: Framing
    accounts: frozenset[str] = frozenset()
    """Empty is all."""
    symbols: frozenset[str] = frozenset()
    depth: int | None = None
    token: str | None = attrs.field(default=None, repr=False)
    client: str = attrs.field(default="", repr=False)
    """Whom limits are counted for."""


def answer(status: int, value: object) -> HttpResponse:
    """A JSON answer."""
    headers = (("Content-Type", "application/json"),)
    return HttpResponse(status=status, headers=headers, body=msgspec.json.encode(value) + b"\n")


def refusal(status: int, message: str) -> HttpResponse:
    """An answer of the one shape that refusals have (§4.5)."""
    return answer(status, {"code": _CODES.get(status, 2), "message": message, "details": []})


@attrs.define(eq=False)
class Desk:
    """Judges requests, and hands out bearer tokens."""

    options: PolymarketUSOptions
    symbols: frozenset[str]
    _bearers: dict[str, tuple[str, float]] = attrs.field(
        init=False, factory=dict[str, tuple[str, float]]
    )
    """Token → client, and until when it opens a stream."""
    _asked_at: dict[str, collections.deque[float]] = attrs.field(
        init=False, factory=dict[str, collections.deque[float]]
    )
    _issued: int = attrs.field(init=False, default=0)

    def judge(
        self, http: HttpRequest, open_streams: Mapping[str, int], *, now: float
    ) -> Asked | HttpResponse:
        """A stream, or why not."""
        headers = dict(http.headers)
        client = self._client(headers.get("authorization"), now)
        if isinstance(client, HttpResponse):
            return client
        grant = self._grant(client)
        if not self._within_rate(client, now):
            return refusal(429, "rate limit exceeded")
        if open_streams.get(client, 0) >= self.options.stream_limit:
            return refusal(429, "too many concurrent streams")
        channel = PATHS[http.path]
        body = self._body(http)
        if isinstance(body, HttpResponse):
            return body
        symbols = _names(body, "symbols", "instruments")
        accounts = _names(body, "accounts", "accountId", "account_id")
        if channel == "market_data" and len(symbols) > self.options.symbols_max:
            return refusal(400, f"more than {self.options.symbols_max} symbols")
        if channel in _OF_ACCOUNT:
            participant = headers.get("x-participant-id")
            if participant is None and self.options.participant == "required":
                return refusal(403, "x-participant-id is missing")
            wanted = accounts | frozenset(filter(None, [participant]))
            if grant is not None and grant.accounts is not None and not wanted <= {*grant.accounts}:
                return refusal(403, "not your account")
        token = body.get("resumeToken", body.get("resume_token"))
        depth = body.get("depth")
        return Asked(
            channel=channel,
            framing=framing_for(headers.get("accept", ""), self.options.framing),
            accounts=accounts,
            symbols=symbols,
            depth=depth if type(depth) is int and depth > 0 else None,
            token=token if isinstance(token, str) and token else None,
            client=client,
        )

    def give_token(self, http: HttpRequest, *, now: float) -> HttpResponse:
        """The token endpoint: a client secret, or an assertion that is one, for a bearer token.

        The real one verifies a signature (§2); this one takes the secret for it.
        """
        members = _form(http)
        if members.get("grant_type", "client_credentials") != "client_credentials":
            return answer(400, {"error": "unsupported_grant_type"})
        secret = members.get("client_secret") or members.get("client_assertion") or ""
        grant = self._grant(secret)
        if grant is None or not grant.active:
            return answer(401, {"error": "invalid_client"})
        self._issued += 1
        token = base64.urlsafe_b64encode(f"bearer-{self._issued:08d}".encode()).decode()
        self._bearers[token] = (secret, now + self.options.token_lives_s)
        lives_s = round(self.options.token_lives_s)
        issued = {"access_token": token, "token_type": "Bearer", "expires_in": lives_s}
        return answer(200, issued)

    def _client(self, authorization: str | None, now: float) -> str | HttpResponse:
        if authorization is None:
            if self.options.auth == "required":
                return refusal(401, "a bearer token is missing")
            return ""
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer":
            return refusal(401, "not a bearer token")
        client, until = self._bearers.get(token, (token, float("inf")))
        grant = self._grant(client)
        if grant is None or not grant.active or now >= until:
            return refusal(401, "the bearer token is wrong or has expired")
        return client

    def _grant(self, secret: str) -> KeyGrant | None:
        return next((each for each in self.options.keys if each.key == secret), None)

    def _within_rate(self, client: str, now: float) -> bool:
        limit, window_s = self.options.message_limit
        asked = self._asked_at.setdefault(client, collections.deque())
        while asked and asked[0] <= now - window_s:
            asked.popleft()
        if len(asked) >= limit:
            return False
        asked.append(now)
        return True

    def _body(self, http: HttpRequest) -> dict[str, Any] | HttpResponse:
        if len(http.body) > self.options.body_bytes:
            return refusal(413, f"a body may have {self.options.body_bytes} bytes")
        if not http.body.strip():
            return {}
        try:
            found = as_object(msgspec.json.decode(http.body))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return refusal(400, "the body is no JSON")
        return refusal(400, "the body is no object") if found is None else found


def _names(body: Mapping[str, Any], *members: str) -> frozenset[str]:
    found: list[object] = []
    for name in members:
        value = body.get(name)
        listed: Iterable[object] = as_list(value) or ([] if value is None else [value])
        found += listed
    return frozenset(each for each in found if isinstance(each, str))


def _form(http: HttpRequest) -> dict[str, str]:
    """The members of a form or of a JSON object."""
    try:
        text = http.body.decode()
        found = as_object(msgspec.json.decode(text)) if text.lstrip().startswith("{") else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    members = dict(parse_qsl(text)) if found is None else found
    return {name: value for name, value in members.items() if isinstance(value, str)}
