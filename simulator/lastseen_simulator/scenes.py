"""What the demo shows: each scene is a few faults and what a viewer should know about them."""

from typing import Any

import attrs

from lastseen_simulator.faults import Fault, fault_from

__all__ = ["ACTS", "Act", "Scene", "fault_of"]

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


def fault_of(table: FaultTable, *, now: float) -> Fault:
    """The fault of a table, `soon` made absolute; `now` in seconds since the gateway started."""
    at = f"at {now + _SOON_S:.3f}" if table["at"] == "soon" else table["at"]
    return fault_from({**table, "at": at})


@attrs.frozen(kw_only=True)
class Act:
    """Scenes against one gateway; with `as_of` its snapshots say how old they are."""

    name: str
    as_of: bool
    scenes: tuple[Scene, ...]
    lead_s: float = 0.0
    """How long the feed runs before the client comes."""


_CHANNELS = ["fixtures", "scores", "odds", "bookmakers"]
_LISTED = ["fixtures", "scores"]
"""Channels whose snapshot is the list of fixtures."""
_REPLAYED = ("fixtures", "scores")
"""Channels the gateway can replay (`facts` §4)."""

ACTS: tuple[Act, ...] = (
    Act(
        name="a vendor-faithful gateway",
        as_of=False,
        scenes=(
            Scene(
                name="duplicates",
                tells="entries are delivered twice; each is applied once",
                steps=(({"kind": "duplicate", "at": "every 4 data", "times": 10},),),
            ),
            Scene(
                name="drop and resume",
                tells="the connection vanishes; the replay fills the hole",
                logins=1,
                resumes=_REPLAYED,
                steps=(({"kind": "drop", "at": "soon"},),),
                publish=("scores", "scores", "fixtures"),
            ),
            Scene(
                name="drop in mid-replay",
                tells="it vanishes again while replaying; the cursor has not run ahead",
                logins=2,
                resumes=_REPLAYED,
                steps=(
                    (
                        {"kind": "drop", "at": "soon"},
                        {"kind": "drop", "at": "after replayed 2"},
                    ),
                ),
                publish=("scores", "scores", "scores", "fixtures", "fixtures"),
            ),
            Scene(
                name="restart during a snapshot",
                tells="a new epoch while a snapshot is slow; the late answer must not count",
                logins=1,
                steps=(
                    (
                        {"kind": "stall", "at": "on request /fixtures 1", "seconds": 3},
                        {"kind": "snapshot_required", "at": "soon", "channels": _LISTED},
                    ),
                    ({"kind": "restart", "at": "soon", "how": "crash"},),
                ),
            ),
            Scene(
                name="reconnect hand-over",
                tells="told to move: the new connection is made before the old one is let go",
                logins=1,
                steps=(({"kind": "reconnect", "at": "soon", "grace_s": 2},),),
            ),
            Scene(
                name="client_backpressure",
                tells="the gateway has dropped entries; the base is fetched anew",
                steps=(({"kind": "backpressure", "at": "soon", "channels": _CHANNELS},),),
            ),
            Scene(
                name="REST outage",
                tells="snapshots fail with 503; live entries are held, the claim stays down",
                steps=(
                    (
                        {"kind": "status", "at": "on request * 1", "status": 503, "times": 4},
                        {"kind": "snapshot_required", "at": "soon", "channels": _LISTED},
                    ),
                ),
            ),
        ),
    ),
    Act(
        name="a gateway with --as-of",
        as_of=True,
        lead_s=1.0,
        scenes=(
            Scene(
                name="stale snapshot",
                tells="a cache answers from the past; the snapshot says so and is fetched again",
                steps=(
                    (
                        {"kind": "stale", "at": "on request /fixtures 1", "entries": 3},
                        {"kind": "snapshot_required", "at": "soon", "channels": _LISTED},
                    ),
                ),
            ),
        ),
    ),
)
