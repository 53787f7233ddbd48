"""The scopes of OddsPapi: which situations are explored, and how far."""

from collections.abc import Mapping
from typing import Final

from lastseen_simulator.explore.scopes import Bounds, Situation

__all__ = ["SCOPES"]

_SMALL: Final = (
    Situation(
        name="one channel",
        bounds=Bounds(publish=2, drop=1, crash=1, restart=1, demand=1, failure=1, faults=1),
    ),
    Situation(
        name="hand-over",
        bounds=Bounds(publish=1, drop=1, notice=1, faults=2),
    ),
    Situation(
        name="interleaved replay",
        gateway={"replay_order": "interleaved"},
        bounds=Bounds(publish=2, drop=1, faults=1),
    ),
    Situation(
        name="state in memory, position on disk",
        state_lost=True,
        bounds=Bounds(publish=1, crash=1, faults=1),
    ),
    Situation(
        name="snapshots that say how old they are, and may lag",
        gateway={"as_of": True},
        bounds=Bounds(publish=1, drop=1, stale=1, faults=1),
    ),
    Situation(
        name="two channels, one of which is replayed",
        units=(("fixtures", ""), ("scores", "p1")),
        gateway={"replay_channels": ("scores",)},
        bounds=Bounds(publish=1, drop=1, faults=1),
    ),
    Situation(
        name="no room to hold entries",
        client={"hold_items_max": 1},
        bounds=Bounds(publish=2, demand=1, faults=1),
    ),
    Situation(
        name="resuming never works",
        poison=True,
        bounds=Bounds(publish=1, drop=1, faults=1),
    ),
)

SCOPES: Final[Mapping[str, tuple[Situation, ...]]] = {"small": _SMALL}
