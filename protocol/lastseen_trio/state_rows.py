"""How state lies in a state file: the tables, exact values, and a checksum over every row.

SQLite does not notice when a page of its file changes by itself, so we do (HZ-E8): each row
carries the CRC of its columns, and the one row about all of them carries their count and the sum of
their CRCs. A row that changed, is missing, or is older than the others cannot pass.
"""

from decimal import Decimal
from math import isfinite
from types import NoneType
from typing import Any, NamedTuple, final
from zlib import crc32

import attrs
import msgspec

from lastseen.replica import Unit
from lastseen.shapes import as_list, as_object

__all__ = [
    "APPLICATION_ID",
    "SCHEMA_VERSION",
    "TABLES",
    "Meta",
    "Row",
    "StoredScope",
    "UnstorableError",
    "encode_unit",
    "scope_crc",
    "unit_crc",
]

APPLICATION_ID = 0x4C534E01
"""In the file's header: a state file of ours, and not just any database."""

SCHEMA_VERSION = 2

_META = """
CREATE TABLE meta (
  id INTEGER PRIMARY KEY, dialect TEXT NOT NULL, endpoint TEXT NOT NULL,
  subscription TEXT NOT NULL, salt BLOB NOT NULL, account BLOB NOT NULL,
  writer BLOB NOT NULL, generation INTEGER NOT NULL,
  row_count INTEGER NOT NULL, crc_sum INTEGER NOT NULL, position TEXT NOT NULL,
  crc INTEGER NOT NULL
)"""

_SCOPES = """
CREATE TABLE scopes (
  id INTEGER PRIMARY KEY, channel TEXT NOT NULL, entity TEXT, unproven INTEGER NOT NULL,
  crc INTEGER NOT NULL
)"""

_UNITS = """
CREATE TABLE units (
  scope INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, streamed INTEGER NOT NULL,
  crc INTEGER NOT NULL, PRIMARY KEY (scope, key)
) WITHOUT ROWID"""

TABLES = (_META.strip(), _SCOPES.strip(), _UNITS.strip())
"""As they are made, and as the file spells them afterwards."""

Row = tuple[int, str, bytes, int, int]
"""Of `units`: scope, key, value, streamed, CRC."""

_encode = msgspec.json.Encoder(decimal_format="number").encode
_PLAIN = frozenset({str, int, bool, NoneType})

_UNENCODABLE = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)


class UnstorableError(Exception):
    """A value that would not come back as it is; none that a wire's decoder gives out."""


class StoredScope(NamedTuple):
    """A row of `scopes`, without its name."""

    id: int
    unproven: bool
    crc: int


@final
@attrs.frozen(kw_only=True)
class Meta:
    """The one row about the whole: what it belongs to, who wrote it last, and what must be there.

    `salt` and `account` stand for the account's key: a fingerprint so short that no search could
    turn it back. `writer` is drawn whenever the file is opened, so that no two writes bear the same
    `writer` and `generation`.
    """

    dialect: str
    endpoint: str
    subscription: str
    salt: bytes
    account: bytes
    writer: bytes
    generation: int = 0
    row_count: int = 0
    crc_sum: int = 0
    position: str

    def columns(self) -> tuple[Any, ...]:
        """As stored: an id, the fields, the CRC."""
        fields = attrs.astuple(self, recurse=False)
        return (1, *fields, _crc_of(fields))

    @classmethod
    def from_columns(cls, columns: tuple[Any, ...]) -> "Meta | None":
        """None when it is not what was once written."""
        number, *_ = columns
        fields = columns[1:-1]
        whole = number == 1 and all(map(isinstance, fields, _META_KINDS))
        if not whole or _crc_of(fields) != columns[-1]:
            return None
        return cls(**dict(zip((field.name for field in attrs.fields(cls)), fields, strict=True)))


_META_KINDS = (str, str, str, bytes, bytes, bytes, int, int, int, str)


def encode_unit(scope: int, key: str, unit: Unit) -> Row:
    """The row that `lastseen.payload.decode_json` reads back exactly: 1.90 stays 1.90.

    A float, which no decoder of ours gives out, comes back as the decimal that it is spelled like.
    Raises `UnstorableError`, for example for half of a surrogate pair, which no UTF-8 can hold.
    """
    value = unit.value
    try:
        if _needs_care(value):
            value = _spelled_out(value)
        data = _encode(value)
        return (scope, key, data, int(unit.streamed), unit_crc(scope, key, data, unit.streamed))
    except _UNENCODABLE as error:
        raise UnstorableError(type(error).__name__) from error


def unit_crc(scope: int, key: str, value: bytes, streamed: int) -> int:
    """Over all the other columns of a row of `units`."""
    name = key.encode()
    return crc32(value, crc32(b"%d %d %d %b" % (scope, streamed, len(name), name)))


def scope_crc(scope: int, channel: str, entity: str | None, unproven: int) -> int:
    """Over all the other columns of a row of `scopes`; raises `UnstorableError`."""
    try:
        return _crc_of((scope, channel, entity, int(unproven)))
    except UnicodeEncodeError as error:
        raise UnstorableError("a name that is no text") from error


def _crc_of(columns: tuple[Any, ...]) -> int:
    return crc32(msgspec.json.encode(columns))


def _needs_care(value: Any) -> bool:
    """Whether the encoder's text would be read as another type; raises for what is not JSON."""
    if type(value) in _PLAIN:
        return False
    if type(value) is Decimal:
        return _is_spelled_like_an_integer(value)
    if type(value) is float and isfinite(value):
        return False
    members = as_object(value)
    items = as_list(value) if members is None else members.values()
    if items is None:
        raise TypeError("not JSON")
    care = False
    for item in items:
        if type(item) not in _PLAIN and _needs_care(item):
            care = True
    return care


def _is_spelled_like_an_integer(value: Decimal) -> bool:
    text = str(value)
    if not isfinite(float(text)):
        # The decoder refuses it, and would take the file for damaged (HZ-J5).
        raise ValueError("number out of range")
    return text.lstrip("-").isdigit()


def _spelled_out(value: Any) -> Any:
    """With an exponent, so that `1e0` on the wire does not come back as the integer 1."""
    if type(value) is Decimal and _is_spelled_like_an_integer(value):
        return msgspec.Raw(b"%be0" % str(value).encode())
    members = as_object(value)
    if members is not None:
        return {key: _spelled_out(item) for key, item in members.items()}
    items = as_list(value)
    if items is not None:
        return [_spelled_out(item) for item in items]
    return value
