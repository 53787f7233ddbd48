"""Does a client's state equal the truth? Judged channel by channel, to the first difference."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, cast

import attrs

from lastseen_simulator.channels import CHANNELS, ROOTS

__all__ = ["ChannelVerdict", "compare"]

_SHOWN_CHARACTERS_MAX = 160
_BLANK = "clocks"
_SPELLED_ONCE = (str, int, bool)
_OVER = (2, 3)
"""`statusId` of what is finished or cancelled (§6.1)."""


@attrs.frozen(kw_only=True)
class ChannelVerdict:
    """One channel: how many units were compared, and the first that differs."""

    channel: str
    units: int
    difference: str | None
    """None when the client's state equals the truth."""

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return self.difference is None


def compare(
    client: Mapping[str, Any], truth: Mapping[str, Any], channels: Iterable[str]
) -> tuple[ChannelVerdict, ...]:
    """Compares two states, unit key → value, as numbers and texts, not as spellings.

    A member that is null equals one that is not there (OP-A26), and so a clock of nothing but nulls
    one that is not there: fixtures show such a clock before they start. Odds and bookmakers of
    finished fixtures and futures are left out on the client's side too, since the vendor stops
    serving them (`facts` §5). Only the truth says which are finished, so `truth` should hold
    fixtures and futures even when `channels` does not.
    """
    over = {key for root in ROOTS.values() for key in truth if _is_over(root, key, truth)}
    return tuple(_compare_channel(channel, client, truth, over) for channel in channels)


def _is_over(root: str, key: str, truth: Mapping[str, Any]) -> bool:
    if not key.startswith(f"{root}/"):
        return False
    value: Any = truth[key]
    for name in ("status", "statusId"):
        value = cast("Mapping[str, Any]", value).get(name) if isinstance(value, Mapping) else None
    return value in _OVER


def _compare_channel(
    channel: str, client: Mapping[str, Any], truth: Mapping[str, Any], over: set[str]
) -> ChannelVerdict:
    prefix = f"{channel}/"
    theirs = {key: value for key, value in truth.items() if key.startswith(prefix)}
    ours = {
        key: value
        for key, value in client.items()
        if key.startswith(prefix) and _described_by(key) not in over
    }
    if channel == _BLANK:
        theirs, ours = _without_blanks(theirs), _without_blanks(ours)
    for key in sorted(theirs.keys() | ours.keys()):
        if key not in ours:
            return _differs(channel, theirs, f"{key} is missing")
        if key not in theirs:
            return _differs(channel, theirs, f"{key} should not be there")
        if not _are_same(ours[key], theirs[key]):
            return _differs(channel, theirs, f"{key}: {_first(ours[key], theirs[key])}")
    return ChannelVerdict(channel=channel, units=len(theirs), difference=None)


def _described_by(key: str) -> str | None:
    """The unit that says whether a unit of a gated channel still counts; None for others."""
    name, _, rest = key.partition("/")
    channel = CHANNELS.get(name)
    if channel is None or channel.entity is None or not channel.gated:
        return None
    return f"{ROOTS[channel.entity]}/{rest.partition('/')[0]}"


def _without_blanks(units: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in units.items() if _plain(value) not in (None, {})}


def _differs(channel: str, theirs: Mapping[str, Any], difference: str) -> ChannelVerdict:
    shown = difference[:_SHOWN_CHARACTERS_MAX]
    return ChannelVerdict(channel=channel, units=len(theirs), difference=shown)


def _first(ours: Any, theirs: Any) -> str:
    """Where two values of one unit part."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        left, right = cast("Mapping[str, Any]", ours), cast("Mapping[str, Any]", theirs)
        for name in sorted(left.keys() | right.keys()):
            one, other = left.get(name), right.get(name)
            if not _are_same(one, other):
                return f"{name} is {one}, should be {other}"
    return f"{ours} should be {theirs}"


def _are_same(one: Any, other: Any) -> bool:
    """Whether two values are one, whoever spelled them; nearly always they are spelled alike."""
    kind: type[Any] = one.__class__
    if kind is not other.__class__:
        return bool(_plain(one) == _plain(other))
    if kind in _SPELLED_ONCE:
        return bool(one == other)
    if kind is dict and one.keys() == other.keys():
        return all(_are_same(item, other[key]) for key, item in one.items())
    return bool(_plain(one) == _plain(other))


def _plain(value: Any) -> Any:
    """Numbers by value: 1.90 and 1.9 are one price, whoever spelled it; but true is not 1."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        members = cast("Mapping[str, Any]", value)
        return {key: _plain(item) for key, item in members.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("Iterable[Any]", value)]
    return value
