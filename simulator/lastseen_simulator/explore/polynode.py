"""PolyNode: a client of histories, whose items only rise, and what is explored of it.

The peer's clock runs, because a client asks for what happened since a moment; so here absolute time
is part of a state.
"""

import random
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Final, NamedTuple, final

import attrs

from lastseen.backoff import Backoff
from lastseen.dialects.polynode import PolyNode
from lastseen.effects import Close, Connect, Ping, Send
from lastseen.events import Entry, Gap, ItemChanged
from lastseen.history_messages import WireEvent
from lastseen.history_session import HistorySession
from lastseen.mechanisms import Mechanisms
from lastseen.options import HistoryOptions
from lastseen.secret import Secret
from lastseen.status import Counters
from lastseen_simulator.effects import HttpRequest
from lastseen_simulator.explore.casts import Cast
from lastseen_simulator.explore.clients import STILL, Still
from lastseen_simulator.explore.copying import SHARE, Copier
from lastseen_simulator.explore.fingerprints import Fingerprints
from lastseen_simulator.explore.market import WALL_MS
from lastseen_simulator.explore.oracle import Log, misconduct
from lastseen_simulator.explore.parties import Follower, Server, adds_up
from lastseen_simulator.explore.scopes import Bounds, Situation
from lastseen_simulator.explore.writing import BESIDE_A_GATEWAY
from lastseen_simulator.polynode.core import PolyNodeGateway
from lastseen_simulator.polynode.options import DEMO_KEY, PolyNodeOptions
from lastseen_simulator.polynode.truth import PolyNodeTruth

__all__ = ["CAST", "SCOPES", "SHOWN_IN"]

_NEVER_S: Final = 1e6
_RANKS: Final = ("PENDING", "TIMED_OUT", "CONFIRMED")


@final
@attrs.define(eq=False)
class _Witness:
    """What one process told its application: events by name, each item's states, and gaps."""

    events: dict[str, int] = attrs.field(factory=dict[str, int])
    items: dict[str, list[str]] = attrs.field(factory=dict[str, list[str]])
    gaps: int = 0
    problems: list[str] = attrs.field(factory=list[str])

    def saw(self, event: object) -> None:
        """The application was given an event."""
        if isinstance(event, ItemChanged):
            states = self.items.setdefault(event.key[0], [])
            if states and _RANKS.index(event.state.name) <= _RANKS.index(states[-1]):
                self.problems.append(
                    f"INV-S12: an item is {event.state.name} after it was {states[-1]}"
                )
            states.append(event.state.name)
        elif isinstance(event, Gap):
            self.gaps += 1
        elif isinstance(event, Entry):
            name = f"{event.channel} {event.payload['tx_hash']}"
            self.events[name] = self.events.get(name, 0) + 1
            if self.events[name] > 1:
                self.problems.append(f"INV-S5: a {event.channel} is told twice")


class _Summary(NamedTuple):
    drained: bool
    connected: bool
    connections: int
    stopped: str | None
    conserved: bool
    events: Mapping[str, int]
    items: Mapping[str, tuple[str, ...]]
    gaps: int


@final
@attrs.define(eq=False)
class _Client(Follower):
    """One process; it keeps nothing."""

    acts_on: ClassVar[tuple[type[Any], ...]] = (Entry, ItemChanged, Gap)
    witness: _Witness = attrs.field(factory=_Witness)
    disk: None = None
    staged: None = None

    def frame(self, number: int, text: str | bytes) -> None:
        self.session.handle_frames(number, (text,), now=self.now)

    def tell(self, event: object) -> None:
        self.witness.saw(event)

    def work(self) -> None:
        """Does what the session asks for; what concerns others goes to `out`."""
        while effects := self.session.poll_effects():
            for effect in effects:
                match effect:
                    case Connect():
                        self.out.append(("connect", effect.connection))
                    case Send():
                        self.out.append(("send", effect.connection, effect.text.reveal()))
                    case Close():
                        self.out.append(("close", effect.connection, effect.abandon))
                    case Ping():
                        self.session.handle_alive(effect.connection, now=self.now)
                    case _:
                        raise AssertionError(f"no driver for {effect}")

    def summary(self, _: tuple[str, ...]) -> _Summary:
        status = self.session.status()
        rows: Collection[Counters] = self.session.counters().values()
        return _Summary(
            drained=self.session.waiting == 0,
            connected=status.connected,
            connections=status.connections,
            stopped=self.session.stopped,
            conserved=adds_up(rows),
            events=dict(self.witness.events),
            items={key: tuple(states) for key, states in self.witness.items.items()},
            gaps=self.witness.gaps,
        )


