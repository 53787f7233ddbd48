"""Does a client's state equal the truth? Judged stream by stream, to the first difference."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

from lastseen_simulator.polymarket_us.market import TERMINAL
from lastseen_simulator.polymarket_us.wire import ENUM_PREFIXES
from lastseen_simulator.verdict import ChannelVerdict

__all__ = ["STATEFUL", "compare"]

STATEFUL: Final = (
    "orders",
    "positions",
    "market_data",
    "instruments",
    "trade_capture",
    "position_changes",
)
"""The streams that leave units behind; a drop copy is only a list of what happened."""

_FROM_NOW_ON: Final = frozenset({"trade_capture", "position_changes"})
"""Streams without a snapshot: nobody has to know what was before."""

_PREFIXES: Final = tuple(ENUM_PREFIXES)
_SPELLED_ONCE: Final = (str, int, bool)


def compare(
    client: Mapping[str, Any], truth: Mapping[str, Any], channels: Iterable[str]
) -> tuple[ChannelVerdict, ...]:
    """Compares two states, unit key → value, member by member.

    Only what the client holds of a unit is compared for what it may lack (a delta of the oldest
    page says the state alone). `None`, zero and an absent member are one (§7.7); so are a whole
    number and its text (§4), and the name of an enum with its prefix and without (§7.5). Orders
    that are done need not be there, but must be right where they are; a position of nothing is one
    that is not there (§4.3).
    """
    return tuple(_compare(channel, client, truth) for channel in channels)


def _compare(channel: str, client: Mapping[str, Any], truth: Mapping[str, Any]) -> ChannelVerdict:
    prefix = f"{channel}/"
    theirs = {key: each for key, each in truth.items() if key.startswith(prefix)}
    ours = {key: each for key, each in client.items() if key.startswith(prefix)}
    difference = next(_differences(channel, ours, theirs), None)
    return ChannelVerdict(channel=channel, units=len(theirs), difference=difference)


def _differences(channel: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted(theirs):
        if key not in ours:
            if channel not in _FROM_NOW_ON and not _may_lack(theirs[key]):
                yield f"{key} is missing"
        else:
            yield from _members(key, ours[key], theirs[key])
    for key in sorted(ours.keys() - theirs.keys()):
        yield f"{key} should not be there"


def _may_lack(value: Mapping[str, Any]) -> bool:
    """Whether a snapshot need not have it: an order that is done, or a flat position."""
    return value.get("state") in TERMINAL or value.get("netPosition") == 0


def _members(key: str, one: Any, other: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(one, Mapping):
        yield f"{key} is {one!r}, should be an object"
        return
    left = cast("Mapping[str, Any]", one)
    for name in sorted(left.keys() | other.keys()):
        if not _are_same(left.get(name), other.get(name)):
            yield f"{key}: {name} is {left.get(name)}, should be {other.get(name)}"


def _are_same(one: Any, other: Any) -> bool:
    """Whether two values have one plain spelling; nearly always they have one anyway."""
    kind: type[Any] = one.__class__
    if kind is other.__class__ and kind in _SPELLED_ONCE and one == other:
        return True
    return bool(_plain(one) == _plain(other))


def _plain(value: Any) -> Any:
    """A value in one spelling, whoever spelled it."""
    if isinstance(value, Mapping):
        members = cast("Mapping[str, Any]", value)
        plain = {name: _plain(each) for name, each in members.items()}
        return {name: each for name, each in plain.items() if each is not None} or None
    if isinstance(value, list | tuple):
        return [_plain(each) for each in cast("Iterable[Any]", value)] or None
    if isinstance(value, bool):
        return "true" if value else None
    if value in (None, "", 0, "0"):
        return None
    text = str(value)
    if not text.startswith(_PREFIXES):
        return text
    return text.removeprefix(next(each for each in _PREFIXES if text.startswith(each)))
