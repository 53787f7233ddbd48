"""Clients that are each broken in one named way: what shows that the suite can tell."""

from typing import Final

from lastseen_conformance.zoo import polymarket_us, polynode
from lastseen_conformance.zoo.mutant import Mutant

__all__ = ["MUTANTS"]

MUTANTS: Final[tuple[Mutant, ...]] = (*polynode.MUTANTS, *polymarket_us.MUTANTS)
