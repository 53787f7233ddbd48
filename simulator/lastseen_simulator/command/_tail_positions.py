"""`tail` of a feed with positions: a replica, kept in a file or not, and a claim by channel."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, final

import attrs
from rich.table import Table
from rich.text import Text

from lastseen.dialects.oddspapi import OddsPapi, Subscription
from lastseen.errors import PayloadError
from lastseen.events import Entry, Event
from lastseen.options import SessionOptions
from lastseen.replica import Replica
from lastseen.secret import Secret
from lastseen.states import ScopeState
from lastseen_simulator.command._tail_claims import Claim, Claims
from lastseen_simulator.command._tail_lines import Lines, printable
from lastseen_simulator.command._tail_view import View
from lastseen_trio import Feed, MemoryStore, SQLiteStore, open_feed

__all__ = ["STYLES", "PositionSource", "PositionView"]

STYLES: Mapping[ScopeState, str] = {
    ScopeState.SYNCED: "green",
    ScopeState.LIVE_ONLY: "cyan",
    ScopeState.STALE: "red",
    ScopeState.COLD: "dim",
}


@final
@attrs.frozen(kw_only=True)
class PositionSource:
    """What is followed, and where its state is kept."""

    subscription: Subscription
    url: str
    rest_url: str | None
    key: Secret
    options: SessionOptions
    state: str | None
    """The file that keeps the place across restarts."""

    def open(self) -> AbstractAsyncContextManager[View]:
        """Follows for as long as the block lasts; raises `StoreError`."""
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[View]:
        # It reads payloads; it has no use for the key.
        dialect = OddsPapi(subscription=self.subscription, key=Secret(""))
        file = self.state
        store = MemoryStore(replica=Replica(dialect)) if file is None else SQLiteStore(file)
        async with open_feed(
            self.subscription,
            url=self.url,
            key=self.key,
            rest_url=self.rest_url,
            options=self.options,
            store=store,
        ) as feed:
            assert store.replica is not None
            yield PositionView(feed, store.replica, self.state)


@final
@attrs.define(eq=False)
class PositionView:
    """A feed with positions and the replica that its store keeps."""

    feed: Feed
    replica: Replica
    file: str | None
    _claims: Claims = attrs.field(init=False, factory=Claims)
    _last: Mapping[str, Claim] = attrs.field(init=False, factory=dict[str, Claim])

    @property
    def stopped(self) -> str | None:
        """Why nothing more is tried."""
        return self.feed.status().stopped

    @property
    def reached(self) -> bool:
        """Whether every channel that can be synced is, as far as it has been told."""
        return self._claims.synced(self.feed.status())

    @property
    def kept(self) -> bool:
        """Whether there is a file."""
        return self.file is not None

    @property
    def note(self) -> str | None:
        """Why what the file held was set aside."""
        return self.feed.restored.note

    @property
    def unkept(self) -> str | None:
        """That the last commit failed."""
        if not self.feed.status().durable_failed:
            return None
        return f"{self.file} is older than what was processed: the last commit failed"

    def opening(self, lines: Lines) -> list[str]:
        """What a state file brought back."""
        if self.file is None:
            return []
        return lines.restored(self.file, self.feed.restored.position, len(self.replica))

    def reads(self, entry: Entry) -> bool:
        """Whether the replica can read it."""
        try:
            self.replica.dialect.units(entry)
        except PayloadError:
            return False
        return True

    def take(self, event: Event) -> bool:
        """The store applies it to the replica; here only its claim counts."""
        return self._claims.take(event)

    def claims(self, lines: Lines, *, at: float) -> list[str]:
        """A line for each channel whose claim differs from the last that was said."""
        changes = self._claims.changes(self.feed.status())
        return [
            line
            for channel, claim in changes.items()
            for line in lines.claim(channel, claim, at=at)
        ]

    def state(self) -> Mapping[str, Any]:
        """The replica's."""
        return self.replica.state()

    def close(self) -> None:
        """Remembers every claim."""
        self._last = self._claims.all(self.feed.status())

    def summary(self) -> dict[str, Any]:
        """Units, and by channel the last claim, the cursor and where every entry went."""
        status, counters = self.feed.status(), self.feed.counters()
        channels = {
            row.channel: {
                "state": self._last[row.channel].state.value,
                "proof": self._last[row.channel].proof.value,
                "cursor": row.cursor,
                "lag": row.lag,
                "counters": attrs.asdict(counters[row.channel]),
            }
            for row in status.channels
            if row.channel in self._last
        }
        return {"units": len(self.replica.state()), "channels": channels}

    def progress(self, rates: Mapping[str, float]) -> str:
        """Every channel's claim and rate."""
        status = self.feed.status()
        claims = self._claims.all(status)
        return ", ".join(
            f"{row.channel} {claims[row.channel].state.value} {rates[row.channel]:.0f}/s"
            for row in status.channels
        )

    def table(self, rates: Mapping[str, float]) -> Table:
        """A row a channel."""
        status = self.feed.status()
        claims = self._claims.all(status)
        table = Table("channel", "state", "proof", "synced", "entries/s", "lag", "cursor")
        for row in status.channels:
            claim = claims[row.channel]
            table.add_row(
                printable(row.channel),
                Text(claim.state.value, style=STYLES.get(claim.state, "yellow")),
                claim.proof.value if claim.state is ScopeState.SYNCED else "",
                f"{row.synced_scopes}/{row.scopes}",
                f"{rates.get(row.channel, 0.0):.1f}",
                str(row.lag),
                printable(row.cursor or ""),
            )
        return table
