"""The gateway of an exploration: the real one. Its wall clock stands still, as ids hold time."""

import random
from collections.abc import Callable, Mapping
from typing import Any, Final, final

import attrs

from lastseen.effects import Request
from lastseen.secret import Secret
from lastseen_simulator.alarms import Alarms
from lastseen_simulator.channels import CHANNELS
from lastseen_simulator.effects import (
    Abort,
    CloseConnection,
    HttpRequest,
    HttpResponse,
    Respond,
    Transmit,
)
from lastseen_simulator.explore.copying import SHARE, Copier, flat, two_levels
from lastseen_simulator.explore.fingerprints import Fingerprints, Walk
from lastseen_simulator.explore.market import WALL_MS, payload_of, versions_in
from lastseen_simulator.explore.writing import BESIDE_A_GATEWAY
from lastseen_simulator.gateway.core import Gateway
from lastseen_simulator.gateway.feed import Feed
from lastseen_simulator.gateway.history import History
from lastseen_simulator.gateway.journal import Entry, Epoch
from lastseen_simulator.gateway.options import GatewayOptions
from lastseen_simulator.gateway.rest import SnapshotService
from lastseen_simulator.lines import Outgoing
from lastseen_simulator.market import Market
from lastseen_simulator.market.ledger import Ledger
from lastseen_simulator.truth import TruthLog

__all__ = ["VENUE_COPIER", "VENUE_PRINTS", "Venue", "write_alarms"]

_RECORDS_MAX: Final = 32
"""More than one call of the gateway writes."""

_LAG_S: Final = 1e9
"""A snapshot that lags so far behind shows the market as it was at the beginning."""

_SCHEDULED_S: Final = 1e-9


@final
@attrs.define(eq=False)
class Venue:
    """One gateway, with its own clock.

    `out` is what leaves it: transmit, end and respond, each with the number it concerns.
    """

    gateway: Gateway
    now: float = 0.0
    out: list[tuple[Any, ...]] = attrs.field(factory=list[tuple[Any, ...]])

    @classmethod
    def open(cls, options: GatewayOptions) -> "Venue":
        """A gateway that serves one fixture and publishes nothing of itself."""
        options = attrs.evolve(
            options,
            fixtures=1,
            futures=0,
            rate=0,
            bookmakers=("stake",),
            truth_records_max=_RECORDS_MAX,
        )
        venue = cls(Gateway(options, rng=random.Random(1), wall_ms_at_zero=WALL_MS))
        venue.tick(0.0)
        return venue

    @property
    def tables(self) -> Mapping[str, Mapping[str, Any]]:
        """The market as it is."""
        return self._feed.market.tables

    @property
    def fixture(self) -> str:
        """The one fixture."""
        return next(iter(self.tables["fixtures"]))

    # What happens to it.

    def connected(self, number: int) -> None:
        """An upgrade."""
        self._do(lambda: self.gateway.handle_connected(number, now=self.now))

    def frame(self, number: int, text: str) -> None:
        """A frame of a client."""
        self._do(lambda: self.gateway.handle_frame(number, text, now=self.now))

    def gone(self, number: int) -> None:
        """A socket has ended."""
        self._do(lambda: self.gateway.handle_disconnected(number, now=self.now))

    def request(self, request: Request, *, stale: bool) -> HttpResponse:
        """A request and its answer; a stale one comes from a replica that lags far behind."""
        query = tuple(
            (name, value.reveal() if isinstance(value, Secret) else value)
            for name, value in request.query
        )
        http = HttpRequest(method="GET", path=f"/en{request.path}", query=query)
        options = self.gateway.options
        if stale:
            self.gateway.options = attrs.evolve(options, snapshot_lag_s=_LAG_S)
        self._do(lambda: self.gateway.handle_request(1, http, now=self.now))
        self.gateway.options = options
        response: HttpResponse = self.out.pop()[2]
        return response

    def publish(self, channel: str, unit: str, version: int) -> list[tuple[str, str]]:
        """Publishes a version of a unit; returns the entry's id in each epoch, by their names."""
        seen = self.gateway.truth.written
        payload = payload_of(channel, unit, version, self.tables)
        self._do(lambda: self.gateway.publish(channel, payload, now=self.now))
        records = self.gateway.truth.records_after(seen)
        return [(each["epoch"], each["entryId"]) for each in records if each["kind"] == "entry"]

    def restart(self) -> None:
        """It dies and another one takes its place."""
        self._do(lambda: self.gateway.restart(announce=False, now=self.now))

    def notice(self, grace_s: float) -> None:
        """It asks everybody to move."""
        self._do(
            lambda: self.gateway.notice_reconnect(
                connection=None, reason="server_upgrade", grace_s=grace_s, now=self.now
            )
        )

    def demand(self, number: int) -> None:
        """It owns up that this connection missed something."""
        self._do(
            lambda: self.gateway.require_snapshot(number, "client_backpressure", None, now=self.now)
        )

    def tick(self, seconds: float) -> None:
        """Time passes, to the next deadline at most."""
        self.now += seconds
        deadline = self.gateway.poll_deadline()
        if deadline is not None and deadline[0] <= self.now + _SCHEDULED_S:
            self.now = max(self.now, deadline[0])
            self._do(lambda: self.gateway.handle_deadline(now=self.now))

    def deadline(self) -> float | None:
        """Seconds until it wants to be woken."""
        deadline = self.gateway.poll_deadline()
        return None if deadline is None else max(0.0, deadline[0] - self.now)

    def logged_in(self) -> tuple[int, ...]:
        """The connections that are."""
        return tuple(
            each.connection
            for each in self.gateway.connections()
            if each.stage in ("replaying", "live")
        )

    @property
    def _feed(self) -> Feed:
        feed: Feed = getattr(self.gateway, "_feed")  # noqa: B009
        return feed

    def _do(self, what: Callable[[], object]) -> None:
        feed = self._feed
        feed.wall_ms_at_zero = WALL_MS - round(self.now * 1000)
        what()
        while effects := self.gateway.poll_effects():
            for effect in effects:
                match effect:
                    case Transmit():
                        self.out.append(("transmit", effect.connection, effect.data))
                    case CloseConnection():
                        self.out.append(("end", effect.connection, effect.code))
                    case Abort():
                        self.out.append(("end", effect.connection, 1006))
                    case Respond():
                        self.out.append(("respond", effect.request, effect.response))
                    case _:
                        raise AssertionError(f"no network for {effect}")


