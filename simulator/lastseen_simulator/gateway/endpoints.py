"""The resources of the snapshot service, a row each (§5, §8)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

__all__ = ["ENDPOINTS", "Endpoint"]


@attrs.frozen(kw_only=True)
class Endpoint:
    """`channel` is what a key must be allowed to see; `covers` what an answer shows, in order.

    `entity` is the parameter that names the one fixture or future an answer is about. `odds`
    endpoints have a rate limit each, and the key's bookmakers decide what they show; the others
    share one limit.
    """

    channel: str
    covers: tuple[str, ...]
    entity: str | None = None
    odds: bool = False

    @property
    def counted(self) -> tuple[str, ...]:
        """The channels whose entries make an answer old: of odds endpoints the odds."""
        return (self.channel,) if self.odds else self.covers


_FIXTURES: Final = Endpoint(channel="fixtures", covers=("clocks", "fixtures", "scores"))
_ODDS: Final = ("bookmakers", "fixtures", "odds", "scores")
_FUTURES: Final = Endpoint(channel="futures", covers=("futures",))

ENDPOINTS: Final[Mapping[str, Endpoint]] = MappingProxyType(
    {
        "/fixtures": _FIXTURES,
        "/fixtures/today": _FIXTURES,
        "/fixtures/live": _FIXTURES,
        "/fixtures/odds": Endpoint(channel="odds", covers=_ODDS, entity="fixtureId", odds=True),
        "/fixtures/odds/main": Endpoint(channel="odds", covers=_ODDS, odds=True),
        "/futures": _FUTURES,
        "/futures/live": _FUTURES,
        "/futures/odds": Endpoint(
            channel="oddsFutures",
            covers=("bookmakersFutures", "futures", "oddsFutures"),
            entity="futureId",
            odds=True,
        ),
        "/currencies": Endpoint(channel="currencies", covers=("currencies",)),
    }
)
"""Path without the language → what it serves."""
