"""What happens on the markets: trades, the blocks that confirm them, and their fates.

A settlement is published when it is detected, and confirmed by the first block after its delay.
Its fate may be another one; how often is up to the knobs. Every transaction has a generator of its
own, and so has the chain: turning a knob changes what becomes of settlements, not which there are.
"""

import heapq
import random
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from lastseen_simulator.polynode.makers import Data, EventMaker, Moment
from lastseen_simulator.polynode.markets import Markets, hex_text
from lastseen_simulator.polynode.options import PolyNodeOptions

__all__ = ["Happening", "Trading"]

FIRST_BLOCK: Final = 91_000_000
_AGAIN_S: Final = (0.2, 1.0)
"""How much later something comes again, or for the first time when it should have come before."""

_EXTRAS: Final = (
    "position_change", "deposit", "position_split", "position_merge", "positions_converted",
    "redemption", "oracle",
)  # fmt: skip
_STRANGE: Final = "weather_report"


@attrs.frozen(kw_only=True)
class Happening:
    """An event to be published; `at_ms` is its time where that is not the present.

    `mined` says that the chain has just confirmed its transaction, whatever becomes of the event.
    With `luck` it may come again.
    """

    event_type: str
    data: Data
    at_ms: int | None = None
    mined: bool = False
    luck: random.Random | None = None


@attrs.define(eq=False)
class _Transaction:
    """Settlements that are not confirmed yet; `luck` decides what becomes of them."""

    luck: random.Random
    ready_at: float
    settlements: list[Data] = attrs.field(factory=list[Data])
    update_first: bool = False
    born_confirmed: bool = False

    @property
    def told(self) -> bool:
        """Whether its settlements are published before they are confirmed."""
        return not (self.update_first or self.born_confirmed)


