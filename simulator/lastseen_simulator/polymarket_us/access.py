"""Who may have a stream: bearer tokens, scopes, participants, and the limits (§2, §6).

A real venue verifies the signature of an assertion. This one has no keys to do so with: it takes a
client's secret, or an assertion of the right form whose claims fit, and says so in its pages.
"""

import base64
import binascii
import collections
import random
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import attrs
import msgspec

from lastseen.shapes import as_object
from lastseen_simulator.effects import HttpRequest, HttpResponse
from lastseen_simulator.polymarket_us.asking import Asked
from lastseen_simulator.polymarket_us.channels import CHANNELS
from lastseen_simulator.polymarket_us.options import KeyGrant, PolymarketUSOptions
from lastseen_simulator.polymarket_us.refusals import answer, refusal

__all__ = ["Client", "Desk"]

_GRANT_TYPE: Final = "client_credentials"
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_LIVES_S: Final = 300
_ASSERTIONS_MAX: Final = 10_000
_BEARERS_MAX: Final = 10_000

_UNDECODABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, binascii.Error)

SCOPES: Final = frozenset(channel.scope for channel in CHANNELS.values())


@attrs.frozen(kw_only=True)
class Client:
    """Somebody who asks; without a grant nobody knows who."""

    grant: KeyGrant | None = None

    @property
    def account(self) -> str:
        """Whose limits of the oldest page these are."""
        return "" if self.grant is None else self.grant.client

    @property
    def firm(self) -> str:
        """Whose limits of the later pages these are."""
        return "" if self.grant is None else self.grant.firm


@attrs.frozen(kw_only=True)
class _Bearer:
    grant: KeyGrant
    until: float


