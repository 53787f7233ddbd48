"""Payload bytes become values only when somebody looks, and prices keep their exact text."""

import math
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from lastseen.errors import PayloadError
from lastseen.shapes import as_list, as_object

__all__ = ["Encoding", "decode_json", "decode_payload"]

_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)


class Encoding(Enum):
    """How the bytes of a payload are to be read."""

    JSON = "json"
    MSGPACK = "msgpack"


def _exact(text: str) -> Decimal:
    if not math.isfinite(float(text)):
        raise ValueError("number out of range")
    return Decimal(text)


_JSON = msgspec.json.Decoder(float_hook=_exact)
_MSGPACK = msgspec.msgpack.Decoder()


def decode_payload(raw: bytes, encoding: Encoding) -> dict[str, Any]:
    """Decodes the bytes of a JSON or MessagePack object.

    Numbers with a fraction become `Decimal` with the wire's own text; MessagePack floats take the
    text of `repr` (design §5a). Raises `PayloadError` for anything that is not an object with text
    keys, or holds a number that is not finite (HZ-J5).

    >>> decode_payload(b'{"price":1.90}', Encoding.JSON)
    {'price': Decimal('1.90')}
    """
    if encoding is Encoding.JSON:
        value = decode_json(raw)
    else:
        try:
            value = _plain(_MSGPACK.decode(raw))
        except _UNDECODABLE as error:
            raise PayloadError(f"undecodable payload: {type(error).__name__}") from None
    payload = as_object(value)
    if payload is None:
        raise PayloadError("payload is not an object")
    return payload


def decode_json(raw: bytes) -> Any:
    """Decodes any JSON text with exact numbers; raises `PayloadError`."""
    try:
        return _JSON.decode(raw)
    except _UNDECODABLE as error:
        raise PayloadError(f"undecodable JSON: {type(error).__name__}") from None


def _plain(value: Any) -> Any:
    """Gives a MessagePack value the shape that its JSON twin would have (HZ-J11)."""
    if type(value) is float:
        return _exact(repr(value))
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
