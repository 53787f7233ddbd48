"""One spelling of what the pages spell in many ways (`facts/polymarket_us.md` §4, §7.5 to §7.7).

Members are camelCase; counts and prices are integers, whether the wire has numbers or text; names
of enums lose their prefix. What is not known stays as it is: nothing is refused for being new.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from lastseen.shapes import as_list, as_object

__all__ = [
    "ORDER_ZEROES",
    "TERMINAL",
    "Zeroes",
    "camel",
    "filled",
    "moment",
    "order_of",
    "spelled",
    "whole",
]

_ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {"orderStatus": "state", "status": "state", "clOrdId": "clordId", "clientOrderId": "clordId"}
)

_WHOLE: Final = frozenset(
    {
        "orderQty", "price", "cumQty", "leavesQty", "avgPx", "stopPrice", "priceScale",
        "fractionalQuantityScale", "lastShares", "lastPx", "px", "qty", "netPosition", "cost",
        "qtyBought", "qtySold", "realized", "expired", "openInterest", "sharesTraded",
    }
)  # fmt: skip
"""Members that are whole numbers, as text or not (§4)."""

_NAMED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "side": ("SIDE_",),
        "type": ("ORDER_TYPE_", "EXECUTION_TYPE_"),
        "state": (
            "ORDER_STATE_", "ORDER_STATUS_", "INSTRUMENT_STATE_", "TRADE_STATE_",
        ),
        "tradeType": ("TRADE_TYPE_",),
    }
)  # fmt: skip
"""Members that are enums, and the prefixes their names may have; numbers stay (§7.5)."""

TERMINAL: Final = frozenset({"FILLED", "CANCELED", "REJECTED", "EXPIRED", "DONE_FOR_DAY"})
"""States that an order does not leave."""

Zeroes = Mapping[str, Any]
"""What an object that is whole means by leaving a member out (§7.7)."""

ORDER_ZEROES: Final[Zeroes] = MappingProxyType({"state": "NEW", "cumQty": 0, "leavesQty": 0})

_TIME_DIGITS: Final = 9


def camel(name: str) -> str:
    """A member's name in camelCase.

    >>> camel("cum_qty"), camel("cumQty"), camel("id")
    ('cumQty', 'cumQty', 'id')
    """
    if "_" not in name.strip("_"):
        return name
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def spelled(value: Any) -> Any:
    """A decoded value in our spelling, all the way down.

    >>> spelled({"order_status": "ORDER_STATUS_FILLED", "cum_qty": "12"})
    {'state': 'FILLED', 'cumQty': 12}
    """
    members = as_object(value)
    if members is not None:
        return {key: _member(key, item) for key, item in _keyed(members)}
    items = as_list(value)
    return value if items is None else [spelled(item) for item in items]


def _keyed(members: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, item in members.items():
        yield (_key(name) if len(name) <= _KEY_CHARACTERS_MAX else name), item


@lru_cache(maxsize=1024)
def _key(name: str) -> str:
    """Our name of a member; every record has the same few, so they are worked out once."""
    key = camel(name)
    return _ALIASES.get(key, key)


_KEY_CHARACTERS_MAX: Final = 128
"""Nobody names a member so; what is longer stays as it is, and is not remembered."""


def order_of(members: Mapping[str, Any], *, partly: bool) -> dict[str, Any]:
    """An order from spelled members; unless told `partly`, what is left out is zero (§7.7)."""
    order = dict(members)
    if "orderId" in order:
        order.setdefault("id", order.pop("orderId"))
    return order if partly else filled(order, ORDER_ZEROES)


def filled(members: Mapping[str, Any], zeroes: Zeroes) -> dict[str, Any]:
    """A whole object, with the zeroes that it leaves out.

    >>> filled({"symbol": "s"}, {"state": "CLOSED"})
    {'state': 'CLOSED', 'symbol': 's'}
    """
    return {**zeroes, **members}


def whole(value: object) -> object:
    """A whole number, from a number or its text; anything else as it is.

    >>> whole("12"), whole(12), whole("1.5"), whole(None)
    (12, 12, '1.5', None)
    """
    if type(value) is str and value.removeprefix("-").isdecimal() and len(value) <= _DIGITS_MAX:
        return int(value) if value.isascii() else value
    return value


_DIGITS_MAX: Final = 40


def moment(text: object) -> tuple[int, ...] | None:
    """An RFC 3339 time in UTC as numbers that compare; None for any other text.

    >>> moment("2026-11-20T00:00:03.5Z")
    (2026, 11, 20, 0, 0, 3, 500000000)
    >>> moment("yesterday")
    """
    if type(text) is not str or not text.isascii():
        return None
    day, mark, rest = text.partition("T")
    if mark != "T" or not rest.endswith(("Z", "+00:00")):
        return None
    clock, _, fraction = rest.removesuffix("Z").removesuffix("+00:00").partition(".")
    parts = [*day.split("-"), *clock.split(":")]
    digits = all(part.isdigit() for part in parts) and (not fraction or fraction.isdigit())
    if [len(part) for part in parts] != [4, 2, 2, 2, 2, 2] or not digits:
        return None
    if len(fraction) > _TIME_DIGITS:
        return None
    return (*map(int, parts), int(fraction.ljust(_TIME_DIGITS, "0")))


def _member(name: str, value: Any) -> Any:
    if name in _WHOLE:
        return whole(value)
    prefixes = _NAMED.get(name)
    if prefixes is not None and type(value) is str:
        for prefix in prefixes:
            if value.startswith(prefix):
                return value[len(prefix) :]
        return value
    return spelled(value)
