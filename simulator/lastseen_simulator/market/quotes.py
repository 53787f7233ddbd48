"""How prices and bookmakers move, for fixtures and futures alike (§6.2, §6.5, §6.6)."""

import math
import random
from decimal import Decimal
from typing import Any, Final

import attrs

from lastseen.shapes import as_object
from lastseen_simulator.sports import american_odds, fractional_odds, iso_from_ms

__all__ = ["Quotes", "number_of", "restamped"]

_PRICE_MIN, _PRICE_MAX = Decimal("1.01"), Decimal(51)
_STEPS: Final = (-7, -4, -2, -1, 1, 2, 4, 7)
_SWITCHED: Final = 0.06
_OMITTED: Final = 0.15
_OPTIONAL_MEMBERS: Final = (
    "bookmakerMarketId",
    "bookmakerOutcomeId",
    "bookmakerChangedAt",
    "priceFractional",
    "priceAmerican",
    "limit",
    "betslip",
    "meta",
)


@attrs.define(eq=False)
class Quotes:
    """Makes rows and statuses; `nulls` sends an optional member without a value as null (OP-A26).

    The same draws are made in either case, so that nothing else depends on it.
    """

    rng: random.Random
    nulls: bool

    def opening_price(self) -> Decimal:
        """Somewhere between a favourite and an outsider."""
        return Decimal(self.rng.randint(120, 620)) / 100

    def moved_price(self, price: Any) -> Decimal:
        """A step up or down; a row without a usable price starts from evens."""
        step = Decimal(self.rng.choice(_STEPS)) / 100
        return min(_PRICE_MAX, max(_PRICE_MIN, (number_of(price) or Decimal(2)) + step))

    def row(self, identity: dict[str, Any], price: Decimal, wall_ms: int) -> dict[str, Any]:
        """A whole active row; optional members come and go."""
        row: dict[str, Any] = {
            **identity,
            # Two decimals survive a double unharmed: the shortest text of the float is the price.
            "price": float(price),
            "active": True,
            "bookmakerChangedAt": wall_ms - self.rng.randint(50, 400),
            "priceFractional": fractional_odds(price),
            "priceAmerican": american_odds(price),
            "limit": self.rng.randint(1, 50) * 100,
            "betslip": None,
            "meta": None,
            "changedAt": wall_ms,
        }
        for name in _OPTIONAL_MEMBERS:
            if self.rng.random() < _OMITTED and name in row:
                if self.nulls:
                    row[name] = None
                else:
                    del row[name]
        return row

    def still_active(self, row: dict[str, Any]) -> bool:
        """Whether a row that moves is active from now on."""
        active = bool(row.get("active"))
        return not active if self.rng.random() < _SWITCHED else active

    def status(self, slug: str, identity: dict[str, Any], wall_ms: int) -> dict[str, Any]:
        """A bookmaker that has just begun to price something."""
        return {
            "bookmaker": slug,
            **identity,
            "hasOdds": True,
            "staleOdds": False,
            "suspended": False,
            "meta": None,
            "updatedAt": iso_from_ms(wall_ms),
        }

    def native_id(self, slug: str) -> str:
        """How a bookmaker itself calls what it prices."""
        return f"{slug[:2]}-{self.rng.randrange(100_000)}"

    def changed_status(self, status: dict[str, Any], wall_ms: int) -> dict[str, Any]:
        """A status with one of its claims turned round."""
        claim = self.rng.choice(("hasOdds", "staleOdds", "suspended"))
        return status | {claim: not status.get(claim), "updatedAt": iso_from_ms(wall_ms)}


def number_of(value: Any) -> Decimal | None:
    """A finite number, exactly as it is written; None for anything else.

    >>> number_of(1.9), number_of(True)
    (Decimal('1.9'), None)
    """
    if type(value) is int:
        return Decimal(value)
    if type(value) is float and math.isfinite(value):
        return Decimal(repr(value))
    return None


def restamped(value: Any, wall_ms: int) -> Any:
    """The same once more, as of now; what has no members has no time of its own either."""
    known = as_object(value)
    return value if known is None else known | {"updatedAt": iso_from_ms(wall_ms)}
