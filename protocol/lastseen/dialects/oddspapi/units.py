"""What an update replaces, and what a snapshot brings back: units by key (`facts` §6.0).

Down to the unit, updates merge; the unit itself is replaced whole. A unit's key says its channel
and where it sits:

    fixtures/<fixture>   scores/<fixture>/<period>   clocks/<fixture>
    odds/<fixture>/<bookmaker>/<oddsId>              bookmakers/<fixture>/<bookmaker>
    futures/<future>
    oddsFutures/<future>/<bookmaker>/<oddsId>        bookmakersFutures/<future>/<bookmaker>
    currencies/<code>

Which of these readers a channel has is said in `channels`.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from lastseen.errors import PayloadError
from lastseen.shapes import as_object, member

__all__ = [
    "Reader",
    "Units",
    "changed_at",
    "is_blank",
    "is_finished",
    "is_inactive",
    "read_clock",
    "read_currencies",
    "read_items",
    "read_rows",
    "read_whole",
    "updated_at",
]

Units = dict[str, Any]

Reader = Callable[[str, Mapping[str, Any]], Units]
"""From the beginning of the keys and a payload to units; raises `PayloadError`."""

_FINISHED = (2, 3)
"""`statusId` of finished and cancelled fixtures (`facts` §6.1); futures are taken alike."""


def read_whole(others: tuple[str, ...], prefix: str, payload: Mapping[str, Any]) -> Units:
    """The payload is the unit, but for members that have channels of their own (`facts` §6.0)."""
    return {prefix: {name: value for name, value in payload.items() if name not in others}}


def read_clock(prefix: str, payload: Mapping[str, Any]) -> Units:
    """The clock is the unit; null is one without values, as nothing on the wire takes a unit away.

    Raises `PayloadError` when it is anything else, or not there.
    """
    clock = payload.get("clock", False)
    value = {} if clock is None else as_object(clock)
    if value is None:
        raise PayloadError("clock is not an object")
    return {prefix: value}


def read_items(name: str, prefix: str, payload: Mapping[str, Any]) -> Units:
    """Each item of a member is a unit: a period's score, a bookmaker's status."""
    items = _objects(payload.get(name), name)
    return {f"{prefix}/{key}": item for key, item in items.items()}


def read_rows(name: str, prefix: str, payload: Mapping[str, Any]) -> Units:
    """Each row of each bookmaker is a unit; the rows' keys are opaque (OP-A29)."""
    books = _objects(payload.get(name), name)
    return {
        f"{prefix}/{book}/{odds_id}": row
        for book, rows in books.items()
        for odds_id, row in _objects(rows, f"{name} of a bookmaker").items()
    }


def read_currencies(prefix: str, payload: Mapping[str, Any]) -> Units:
    """Each currency is a unit, by code: a number under `rates`, else an object (OP-A14)."""
    if "rates" in payload:
        items: Mapping[str, Any] | None = as_object(payload["rates"])
        if items is None or not all(type(rate) in (int, Decimal) for rate in items.values()):
            raise PayloadError("rates is not an object of numbers")
    else:
        items = _objects(payload, "currencies")
    return {f"{prefix}/{code}": item for code, item in items.items()}


def changed_at(value: Any) -> Any:
    """`changedAt` of an odds row, in epoch milliseconds (OP-A6, OP-A30); None when it has none."""
    stamp = member(value, "changedAt")
    return stamp if type(stamp) is int else None


def updated_at(value: Any) -> Any:
    """`updatedAt`, a UTC ISO 8601 time, in a form that sorts as text; None for any other form."""
    stamp = member(value, "updatedAt")
    if type(stamp) is not str:
        return None
    for zone in ("+00:00", "Z"):
        if stamp.endswith(zone):
            seconds, _, fraction = stamp.removesuffix(zone).partition(".")
            return (
                f"{seconds}.{fraction:0<9}" if len(seconds) == len("0000-00-00T00:00:00") else None
            )
    return None


def is_finished(entity: Any) -> bool:
    """Whether a fixture or future is over; a status of another shape says nothing."""
    status = member(entity, "status", "statusId")
    return type(status) is int and status in _FINISHED


def is_inactive(row: Any) -> bool:
    """Whether an odds row says that it is, so that snapshots leave it out (OP-A27)."""
    return member(row, "active") is False


def is_blank(clock: Any) -> bool:
    """Whether a clock has no value in it, which says that there is none (`facts` §6.4)."""
    members = as_object(clock)
    return members is not None and all(value is None for value in members.values())


def _objects(value: Any, what: str) -> Mapping[str, Mapping[str, Any]]:
    members = as_object(value)
    if members is None or not all(type(item) is dict for item in members.values()):
        raise PayloadError(f"{what} is not an object of objects")
    return members
