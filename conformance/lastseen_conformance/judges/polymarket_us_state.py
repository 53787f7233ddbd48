"""Where a client's state of a Polymarket US stream and the true one part.

Whoever keeps what the wire says has one of many spellings of it: names of enums with their prefix
or without, members in camelCase or snake_case, numbers or their text. All of them are one here.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

__all__ = ["difference"]

_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "orders": ("symbol", "side", "state", "account", "orderQty", "price", "cumQty", "leavesQty"),
    "positions": ("netPosition", "cost"),
    "position_changes": ("netPosition", "cost"),
    "market_data": ("bids", "offers", "state"),
    "instruments": ("state", "description"),
    "trade_capture": ("state", "px", "qty"),
}
"""By stream, what of a unit has to be right; a drop copy leaves no units behind."""

_OVER: Final = frozenset({"FILLED", "CANCELED", "REJECTED", "EXPIRED"})
_OTHER_NAMES: Final = {"orderStatus": "state", "status": "state"}
_PREFIXES: Final = ("ORDER_STATE_", "ORDER_STATUS_", "INSTRUMENT_STATE_", "TRADE_STATE_", "SIDE_")


def difference(
    stream: str,
    state: Mapping[str, Any],
    truth: Mapping[str, Any],
    *,
    only: tuple[str, ...] | None = None,
    but: tuple[str, ...] = (),
) -> str | None:
    """The first difference in words; `only` names the members that the wire ever told of.

    `but` names those that it told of in a way that nobody can read.

    An order that is over and a position of nothing need not be there, but have to be right where
    they are.
    """
    names = _MEMBERS.get(stream, ()) if only is None else only
    prefix = f"{stream}/"
    if not names:
        return None
    for key in sorted(key for key in truth if key.startswith(prefix)):
        wanted = _plain(truth[key])
        if key not in state:
            if wanted.get("state") in _OVER or (
                stream.startswith("position") and "netPosition" not in wanted
            ):
                continue
            return f"{key} is missing"
        shown = _plain(state[key])
        for name in names:
            if name not in but and shown.get(name) != wanted.get(name):
                return f"{key}: {name} is {shown.get(name)}, should be {wanted.get(name)}"
    extra = sorted(key for key in state if key.startswith(prefix) and key not in truth)
    return f"{extra[0]} should not be there" if extra else None


def _plain(value: Any) -> dict[str, Any]:
    """A unit in one spelling, without what is zero."""
    members = _spelled(value)
    return cast("dict[str, Any]", members) if isinstance(members, dict) else {}


def _spelled(value: Any) -> Any:
    if isinstance(value, Mapping):
        made: dict[str, Any] = {}
        for name, each in cast("Mapping[str, Any]", value).items():
            spelled = _spelled(each)
            if spelled is not None:
                camel = _camel(name)
                made[_OTHER_NAMES.get(camel, camel)] = spelled
        return made or None
    if isinstance(value, list | tuple):
        return [_spelled(each) for each in cast("list[Any]", value)] or None
    if value in (None, "", 0, "0", False):
        return None
    text = str(value)
    for prefix in _PREFIXES:
        text = text.removeprefix(prefix)
    return text


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)
