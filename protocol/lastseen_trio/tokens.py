"""Obtaining bearer tokens by client credentials, the default way (RFC 6749 §4.4)."""

import ssl
from collections.abc import Sequence
from typing import final

import attrs
import msgspec

from lastseen.accounts import Bearer
from lastseen.dialect import SnapshotFault
from lastseen.secret import Secret
from lastseen_trio.addresses import Address
from lastseen_trio.http import post_form
from lastseen_trio.stream_feed import TokenError

__all__ = ["ClientCredentials"]

_LIVES_S_DEFAULT = 180.0
"""When the answer does not say (`facts/polymarket_us.md` §2)."""

_TOKEN_CHARACTERS_MAX = 16 * 1024
_REFUSED = (400, 401, 403)


class _Answer(msgspec.Struct):
    access_token: str
    expires_in: float = _LIVES_S_DEFAULT


_decode = msgspec.json.Decoder(_Answer).decode


@final
@attrs.frozen(kw_only=True)
class ClientCredentials:
    """A source of tokens for `open_feed`: asks a token URL, with a client's id and secret.

    An account that signs its assertions with a key of its own is a function of the application
    instead, which returns a `Bearer`.
    """

    url: str
    client_id: str
    client_secret: Secret
    audience: str | None = None
    scope: Sequence[str] = ()
    ssl_context: ssl.SSLContext | None = None

    @property
    def account(self) -> str:
        """What kept state is bound to."""
        return self.client_id

    async def __call__(self) -> Bearer:
        """A fresh token; raises `TokenError`. A redirect is not followed (HZ-K6)."""
        form: list[tuple[str, str | Secret]] = [
            ("grant_type", "client_credentials"),
            ("client_id", self.client_id),
            ("client_secret", self.client_secret),
        ]
        if self.audience is not None:
            form.append(("audience", self.audience))
        if self.scope:
            form.append(("scope", " ".join(self.scope)))
        address = Address.from_url(self.url, schemes=("http", "https"))
        answer = await post_form(address, form, ssl_context=self.ssl_context)
        if isinstance(answer, SnapshotFault):
            raise TokenError(answer.reason)
        if answer.status != 200:
            raise TokenError(f"HTTP {answer.status}", permanent=answer.status in _REFUSED)
        try:
            value = _decode(answer.body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise TokenError("the answer holds no token") from None
        token = value.access_token
        fit = token.isascii() and token.isprintable() and token.strip() == token
        if not token or not fit or len(token) > _TOKEN_CHARACTERS_MAX or value.expires_in <= 0:
            raise TokenError("the answer holds no usable token")
        return Bearer(token=Secret(token), lives_s=value.expires_in)
