"""What happens at a venue: orders and fills, and everything that follows from them.

One model, from which every stream, every snapshot and the truth are read. Values are in one plain
spelling (camelCase, whole numbers, short names of states); `wire` writes them down otherwise.
"""

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import attrs

from lastseen_simulator.polymarket_us.options import PolymarketUSOptions

__all__ = ["CHANNELS", "Happening", "Market", "TERMINAL", "moment"]

CHANNELS: Final = (
    "orders",
    "market_data",
    "positions",
    "drop_copy",
    "trade_capture",
    "position_changes",
    "instruments",
)

TERMINAL: Final = frozenset({"FILLED", "CANCELED", "REJECTED", "EXPIRED"})
ACCOUNTS: Final = ("acct-demo", "acct-two")
_FINISHED_MAX: Final = 5000
_TRADES_MAX: Final = 5000
_OPEN_MAX: Final = 60
_LEVELS: Final = 5
_STATES: Final = ("OPEN", "HALTED", "CLOSED")

Item = dict[str, Any]


def moment(wall_ms: int) -> str:
    """A time as the wire writes it, RFC 3339."""
    text = datetime.fromtimestamp(wall_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


@attrs.frozen(kw_only=True)
class Happening:
    """One change on one channel: what is told (`item`), and which unit it leaves how."""

    channel: str
    item: Item
    unit: str | None = None
    value: Item | None = None


@attrs.define(eq=False)
class Market:
    """Open orders, positions, books, instruments and trades; `rng` decides what happens next."""

    options: PolymarketUSOptions
    rng: random.Random
    orders: dict[str, Item] = attrs.field(init=False, factory=dict[str, Item])
    """Open ones, and the newest of those that are done."""
    positions: dict[tuple[str, str], Item] = attrs.field(
        init=False, factory=dict[tuple[str, str], Item]
    )
    books: dict[str, Item] = attrs.field(init=False, factory=dict[str, Item])
    instruments: dict[str, Item] = attrs.field(init=False, factory=dict[str, Item])
    trades: dict[str, Item] = attrs.field(init=False, factory=dict[str, Item])
    symbols: tuple[str, ...] = attrs.field(init=False)
    _serial: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        names = (f"demo-{chr(97 + n % 26) * 3}{n // 26 or ''}" for n in range(self.options.symbols))
        self.symbols = tuple(names)

    def open(self, *, wall_ms: int) -> None:
        """Fills the tables as if the venue had been open before anybody looked."""
        for symbol in self.symbols:
            self.instruments[symbol] = {"symbol": symbol, "state": "OPEN", "priceScale": 1000}
            self.books[symbol] = self._book(symbol, wall_ms)
        for _ in range(self.options.orders):
            order = self._new_order({}, wall_ms)
            self.orders[order["id"]] = order

    def happen(self, *, wall_ms: int) -> Iterator[Happening]:
        """Something happens, and what follows from it."""
        kind = self.rng.choices(
            ("order", "fill", "book", "cancel", "reject", "trade", "instrument"),
            weights=(22, 30, 25, 10, 3, 8, 2),
        )[0]
        match kind:
            case "book":
                yield self.make("market_data", {}, wall_ms=wall_ms)
            case "instrument":
                yield self.make("instruments", {}, wall_ms=wall_ms)
            case "trade":
                yield self.make("trade_capture", {}, wall_ms=wall_ms)
            case "reject":
                reject = {"orderId": f"o-{self._next()}", "rejectReason": "UNKNOWN_ORDER"}
                yield Happening(channel="orders", item={"cancelReject": reject})
            case _:
                yield from self._trade(kind, wall_ms)

    def make(self, channel: str, given: Mapping[str, Any], *, wall_ms: int) -> Happening:
        """One change; members of `given` stand as they are, the others are made to fit."""
        match channel:
            case "orders":
                return self._execution(given, wall_ms)
            case "market_data":
                symbol = str(given.get("symbol") or self.rng.choice(self.symbols))
                book = self.books[symbol] = {**self._book(symbol, wall_ms), **given}
                return Happening(channel=channel, item=book, unit=f"{channel}/{symbol}", value=book)
            case "positions" | "position_changes":
                return self._position(channel, given, wall_ms)
            case "drop_copy":
                item = {"id": f"x-{self._next()}", "type": "FILL", "lastShares": 1, **given}
                return Happening(channel=channel, item=item)
            case "trade_capture":
                return self._captured(given)
            case "instruments":
                symbol = str(given.get("symbol") or self.rng.choice(self.symbols))
                known = self.instruments.get(symbol, {"symbol": symbol, "priceScale": 1000})
                state = self.rng.choice(_STATES)
                made = self.instruments[symbol] = {**known, "state": state, **given}
                return Happening(channel=channel, item=made, unit=f"{channel}/{symbol}", value=made)
            case _:
                raise ValueError(f"no such channel: {channel} (channels: {', '.join(CHANNELS)})")

    def is_open(self, order: Mapping[str, Any]) -> bool:
        """Whether a snapshot of open orders has it."""
        return order.get("state") not in TERMINAL

    # How it is done.

    def _next(self) -> int:
        self._serial += 1
        return self._serial

    def _trade(self, kind: str, wall_ms: int) -> Iterator[Happening]:
        running = [order for order in self.orders.values() if self.is_open(order)]
        if not running or (kind == "order" and len(running) < _OPEN_MAX):
            yield self._execution({"type": "NEW"}, wall_ms)
            return
        order = self.rng.choice(running)
        if kind == "cancel":
            change = {"id": order["id"], "state": "CANCELED", "leavesQty": 0}
            yield self._execution({"type": "CANCELED", "order": change}, wall_ms)
            return
        yield from self._fill(order, wall_ms)

    def _fill(self, order: Item, wall_ms: int) -> Iterator[Happening]:
        shares = self.rng.randint(1, order["leavesQty"])
        left = order["leavesQty"] - shares
        change = {
            "id": order["id"],
            "state": "PARTIALLY_FILLED" if left else "FILLED",
            "cumQty": order["cumQty"] + shares,
            "leavesQty": left,
        }
        trade = f"t-{self._next()}"
        filled = self._execution(
            {
                "type": "PARTIAL_FILL" if left else "FILL", "order": change, "tradeId": trade,
                "lastShares": shares, "lastPx": order["price"], "aggressor": False,
            },
            wall_ms,
        )  # fmt: skip
        yield filled
        yield Happening(channel="drop_copy", item=filled.item)
        yield self._captured({"id": trade, "state": "NEW", "tradeType": "REGULAR"})
        signed = shares if order["side"] == "BUY" else -shares
        where = {"account": order["account"], "symbol": order["symbol"]}
        known = self.positions.get((order["account"], order["symbol"]), {})
        moved = {
            **where,
            "netPosition": known.get("netPosition", 0) + signed,
            "cost": known.get("cost", 0) + signed * order["price"],
        }
        yield self._position("positions", moved, wall_ms)
        yield self._position("position_changes", moved, wall_ms)

    def _execution(self, given: Mapping[str, Any], wall_ms: int) -> Happening:
        asked: Mapping[str, Any] = given.get("order") or {}
        known = self.orders.get(str(asked.get("id")))
        order = self._new_order(asked, wall_ms) if known is None else {**known, **asked}
        order["lastTransactTime"] = moment(wall_ms)
        # The newest last: what is done goes, oldest first.
        self.orders.pop(order["id"], None)
        self.orders[order["id"]] = order
        self._forget_done()
        item = {
            "id": f"x-{self._next()}",
            "type": "NEW",
            "transactTime": moment(wall_ms),
            **given,
            "order": order,
        }
        return Happening(channel="orders", item=item, unit=f"orders/{order['id']}", value=order)

    def _new_order(self, asked: Mapping[str, Any], wall_ms: int) -> Item:
        quantity = int(asked.get("orderQty", self.rng.randint(1, 20)))
        number = self._next()
        return {
            "id": f"o-{number}",
            "clordId": f"c-{number}",
            "symbol": self.rng.choice(self.symbols),
            "side": self.rng.choice(("BUY", "SELL")),
            "type": "LIMIT",
            "state": "NEW",
            "account": ACCOUNTS[0] if self.rng.random() < 0.8 else ACCOUNTS[1],
            "orderQty": quantity,
            "price": self.rng.randint(1, 999),
            "cumQty": 0,
            "leavesQty": quantity,
            "priceScale": 1000,
            "fractionalQuantityScale": 1,
            "insertTime": moment(wall_ms),
            **asked,
        }

    def _forget_done(self) -> None:
        done = [key for key, order in self.orders.items() if not self.is_open(order)]
        for key in done[: max(0, len(done) - _FINISHED_MAX)]:
            del self.orders[key]

    def _position(self, channel: str, given: Mapping[str, Any], wall_ms: int) -> Happening:
        account = str(given.get("account") or ACCOUNTS[0])
        symbol = str(given.get("symbol") or self.rng.choice(self.symbols))
        known = self.positions.get((account, symbol), {"netPosition": 0, "cost": 0})
        position = {
            "account": account, "symbol": symbol, **known, **given, "updateTime": moment(wall_ms),
        }  # fmt: skip
        self.positions[account, symbol] = position
        unit = f"{channel}/{account}/{symbol}"
        if channel == "positions":
            return Happening(channel=channel, item=position, unit=unit, value=position)
        change = {"position": position, "changeTime": moment(wall_ms)}
        value = {**position, "changeTime": moment(wall_ms)}
        return Happening(channel=channel, item=change, unit=unit, value=value)

    def _captured(self, given: Mapping[str, Any]) -> Happening:
        name = given.get("id")
        if name is None and self.trades:
            name = self.rng.choice(list(self.trades))
        known = self.trades.get(str(name), {"tradeType": "REGULAR"})
        state = "NEW" if name is None else "BUSTED" if self.rng.random() < 0.1 else "CLEARED"
        name = f"t-{self._next()}" if name is None else str(name)
        trade = {**known, "id": name, "state": state, **given}
        self.trades[name] = trade
        if len(self.trades) > _TRADES_MAX:
            del self.trades[next(iter(self.trades))]
        return Happening(
            channel="trade_capture", item=trade, unit=f"trade_capture/{name}", value=trade
        )

    def _book(self, symbol: str, wall_ms: int) -> Item:
        middle = self.rng.randint(50, 950)
        return {
            "symbol": symbol,
            "bids": [
                {"px": middle - n - 1, "qty": self.rng.randint(1, 500)} for n in range(_LEVELS)
            ],
            "offers": [
                {"px": middle + n + 1, "qty": self.rng.randint(1, 500)} for n in range(_LEVELS)
            ],
            "state": "OPEN",
            "bookHidden": False,
            "transactTime": moment(wall_ms),
        }