@final
@attrs.define(eq=False)
class _Venue(Server):
    """One gateway in which nothing happens but what is asked for."""

    gateway: PolyNodeGateway

    def connected(self, number: int) -> None:
        http = HttpRequest(method="GET", path="/ws", query=(("key", DEMO_KEY),))
        self.act(lambda: self.gateway.handle_upgrade(number, http, now=self.now))
        self.act(lambda: self.gateway.handle_connected(number, now=self.now))

    def frame(self, number: int, text: str) -> None:
        self.act(lambda: self.gateway.handle_frame(number, text, now=self.now))

    def publish(self, channel: str, unit: str, version: int) -> list[tuple[str, str]]:
        """Publishes an event about a transaction; returns its name, for no epoch."""
        del version
        members = {"tx_hash": unit}
        ids: list[tuple[str, str]] = []
        self.act(lambda: ids.append(("", self.gateway.publish(channel, members, now=self.now))))
        return ids


def _open(situation: Situation) -> _Venue:
    options = PolyNodeOptions(rate=0.0, heartbeat_s=_NEVER_S, **situation.gateway)
    venue = _Venue(PolyNodeGateway(options, rng=random.Random(1), wall_ms_at_zero=WALL_MS))
    venue.tick(0.0)
    venue.gateway.pause(now=0.0)
    return venue


def _start(situation: Situation, mechanisms: Mechanisms, _: None) -> _Client:
    options = HistoryOptions(
        ping_interval_s=_NEVER_S, keepalive_interval_s=_NEVER_S, **situation.client
    )
    client = _Client(HistorySession(PolyNode(key=Secret(DEMO_KEY)), STILL, options, mechanisms))
    client.session.handle_begin(now=0.0)
    client.work()
    return client


def _judge(summary: _Summary, log: Log, _: Situation) -> list[str]:
    problems: list[str] = []
    published = {each.unit for each in log}
    if summary.drained:
        for key, states in summary.items.items():
            both = {f"settlement {key}", f"status_update {key}"} <= summary.events.keys()
            if both and states[-1] != "CONFIRMED":
                problems.append(
                    f"INV-S12: an item is {states[-1]} whose transaction is known to be confirmed"
                )
    problems += [
        f"phantom: {name}, which nobody published"
        for name in summary.events
        if name not in published
    ]
    return problems + misconduct(summary, sockets_max=1)


def _is_true(summary: _Summary, log: Log) -> bool:
    """Every event is told or may be missing by a gap that is, and no item waits any more."""
    return (
        summary.drained
        and summary.connected
        and summary.connections == 1
        and (summary.gaps > 0 or {each.unit for each in log} <= summary.events.keys())
        and all(states[-1] != "PENDING" for states in summary.items.values())
    )


_CLIENT_COPIER: Final = Copier(constant=[Entry, WireEvent, Still])
_CLIENT_PRINTS: Final = Fingerprints(
    skipped=[
        ("Merge", "rows"),
        ("Anomalies", "counts"),
        ("Delivery", "_appended"),
        ("Delivery", "_cleared"),
        ("Delivery", "_chosen"),
        ("_Witness", "problems"),
    ],
    wiring=("dialect", "options", "mechanisms", "rng"),
    constant=(HistoryOptions, Mechanisms, Backoff, Still, PolyNode, Secret),
)

_VENUE_COPIER: Final = Copier(ways={PolyNodeTruth: SHARE})
"""The truth log is a trace that nothing reads here."""

_VENUE_PRINTS: Final = Fingerprints(
    skipped=[
        *(("PolyNodeGateway", name) for name in (*BESIDE_A_GATEWAY, "trading")),
        ("Buffer", "markets"),
        ("Event", "envelope"),
        ("Event", "_deflated"),
        ("Event", "_text"),
        ("Line", "counts"),
    ],
    wiring=("options",),
    constant=(PolyNodeOptions, Mapping, random.Random),
)

CAST: Final = Cast(
    open=_open,
    stage=lambda situation, _: situation,
    start=_start,
    unit=lambda _, channel, unit: f"{channel} {unit}",
    judge=_judge,
    is_true=_is_true,
    client_copier=_CLIENT_COPIER,
    client_prints=_CLIENT_PRINTS,
    venue_copier=_VENUE_COPIER,
    venue_prints=_VENUE_PRINTS,
)

_HASH: Final = "0x" + "ab" * 32

_ITEM: Final = Situation(
    name="one settlement and its confirmation",
    units=(("settlement", _HASH), ("status_update", _HASH)),
    once=True,
    bounds=Bounds(publish=2, drop=1, faults=1),
)

SHOWN_IN: Final[Mapping[str, Situation]] = {"R15": _ITEM}
"""Where a client that breaks the rule goes wrong soonest."""

SCOPES: Final[Mapping[str, tuple[Situation, ...]]] = {
    "small": (
        _ITEM,
        attrs.evolve(
            _ITEM,
            name="a gateway that forgets",
            settled=0,
            bounds=Bounds(publish=2, drop=1, restart=1, faults=1),
        ),
    ),
}
