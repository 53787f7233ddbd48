"""How what happens is written down: spelling, wrapping and framing, as the knobs say (§0, §4)."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from lastseen.shapes import as_list, as_object
from lastseen_simulator.polymarket_us.options import Framing, PolymarketUSOptions

__all__ = ["CONTENT_TYPES", "MEMBERS", "Wire", "framing_for"]

CONTENT_TYPES: Final[Mapping[Framing, str]] = {
    "lines": "application/json",
    "connect": "application/connect+json",
    "sse": "text/event-stream",
}

MEMBERS: Final[Mapping[str, str]] = {
    "orders": "orders",
    "positions": "positions",
    "market_data": "books",
    "drop_copy": "executions",
    "trade_capture": "tradeCaptureReports",
    "position_changes": "positionChanges",
    "instruments": "instruments",
}
"""The member that holds the objects of a channel (§4)."""

_END: Final = 0x02
_KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    "order": {"side": "SIDE_", "type": "ORDER_TYPE_"},
    "execution": {"type": "EXECUTION_TYPE_"},
    "instruments": {"state": "INSTRUMENT_STATE_"},
    "market_data": {"state": "INSTRUMENT_STATE_"},
    "trade_capture": {"state": "TRADE_STATE_", "tradeType": "TRADE_TYPE_"},
}
"""The prefixes that names of enums have, by kind of object."""


def framing_for(accept: str, default: Framing) -> Framing:
    """What `Accept` asks for; the default where it asks for nothing in particular."""
    for framing in ("connect", "sse"):
        if CONTENT_TYPES[framing] in accept.lower():
            return framing
    return default


class Wire:
    """Writes records under one set of knobs."""

    def __init__(self, options: PolymarketUSOptions) -> None:
        self._options = options

    def snapshot(self, channel: str, items: Iterable[Any], **beside: Any) -> bytes:
        """The state of a channel, or a page of it with `eof`."""
        eof = {} if "eof" not in beside else {"eof": beside.pop("eof")}
        kind = "order" if channel == "orders" else channel
        listed = [self._object(kind, item) for item in items]
        if self._options.style == "guide" and channel == "orders":
            return self._record({"type": "snapshot", "orders": listed, **eof, **beside})
        return self._record({"snapshot": {MEMBERS[channel]: listed, **eof}, **beside})

    def update(self, channel: str, item: Mapping[str, Any], **beside: Any) -> bytes:
        """One change."""
        match channel:
            case "orders" if self._options.style == "guide" and "order" in item:
                order = item["order"]
                delta = {
                    "id": f"m-{item['id']}", "type": "delta", "orderId": order["id"],
                    "execId": item["id"], "status": order["state"],
                }  # fmt: skip
                return self._record({**delta, **beside})
            case "orders" if "cancelReject" in item:
                return self._record({"update": dict(item), **beside})
            case "orders":
                return self._record({"update": {"executions": [self._execution(item)]}, **beside})
            case "market_data":
                return self._record({"update": self._object(channel, item), **beside})
            case "positions":
                positions = [self._object(channel, item)]
                return self._record({"update": {"positions": positions}, **beside})
            case "drop_copy":
                return self._record({"executions": [self._execution(item)], **beside})
            case _:
                return self._record({MEMBERS[channel]: [self._object(channel, item)], **beside})

    def heartbeat(self, **beside: Any) -> bytes:
        """A sign of life."""
        return self._record({"heartbeat": {}, **beside})

    def error(self, code: int, message: str) -> bytes:
        """The last record of a stream that goes wrong (§4.5)."""
        return _json({"error": {"code": code, "message": message, "details": []}})

    def framed(self, record: bytes, framing: Framing, *, last: bool = False) -> bytes:
        """A record as the body has it; `last` is Connect's end of stream."""
        match framing:
            case "lines":
                return record + b"\n"
            case "sse":
                return b"data: " + record + b"\n\n"
            case "connect":
                return bytes([_END if last else 0]) + len(record).to_bytes(4, "big") + record

    def _record(self, members: Mapping[str, Any]) -> bytes:
        shown = {name: value for name, value in members.items() if value is not None}
        guide = self._options.style == "guide" and "type" in shown
        wrap = self._options.wrapped and not guide
        spelled = self._spelled(shown)
        return _json({"result": spelled} if wrap else spelled)

    def _execution(self, item: Mapping[str, Any]) -> dict[str, Any]:
        made = self._object("execution", {k: v for k, v in item.items() if k != "order"})
        if "order" in item:
            made["order"] = self._object("order", item["order"])
        return made

    def _object(self, kind: str, item: Mapping[str, Any]) -> dict[str, Any]:
        options, made = self._options, dict(item)
        for name, prefix in _KINDS.get(kind, {}).items():
            if isinstance(made.get(name), str):
                made[name] = prefix + made[name]
        if kind == "order" and isinstance(made.get("state"), str):
            state = made.pop("state")
            if options.omit_zeroes and state == "NEW":
                pass
            elif options.state_names == "status":
                made["orderStatus"] = f"ORDER_STATUS_{state}"
            else:
                made["state"] = f"ORDER_STATE_{state}" if options.state_names == "state" else state
        if options.omit_zeroes:
            made = {n: v for n, v in made.items() if v is not False and v != 0 and v != ""}
        return made

    def _spelled(self, value: Any) -> Any:
        """Members in the case, whole numbers in the form that the knobs say."""
        members, items = as_object(value), as_list(value)
        if members is not None:
            snake = self._options.case == "snake"
            return {_snake(n) if snake else n: self._spelled(v) for n, v in members.items()}
        if items is not None:
            return [self._spelled(item) for item in items]
        if type(value) is int and self._options.numbers == "text":
            return str(value)
        return value


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)
