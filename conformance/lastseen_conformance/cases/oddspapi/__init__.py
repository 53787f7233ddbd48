"""The cases for clients of OddsPapi."""

from typing import Final

from lastseen_conformance.case import Case
from lastseen_conformance.cases.oddspapi import (
    claims,
    connecting,
    cut_points,
    demands,
    epochs,
    inputs,
    interleaving,
    moving,
    restarting,
    resume_matrix,
    resuming,
    snapshots,
)

__all__ = ["CASES"]

CASES: Final[tuple[Case, ...]] = (
    *resuming.CASES,
    *demands.CASES,
    *snapshots.CASES,
    *epochs.CASES,
    *interleaving.CASES,
    *moving.CASES,
    *connecting.CASES,
    *inputs.CASES,
    *restarting.CASES,
    *claims.CASES,
    *resume_matrix.CASES,
    *cut_points.CASES,
)
