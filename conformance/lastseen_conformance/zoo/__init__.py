"""Clients that are each broken in one named way: what shows that the suite can tell."""

from typing import Final

from lastseen_conformance.zoo import (
    oddspapi_bases,
    oddspapi_links,
    oddspapi_places,
    polymarket_us,
    polynode,
)
from lastseen_conformance.zoo.mutant import Mutant

__all__ = ["MUTANTS"]

MUTANTS: Final[tuple[Mutant, ...]] = (
    *oddspapi_places.MUTANTS,
    *oddspapi_bases.MUTANTS,
    *oddspapi_links.MUTANTS,
    *polynode.MUTANTS,
    *polymarket_us.MUTANTS,
)
