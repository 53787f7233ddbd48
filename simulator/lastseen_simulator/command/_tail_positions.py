"""`tail` of a feed with positions: a replica, kept in a file or not, and a claim by channel."""

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, final

import attrs
from msgspec.structs import asdict

from lastseen.dialects.oddspapi import OddsPapi, Subscription
from lastseen.dialects.oddspapi.channels import CHANNELS
from lastseen.errors import ConfigurationError, PayloadError
from lastseen.events import Entry, Event
from lastseen.options import SessionOptions
from lastseen.replica import Replica
from lastseen.secret import Secret
from lastseen_simulator.command._tail_claims import Claim, Claims
from lastseen_simulator.command._tail_contract import state_file, timers
from lastseen_simulator.command._tail_given import Given, parts
from lastseen_simulator.command._tail_grid import Grid, state_cell
from lastseen_simulator.command._tail_lines import Lines, printable
from lastseen_simulator.command._tail_view import View
from lastseen_trio.addresses import Address
from lastseen_trio.feed import Feed
from lastseen_trio.opening_positions import open_positions
from lastseen_trio.sqlite_store import SQLiteStore
from lastseen_trio.store import MemoryStore

__all__ = ["PositionSource", "PositionView", "source"]

EVERY_CHANNEL: Final = "all"
LANGUAGE: Final = "en"


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
        async with open_positions(
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
                "counters": asdict(counters[row.channel]),
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

    def grid(self, rates: Mapping[str, float]) -> Grid:
        """A row a channel."""
        status = self.feed.status()
        claims = self._claims.all(status)
        rows = [
            (
                printable(row.channel),
                state_cell(claims[row.channel].state),
                claims[row.channel].shown_proof,
                f"{row.synced_scopes}/{row.scopes}",
                f"{rates.get(row.channel, 0.0):.1f}",
                str(row.lag),
                printable(row.cursor or ""),
            )
            for row in status.channels
        ]
        columns = ("channel", "state", "proof", "synced", "entries/s", "lag", "cursor")
        return Grid(columns, [rows])


def source(given: Given) -> PositionSource:
    """What the command line and the environment ask for; raises `ConfigurationError`."""
    state = given.options["state"]
    if given.as_report and state is None:
        state = state_file(os.environ)
    options = SessionOptions(
        connection_limit=given.options["connection_limit"],
        report_discarded=given.as_report,
        report_commits=state is not None and given.told,
        **(timers(SessionOptions) if given.as_report else {}),
    )
    return PositionSource(
        subscription=_subscription(given.channels, given.options),
        url=given.url,
        rest_url=_rest_url(given.options["rest"]),
        key=given.key,
        options=options,
        state=state,
    )


def _subscription(channels: str, options: Mapping[str, Any]) -> Subscription:
    filters: dict[str, Any] = {}
    if options["sports"] is not None:
        filters["sport_ids"] = _numbers(options["sports"])
    elif options["fixtures"] is not None or options["futures"] is not None:
        # Named ones need no other selection, and may be of any sport.
        filters["sport_ids"] = ()
    return Subscription(
        channels=tuple(CHANNELS) if channels.strip() == EVERY_CHANNEL else parts(channels),
        fixture_ids=parts(options["fixtures"]),
        future_ids=parts(options["futures"]),
        bookmakers=parts(options["bookmakers"]),
        receive_type=options["receive_type"],
        **filters,
    )


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in parts(text))
    except ValueError:
        raise ConfigurationError("--sports takes numbers, with commas") from None


def _rest_url(given: str | None) -> str | None:
    """`--rest` as it is; the environment's with the language when it has no path."""
    if given is not None:
        Address.from_url(given, schemes=("http", "https"))
        return given
    url = os.environ.get("LASTSEEN_HTTP_URL")
    if not url:
        return None
    bare = Address.from_url(url, schemes=("http", "https")).path == "/"
    return f"{url.rstrip('/')}/{LANGUAGE}" if bare else url
