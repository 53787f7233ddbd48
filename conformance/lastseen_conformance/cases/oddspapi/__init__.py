"""The cases for clients of OddsPapi."""

from typing import Final

from lastseen_conformance.case import Case
from lastseen_conformance.cases.oddspapi import resuming

__all__ = ["CASES"]

CASES: Final[tuple[Case, ...]] = (*resuming.CASES,)
