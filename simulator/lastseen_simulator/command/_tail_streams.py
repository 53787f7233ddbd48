"""`tail` of one HTTP stream: a replica, kept in a file or not, and the stream's claim."""

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, final

import attrs
from msgspec.structs import asdict

from lastseen.dialects.polymarket_us import PolymarketUS, Stream, Subscription
from lastseen.dialects.polymarket_us.streams import STREAMS
from lastseen.errors import ConfigurationError, PayloadError
from lastseen.events import Entry, Event, Proof, StatusChanged
from lastseen.options import StreamOptions
from lastseen.replica import Replica
from lastseen.secret import Secret
from lastseen.states import ScopeState
from lastseen.status import worst
from lastseen_simulator.command._tail_claims import Claim
from lastseen_simulator.command._tail_contract import state_file, timers
from lastseen_simulator.command._tail_given import Given, parts
from lastseen_simulator.command._tail_grid import Grid, state_cell
from lastseen_simulator.command._tail_lines import Lines, printable
from lastseen_simulator.command._tail_view import View
from lastseen_trio.addresses import Address
from lastseen_trio.opening_stream import open_stream
from lastseen_trio.sqlite_store import SQLiteStore
from lastseen_trio.store import MemoryStore
from lastseen_trio.stream_feed import StreamFeed
from lastseen_trio.tokens import ClientCredentials

__all__ = ["StreamSource", "StreamView", "source"]

_NOTHING_YET: Final = Claim(ScopeState.COLD, Proof.UNPROVEN)


@final
@attrs.frozen(kw_only=True)
class StreamSource:
    """What is followed, who we are, and where its state is kept."""

    subscription: Subscription
    url: str
    key: Secret
    """A bearer token; with `token_url` the secret that gets one."""
    token_url: str | None
    client_id: str
    options: StreamOptions
    state: str | None

    def open(self) -> AbstractAsyncContextManager[View]:
        """Follows for as long as the block lasts; raises `StoreError`."""
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[View]:
        dialect = PolymarketUS(subscription=self.subscription)
        # A change of the oldest page says a part of an order; all else is whole (§4).
        partly = self.subscription.stream is Stream.ORDERS
        memory = MemoryStore(replica=Replica(dialect, keep_omitted=partly))
        store = memory if self.state is None else SQLiteStore(self.state, keep_omitted=partly)
        token = None
        if self.token_url is not None:
            token = ClientCredentials(
                url=self.token_url, client_id=self.client_id, client_secret=self.key
            )
        async with open_stream(
            dialect,
            url=self.url,
            key=self.key if token is None else None,
            token=token,
            options=self.options,
            store=store,
        ) as feed:
            assert store.replica is not None
            yield StreamView(feed, store.replica, dialect.channel, self.state)


@final
@attrs.define(eq=False)
class StreamView:
    """One stream and the replica that its store keeps."""

    feed: StreamFeed
    replica: Replica
    channel: str
    file: str | None
    _told: Claim = attrs.field(init=False, default=_NOTHING_YET)
    _said: Claim = attrs.field(init=False, default=_NOTHING_YET)
    _last: Claim = attrs.field(init=False, default=_NOTHING_YET)

    @property
    def stopped(self) -> str | None:
        """Why nothing more is tried."""
        return self.feed.status().stopped

    @property
    def reached(self) -> bool:
        """Whether the stream is as synced as one of its kind can be, as far as it was told."""
        return self._claim.state in (ScopeState.SYNCED, ScopeState.LIVE_ONLY)

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
        if isinstance(event, StatusChanged):
            self._told = Claim(event.state, event.proof)
            return True
        return False

    def claims(self, lines: Lines, *, at: float) -> list[str]:
        """A line when the claim differs from the last that was said."""
        claim = self._claim
        if claim == self._said:
            return []
        self._said = claim
        return lines.claim(self.channel, claim, at=at)

    def state(self) -> Mapping[str, Any]:
        """The replica's."""
        return self.replica.state()

    def close(self) -> None:
        """Remembers the claim."""
        self._last = self._claim

    def summary(self) -> dict[str, Any]:
        """Units, the last claim, and where every entry went."""
        status = self.feed.status()
        row = {
            "state": self._last.state.value,
            "proof": self._last.proof.value,
            "lag": status.lag,
            "counters": asdict(self.feed.counters()[self.channel]),
        }
        units = len(self.replica.state())
        return {"units": units, "gaps": status.gaps, "channels": {self.channel: row}}

    def progress(self, rates: Mapping[str, float]) -> str:
        """The claim, the rate, and what it waits for."""
        status = self.feed.status()
        waits = f", waits for {status.queued}" if status.queued is not None else ""
        rate = rates.get(self.channel, 0.0)
        return f"{self.channel} {self._claim.state.value} {rate:.0f}/s{waits}"

    def grid(self, rates: Mapping[str, float]) -> Grid:
        """One row."""
        status, claim = self.feed.status(), self._claim
        row = (
            printable(self.channel),
            state_cell(claim.state),
            claim.shown_proof,
            str(len(self.replica)),
            f"{rates.get(self.channel, 0.0):.1f}",
            str(status.lag),
            str(status.gaps),
            status.queued or "",
        )
        columns = ("stream", "state", "proof", "units", "entries/s", "lag", "gaps", "waits for")
        return Grid(columns, [[row]])

    @property
    def _claim(self) -> Claim:
        """The worse of what was told by events and what the session says now."""
        status = self.feed.status()
        state = worst([self._told.state, status.state])
        proven = self._told.proof is Proof.PROVEN and status.proof is Proof.PROVEN
        return Claim(state, Proof.PROVEN if proven else Proof.UNPROVEN)


def source(given: Given) -> StreamSource:
    """What the command line and the environment ask for; raises `ConfigurationError`."""
    names, token_url = parts(given.channels), given.options["token_url"]
    if len(names) != 1:
        raise ConfigurationError("a stream is one request: name one channel")
    if token_url is not None:
        Address.from_url(token_url, schemes=("http", "https"))
    stream, account, state = _stream(names[0]), given.options["account"], given.options["state"]
    if given.as_report:
        account = account or _account_for(stream)
        state = state or state_file(os.environ)
    return StreamSource(
        subscription=Subscription(
            stream=stream, account=account, symbols=parts(given.options["symbols"])
        ),
        url=given.url,
        key=given.key,
        token_url=token_url,
        client_id=given.options["client_id"],
        options=StreamOptions(
            report_discarded=given.as_report,
            report_commits=state is not None and given.told,
            **(timers(StreamOptions) if given.as_report else {}),
        ),
        state=state,
    )


def _stream(name: str) -> Stream:
    try:
        return Stream(name)
    except ValueError:
        known = ", ".join(stream.value for stream in Stream)
        raise ConfigurationError(f"no such stream: {name} (streams: {known})") from None


def _account_for(stream: Stream) -> str | None:
    """Whose stream a harness wants asked for, where a stream is somebody's."""
    return os.environ.get("LASTSEEN_ACCOUNT") if STREAMS[stream].of_account else None
