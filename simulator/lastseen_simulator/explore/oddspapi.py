"""The situations of OddsPapi: what each rule is about, and one with everything at once."""

from collections.abc import Mapping
from typing import Final

from lastseen_simulator.explore.scopes import Bounds, Situation

__all__ = ["SCOPES", "SHOWN_IN"]

_TWO_UNITS: Final = (("scores", "p1"), ("scores", "result"))

_RESTART: Final = Situation(
    name="a gateway that restarts",
    settled=1,
    bounds=Bounds(publish=1, drop=1, restart=1, faults=2),
)
_NO_HEADS: Final = Situation(
    name="live entries between replayed ones, and no heads to tell them by",
    units=_TWO_UNITS,
    gateway={"replay_order": "interleaved", "server_entry_ids": False},
    settled=1,
    bounds=Bounds(publish=2, drop=1, faults=1),
)
_INTERLEAVED: Final = Situation(
    name="live entries between replayed ones",
    units=_TWO_UNITS,
    gateway={"replay_order": "interleaved"},
    settled=1,
    bounds=Bounds(publish=2, drop=1, faults=1),
)
_DOUBT: Final = Situation(
    name="a doubt while a snapshot is under way",
    bounds=Bounds(publish=1, demand=1, failure=1, faults=1),
)
_CRASH: Final = Situation(
    name="a client that crashes",
    settled=0,
    bounds=Bounds(publish=2, crash=1, faults=1),
)
_TWO_CHANNELS: Final = Situation(
    name="two channels, one of which is replayed",
    units=(("scores", "p1"), ("fixtures", "")),
    gateway={"replay_channels": ("scores",)},
    settled=1,
    bounds=Bounds(publish=1, drop=1, faults=1),
)
_STATE_LOST: Final = Situation(
    name="a position that outlives its state",
    state_lost=True,
    settled=1,
    bounds=Bounds(publish=1, crash=1, faults=1),
)
_HAND_OVER: Final = Situation(
    name="hand-over between two sockets",
    settled=1,
    bounds=Bounds(publish=1, notice=1, faults=1),
)
_LAG: Final = Situation(
    name="snapshots that say how old they are, and may lag",
    gateway={"as_of": True},
    bounds=Bounds(publish=1, drop=1, stale=1, faults=1),
)
_BREAKS: Final = Situation(
    name="connections that break again and again",
    settled=0,
    bounds=Bounds(drop=2, restart=1, faults=2),
)
_POISON: Final = Situation(
    name="resuming never works",
    poison=True,
    settled=1,
    bounds=Bounds(publish=1, drop=1, faults=1),
)
_CRAMPED: Final = Situation(
    name="room for one entry",
    units=_TWO_UNITS,
    client={"hold_items_max": 1},
    bounds=Bounds(publish=2),
)
_SHORT_BUFFER: Final = Situation(
    name="a short replay buffer",
    gateway={"journal_entries_max": 1},
    settled=1,
    bounds=Bounds(publish=2, drop=1, faults=1),
)
_EVERYTHING: Final = Situation(
    name="everything at once",
    bounds=Bounds(publish=1, drop=1, crash=1, restart=1, notice=1, demand=1, failure=1, faults=1),
)

_NARROW: Final = (
    _RESTART,
    _NO_HEADS,
    _INTERLEAVED,
    _DOUBT,
    _CRASH,
    _TWO_CHANNELS,
    _STATE_LOST,
    _HAND_OVER,
    _LAG,
    _BREAKS,
    _POISON,
    _CRAMPED,
    _SHORT_BUFFER,
)

SHOWN_IN: Final[Mapping[str, Situation]] = {
    "R1": _RESTART,
    "R2": _NO_HEADS,
    "R3": _INTERLEAVED,
    "R4": _DOUBT,
    "R5": _DOUBT,
    "R6": _CRASH,
    "R7": _DOUBT,
    "R8": _TWO_CHANNELS,
    "R9": _STATE_LOST,
    "R10": _HAND_OVER,
    "R11": _LAG,
    "R12": _BREAKS,
    "R13": _POISON,
    "R14": _CRAMPED,
}
"""Where a client that breaks the rule goes wrong soonest."""

SCOPES: Final[Mapping[str, tuple[Situation, ...]]] = {
    "small": (*_NARROW, _EVERYTHING),
    "medium": (
        *_NARROW,
        Situation(
            name="everything at once, and more of it",
            units=_TWO_UNITS,
            bounds=_EVERYTHING.bounds._replace(publish=2, drop=2, faults=2),
        ),
    ),
}
