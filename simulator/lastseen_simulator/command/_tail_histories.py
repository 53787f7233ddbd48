"""`tail` of a feed with histories: items by their state, and what may be missing."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, final

import attrs
from msgspec.structs import asdict

from lastseen.dialects.polynode import PLANS, Plan, Preset, Subscription
from lastseen.errors import ConfigurationError, PayloadError
from lastseen.events import Entry, Event, ItemChanged, Proof
from lastseen.lifecycle import ItemKey, ItemState
from lastseen.options import HistoryOptions
from lastseen.secret import Secret
from lastseen.states import ScopeState
from lastseen.status import SubscriptionState, SubscriptionStatus
from lastseen_simulator.command._tail_claims import Claim
from lastseen_simulator.command._tail_contract import timers
from lastseen_simulator.command._tail_given import Given, parts
from lastseen_simulator.command._tail_grid import UNDER_WAY, Grid, Styled
from lastseen_simulator.command._tail_lines import Lines, item_name, name_of, printable
from lastseen_simulator.command._tail_view import View
from lastseen_trio.history_feed import HistoryFeed
from lastseen_trio.opening_histories import open_histories

__all__ = ["HistorySource", "HistoryView", "source"]

_CLAIMS: Final[Mapping[SubscriptionState, ScopeState]] = {
    SubscriptionState.WAITING: ScopeState.COLD,
    SubscriptionState.ASKED: ScopeState.SYNCING,
    SubscriptionState.CATCHING_UP: ScopeState.SYNCING,
    SubscriptionState.LIVE: ScopeState.LIVE_ONLY,
    SubscriptionState.REFUSED: ScopeState.STALE,
}
"""A subscription's state in the words that claims of every feed have; none of them is `synced`."""

_STYLES: Final[Mapping[SubscriptionState, str]] = {
    SubscriptionState.LIVE: "cyan",
    SubscriptionState.REFUSED: "red",
}


@final
@attrs.frozen(kw_only=True)
class HistorySource:
    """What is followed."""

    subscriptions: tuple[Subscription, ...]
    url: str
    key: Secret
    compress: bool
    plan: Plan
    options: HistoryOptions

    def open(self) -> AbstractAsyncContextManager[View]:
        """Follows for as long as the block lasts."""
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[View]:
        async with open_histories(
            self.subscriptions,
            url=self.url,
            key=self.key,
            compress=self.compress,
            plan=self.plan,
            options=self.options,
        ) as feed:
            yield HistoryView(feed, items_max=self.options.tombstones_max)


