"""What can be explored: by dialect its scopes, and where each rule shows."""

from collections.abc import Mapping
from typing import Final, final

import attrs

from lastseen_simulator.broken import WITHOUT
from lastseen_simulator.explore import oddspapi, polymarket_us, polynode
from lastseen_simulator.explore.casts import Cast
from lastseen_simulator.explore.scopes import Situation
from lastseen_simulator.explore.worlds import World

__all__ = ["DIALECTS", "Explored"]


@final
@attrs.frozen(kw_only=True)
class Explored:
    """One dialect."""

    cast: Cast
    scopes: Mapping[str, tuple[Situation, ...]]
    shown_in: Mapping[str, Situation]

    def world(self, situations: tuple[Situation, ...], without: str | None = None) -> World:
        """A world of these situations, with clients that break a rule."""
        return World(self.cast, situations, WITHOUT[without] if without is not None else None)


DIALECTS: Final[Mapping[str, Explored]] = {
    "oddspapi": Explored(cast=oddspapi.CAST, scopes=oddspapi.SCOPES, shown_in=oddspapi.SHOWN_IN),
    "polymarket-us": Explored(
        cast=polymarket_us.CAST, scopes=polymarket_us.SCOPES, shown_in=polymarket_us.SHOWN_IN
    ),
    "polynode": Explored(cast=polynode.CAST, scopes=polynode.SCOPES, shown_in=polynode.SHOWN_IN),
}
