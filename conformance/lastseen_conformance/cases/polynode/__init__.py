"""The cases for clients of PolyNode."""

from typing import Final

from lastseen_conformance.case import Case
from lastseen_conformance.cases.polynode import connecting, cut_points, inputs, items

__all__ = ["CASES"]

CASES: Final[tuple[Case, ...]] = (
    *items.CASES,
    *connecting.CASES,
    *inputs.CASES,
    *cut_points.CASES,
)
