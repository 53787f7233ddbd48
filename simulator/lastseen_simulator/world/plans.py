"""The plan of a seed, by dialect."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from lastseen_simulator.world.oddspapi_draw import draw_oddspapi
from lastseen_simulator.world.plan import Plan
from lastseen_simulator.world.polymarket_us_draw import draw_polymarket_us
from lastseen_simulator.world.polynode_draw import draw_polynode

__all__ = ["DRAWS", "draw"]

DRAWS: Final[Mapping[str, Callable[[int], Plan]]] = MappingProxyType(
    {"oddspapi": draw_oddspapi, "polynode": draw_polynode, "polymarket-us": draw_polymarket_us}
)
"""By dialect."""


def draw(dialect: str, seed: int) -> Plan:
    """The plan of a seed; the same seed gives the same plan."""
    return DRAWS[dialect](seed)
