"""Payload bytes become values only when somebody looks, and prices keep their exact text."""

from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any, cast

import msgspec

from lastseen.errors import PayloadError
from lastseen.shapes import as_list, as_object

__all__ = ["Encoding", "decode_json", "decode_payload"]

_PLAIN_DIGITS = 300

_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)


class Encoding(Enum):
    """How the bytes of a payload are to be read."""

    JSON = "json"
    MSGPACK = "msgpack"


def _exact(text: str) -> Decimal:
    # Only an exponent, or a great many digits, can leave the range of a float (HZ-J5).
    if ("e" in text or "E" in text or len(text) > _PLAIN_DIGITS) and not isfinite(float(text)):
        raise ValueError("number out of range")
    return Decimal(text)


_json = msgspec.json.Decoder(float_hook=_exact).decode
_msgpack = msgspec.msgpack.Decoder().decode


def decode_payload(raw: bytes | msgspec.Raw, encoding: Encoding) -> dict[str, Any]:
    """Decodes the bytes of a JSON or MessagePack object.

    Numbers with a fraction become `Decimal` with the wire's own text; MessagePack floats take the
    text of `repr` (design §5a). Raises `PayloadError` for anything that is not an object with text
    keys, or holds a number that is not finite (HZ-J5).

    >>> decode_payload(b'{"price":1.90}', Encoding.JSON)
    {'price': Decimal('1.90')}
    """
    try:
        value = _json(raw) if encoding is Encoding.JSON else _plain(_msgpack(raw))
    except _UNDECODABLE as error:
        raise PayloadError(f"undecodable payload: {type(error).__name__}") from None
    if type(value) is not dict:
        raise PayloadError("payload is not an object")
    return cast("dict[str, Any]", value)


def decode_json(raw: bytes | msgspec.Raw) -> Any:
    """Decodes any JSON text with exact numbers; raises `PayloadError`."""
    try:
        return _json(raw)
    except _UNDECODABLE as error:
        raise PayloadError(f"undecodable JSON: {type(error).__name__}") from None


def _plain(value: Any) -> Any:
    """Gives a MessagePack value the shape that its JSON twin would have (HZ-J11)."""
    if type(value) is float:
        if not isfinite(value):
            raise ValueError("number out of range")
        return Decimal(repr(value))
    members = as_object(value)
    if members is not None:
        if not all(type(key) is str for key in members):
            raise ValueError("a key is not text")
        return {key: _plain(item) for key, item in members.items()}
    items = as_list(value)
    if items is not None:
        return [_plain(item) for item in items]
    if value is None or type(value) in (str, int, bool):
        return value
    raise ValueError(f"unexpected {type(value).__name__}")
