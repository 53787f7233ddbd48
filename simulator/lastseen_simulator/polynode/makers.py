"""Plausible events of every type: what the data of each looks like (§3.2)."""

import random
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from lastseen.shapes import as_list, as_object
from lastseen_simulator.polynode.markets import Markets, PredictionMarket, hex_text

__all__ = ["MADE_TYPES", "Data", "EventMaker", "Moment"]

Data = dict[str, Any]

_MICRO: Final = 1_000_000
"""Amounts on the chain are whole millionths (§3.2)."""

_GREATEST: Final = 1 << 53
"""Beyond this a number is not exact on every wire; events may be scripted."""

_FEE: Final = 0.001
_FEEDS: Final[Mapping[str, float]] = {"BTC/USD": 100_000.0, "ETH/USD": 4_000.0}
_SPREAD: Final = 0.0001
_TWAP_WINDOWS: Final = (None, 30, 60)


@attrs.frozen(kw_only=True)
class Moment:
    """When and where on the chain: wall clock in milliseconds, block and place in it."""

    wall_ms: int
    block_number: int
    log_index: int = 0

    @property
    def block_ms(self) -> int:
        """The time of the block, a whole second."""
        return self.wall_ms // 1000 * 1000


@attrs.define(eq=False)
class EventMaker:
    """Makes the data of events; `given` members stand as they are and shape the rest."""

    markets: Markets
    rng: random.Random
    _prices: dict[str, float] = attrs.field(init=False, factory=lambda: dict(_FEEDS))

    def make(self, event_type: str, moment: Moment, given: Mapping[str, Any]) -> Data:
        """The data of an event; a type that has no maker is what is given.

        Raises ValueError when nothing is given of such a type.
        """
        maker = self._makers().get(event_type)
        if maker is not None:
            made = maker(moment)
        elif given:
            made = {}
        else:
            known = ", ".join(MADE_TYPES)
            raise ValueError(f"{event_type} needs a payload (types that do not: {known})")
        return {"event_type": event_type, **made, **given}

    def settlement(self, moment: Moment, given: Mapping[str, Any], *, tx_hash: str) -> Data:
        """A settlement that is pending; its fills follow from what is given of the taker."""
        _check(given)
        rng = self.rng
        market = self.markets.of_token(given.get("taker_token")) or rng.choice(self.markets.listed)
        token = str(given.get("taker_token", rng.choice(market.tokens)))
        side = rng.choice(("BUY", "SELL"))
        ticks = rng.randint(1, round(1 / market.tick_size) - 1)
        price, size = round(ticks * market.tick_size, 3), round(rng.uniform(1, 3000), 2)
        data: Data = {
            "event_type": "settlement",
            "tx_hash": tx_hash,
            "status": "pending",
            "detected_at": moment.wall_ms - rng.randint(20, 120),
            "block_number": None,
            "taker_wallet": rng.choice(self.markets.wallets),
            "taker_token": token,
            "taker_side": side,
            "taker_price": price,
            "taker_size": size,
            **given,
        }
        makers = rng.randint(1, 3)
        if "trades" not in data:
            data["trades"] = self._fills(data, makers)
        return {
            **data,
            **(market.enrichment() if market.outcome_of(token) is not None else {}),
            "outcome": market.outcome_of(token),
            "exchange_version": "v2",
            "protocol_version": "v2",
            "module": "neg_risk" if market.neg_risk else "binary",
            **given,
        }

    def status_update(
        self, settlements: list[Data], token: str, moment: Moment, given: Mapping[str, Any]
    ) -> Data:
        """The confirmation of settlements of one transaction; it has no status (§3.2)."""
        first = settlements[0]
        detected_at = int(first["detected_at"])
        # A block is never older than what it confirms, whatever is scripted.
        confirmed_at = max(moment.block_ms, -(-detected_at // 1000) * 1000)
        fills = [
            {**fill, "fee": round(float(fill["size"]) * float(fill["price"]) * _FEE, 6)}
            for data in settlements
            for fill in self._rows(data)
        ]
        return {
            "event_type": "status_update",
            "tx_hash": first["tx_hash"],
            "token_id": token,
            "block_number": moment.block_number,
            "confirmed_at": confirmed_at,
            "pending_detected_at": detected_at,
            "latency_ms": confirmed_at - detected_at,
            "taker_wallet": first["taker_wallet"],
            "maker_wallets": sorted({fill["maker"] for fill in fills}),
            "order_hashes": [fill["order_hash"] for fill in fills],
            "confirmed_fills": fills,
            **given,
        }

    def orphan_update(self, moment: Moment, given: Mapping[str, Any]) -> Data:
        """The confirmation of something nobody has heard of."""
        tx_hash = str(given.get("tx_hash", hex_text(self.rng, 32)))
        unheard = self.settlement(moment, {}, tx_hash=tx_hash)
        return self.status_update([unheard], str(unheard["taker_token"]), moment, given)

    def trades_of(self, settlement: Data, moment: Moment) -> list[Data]:
        """The on-chain trades of a settlement's fills, one log index after the other."""
        return [
            {
                "event_type": "trade",
                **self._logged(attrs.evolve(moment, log_index=moment.log_index + number)),
                "tx_hash": settlement["tx_hash"],
                "exchange": "neg_risk_ctf_exchange"
                if settlement.get("neg_risk")
                else "ctf_exchange",
                **{name: fill[name] for name in _TRADED},
            }
            for number, fill in enumerate(self._rows(settlement))
        ]

    def feeds(self, moment: Moment) -> list[Data]:
        """One price of every feed, spot and averaged; their time is in seconds (PN-9.8)."""
        return [
            self._priced(feed, window_s, moment) for feed in _FEEDS for window_s in _TWAP_WINDOWS
        ]

    def _rows(self, data: Data) -> list[Data]:
        """Its fills; a script may have put anything in their place."""
        rows = as_list(data["trades"])
        if rows is not None and all(_is_fill(row) for row in rows):
            return rows
        return self._fills(data, 1)

    def _fills(self, data: Data, makers: int) -> list[Data]:
        """Rows from the makers' side: each sells what the taker buys, or the other way round."""
        total, price = float(data["taker_size"]), float(data["taker_price"])
        side = "SELL" if data["taker_side"] == "BUY" else "BUY"
        each = round(total / makers, 2)
        sizes = [each] * (makers - 1) + [round(total - each * (makers - 1), 2)]
        others = [each for each in self.markets.wallets if each != data["taker_wallet"]]
        rows: list[Data] = []
        for size in sizes:
            maker = self.rng.choice(others or self.markets.wallets)
            shares, paid = str(round(size * _MICRO)), str(round(size * price * _MICRO))
            rows.append(
                {
                    "maker": maker,
                    "signer": maker,
                    "taker": data["taker_wallet"],
                    "token_id": data["taker_token"],
                    "side": side,
                    "price": price,
                    "size": size,
                    "maker_amount": shares if side == "SELL" else paid,
                    "taker_amount": paid if side == "SELL" else shares,
                    "order_hash": hex_text(self.rng, 32),
                }
            )
        return rows

    def _makers(self) -> Mapping[str, Callable[[Moment], Data]]:
        return {
            "trade": self._trade,
            "block": self._block,
            "position_change": self._position_change,
            "deposit": self._deposit,
            "position_split": self._split,
            "position_merge": self._split,
            "positions_converted": self._converted,
            "redemption": self._redemption,
            "oracle": self._oracle,
            "price_feed": lambda moment: self._priced("BTC/USD", None, moment),
        }

    def _logged(self, moment: Moment) -> Data:
        return {
            "tx_hash": hex_text(self.rng, 32),
            "block_number": moment.block_number,
            "log_index": moment.log_index,
            "timestamp": moment.block_ms,
        }

    def _trade(self, moment: Moment) -> Data:
        settlement = self.settlement(moment, {}, tx_hash=hex_text(self.rng, 32))
        return self.trades_of(settlement, moment)[0]

    def _block(self, moment: Moment) -> Data:
        return {
            "block_number": moment.block_number,
            "block_hash": hex_text(self.rng, 32),
            "parent_hash": hex_text(self.rng, 32),
            "timestamp": moment.block_ms,
            "tx_count": self.rng.randint(40, 160),
            "polymarket_tx_count": 0,
            "settlement_count": 0,
            "trade_volume_usd": 0.0,
        }

    def _position_change(self, moment: Moment) -> Data:
        return {
            **self._logged(moment),
            "from": self._wallet(),
            "to": self._wallet(),
            "token_id": self.rng.choice(self._market().tokens),
            "amount": self._amount(),
            "transfer_type": self.rng.choice(("single", "batch")),
        }

    def _deposit(self, moment: Moment) -> Data:
        return {
            **self._logged(moment),
            "from": self._wallet(),
            "to": self._wallet(),
            "amount": self._amount(),
            "direction": self.rng.choice(("deposit", "withdrawal")),
        }

    def _split(self, moment: Moment) -> Data:
        return {
            **self._logged(moment),
            "stakeholder": self._wallet(),
            "collateral_token": hex_text(self.rng, 20),
            "condition_id": self._market().condition_id,
            "amount": self._amount(),
        }

    def _converted(self, moment: Moment) -> Data:
        return {
            **self._logged(moment),
            "stakeholder": self._wallet(),
            "market_id": hex_text(self.rng, 32),
            "index_set": self.rng.choice(("1", "2", "3")),
            "amount": self._amount(),
        }

    def _redemption(self, moment: Moment) -> Data:
        return {
            **self._logged(moment),
            "redeemer": self._wallet(),
            "collateral_token": hex_text(self.rng, 20),
            "condition_id": self._market().condition_id,
            "index_sets": ["1", "2"],
            "payout": self._amount(),
        }

    def _oracle(self, moment: Moment) -> Data:
        return {
            **self._logged(moment),
            "question_id": hex_text(self.rng, 32),
            "oracle_type": self.rng.choice(("initialization", "proposal", "dispute", "settled")),
            "adapter_address": hex_text(self.rng, 20),
        }

    def _priced(self, feed: str, window_s: int | None, moment: Moment) -> Data:
        price = self._prices[feed]
        if window_s is None:
            price = self._prices[feed] = round(price * self.rng.uniform(0.999, 1.001), 2)
        averaged = {} if window_s is None else {"is_twap": True, "twap_window_seconds": window_s}
        return {
            "event_type": "price_feed",
            "feed": feed,
            "price": price,
            "bid": round(price * (1 - _SPREAD), 2),
            "ask": round(price * (1 + _SPREAD), 2),
            "timestamp": moment.wall_ms // 1000,
            **averaged,
        }

    def _market(self) -> PredictionMarket:
        return self.rng.choice(self.markets.listed)

    def _wallet(self) -> str:
        return self.rng.choice(self.markets.wallets)

    def _amount(self) -> str:
        return str(self.rng.randint(_MICRO, 5_000 * _MICRO))


_GIVEN: Final[Mapping[str, type | tuple[type, ...]]] = {
    "tx_hash": str,
    "taker_wallet": str,
    "taker_token": str,
    "taker_side": str,
    "taker_price": (int, float),
    "taker_size": (int, float),
    "detected_at": int,
}


def _check(given: Mapping[str, Any]) -> None:
    """Raises ValueError for members that nothing plausible can be built around."""
    for name, kinds in _GIVEN.items():
        value = given.get(name, kinds)
        if value is not kinds and not _is(value, kinds):
            wanted = "a text" if kinds is str else "a number"
            raise ValueError(f"{name} must be {wanted}, not {str(value)[:40]!r}")


def _is(value: object, kinds: type | tuple[type, ...]) -> bool:
    if isinstance(value, bool) or not isinstance(value, kinds):
        return False
    return not isinstance(value, int | float) or abs(value) <= _GREATEST


def _is_fill(row: object) -> bool:
    fill = as_object(row)
    if fill is None or not all(name in fill for name in _TRADED):
        return False
    return all(_is(fill[name], (int, float)) for name in ("size", "price"))


_TRADED: Final = (
    "maker", "taker", "token_id", "side", "price", "size", "maker_amount", "taker_amount",
    "order_hash",
)  # fmt: skip

MADE_TYPES: Final = (
    "settlement", "status_update", "trade", "block", "position_change", "deposit",
    "position_split", "position_merge", "positions_converted", "redemption", "oracle",
    "price_feed",
)  # fmt: skip
"""The types of events that can be made from nothing."""