@attrs.define(eq=False)
class Trading:
    """The markets at work; `tick` yields what happens at `next_at`, None while they rest."""

    options: PolyNodeOptions
    markets: Markets
    maker: EventMaker
    scribe: EventMaker
    fates: random.Random
    pace: random.Random
    chain: random.Random
    shuffler: random.Random
    block_number: int = attrs.field(init=False, default=FIRST_BLOCK)
    _waiting: dict[str, _Transaction] = attrs.field(init=False, factory=dict[str, _Transaction])
    _again: list[tuple[float, int, Happening]] = attrs.field(
        init=False, factory=list[tuple[float, int, Happening]]
    )
    _order: int = attrs.field(init=False, default=0)
    _resting: bool = attrs.field(init=False, default=True)
    _next: dict[str, float] = attrs.field(init=False, factory=dict[str, float])

    @classmethod
    def begun(cls, options: PolyNodeOptions, rng: random.Random) -> "Trading":
        """Markets from the generator; `resume` lets them begin."""
        seeds = [random.Random(rng.getrandbits(64)) for _ in range(7)]
        markets = Markets.invented(options.markets, options.wallets, rng=seeds[0])
        return cls(
            options=options,
            markets=markets,
            maker=EventMaker(markets, seeds[1]),
            scribe=EventMaker(markets, seeds[6]),
            fates=seeds[2],
            pace=seeds[3],
            chain=seeds[4],
            shuffler=seeds[5],
        )

    @property
    def next_at(self) -> float | None:
        """When something happens next."""
        if self._resting:
            return None
        moments = [*self._next.values(), *(at for at, _, _ in self._again[:1])]
        return min(moments, default=None)

    def pause(self) -> None:
        """Lets everything rest, the chain included."""
        self._resting = True
        self._next.clear()

    def resume(self, *, now: float) -> None:
        """Lets everything go on; without any trade only what is scripted may come again."""
        self._resting = False
        if self.options.rate and not self._next:
            self._next["trade"] = now + self._trade_gap_s()
            self._next["block"] = now + self.options.block_s
            if self.options.price_feed_s:
                self._next["feeds"] = now + self.options.price_feed_s

    def tick(self, *, now: float, wall_ms: int, caught_up: bool) -> Iterator[Happening]:
        """What is due first. With `caught_up` the pace is taken up from now, not from its due."""
        if self._again and self._again[0][0] <= min(self._next.values(), default=now):
            yield heapq.heappop(self._again)[2]
            return
        what = min(self._next, key=lambda name: (self._next[name], name))
        began = now if caught_up else self._next[what]
        match what:
            case "trade":
                self._next[what] = began + self._trade_gap_s()
                yield from self._trade(now=now, wall_ms=wall_ms)
            case "block":
                self._next[what] = began + self.options.block_s
                yield from self._block(now=now, wall_ms=wall_ms)
            case _:
                self._next[what] = began + self.options.price_feed_s
                for data in self.scribe.feeds(self._moment(wall_ms)):
                    yield Happening(event_type="price_feed", data=data)

    def publish(
        self, event_type: str, given: Mapping[str, Any], *, now: float, wall_ms: int
    ) -> Happening:
        """A scripted event: `given` members as they are, the others made to fit.

        A settlement waits for its block like any other, and a status_update without a `tx_hash` is
        about the settlement that waits longest. Raises ValueError for what cannot be made.
        """
        moment = self._moment(wall_ms)
        if event_type == "settlement":
            tx_hash = given.get("tx_hash", hex_text(self.fates, 32))
            data = self.maker.settlement(moment, given, tx_hash=tx_hash)
            luck = self._luck()
            if data["status"] == "pending":
                self._await_block(data, _Transaction(luck, now + self._delay_s(luck)))
            return Happening(event_type=event_type, data=data, luck=luck)
        if event_type == "status_update":
            return self._confirmed_by_hand(given, moment)
        data = self.scribe.make(event_type, moment, given)
        return Happening(event_type=event_type, data=data)

    def again(self, happening: Happening, *, now: float) -> None:
        """Lets something happen once more, a little later, as often as the knobs say."""
        luck = happening.luck
        if luck is None:
            return
        twice, later = luck.random(), luck.uniform(*_AGAIN_S)
        anew, later_anew = luck.random(), luck.uniform(*_AGAIN_S)
        once_more = attrs.evolve(happening, luck=None)
        if twice < self.options.duplicated:
            self._later(once_more, now + later)
        if happening.event_type == "settlement" and anew < self.options.amended:
            data = {**happening.data, "market_image": "https://images.invalid/market.png"}
            self._later(attrs.evolve(once_more, data=data), now + later_anew)

    def _trade(self, *, now: float, wall_ms: int) -> Iterator[Happening]:
        """One transaction is detected; those with another fate are not told of yet."""
        tx_hash, luck = hex_text(self.fates, 32), self._luck()
        count = 1 + round(luck.random() * (self.options.settlements_per_tx - 1))
        never, late, first, born = (luck.random() for _ in range(4))
        ready_at = now + self._delay_s(luck)
        if late < self.options.late:
            ready_at += self.options.late_s
        transaction = _Transaction(
            luck,
            ready_at,
            update_first=first < self.options.first,
            born_confirmed=born < self.options.born_confirmed,
        )
        for _ in range(count):
            data = self.maker.settlement(self._moment(wall_ms), {}, tx_hash=tx_hash)
            if transaction.told:
                yield Happening(event_type="settlement", data=data, luck=luck)
            if never >= self.options.never or not transaction.told:
                self._await_block(data, transaction)

    def _block(self, *, now: float, wall_ms: int) -> Iterator[Happening]:
        """A block confirms what is ready, and has events of its own."""
        self.block_number += 1
        ready = [tx for tx, each in self._waiting.items() if each.ready_at <= now]
        ready.sort(key=lambda tx: self._waiting[tx].ready_at)
        events: list[Happening] = []
        traded = [(tx_hash, self._waiting.pop(tx_hash)) for tx_hash in ready]
        for _, transaction in traded:
            moment = self._moment(wall_ms, log_index=len(events))
            events += self._confirm(transaction, moment, now=now)
            events += self._extras(self._moment(wall_ms, log_index=len(events)))
        block = self._block_event(traded, self._moment(wall_ms))
        events.append(block)
        if self.options.block_order == "shuffled":
            self.shuffler.shuffle(events)
        yield from events

    def _confirm(
        self, transaction: _Transaction, moment: Moment, *, now: float
    ) -> Iterator[Happening]:
        settlements = transaction.settlements
        if transaction.born_confirmed:
            for data in settlements:
                confirmed = {**data, "status": "confirmed", "block_number": moment.block_number}
                yield Happening(
                    event_type="settlement", data=confirmed, mined=True, luck=transaction.luck
                )
        else:
            yield from self._updates(transaction, moment)
        log_index = moment.log_index + 1
        for data in settlements:
            for trade in self.scribe.trades_of(data, attrs.evolve(moment, log_index=log_index)):
                log_index += 1
                yield Happening(event_type="trade", data=trade)
        if transaction.update_first and not transaction.born_confirmed:
            for data in settlements:
                late = now + transaction.luck.uniform(*_AGAIN_S)
                told = Happening(event_type="settlement", data=data, luck=transaction.luck)
                self._later(told, late)

    def _updates(self, transaction: _Transaction, moment: Moment) -> Iterator[Happening]:
        """A status_update for each token of a transaction."""
        by_token: dict[str, list[Data]] = {}
        for data in transaction.settlements:
            by_token.setdefault(str(data["taker_token"]), []).append(data)
        for token, confirmed in by_token.items():
            data = self.scribe.status_update(confirmed, self._named(token), moment, {})
            yield Happening(
                event_type="status_update", data=data, mined=True, luck=transaction.luck
            )

    def _confirmed_by_hand(self, given: Mapping[str, Any], moment: Moment) -> Happening:
        tx_hash = given.get("tx_hash", next(iter(self._waiting), None))
        waiting = self._waiting.get(tx_hash) if isinstance(tx_hash, str) else None
        if waiting is None:
            data = self.scribe.orphan_update(moment, given)
            return Happening(event_type="status_update", data=data, mined=True)
        wanted = given.get("token_id")
        named = [d for d in waiting.settlements if d["taker_token"] == wanted]
        confirmed = named or (
            waiting.settlements if wanted is not None else waiting.settlements[:1]
        )
        waiting.settlements = [d for d in waiting.settlements if d not in confirmed]
        if not waiting.settlements:
            del self._waiting[str(tx_hash)]
        token = self._named(str(confirmed[0]["taker_token"]))
        data = self.scribe.status_update(confirmed, token, moment, given)
        return Happening(event_type="status_update", data=data, mined=True, luck=waiting.luck)

    def _extras(self, moment: Moment) -> Iterator[Happening]:
        extra, kind = self.chain.random(), self.chain.choice(_EXTRAS)
        strange, level = self.chain.random(), self.chain.randint(0, 9)
        if extra < self.options.extras:
            data = self.scribe.make(kind, moment, {})
            yield Happening(event_type=kind, data=data)
        if strange < self.options.unknown:
            yield Happening(event_type=_STRANGE, data={"event_type": _STRANGE, "level": level})

    def _block_event(self, traded: list[tuple[str, _Transaction]], moment: Moment) -> Happening:
        settlements = [data for _, each in traded for data in each.settlements]
        volume = sum(float(d["taker_size"]) * float(d["taker_price"]) for d in settlements)
        counted = {
            "polymarket_tx_count": len(traded),
            "settlement_count": len(settlements),
            "trade_volume_usd": round(volume, 2),
        }
        data = self.scribe.make("block", moment, counted)
        return Happening(event_type="block", data=data, at_ms=moment.block_ms)

    def _await_block(self, data: Data, transaction: _Transaction) -> None:
        tx_hash = str(data["tx_hash"])
        self._waiting.setdefault(tx_hash, transaction).settlements.append(data)
        if len(self._waiting) > self.options.truth_items_max:
            del self._waiting[next(iter(self._waiting))]

    def _luck(self) -> random.Random:
        return random.Random(self.fates.getrandbits(64))

    def _later(self, happening: Happening, at: float) -> None:
        self._order += 1
        heapq.heappush(self._again, (at, self._order, happening))

    def _moment(self, wall_ms: int, log_index: int = 0) -> Moment:
        return Moment(wall_ms=wall_ms, block_number=self.block_number, log_index=log_index)

    def _named(self, token: str) -> str:
        """The token that a status_update names (§7)."""
        market = self.markets.of_token(token)
        if self.options.update_token == "taker" or market is None:
            return token
        return market.other(token)

    def _delay_s(self, luck: random.Random) -> float:
        """From detection to being ready; the next block adds up to `block_s` (§9.2)."""
        soonest = self.options.confirm_min_s
        latest = max(soonest, self.options.confirm_max_s - self.options.block_s)
        return luck.uniform(soonest, latest)

    def _trade_gap_s(self) -> float:
        return self.pace.uniform(0.5, 1.5) / self.options.rate
