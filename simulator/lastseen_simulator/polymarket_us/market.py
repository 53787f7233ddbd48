"""What happens at a venue: orders and fills, and everything that follows from them.

One model, from which every stream, every snapshot and the truth are read. Values are in one plain
spelling (camelCase, whole numbers, short names of states); `wire` writes them down otherwise.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import attrs

from lastseen.shapes import as_object
from lastseen_simulator.polymarket_us.books import PRICE_MAX, Book
from lastseen_simulator.polymarket_us.channels import CHANNELS
from lastseen_simulator.polymarket_us.options import PolymarketUSOptions

__all__ = ["ACCOUNTS", "FIRM", "Happening", "Item", "Market", "TERMINAL", "moment"]

TERMINAL: Final = frozenset({"FILLED", "CANCELED", "REJECTED", "EXPIRED"})
ACCOUNTS: Final = ("acct-demo", "acct-two")
FIRM: Final = "firm-demo"

_FINISHED_MAX: Final = 5000
_TRADES_MAX: Final = 5000
_OPEN_MAX: Final = 60

_STATES: Final = ("OPEN", "HALTED", "OPEN", "CLOSED", "OPEN")
_NAMES: Final = ("Café", "Zürich", "東京", "Łódź")
"""Names outside ASCII, so that bodies can be cut inside a character."""

_FATES: Final[Mapping[str, str]] = {
    "NEW": "NEW",
    "CANCELED": "CANCELED",
    "REJECTED": "REJECTED",
    "EXPIRED": "EXPIRED",
}
"""What becomes of an order, by the type of its execution, where quantities do not decide."""

_FILLS: Final = frozenset({"FILL", "PARTIAL_FILL"})

Item = dict[str, Any]


def moment(wall_ms: int) -> str:
    """A time as the wire writes it, RFC 3339.

    >>> moment(1_790_000_000_000)
    '2026-09-21T14:13:20.000Z'
    """
    return f"{_second(wall_ms // 1000)}.{wall_ms % 1000:03}Z"


@lru_cache
def _second(wall_s: int) -> str:
    """Much of what happens names the same one."""
    return datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@attrs.frozen(kw_only=True)
class Happening:
    """One change on one channel: what is told (`item`), and which unit it leaves how.

    `key` tells it from any other of its channel.
    """

    channel: str
    key: str
    item: Item
    unit: str | None = None
    value: Item | None = None


@attrs.define(eq=False)
class Market:
    """Orders, positions, books, instruments and trades; `rng` decides what happens next."""

    options: PolymarketUSOptions
    rng: random.Random
    orders: dict[str, Item] = attrs.field(init=False, factory=dict[str, Item])
    """Open ones, and the newest of those that are done."""
    positions: dict[tuple[str, str], Item] = attrs.field(
        init=False, factory=dict[tuple[str, str], Item]
    )
    instruments: dict[str, Item] = attrs.field(init=False, factory=dict[str, Item])
    trades: dict[str, Item] = attrs.field(init=False, factory=dict[str, Item])
    executions: dict[str, Item] = attrs.field(init=False, factory=dict[str, Item])
    """The newest, oldest first."""
    symbols: tuple[str, ...] = attrs.field(init=False)
    _books: dict[str, Book] = attrs.field(init=False, factory=dict[str, Book])
    _shown: dict[str, Item] = attrs.field(init=False, factory=dict[str, Item])
    _uncleared: dict[str, Item] = attrs.field(init=False, factory=dict[str, Item])
    """Trades to be cleared or busted, with their execution."""
    _serial: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        names = (f"demo-{chr(97 + n % 26) * 3}{n // 26 or ''}" for n in range(self.options.symbols))
        self.symbols = tuple(names)

    @property
    def books(self) -> Mapping[str, Item]:
        """Every book as it was told last, by symbol."""
        return self._shown

    def open(self, *, wall_ms: int) -> None:
        """Fills the tables as if the venue had been open before anybody looked."""
        for number, symbol in enumerate(self.symbols):
            self.instruments[symbol] = {
                "symbol": symbol,
                "description": f"Demo {_NAMES[number % len(_NAMES)]}",
                "state": "OPEN",
                "priceScale": 1000,
                "fractionalQuantityScale": 1,
            }
            self._books[symbol] = Book(symbol, random.Random(self.rng.getrandbits(64)))
        for _ in range(self.options.orders):
            order = self._new_order({}, wall_ms)
            self.orders[order["id"]] = order
        for symbol in self.symbols:
            self._show(symbol, wall_ms)

    def happen(self, *, wall_ms: int) -> Iterator[Happening]:
        """Something happens, and what follows from it."""
        kind = self.rng.choices(
            (
                "NEW", "FILL", "CANCELED", "REPLACE", "REJECTED", "EXPIRED", "cancel_reject",
                "trade_capture", "market_data", "instruments",
            ),
            weights=(22, 30, 8, 5, 2, 1, 3, 12, 15, 2),
        )[0]  # fmt: skip
        running = [o for o in self.orders.values() if self.is_open(o) and self._trades(o)]
        match kind:
            case "market_data" | "instruments":
                yield from self.make(kind, {}, wall_ms=wall_ms)
            case "trade_capture" if self._uncleared:
                yield from self.make(kind, {}, wall_ms=wall_ms)
            case "cancel_reject":
                yield self._cancel_reject({}, wall_ms)
            case "REJECTED":
                yield from self._execute({"type": "REJECTED"}, wall_ms)
            case "NEW" if len(running) < _OPEN_MAX:
                yield from self._execute({"type": "NEW"}, wall_ms)
            case _ if not running:
                yield from self._execute({"type": "NEW"}, wall_ms)
            case "CANCELED" | "REPLACE" | "EXPIRED":
                named = {"id": self.rng.choice(running)["id"]}
                yield from self._execute({"type": kind, "order": named}, wall_ms)
            case _:
                named = {"id": self.rng.choice(running)["id"]}
                yield from self._execute({"type": "FILL", "order": named}, wall_ms)

    def make(self, channel: str, given: Mapping[str, Any], *, wall_ms: int) -> Iterator[Happening]:
        """A change that is asked for, and what follows from it.

        Members of `given` stand as they are, the others are made to fit. Raises ValueError for what
        cannot be.
        """
        _check(given)
        match channel:
            case "orders" if "cancelReject" in given:
                yield self._cancel_reject(_object(given["cancelReject"], "cancelReject"), wall_ms)
            case "orders" | "drop_copy":
                yield from self._execute(given, wall_ms)
            case "market_data":
                symbol = self._symbol(given)
                own = self._own(symbol)
                self._books[symbol].move(
                    [o["price"] for o in own if o["side"] == "BUY"],
                    [o["price"] for o in own if o["side"] == "SELL"],
                )
                yield self._show(symbol, wall_ms, given)
            case "positions" | "position_changes":
                yield from self._position(given, wall_ms)
            case "trade_capture":
                yield from self._clear(given, wall_ms)
            case "instruments":
                symbol = self._symbol(given)
                known = self.instruments[symbol]
                others = [state for state in _STATES if state != known["state"]]
                state = self.rng.choice(others)
                item = self.instruments[symbol] = {**known, "state": state, **given}
                yield Happening(
                    channel="instruments",
                    key=f"{symbol}-{self._next()}",
                    item=item,
                    unit=f"instruments/{symbol}",
                    value=item,
                )
                yield self._show(symbol, wall_ms)
            case _:
                known_names = ", ".join(CHANNELS)
                raise ValueError(f"no such channel: {channel} (channels: {known_names})")

    def is_open(self, order: Mapping[str, Any]) -> bool:
        """Whether a snapshot of open orders has it."""
        return order.get("state") not in TERMINAL

    def order_by_order(self, symbol: str) -> dict[str, Any]:
        """Both sides of a book that are not added up."""
        return {**self._books[symbol].sides(self._own(symbol), aggregated=False)}

    # How it is done.

    def _next(self) -> int:
        self._serial += 1
        return self._serial

    def _symbol(self, given: Mapping[str, Any]) -> str:
        symbol = given.get("symbol")
        if symbol is None:
            return self.rng.choice(self.symbols)
        if symbol not in self.instruments:
            raise ValueError(f"no such symbol: {symbol} (symbols: {', '.join(self.symbols)})")
        return str(symbol)

    def _trades(self, order: Mapping[str, Any]) -> bool:
        known = self.instruments.get(order["symbol"])
        return known is not None and known["state"] == "OPEN"

    def _own(self, symbol: str) -> list[Item]:
        return [
            order
            for order in self.orders.values()
            if order["symbol"] == symbol and order.get("state") not in TERMINAL
        ]

    def _execute(self, given: Mapping[str, Any], wall_ms: int) -> Iterator[Happening]:
        """An execution: told to its owner and to the drop copy; a fill moves everything else."""
        asked = _object(given.get("order") or {}, "order")
        _check(asked)
        self._symbol(asked)
        known = self.orders.get(str(asked.get("id")))
        before = self._new_order(asked, wall_ms) if known is None else known
        kind = str(given.get("type") or ("NEW" if known is None else "FILL"))
        shares = _whole(given.get("lastShares"), 0) if kind in _FILLS else 0
        if kind in _FILLS and not shares:
            shares = self.rng.randint(1, max(1, before["leavesQty"]))
        order = {**before, **self._after(kind, before, shares, wall_ms), **asked}
        if kind in _FILLS and "type" not in given:
            kind = "PARTIAL_FILL" if order["leavesQty"] else "FILL"
        elif kind in _FILLS:
            kind = "FILL" if order["state"] == "FILLED" else "PARTIAL_FILL"
        filled: Item = {}
        if kind in _FILLS:
            trade = str(given.get("tradeId") or f"t-{self._next()}")
            filled = {"lastShares": shares, "lastPx": before["price"], "tradeId": trade}
            filled["aggressor"] = self.rng.random() < 0.3
            order["lastTradeId"] = trade
        execution: Item = {
            "id": f"x-{self._next()}",
            "transactTime": moment(wall_ms),
            **filled,
            **given,
            "type": kind,
            "order": order,
        }
        # The newest last: what is done goes, oldest first.
        self.orders.pop(order["id"], None)
        self.orders[order["id"]] = order
        _forget(self.orders, _FINISHED_MAX, keep=self.is_open)
        self.executions[execution["id"]] = execution
        _forget(self.executions, _FINISHED_MAX)
        key, unit = execution["id"], f"orders/{order['id']}"
        yield Happening(channel="orders", key=key, item=execution, unit=unit, value=order)
        yield Happening(
            channel="drop_copy",
            key=key,
            item=execution,
            unit=f"drop_copy/{key}",
            value=execution,
        )
        if kind in _FILLS:
            yield from self._traded(execution, wall_ms)
        if order["symbol"] in self._books:
            yield self._show(order["symbol"], wall_ms)

    def _after(
        self, kind: str, before: Mapping[str, Any], shares: int, wall_ms: int
    ) -> Mapping[str, Any]:
        """What an execution changes in its order."""
        changed: Item = {"lastTransactTime": moment(wall_ms)}
        if kind in _FILLS:
            filled = before["cumQty"] + shares
            left = max(0, before["orderQty"] - filled)
            paid = before["cumQty"] * before.get("avgPx", 0) + shares * before["price"]
            changed |= {"cumQty": filled, "leavesQty": left, "avgPx": paid // max(1, filled)}
            return changed | {"state": "PARTIALLY_FILLED" if left else "FILLED"}
        if kind == "REPLACE":
            # At or behind its old price: a replacement does not cross the book.
            step = self.rng.randint(1, 3)
            price = before["price"] - step if before["side"] == "BUY" else before["price"] + step
            price = min(max(1, price), PRICE_MAX)
            return changed | {"clordId": f"c-{self._next()}", "price": price}
        state = _FATES.get(kind, before["state"])
        return changed | {"state": state} | ({"leavesQty": 0} if state in TERMINAL else {})

    def _traded(self, execution: Mapping[str, Any], wall_ms: int) -> Iterator[Happening]:
        order, trade = execution["order"], execution["tradeId"]
        shares, price = _whole(execution["lastShares"], 0), _whole(execution["lastPx"], 0)
        if order["symbol"] in self._books:
            self._books[order["symbol"]].trade(price, shares)
        side = "aggressor" if execution.get("aggressor") else "passive"
        self._uncleared[trade] = dict(execution)
        _forget(self._uncleared, _TRADES_MAX)
        yield self._captured(
            {
                "id": trade,
                "state": "NEW",
                "tradeType": "REGULAR",
                "symbol": order["symbol"],
                side: {"account": order["account"], "orderId": order["id"], "side": order["side"]},
                "px": price,
                "qty": shares,
                "transactTime": moment(wall_ms),
            }
        )
        signed = shares if order["side"] == "BUY" else -shares
        yield from self._moved(order["account"], order["symbol"], signed, price, wall_ms)

    def _clear(self, given: Mapping[str, Any], wall_ms: int) -> Iterator[Happening]:
        """A trade goes on: most are cleared, some are busted, which takes back the position."""
        name = given.get("id")
        if name is None and self._uncleared:
            name = next(iter(self._uncleared))
        known = self.trades.get(str(name)) if name is not None else None
        busted = self.rng.random() < self.options.busts
        state = "NEW" if known is None else "BUSTED" if busted else "CLEARED"
        made = {"id": f"t-{self._next()}", "tradeType": "REGULAR", **(known or {}), "state": state}
        report = {**made, **given}
        yield self._captured(report)
        execution = self._uncleared.pop(str(report["id"]), None)
        if report["state"] == "BUSTED" and execution is not None:
            order = execution["order"]
            signed = _whole(execution["lastShares"], 0) * (-1 if order["side"] == "BUY" else 1)
            price = _whole(execution["lastPx"], 0)
            yield from self._moved(order["account"], order["symbol"], signed, price, wall_ms)

    def _captured(self, report: Item) -> Happening:
        name = str(report["id"])
        self.trades.pop(name, None)
        self.trades[name] = report
        _forget(self.trades, _TRADES_MAX)
        key = f"{name}/{report['state']}"
        unit = f"trade_capture/{name}"
        return Happening(channel="trade_capture", key=key, item=report, unit=unit, value=report)

    def _moved(
        self, account: str, symbol: str, signed: int, price: int, wall_ms: int
    ) -> Iterator[Happening]:
        known = self.positions.get((account, symbol), {})
        bought = "qtyBought" if signed > 0 else "qtySold"
        moved = {
            "account": account,
            "symbol": symbol,
            "netPosition": known.get("netPosition", 0) + signed,
            "cost": known.get("cost", 0) + signed * price,
            bought: known.get(bought, 0) + abs(signed),
        }
        yield from self._position(moved, wall_ms)

    def _position(self, given: Mapping[str, Any], wall_ms: int) -> Iterator[Happening]:
        account = str(given.get("account") or ACCOUNTS[0])
        symbol = str(given.get("symbol") or self.rng.choice(self.symbols))
        blank = {"netPosition": 0, "cost": 0, "qtyBought": 0, "qtySold": 0, "realized": 0}
        known = self.positions.get((account, symbol), blank)
        named = {"account": account, "symbol": symbol}
        position = {**named, **known, **given, "updateTime": moment(wall_ms)}
        self.positions[account, symbol] = position
        key, where = f"p-{self._next()}", f"{account}/{symbol}"
        yield Happening(
            channel="positions", key=key, item=position, unit=f"positions/{where}", value=position
        )
        change = {"position": position, "changeTime": moment(wall_ms)}
        yield Happening(
            channel="position_changes",
            key=key,
            item=change,
            unit=f"position_changes/{where}",
            value={**position, "changeTime": moment(wall_ms)},
        )

    def _cancel_reject(self, given: Mapping[str, Any], wall_ms: int) -> Happening:
        number = self._next()
        reject = {
            "orderId": f"o-{number}",
            "clordId": f"c-{number}",
            "rejectReason": "UNKNOWN_ORDER",
            "text": "no such order",
            "transactTime": moment(wall_ms),
            **given,
        }
        return Happening(channel="orders", key=f"reject-{number}", item={"cancelReject": reject})

    def _new_order(self, asked: Mapping[str, Any], wall_ms: int) -> Item:
        number = self._next()
        symbol = str(asked.get("symbol") or self.rng.choice(self.symbols))
        side = str(asked.get("side") or self.rng.choice(("BUY", "SELL")))
        book = self._books.get(symbol)
        quantity = _whole(asked.get("orderQty"), self.rng.randint(1, 20))
        return {
            "id": f"o-{number}",
            "clordId": f"c-{number}",
            "symbol": symbol,
            "side": side,
            "type": "LIMIT",
            "state": "NEW",
            "account": ACCOUNTS[0] if self.rng.random() < 0.8 else ACCOUNTS[1],
            "orderQty": quantity,
            "price": 500 if book is None else book.price_for(side),
            "cumQty": 0,
            "leavesQty": quantity,
            "avgPx": 0,
            "priceScale": 1000,
            "fractionalQuantityScale": 1,
            "insertTime": moment(wall_ms),
            **asked,
        }

    def _show(self, symbol: str, wall_ms: int, given: Mapping[str, Any] | None = None) -> Happening:
        """The whole book, as it is now (§4.2)."""
        book = self._books[symbol]
        item: Item = {
            "symbol": symbol,
            **book.sides(self._own(symbol)),
            "state": self.instruments[symbol]["state"],
            "stats": dict(book.stats),
            "bookHidden": False,
            "transactTime": moment(wall_ms),
            **(given or {}),
        }
        self._shown[symbol] = item
        key, unit = f"{symbol}-{self._next()}", f"market_data/{symbol}"
        return Happening(channel="market_data", key=key, item=item, unit=unit, value=item)


_WHOLE: Final = frozenset(
    {"orderQty", "price", "cumQty", "leavesQty", "avgPx", "lastShares", "lastPx", "px", "qty",
     "netPosition", "cost", "qtyBought", "qtySold", "realized"}
)  # fmt: skip
_TEXTS: Final = frozenset({"id", "type", "symbol", "account", "state", "tradeId", "clordId"})
_GREATEST: Final = 1 << 53


def _check(given: Mapping[str, Any]) -> None:
    """Raises ValueError for what the model could not go on with."""
    for name, value in given.items():
        if name in _WHOLE and not (type(value) is int and abs(value) <= _GREATEST):
            raise ValueError(f"{name} must be a whole number")
        if name in _TEXTS and not (type(value) is str and value):
            raise ValueError(f"{name} must be a text")
        if name in ("bids", "offers") and type(value) is not list:
            raise ValueError(f"{name} must be a list")
        if name == "side" and value not in ("BUY", "SELL"):
            raise ValueError("side must be BUY or SELL")


def _object(value: object, name: str) -> Mapping[str, Any]:
    found = as_object(value)
    if found is None:
        raise ValueError(f"{name} must be an object")
    return found


def _whole(value: object, otherwise: int) -> int:
    return value if type(value) is int else otherwise


def _forget(
    table: dict[str, Item], count_max: int, keep: Callable[[Item], bool] | None = None
) -> None:
    """Drops the oldest of what need not be kept."""
    if len(table) <= count_max:
        return
    done = [key for key, item in table.items() if keep is None or not keep(item)]
    for key in done[: max(0, len(done) - count_max)]:
        del table[key]
