"""The market as a whole: which of its families something happens in next."""

import random
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

import attrs

from lastseen.shapes import as_object
from lastseen_simulator.channels import CHANNELS, entity_of, payload_of, section_of
from lastseen_simulator.market.currencies import Currencies, CurrenciesShape
from lastseen_simulator.market.fixtures import Fixtures
from lastseen_simulator.market.futures import FutureKeyParts, Futures
from lastseen_simulator.market.ledger import Change, Ledger, Payload, Tables, Undo
from lastseen_simulator.market.quotes import Quotes
from lastseen_simulator.market.reports import Reports

__all__ = ["Market", "MarketOptions"]

# How often each channel changes, in percent of what a client of the first four sees (§8): odds lead
# by far, and twenty entries a second bring a new exchange rate every five seconds.
_WEIGHTS: Final = {
    "odds": 84,
    "fixtures": 6,
    "bookmakers": 5,
    "scores": 5,
    "clocks": 1,
    "currencies": 1,
    "oddsFutures": 0.8,
    "events": 0.5,
    "stats": 0.4,
    "futures": 0.3,
    "bookmakersFutures": 0.2,
    "lineups": 0.2,
    "injuries": 0.1,
}


class _Family(Protocol):
    """Channels that change together."""

    def happen(self, channel: str, *, wall_ms: int) -> list[Change]:
        """Lets something happen and returns its changes, already applied."""
        ...

    def make(self, channel: str, *, wall_ms: int) -> Payload:
        """Makes one change, applied."""
        ...


class _StatefulFamily(_Family, Protocol):
    """A family whose channels have tables."""

    def open(self, *, wall_ms: int) -> None:
        """Fills the tables before the first entry."""
        ...

    def renewed(self, channel: str, value: Any, *, wall_ms: int) -> Any:
        """A newer value of the same unit."""
        ...


@attrs.frozen(kw_only=True)
class MarketOptions:
    """What is on offer, and in which of the documented shapes."""

    fixtures: int
    bookmakers: tuple[str, ...]
    futures: int = 2
    future_key_parts: FutureKeyParts = 3
    currencies_shape: CurrenciesShape = "objects"
    nulls: bool = False
    """Optional members without a value are sent as null, not left out (OP-A26)."""


@attrs.define(eq=False, init=False)
class Market:
    """An invented world of fixtures, futures and currencies.

    `open` fills the tables; `tick` makes one happening and returns its changes, already applied;
    `make` does so for one channel; `apply` takes a scripted payload. All moments are wall-clock
    milliseconds, as on the wire. The same options, generator and calls make the same market; each
    family has a generator of its own, so that what one draws does not disturb another.
    """

    _ledger: Ledger
    _families: Mapping[str, _Family]
    _stateful: Mapping[str, _StatefulFamily]
    _dice: random.Random

    def __init__(self, options: MarketOptions, *, rng: random.Random) -> None:
        def actor() -> random.Random:
            return random.Random(rng.getrandbits(64))

        self._dice = actor()
        self._ledger = Ledger()
        fixtures_rng, futures_rng = actor(), actor()
        fixtures = Fixtures(
            ledger=self._ledger,
            rng=fixtures_rng,
            quotes=Quotes(rng=fixtures_rng, nulls=options.nulls),
            bookmakers=options.bookmakers,
            count=options.fixtures,
        )
        futures = Futures(
            ledger=self._ledger,
            rng=futures_rng,
            quotes=Quotes(rng=futures_rng, nulls=options.nulls),
            bookmakers=options.bookmakers,
            count=options.futures,
            key_parts=options.future_key_parts,
        )
        currencies = Currencies(ledger=self._ledger, rng=actor(), shape=options.currencies_shape)
        reports = Reports(ledger=self._ledger, rng=actor(), fixtures=fixtures)
        self._stateful = {
            **dict.fromkeys(("fixtures", "scores", "clocks", "bookmakers", "odds"), fixtures),
            **dict.fromkeys(("futures", "bookmakersFutures", "oddsFutures"), futures),
            "currencies": currencies,
        }
        reported = dict.fromkeys(("events", "stats", "injuries", "lineups"), reports)
        self._families = {**self._stateful, **reported}

    @property
    def tables(self) -> Tables:
        """What everything is now."""
        return self._ledger.tables

    def open(self, *, wall_ms: int) -> None:
        """Fills the tables as if the market had run before anybody looked."""
        for name in ("fixtures", "futures", "currencies"):
            self._stateful[name].open(wall_ms=wall_ms)

    def tick(self, *, wall_ms: int) -> list[Change]:
        """One happening: usually one change, several when something ends and another begins."""
        channel = self._dice.choices(tuple(_WEIGHTS), tuple(_WEIGHTS.values()))[0]
        if CHANNELS[channel].entity == "futureId" and not self.tables["futures"]:
            channel = "currencies"
        return self._families[channel].happen(channel, wall_ms=wall_ms)

    def make(self, channel: str, *, wall_ms: int) -> Payload:
        """Changes something on this channel and returns the payload that says so.

        Raises ValueError for a channel without a model, and where there is nothing to change.
        """
        if channel not in self._families:
            raise ValueError(f"no market model for channel {channel}")
        return self._families[channel].make(channel, wall_ms=wall_ms)

    def supersede(self, channel: str, payload: Payload, *, wall_ms: int) -> Payload:
        """Changes the units a payload named once more, so that the payload is old news."""
        newer = self._newer(channel, payload, wall_ms) or payload
        self._ledger.apply(channel, newer)
        return newer

    def apply(self, channel: str, payload: Payload) -> None:
        """Replaces the units a payload carries (§6.0); odd shapes change what they can."""
        self._ledger.apply(channel, payload)

    def take_undos(self) -> list[Undo]:
        """What each change since the last call replaced, in order."""
        return self._ledger.take_undos()

    def payloads(self) -> Iterator[Change]:
        """The whole state as payloads, as if everything had just been published."""
        return self._ledger.payloads()

    def _newer(self, name: str, payload: Payload, wall_ms: int) -> Payload | None:
        """The named units as of now; None where there is nothing to renew."""
        channel = CHANNELS[name]
        entity = entity_of(channel, payload)
        if channel.depth is None or entity is None or entity not in self.tables[name]:
            return None
        family = self._stateful[name]

        def renewed(value: Any, named: Any, depth: int) -> Any:
            if depth == 0:
                return family.renewed(name, value, wall_ms=wall_ms)
            parts = as_object(named) or {}
            return {
                key: renewed(value[key], parts[key], depth - 1) for key in parts if key in value
            }

        section = renewed(self.tables[name][entity], section_of(channel, payload), channel.depth)
        return payload_of(channel, entity, section)
