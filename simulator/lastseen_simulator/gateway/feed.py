"""The market made public: its changes as entries of every living epoch, its past as pictures."""

import copy
import random
from collections.abc import Iterator
from typing import Any

import attrs

from lastseen_simulator.gateway.endpoints import ENDPOINTS
from lastseen_simulator.gateway.epochs import Epochs
from lastseen_simulator.gateway.history import History, Picture
from lastseen_simulator.gateway.journal import Entry
from lastseen_simulator.gateway.options import GatewayOptions
from lastseen_simulator.market import Market, MarketOptions, Payload, Undo
from lastseen_simulator.truth import TruthLog

__all__ = ["Feed", "Publication", "market_of"]


def market_of(options: GatewayOptions, rng: random.Random) -> Market:
    """The market that a gateway's knobs ask for."""
    return Market(
        MarketOptions(
            fixtures=options.fixtures,
            bookmakers=options.bookmakers,
            futures=options.futures,
            future_key_parts=options.future_key_parts,
            currencies_shape=options.currencies_shape,
            nulls=options.omitted_members == "null",
        ),
        rng=rng,
    )


@attrs.frozen(kw_only=True)
class Publication:
    """One published change: its entry in each living epoch, by the epoch's name."""

    entries: dict[str, Entry]
    entry_id: str


@attrs.define(eq=False)
class Feed:
    """Publishes what the market does and keeps the wall clock the ids are made of.

    `next_tick_at` is the monotonic moment of the market's next happening, None while it rests.
    """

    options: GatewayOptions
    truth: TruthLog
    market: Market
    epochs: Epochs
    pace: random.Random
    wall_ms_at_zero: int
    next_tick_at: float | None = attrs.field(init=False, default=None)
    _paused: bool = attrs.field(init=False, default=False)
    _history: History = attrs.field(init=False, factory=History)

    def open(self, *, now: float) -> None:
        """Lets the market begin; what it looks like then is the base of the truth."""
        self.market.open(wall_ms=self.wall_ms(now))
        self.market.take_undos()
        epoch = self.epochs.begin()
        self.truth.write_base(epoch.name, self.market.payloads(), now=now)
        self.truth.write("epoch", now=now, epoch=epoch.name, cause="start")
        self._set_tick(now)

    def wall_ms(self, now: float) -> int:
        """Wall-clock milliseconds at a monotonic moment."""
        return self.wall_ms_at_zero + round(now * 1000)

    def step_clock(self, offset_ms: int) -> None:
        """Steps the wall clock, forward or back."""
        self.wall_ms_at_zero += offset_ms

    def pause(self) -> None:
        """Lets the market rest."""
        self._paused = True
        self.next_tick_at = None

    def resume(self, *, now: float) -> None:
        """Lets the market go on."""
        self._paused = False
        if self.next_tick_at is None:
            self._set_tick(now)

    def begin_epoch(self, cause: str, *, now: float) -> None:
        """Lets a new epoch serve logins from here on."""
        epoch = self.epochs.begin()
        self.truth.write("epoch", now=now, epoch=epoch.name, cause=cause)

    def tick(self, *, now: float, caught_up: bool) -> Iterator[Publication]:
        """Publishes the market's next happening, one change at a time.

        With `caught_up` the pace is taken up from now, not from when the happening was due.
        """
        due = self.next_tick_at
        self._set_tick(now if caught_up or due is None else due)
        changes = self.market.tick(wall_ms=self.wall_ms(now))
        for (channel, payload), undo in zip(changes, self.market.take_undos(), strict=True):
            yield self._publish(channel, payload, undo, now)

    def publish(self, channel: str, payload: Payload | None, *, now: float) -> Publication:
        """Publishes a scripted payload, or one the market makes.

        Raises ValueError for a channel that is not served, for one on which there is nothing to
        change, and for a payload too deep to be copied.
        """
        if channel not in self.options.channels:
            raise ValueError(f"no such channel: {channel}")
        if payload is None:
            payload = self.market.make(channel, wall_ms=self.wall_ms(now))
        else:
            try:
                payload = copy.deepcopy(payload)
            except RecursionError:
                raise ValueError("the payload is nested too deeply") from None
            self.market.apply(channel, payload)
        return self._publish(channel, payload, self.market.take_undos()[-1], now)

    def supersede(self, entry: Entry, *, now: float) -> Publication:
        """Publishes newer values for all that an entry named."""
        payload = self.market.supersede(entry.channel, entry.payload, wall_ms=self.wall_ms(now))
        return self._publish(entry.channel, payload, self.market.take_undos()[-1], now)

    def picture(self, path: str, *, lag_s: float, entries: int, now: float) -> Picture:
        """The state to answer a request from, as old as `lag_s` seconds or `entries` entries.

        Entries count on the channels that make the endpoint's answer old.
        """
        endpoint = ENDPOINTS.get(path)
        epoch = self.epochs.current
        return self._history.picture(
            self.market.tables,
            epoch.name,
            epoch.heads(),
            since=now - lag_s if lag_s else None,
            entries=entries,
            channels=() if endpoint is None else endpoint.counted,
        )

    def _set_tick(self, after: float) -> None:
        if self.options.rate > 0 and not self._paused:
            self.next_tick_at = after + self.pace.uniform(0.5, 1.5) / self.options.rate

    def _publish(
        self, channel: str, payload: dict[str, Any], undo: Undo, now: float
    ) -> Publication:
        merged = channel == "odds" and self.pace.random() < self.options.coalesce
        self._history.note(undo, self.epochs.heads_of(channel), now=now)
        entries = self.epochs.append(
            channel, payload, wall_ms=self.wall_ms(now), coalesced=int(merged)
        )
        for name, entry in entries.items():
            self.truth.write_entry(name, channel, entry.entry_id, payload, now=now)
        return Publication(entries=entries, entry_id=entries[self.epochs.current.name].entry_id)
