"""Exchange rates, in units per US dollar (§6.7)."""

import random
from decimal import Decimal
from typing import Any, Final, Literal

import attrs

from lastseen.shapes import as_object
from lastseen_simulator.channels import CHANNELS, payload_of
from lastseen_simulator.market.ledger import Change, Ledger, Payload
from lastseen_simulator.market.quotes import number_of
from lastseen_simulator.sports import iso_from_ms

__all__ = ["Currencies", "CurrenciesShape"]

CurrenciesShape = Literal["objects", "rates"]

_OPENING: Final = {
    "BRL": "5.4210",
    "CNY": "7.1180",
    "EUR": "0.9120",
    "GBP": "0.7840",
    "JPY": "149.6500",
    "MXN": "18.2430",
    "SEK": "10.4170",
    "USD": "1.0000",
}
_CENT: Final = Decimal("0.0001")
_MOVES: Final = (-9, -5, -2, 2, 5, 9)


@attrs.define(eq=False)
class Currencies:
    """One table of rates; `shape` is how a rate is written, on the stream and in REST (OP-A14)."""

    ledger: Ledger
    rng: random.Random
    shape: CurrenciesShape

    def open(self, *, wall_ms: int) -> None:
        """Publishes every rate."""
        self._publish({code: self._written(code, rate, wall_ms) for code, rate in _RATES.items()})

    def happen(self, channel: str, *, wall_ms: int) -> list[Change]:
        """One change."""
        return [(channel, self.make(channel, wall_ms=wall_ms))]

    def make(self, channel: str, *, wall_ms: int) -> Payload:
        """Moves a few rates and returns the payload that says so."""
        del channel
        known = self.ledger.section("currencies", "")
        codes = self.rng.sample(sorted(known), k=min(len(known), self.rng.randint(1, 3)))
        return self._publish(
            {code: self._written(code, self._moved(known[code]), wall_ms) for code in codes}
        )

    def renewed(self, channel: str, value: Any, *, wall_ms: int) -> Any:
        """A rate once more, moved; what carries no rate stays as it is."""
        del channel
        known = as_object(value)
        if known is None:
            return value if number_of(value) is None else float(self._moved(value))
        return known | {
            "currencyValue": float(self._moved(value)),
            "updatedAt": iso_from_ms(wall_ms),
        }

    def _publish(self, rates: dict[str, Any]) -> Payload:
        payload = payload_of(CHANNELS["currencies"], "", rates)
        self.ledger.apply("currencies", payload)
        return payload

    def _written(self, code: str, rate: Decimal, wall_ms: int) -> Any:
        if self.shape == "rates":
            return float(rate)
        return {
            "currency": code,
            "currencyValue": float(rate),
            "updatedAt": iso_from_ms(wall_ms),
        }

    def _moved(self, value: Any) -> Decimal:
        known = as_object(value)
        rate = number_of(value if known is None else known.get("currencyValue")) or Decimal(1)
        moved = rate + rate * self.rng.choice(_MOVES) / 1000
        return max(_CENT, min(moved, Decimal(10**6)).quantize(_CENT))


_RATES: Final = {code: Decimal(text) for code, text in _OPENING.items()}