@attrs.define(eq=False)
class Desk:
    """Judges who asks, and hands out bearer tokens."""

    options: PolymarketUSOptions
    rng: random.Random
    _bearers: dict[str, _Bearer] = attrs.field(init=False, factory=dict[str, _Bearer])
    _assertions: dict[str, None] = attrs.field(init=False, factory=dict[str, None])
    """Ids of assertions, each of which is good once."""
    _asked_at: dict[str, collections.deque[float]] = attrs.field(
        init=False, factory=dict[str, collections.deque[float]]
    )

    def recognise(self, http: HttpRequest, *, now: float) -> Client | HttpResponse:
        """The client by its bearer token, or a refusal; a stream asks for it only at its open."""
        authorization = dict(http.headers).get("authorization")
        if authorization is None:
            if self.options.auth == "required":
                return refusal(401, "a bearer token is missing")
            return Client()
        kind, _, token = authorization.partition(" ")
        bearer = self._bearers.get(token)
        grant = self._grant(token) if bearer is None else bearer.grant
        if kind.lower() != "bearer" or grant is None or not grant.active:
            return refusal(401, "the bearer token is wrong")
        if bearer is not None and now >= bearer.until:
            return refusal(401, "the bearer token has expired")
        return Client(grant=grant)

    def within_rate(self, client: Client, *, now: float) -> bool:
        """Counts a request, and says whether there may be one more."""
        limit, window_s = self.options.message_limit
        asked = self._asked_at.setdefault(self._pool(client), collections.deque())
        while asked and asked[0] <= now - window_s:
            asked.popleft()
        if len(asked) >= limit:
            return False
        asked.append(now)
        return True

    def is_full(self, client: Client, others: Iterable[Client]) -> bool:
        """Whether a client, or its firm, has all the streams it may have."""
        pool = self._pool(client)
        return sum(self._pool(each) == pool for each in others) >= self.options.stream_limit

    def admit(self, http: HttpRequest, client: Client, asked: Asked) -> Asked | HttpResponse:
        """What a client may have of what it asks for: its scopes and its accounts."""
        grant, channel = client.grant, asked.channel
        if grant is not None and grant.scopes is not None and channel.scope not in grant.scopes:
            return refusal(403, f"the scope {channel.scope} is missing")
        if not channel.of_account:
            return asked
        participant = dict(http.headers).get("x-participant-id")
        if participant is None and self.options.participant == "required":
            return refusal(403, "x-participant-id is missing")
        if grant is None or grant.accounts is None:
            return asked
        theirs = frozenset(grant.accounts)
        if participant is not None and participant not in theirs:
            return refusal(403, "no participant of yours")
        if not asked.accounts <= theirs:
            return refusal(403, "no account of yours")
        return attrs.evolve(asked, accounts=asked.accounts or theirs)

    def give_token(self, http: HttpRequest, *, wall_ms: int, now: float) -> HttpResponse:
        """The token endpoint."""
        members = _form(http)
        if members.get("grant_type") != _GRANT_TYPE:
            return answer(400, {"error": "unsupported_grant_type"})
        grant = self._claimant(members, wall_ms)
        if grant is None or not grant.active:
            return answer(401, {"error": "invalid_client"})
        self._bearers = {key: each for key, each in self._bearers.items() if now < each.until}
        if len(self._bearers) >= _BEARERS_MAX:
            return answer(429, {"error": "too_many_requests"})
        token = base64.urlsafe_b64encode(self.rng.randbytes(30)).decode()
        lives_s = self.options.token_lives_s
        self._bearers[token] = _Bearer(grant=grant, until=now + lives_s)
        issued: dict[str, Any] = {"access_token": token, "token_type": "Bearer"}
        scopes = " ".join(sorted(SCOPES if grant.scopes is None else grant.scopes))
        return answer(200, {**issued, "expires_in": max(1, int(lives_s)), "scope": scopes})

    def _pool(self, client: Client) -> str:
        """Whose budget is used: an account's on the oldest page, a firm's since (§1)."""
        return client.account if self.options.page == "a" else client.firm

    def _grant(self, secret: str) -> KeyGrant | None:
        return next((each for each in self.options.keys if each.key == secret), None)

    def _claimant(self, members: Mapping[str, str], wall_ms: int) -> KeyGrant | None:
        assertion = members.get("client_assertion")
        if assertion is None:
            grant = self._grant(members.get("client_secret", ""))
            named = members.get("client_id")
            return None if grant is None or named not in (None, grant.client) else grant
        if members.get("client_assertion_type", _ASSERTION_TYPE) != _ASSERTION_TYPE:
            return None
        claims = _claims(assertion)
        return self._grant(assertion) if claims is None else self._by_claims(claims, wall_ms)

    def _by_claims(self, claims: Mapping[str, Any], wall_ms: int) -> KeyGrant | None:
        client, until, name = claims.get("iss"), claims.get("exp"), claims.get("jti")
        if claims.get("sub") != client or type(until) is not int or type(name) is not str:
            return None
        second = wall_ms // 1000
        if not second < until <= second + _ASSERTION_LIVES_S or name in self._assertions:
            return None
        grant = next((each for each in self.options.keys if each.client == client), None)
        if grant is not None:
            self._assertions[name] = None
            if len(self._assertions) > _ASSERTIONS_MAX:
                del self._assertions[next(iter(self._assertions))]
        return grant


def _claims(assertion: str) -> Mapping[str, Any] | None:
    """The claims of a JWT; its signature is not looked at."""
    parts = assertion.split(".")
    if len(parts) != 3:
        return None
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return as_object(msgspec.json.decode(payload))
    except (*_UNDECODABLE, ValueError):
        return None


def _form(http: HttpRequest) -> dict[str, str]:
    """The members of a form or of a JSON object."""
    try:
        text = http.body.decode()
        found = as_object(msgspec.json.decode(text)) if text.lstrip().startswith("{") else None
        members = dict(parse_qsl(text)) if found is None else found
    except (*_UNDECODABLE, ValueError):
        return {}
    return {name: value for name, value in members.items() if isinstance(value, str)}
