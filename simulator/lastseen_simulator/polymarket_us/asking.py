"""What a request for a stream asks for: its path, its body in either spelling, its headers (§3)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import attrs
import msgspec

from lastseen.shapes import as_list, as_object
from lastseen_simulator.effects import HttpRequest, HttpResponse
from lastseen_simulator.polymarket_us.channels import Channel
from lastseen_simulator.polymarket_us.framing import Framing, framing_for
from lastseen_simulator.polymarket_us.options import PolymarketUSOptions
from lastseen_simulator.polymarket_us.refusals import refusal

__all__ = ["Asked", "read_asked"]

_TEXT_CHARACTERS_MAX: Final = 256
_TOKEN_CHARACTERS_MAX: Final = 64 * 1024
_ENVELOPE_BYTES: Final = 5


@attrs.frozen(kw_only=True)
class Asked:
    """A stream as it is asked for; empty lists narrow nothing.

    `snake` says that records are spelled in snake_case, `layer` which of the published paths the
    request took: 1 is the trader's guide, 2 the older gateway, 3 Connect.
    """

    channel: Channel
    layer: int = 1
    framing: Framing = "lines"
    accounts: frozenset[str] = frozenset()
    symbols: frozenset[str] = frozenset()
    firms: frozenset[str] = frozenset()
    depth: int | None = None
    order_by_order: bool = False
    snapshot_only: bool = False
    token: str | None = attrs.field(default=None, repr=False)
    since_ms: int | None = None


class _WrongError(Exception):
    """Something in the body is not what it should be."""


def read_asked(
    http: HttpRequest, channel: Channel, options: PolymarketUSOptions
) -> Asked | HttpResponse:
    """Reads a request; whatever its bytes, the answer is a stream or a refusal."""
    if len(http.body) > options.body_bytes:
        return refusal(413, f"a body may have {options.body_bytes} bytes")
    headers = dict(http.headers)
    try:
        members = _members(http.body, headers.get("content-type", ""))
        asked = _asked(members, channel)
    except _WrongError as error:
        return refusal(400, str(error))
    if channel.name == "market_data" and len(asked.symbols) > options.symbols_max:
        return refusal(400, f"more than {options.symbols_max} symbols")
    return attrs.evolve(
        asked,
        layer=_layer(http.path),
        framing=framing_for(headers.get("accept", ""), options.framing),
    )


def _layer(path: str) -> int:
    return 2 if path.startswith("/api/") else 3 if path.startswith("/polymarket.") else 1


def _members(body: bytes, content_type: str) -> Mapping[str, Any]:
    if content_type.lower().startswith("application/connect+json"):
        size = int.from_bytes(body[1:_ENVELOPE_BYTES], "big")
        if body[:1] != b"\x00" or len(body) != _ENVELOPE_BYTES + size:
            raise _WrongError("the body is no envelope")
        body = body[_ENVELOPE_BYTES:]
    if not body.strip():
        return {}
    try:
        found = as_object(msgspec.json.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _WrongError("the body is no JSON") from None
    if found is None:
        raise _WrongError("the body is no object")
    return {_camel(name): value for name, value in found.items()}


def _camel(name: str) -> str:
    """Both spellings are taken (§0).

    >>> _camel("resume_token"), _camel("resumeToken")
    ('resumeToken', 'resumeToken')
    """
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def _asked(members: Mapping[str, Any], channel: Channel) -> Asked:
    kind = _text(members, "dataType")
    if kind not in (None, "orderbook"):
        raise _WrongError("dataType must be orderbook")
    depth = members.get("depth")
    if depth is not None and (type(depth) is not int or depth < 0):
        raise _WrongError("depth must be a whole number")
    account = _text(members, "accountId") or _text(members, "account")
    accounts = _texts(members, "accounts") | frozenset(filter(None, [account]))
    return Asked(
        channel=channel,
        accounts=accounts if channel.of_account else frozenset(),
        symbols=_texts(members, "symbols") | _texts(members, "instruments"),
        firms=_texts(members, "firms") if channel.of_firms else frozenset(),
        depth=depth or None,
        order_by_order=_flag(members, "unaggregated"),
        snapshot_only=_flag(members, "snapshotOnly"),
        token=_text(members, "resumeToken", _TOKEN_CHARACTERS_MAX) or None,
        since_ms=_moment(members),
    )


def _text(
    members: Mapping[str, Any], name: str, characters_max: int = _TEXT_CHARACTERS_MAX
) -> str | None:
    value = members.get(name)
    if value is not None and (type(value) is not str or len(value) > characters_max):
        raise _WrongError(f"{name} must be a text of at most {characters_max} characters")
    return value


def _texts(members: Mapping[str, Any], name: str) -> frozenset[str]:
    value = members.get(name)
    items = [] if value is None else as_list(value)
    if items is None or not all(type(each) is str for each in items):
        raise _WrongError(f"{name} must be a list of texts")
    return frozenset(str(each) for each in items)


def _flag(members: Mapping[str, Any], name: str) -> bool:
    value = members.get(name)
    if value not in (None, True, False) or type(value) is int:
        raise _WrongError(f"{name} must be true or false")
    return value is True


def _moment(members: Mapping[str, Any]) -> int | None:
    text = _text(members, "resumeTime")
    if not text:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise _WrongError("resumeTime must be an RFC 3339 time") from None
    if when.tzinfo is None:
        raise _WrongError("resumeTime must be an RFC 3339 time")
    return round(when.astimezone(UTC).timestamp() * 1000)
