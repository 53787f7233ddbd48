"""How what happens is written down: spelling and wrapping, as the knobs say (§0, §4)."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from lastseen.shapes import as_list, as_object
from lastseen_simulator.polymarket_us.asking import Asked
from lastseen_simulator.polymarket_us.framing import END, framed
from lastseen_simulator.polymarket_us.options import PolymarketUSOptions
from lastseen_simulator.polymarket_us.refusals import CONNECT_NAMES

__all__ = ["ENUM_PREFIXES", "Wire"]

_KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    "order": {"side": "SIDE_", "type": "ORDER_TYPE_"},
    "execution": {"type": "EXECUTION_TYPE_"},
    "party": {"side": "SIDE_"},
    "reject": {"rejectReason": "CXL_REJ_REASON_"},
    "instruments": {"state": "INSTRUMENT_STATE_"},
    "market_data": {"state": "INSTRUMENT_STATE_"},
    "trade_capture": {"state": "TRADE_STATE_", "tradeType": "TRADE_TYPE_"},
}
"""The prefixes that names of enums have, by kind of object."""

_STATES: Final[Mapping[str, str]] = {"state": "ORDER_STATE_", "orderStatus": "ORDER_STATUS_"}
"""The same for the state of an order, by the member that has it (§7.5)."""

ENUM_PREFIXES: Final = (
    *(prefix for kind in _KINDS.values() for prefix in kind.values()),
    *_STATES.values(),
)
"""All of them."""

_ZERO_STATES: Final[Mapping[str, str]] = {
    "order": "NEW",
    "market_data": "CLOSED",
    "instruments": "CLOSED",
}
"""The state that is left out where zeroes are (§7.7)."""

_NUMBERS: Final[Mapping[str, Mapping[str, int]]] = {
    "order_page": {
        "NEW": 0, "PARTIALLY_FILLED": 1, "FILLED": 2, "CANCELED": 3, "REPLACED": 4, "REJECTED": 5,
        "EXPIRED": 6,
    },
    "proto_page": {
        "NEW": 1, "PARTIALLY_FILLED": 2, "FILLED": 3, "CANCELED": 4, "REPLACED": 6, "REJECTED": 7,
        "EXPIRED": 9,
    },
}  # fmt: skip
"""NEW, REJECTED and EXPIRED are what the two pages say (§7.5), the others are ours in between."""

_LINE_ENDS: Final[Mapping[str, bytes]] = {"lf": b"\n", "crlf": b"\r\n", "blank": b"\n\n"}

_INNER: Final = {
    "order": "order",
    "position": "positions",
    "passive": "party",
    "aggressor": "party",
}
"""Kinds of objects inside others, by the member that holds them."""

_EVENTS: Final = {"drop_copy": "execution", "trade_capture": "trade_capture"}


class Wire:
    """Writes records under one set of knobs."""

    def __init__(self, options: PolymarketUSOptions) -> None:
        self._options = options

    def snapshot(self, asked: Asked, items: Iterable[Any], **beside: Any) -> bytes:
        """The state of a channel, or a page of it with `eof`."""
        channel = asked.channel
        eof = {} if "eof" not in beside else {"eof": beside.pop("eof")}
        kind = {"orders": "order", **_EVENTS}.get(channel.name, channel.name)
        listed = [self._object(kind, item) for item in items]
        if self._options.style == "guide" and channel.name == "orders":
            shown = {"type": "snapshot", "orders": listed, **eof}
            return self._record(asked, {**shown, **beside})
        return self._record(asked, {"snapshot": {channel.items: listed, **eof}, **beside})

    def update(self, asked: Asked, items: Iterable[Mapping[str, Any]], **beside: Any) -> bytes:
        """One change, or several of a channel whose messages are lists."""
        name, listed = asked.channel.name, list(items)
        match name:
            case "orders" if "cancelReject" in listed[0]:
                reject = self._object("reject", listed[0]["cancelReject"])
                return self._record(asked, {"update": {"cancelReject": reject}, **beside})
            case "orders" if self._options.style == "guide":
                return self._record(asked, {**self._delta(listed[0]), **beside})
            case "market_data":
                return self._record(asked, {"update": self._object(name, listed[0]), **beside})
            case "orders":
                executions = [self._object("execution", item) for item in listed]
                return self._record(asked, {"update": {"executions": executions}, **beside})
            case "positions":
                positions = [self._object(name, item) for item in listed]
                return self._record(asked, {"update": {"positions": positions}, **beside})
            case _:
                kind = _EVENTS.get(name, name)
                made = [self._object(kind, item) for item in listed]
                return self._record(asked, {asked.channel.items: made, **beside})

    def heartbeat(self, asked: Asked, **beside: Any) -> bytes:
        """A sign of life."""
        return self._record(asked, {"heartbeat": {}, **beside})

    def framed(self, asked: Asked, record: bytes) -> bytes:
        """A record as the body has it."""
        return framed(record, asked.framing, line_end=_LINE_ENDS[self._options.line_end])

    def error(self, asked: Asked, code: int, message: str) -> bytes:
        """The last thing in a stream that goes wrong (§4.5), framed."""
        shown: int | str = code
        if asked.framing == "connect" and self._options.connect_codes == "names":
            shown = CONNECT_NAMES.get(code, "unknown")
        record = _json({"error": {"code": shown, "message": message, "details": []}})
        if asked.framing == "connect":
            return framed(record, "connect", flags=END)
        return self.framed(asked, record)

    def end(self, asked: Asked) -> bytes:
        """The last thing in a stream that ends well: Connect has a word for it."""
        return framed(b"{}", "connect", flags=END) if asked.framing == "connect" else b""

    def _record(self, asked: Asked, members: Mapping[str, Any]) -> bytes:
        shown = {name: value for name, value in members.items() if value is not None}
        guide = self._options.style == "guide" and "type" in shown
        case = self._options.case
        snake = case == "snake" or (case == "path" and asked.layer == 2)
        spelled = self._spelled(shown, snake)
        return _json({"result": spelled} if self._options.wrapped and not guide else spelled)

    def _delta(self, execution: Mapping[str, Any]) -> dict[str, Any]:
        """A change of an order as the oldest guide has it."""
        order = execution["order"]
        return {
            "id": f"m-{execution['id']}",
            "type": "delta",
            "orderId": order["id"],
            "execId": execution["id"],
            "status": order["state"],
        }

    def _object(self, kind: str, item: Mapping[str, Any]) -> dict[str, Any]:
        made = dict(item)
        zero = made.get("state") == _ZERO_STATES.get(kind)
        for name, prefix in _KINDS.get(kind, {}).items():
            if isinstance(made.get(name), str):
                made[name] = prefix + made[name]
        if kind == "order" and isinstance(made.get("state"), str):
            self._name_state(made)
        if self._options.omit_zeroes:
            if zero:
                made.pop("state", None)
                made.pop("orderStatus", None)
            made = {name: each for name, each in made.items() if not _is_zero(each)}
        for name, inner in _INNER.items():
            held = as_object(made.get(name))
            if held is not None:
                made[name] = self._object(inner, held)
        for name in ("bids", "offers"):
            levels = as_list(made.get(name))
            if levels is not None:
                made[name] = [
                    self._object("level", level) if as_object(level) is not None else level
                    for level in levels
                ]
        return made

    def _name_state(self, order: dict[str, Any]) -> None:
        state, names = order.pop("state"), self._options.state_names
        member = "orderStatus" if names == "status" else "state"
        number = _NUMBERS.get(self._options.enums, {}).get(state)
        if number is not None:
            order[member] = number
        elif names == "bare":
            order[member] = state
        else:
            order[member] = f"{_STATES[member]}{state}"

    def _spelled(self, value: Any, snake: bool, name: str = "") -> Any:
        """Members in the case, whole numbers in the form that the knobs say."""
        members, items = as_object(value), as_list(value)
        if members is not None:
            return {
                _snake(key) if snake else key: self._spelled(each, snake, key)
                for key, each in members.items()
            }
        if items is not None:
            return [self._spelled(item, snake, name) for item in items]
        if type(value) is int and self._options.numbers == "text" and name not in _ENUMS:
            return str(value)
        return value


_ENUMS: Final = frozenset({"state", "orderStatus", "status"})
"""Members whose numbers are no quantities."""


def _is_zero(value: Any) -> bool:
    return value is False or value == "" or (type(value) is int and value == 0)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)
