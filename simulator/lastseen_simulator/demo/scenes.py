"""What the demo shows: each scene is a few faults and what a viewer should know about them."""

from collections.abc import Mapping
from typing import Any

import attrs

from lastseen_simulator.demo.cast import Cast
from lastseen_simulator.faults import Fault, fault_from

__all__ = ["Act", "FaultTable", "Scene", "fault_of", "times_of"]

_SOON_S = 0.1

FaultTable = dict[str, Any]


@attrs.frozen(kw_only=True)
class Scene:
    """Faults in steps: those of a step are placed together, once all before have fired."""

    name: str
    tells: str
    """What happens and what a careful client does about it."""
    steps: tuple[tuple[FaultTable, ...], ...]
    """Fault tables; the position `soon` means the moment of placing."""
    logins: int = 0
    """How often the client has to log in anew."""
    resumes: tuple[str, ...] = ()
    """Channels that have to come back by replay at every one of those logins."""
    publish: tuple[str, ...] = ()
    """Channels of entries that the gateway publishes once the very first fault has fired."""
    sees: tuple[str, ...] = ()
    """What the client has to notice in it, in the words of its player."""


def fault_of(table: FaultTable, *, now: float) -> Fault:
    """The fault of a table, `soon` made absolute; `now` in seconds since the gateway started."""
    at = f"at {now + _SOON_S:.3f}" if table["at"] == "soon" else table["at"]
    return fault_from({**table, "at": at})


def times_of(table: FaultTable) -> int:
    """How often a fault should fire."""
    times = table.get("times", 1)
    assert isinstance(times, int)
    return times


@attrs.frozen(kw_only=True)
class Act:
    """Scenes against one gateway, of the dialect of its cast."""

    name: str
    cast: Cast
    scenes: tuple[Scene, ...]
    knobs: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    """Of the gateway, beside those that the cast sets."""
    lead_s: float = 0.0
    """How long the feed runs before the client comes."""
