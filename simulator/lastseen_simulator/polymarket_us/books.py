"""The book of one instrument: what others offer, and the orders of our accounts on top of it."""

import random
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

__all__ = ["PRICE_MAX", "Book", "Level"]

Level = dict[str, int]

LEVELS_MAX: Final = 10
"""Levels of a side that are shown unless a stream asks for fewer (§3)."""

PRICE_MAX: Final = 999
"""Prices are thousandths: 1 to this."""

_BACKGROUND: Final = 4
_QUANTITY_MAX: Final = 400


@attrs.define(eq=False)
class Book:
    """Resting quantities by price, each a list of orders, and the figures of the last trades."""

    symbol: str
    rng: random.Random
    bids: dict[int, list[int]] = attrs.field(init=False, factory=dict[int, list[int]])
    offers: dict[int, list[int]] = attrs.field(init=False, factory=dict[int, list[int]])
    stats: dict[str, int] = attrs.field(init=False, factory=dict[str, int])
    _middle: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._middle = self.rng.randint(60, PRICE_MAX - 60)
        for _ in range(2 * _BACKGROUND):
            self.move((), ())

    def move(self, buying: Iterable[int], selling: Iterable[int]) -> None:
        """Lets others change their minds; the middle never passes a price of our own orders."""
        lowest, highest = max(buying, default=2), min(selling, default=PRICE_MAX - 1)
        step = self.rng.choice((0, 0, 0, -1, 1))
        if lowest < self._middle + step < highest:
            self._middle += step
        side = self.rng.choice((self.bids, self.offers))
        away = self.rng.randint(1, _BACKGROUND)
        price = self._middle - away if side is self.bids else self._middle + away
        emptied = side.pop(price, None) is not None and self.rng.random() < 0.3
        if not emptied and 1 <= price <= PRICE_MAX:
            count = self.rng.randint(1, 3)
            side[price] = [self.rng.randint(1, _QUANTITY_MAX) for _ in range(count)]
        for price in [p for p in self.bids if p >= self._middle or p < self._middle - 8]:
            del self.bids[price]
        for price in [p for p in self.offers if p <= self._middle or p > self._middle + 8]:
            del self.offers[price]

    def price_for(self, side: str) -> int:
        """A price at which an order rests."""
        away = self.rng.randint(1, _BACKGROUND + 1)
        price = self._middle - away if side == "BUY" else self._middle + away
        return min(max(1, price), PRICE_MAX)

    def trade(self, price: int, quantity: int) -> None:
        """Takes in a trade."""
        stats = self.stats
        stats.setdefault("openPx", price)
        stats["lastTradePx"], stats["lastTradeQty"] = price, quantity
        stats["highPx"] = max(stats.get("highPx", price), price)
        stats["lowPx"] = min(stats.get("lowPx", price), price)
        stats["sharesTraded"] = stats.get("sharesTraded", 0) + quantity
        stats["notionalTraded"] = stats.get("notionalTraded", 0) + price * quantity

    def sides(
        self, orders: Iterable[Mapping[str, Any]], *, aggregated: bool = True
    ) -> dict[str, list[Level]]:
        """Both sides, the best first, as sums of their levels or order by order."""
        bids = {price: list(quantities) for price, quantities in self.bids.items()}
        offers = {price: list(quantities) for price, quantities in self.offers.items()}
        for order in orders:
            side = bids if order["side"] == "BUY" else offers
            level = side.get(order["price"])
            if level is None:
                side[order["price"]] = [order["leavesQty"]]
            else:
                level.append(order["leavesQty"])
        return {
            "bids": _levels(bids, aggregated, reverse=True),
            "offers": _levels(offers, aggregated, reverse=False),
        }


def _levels(side: Mapping[int, list[int]], aggregated: bool, *, reverse: bool) -> list[Level]:
    best_first = sorted(side, reverse=reverse)[:LEVELS_MAX]
    return [
        {"px": price, "qty": quantity}
        for price in best_first
        for quantity in ([sum(side[price])] if aggregated else side[price])
    ]