@final
@attrs.define(eq=False)
class HistoryView:
    """A feed with histories, and the newest state of the items that it told of."""

    feed: HistoryFeed
    items_max: int
    """So many items are remembered; the one that changed longest ago goes first."""
    items: dict[ItemKey, ItemState] = attrs.field(init=False, factory=dict[ItemKey, ItemState])
    _said: dict[str, Claim] = attrs.field(init=False, factory=dict[str, Claim])
    _last: tuple[SubscriptionStatus, ...] = attrs.field(init=False, default=())

    @property
    def stopped(self) -> str | None:
        """Why nothing more is tried."""
        return self.feed.status().stopped

    @property
    def reached(self) -> bool:
        """Never: a feed without positions has nothing to prove it by."""
        return False

    @property
    def kept(self) -> bool:
        """Never: there is no place to keep."""
        return False

    @property
    def note(self) -> str | None:
        """Nothing."""
        return None

    @property
    def unkept(self) -> str | None:
        """Nothing."""
        return None

    def opening(self, lines: Lines) -> list[str]:
        """Nothing: every run starts from a history."""
        del lines
        return []

    def reads(self, entry: Entry) -> bool:
        """Whether its payload is one; an event of an unknown type may be anything."""
        try:
            entry.payload  # noqa: B018 - reading is the check
        except PayloadError:
            return False
        return True

    def take(self, event: Event) -> bool:
        """Remembers items."""
        if isinstance(event, ItemChanged):
            self.items.pop(event.key, None)
            self.items[event.key] = event.state
            if len(self.items) > self.items_max:
                del self.items[next(iter(self.items))]
        return False

    def claims(self, lines: Lines, *, at: float) -> list[str]:
        """A line for each subscription that rose or fell."""
        said: list[str] = []
        for row in self.feed.status().subscriptions:
            name, claim = str(name_of(row.subscription)), _claim(row)
            if self._said.get(name) != claim:
                self._said[name] = claim
                said += lines.claim(name, claim, at=at)
        return said

    def state(self) -> Mapping[str, Any]:
        """Every item by name."""
        return {item_name(key): {"state": state.value} for key, state in self.items.items()}

    def close(self) -> None:
        """Remembers how every subscription stands."""
        self._last = self.feed.status().subscriptions

    def summary(self) -> dict[str, Any]:
        """What became of items, by subscription how it stood, and where every event went."""
        status = self.feed.status()
        return {
            "items": asdict(status.items),
            "gaps": status.gaps,
            "accepted_ms": status.accepted_ms,
            "subscriptions": {
                str(name_of(row.subscription)): row.state.value for row in self._last
            },
            "channels": {
                name: {"counters": asdict(row)}
                for name, row in self.feed.counters().items()
                if row.received
            },
        }

    def progress(self, rates: Mapping[str, float]) -> str:
        """Every subscription's state, the rate of all events, and the items."""
        status = self.feed.status()
        states = ", ".join(
            f"{name_of(row.subscription)} {row.state.value}" for row in status.subscriptions
        )
        items = status.items
        return (
            f"{states}, {sum(rates.values()):.0f}/s, {items.pending} pending, "
            f"{items.confirmed} confirmed, {items.timed_out} timed out"
        )

    def grid(self, rates: Mapping[str, float]) -> Grid:
        """A row a subscription, then a row a type of events."""
        status = self.feed.status()
        items, together = status.items, f"{sum(rates.values()):.1f}"
        fates = f"{items.pending} pending, {items.confirmed} confirmed, {items.timed_out} timed out"
        subscriptions = [
            (
                printable(str(name_of(row.subscription))),
                Styled(row.state.value, _STYLES.get(row.state, UNDER_WAY)),
                together,
                "",
                "",
                fates,
            )
            for row in status.subscriptions
        ]
        events = [
            (
                printable(name),
                "",
                f"{rates.get(name, 0.0):.1f}",
                str(counts.applied),
                str(counts.duplicate),
                "",
            )
            for name, counts in self.feed.counters().items()
            if counts.received
        ]
        columns = ("what", "state", "events/s", "applied", "duplicate", "items")
        return Grid(columns, [subscriptions, events])


def _claim(row: SubscriptionStatus) -> Claim:
    return Claim(_CLAIMS[row.state], Proof.UNPROVEN)


def source(given: Given) -> HistorySource:
    """What the command line and the environment ask for; raises `ConfigurationError`."""
    wallets, slugs, tokens = (parts(given.options[name]) for name in ("wallets", "slugs", "tokens"))
    return HistorySource(
        subscriptions=tuple(
            Subscription(preset=_preset(name), wallets=wallets, slugs=slugs, tokens=tokens)
            for name in parts(given.channels)
        ),
        url=given.url,
        key=given.key,
        compress=given.options["compress"],
        plan=_plan(given.options["plan"]),
        options=HistoryOptions(
            **{
                "pending_timeout_s": given.options["pending_timeout_s"],
                **(timers(HistoryOptions) if given.as_report else {}),
            }
        ),
    )


def _preset(name: str) -> Preset:
    try:
        return Preset(name)
    except ValueError:
        known = ", ".join(preset.value for preset in Preset)
        raise ConfigurationError(f"no such preset: {name} (presets: {known})") from None


def _plan(name: str) -> Plan:
    if name not in PLANS:
        raise ConfigurationError(f"no such plan: {name} (plans: {', '.join(PLANS)})")
    return PLANS[name]
