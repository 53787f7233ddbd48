"""The cases for clients of Polymarket US."""

from typing import Final

from lastseen_conformance.case import Case
from lastseen_conformance.cases.polymarket_us import (
    changes,
    connecting,
    cut_points,
    inputs,
    restarting,
    resuming,
    snapshots,
    starting,
)

__all__ = ["CASES"]

CASES: Final[tuple[Case, ...]] = (
    *starting.CASES,
    *connecting.CASES,
    *resuming.CASES,
    *snapshots.CASES,
    *changes.CASES,
    *inputs.CASES,
    *restarting.CASES,
    *cut_points.CASES,
)
