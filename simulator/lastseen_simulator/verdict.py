"""Does a client's state equal the truth? Judged channel by channel, to the first difference."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, cast

import attrs

__all__ = ["ChannelVerdict", "compare"]

_SHOWN_CHARACTERS_MAX = 160
_GATED = ("odds", "bookmakers")


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

    A member that is null equals one that is not there (OP-A26). Odds and bookmakers of finished
    fixtures are left out on the client's side too, since the vendor stops serving them (`facts`
    §5). Only the truth's fixtures say which are finished, so `truth` should hold them even when
    `channels` does not.
    """
    over = {
        key.partition("/")[2]
        for key, value in truth.items()
        if key.startswith("fixtures/") and value.get("status", {}).get("statusId") in (2, 3)
    }
    return tuple(_compare_channel(channel, client, truth, over) for channel in channels)


def _compare_channel(
    channel: str, client: Mapping[str, Any], truth: Mapping[str, Any], over: set[str]
) -> ChannelVerdict:
    prefix = f"{channel}/"
    theirs = {key: truth[key] for key in truth if key.startswith(prefix)}
    ours = {
        key: client[key]
        for key in client
        if key.startswith(prefix) and not (channel in _GATED and key.split("/")[1] in over)
    }
    for key in sorted(theirs.keys() | ours.keys()):
        if key not in ours:
            return _differs(channel, theirs, f"{key} is missing")
        if key not in theirs:
            return _differs(channel, theirs, f"{key} should not be there")
        if _plain(ours[key]) != _plain(theirs[key]):
            return _differs(channel, theirs, f"{key}: {_first(ours[key], theirs[key])}")
    return ChannelVerdict(channel=channel, units=len(theirs), difference=None)


def _differs(channel: str, theirs: Mapping[str, Any], difference: str) -> ChannelVerdict:
    shown = difference[:_SHOWN_CHARACTERS_MAX]
    return ChannelVerdict(channel=channel, units=len(theirs), difference=shown)


def _first(ours: Any, theirs: Any) -> str:
    """Where two values of one unit part."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        left, right = cast("Mapping[str, Any]", ours), cast("Mapping[str, Any]", theirs)
        for name in sorted(left.keys() | right.keys()):
            one, other = left.get(name), right.get(name)
            if _plain(one) != _plain(other):
                return f"{name} is {one}, should be {other}"
    return f"{ours} should be {theirs}"


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