VENUE_COPIER: Final = Copier(
    fields={
        (Market, "_families"): SHARE,
        (Market, "_stateful"): SHARE,
        (Market, "_dice"): SHARE,
        (Feed, "pace"): SHARE,
        (Ledger, "tables"): two_levels,
        (TruthLog, "_records"): flat,
        (TruthLog, "_units"): flat,
        (History, "_changes"): flat,
    }
)
"""What the market draws is shared, for a market that is told what to publish draws nothing."""


def _write_entry(entry: Entry, walk: Walk) -> None:
    walk.out += (entry.channel, entry.ts, entry.seq)
    for unit, version in versions_in(entry.channel, entry.payload):
        walk.out += (unit, version)


def _write_outgoing(out: Outgoing, walk: Walk) -> None:
    walk.out += (out.name, out.data)


def _write_ledger(ledger: Ledger, walk: Walk) -> None:
    """Only what is published changes, so the sections of these channels say all."""
    for channel in ("fixtures", "scores"):
        walk.write(ledger.tables[channel])


def write_alarms(alarms: Any, walk: Walk) -> None:
    """The order in which they were set counts, the numbers it is made of do not."""
    for at, _, alarm in sorted(getattr(alarms, "_heap"), key=lambda each: each[:2]):  # noqa: B009
        walk.ahead(at)
        walk.out += (alarm.timer.name, alarm.connection)


def _write_epoch(epoch: Epoch, walk: Walk) -> None:
    """Of the channels that are served; no other ever publishes."""
    walk.out.append(epoch.name)
    for channel in CHANNELS:
        journal = epoch.journals[channel]
        if journal.head is not None:
            walk.write(journal)


def _write_history(history: History, walk: Walk) -> None:
    """What a picture of the past would say of its own age."""
    for change in getattr(history, "_changes"):  # noqa: B009
        walk.out.append(change.undo.channel)
        walk.write(change.heads_before)


VENUE_PRINTS: Final = Fingerprints(
    skipped=[
        ("Venue", "now"),
        *(("Gateway", name) for name in (*BESIDE_A_GATEWAY, "options", "_snapshots")),
        ("Feed", "wall_ms_at_zero"),
        ("Feed", "pace"),
        ("Feed", "options"),
        ("Feed", "truth"),
        ("Market", "_families"),
        ("Market", "_stateful"),
        ("Market", "_dice"),
        ("Epochs", "rng"),
        ("Epochs", "options"),
        ("Line", "counts"),
        ("Line", "ordinal"),
    ],
    writers={
        Entry: _write_entry,
        Outgoing: _write_outgoing,
        Ledger: _write_ledger,
        Alarms: write_alarms,
        Epoch: _write_epoch,
        History: _write_history,
    },
    constant=(GatewayOptions, SnapshotService),
)
