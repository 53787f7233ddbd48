"""Polymarket US: a client of one stream over HTTP, its disk, and the gateway that serves it.

The gateway's wall clock stands still, and its tokens do not say when they were handed out: neither
makes a difference while tokens of any age are taken.
"""

import random
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final, NamedTuple, final

import attrs
import msgspec

from lastseen.accounts import Account
from lastseen.dialect import End
from lastseen.dialects.polymarket_us import PolymarketUS, Stream, Subscription
from lastseen.effects import Close, Commit, Connect, Subscribe
from lastseen.events import Entry, Gap, StateSnapshot, StatusChanged
from lastseen.mechanisms import Mechanisms
from lastseen.options import StreamOptions
from lastseen.position import Position
from lastseen.replica import Replica, ScopeImage, ScopeName
from lastseen.secret import Secret
from lastseen.snapshots import ScopeKey
from lastseen.stream_session import StreamSession
from lastseen_simulator.effects import HttpRequest
from lastseen_simulator.explore.clients import STILL
from lastseen_simulator.explore.market import WALL_MS
from lastseen_simulator.explore.parties import Head, Keeper, Server, adds_up
from lastseen_simulator.explore.scopes import Situation
from lastseen_simulator.explore.witness import Attempts
from lastseen_simulator.polymarket_us.core import PolymarketUSGateway
from lastseen_simulator.polymarket_us.journal import Journal
from lastseen_simulator.polymarket_us.options import DEMO_KEY, PolymarketUSOptions

__all__ = [
    "Stage",
    "CLAIMS",
    "Client",
    "Disk",
    "HELD_SCOPES",
    "Summary",
    "Timeless",
    "UNPROVEN",
    "Venue",
    "Witness",
    "open_venue",
    "stage_of",
    "start_client",
    "tokens_of",
    "version_of",
]

_LOST: Final = "the body was cut"
CLAIMS: Final = ("SYNCED", "LIVE_ONLY")
_SESSIONS: Final = (1, 2, 3)
"""Sessions of the gateway that a schedule can reach."""


def version_of(unit: str, value: Mapping[str, Any]) -> int:
    """How far an order is filled; an execution happens once."""
    return int(value.get("cumQty", 0)) if unit.startswith("orders/") else 1


@final
@attrs.define(eq=False)
class Witness(Attempts):
    """What one process was told by its peer, and what it told its application."""

    told: str = "COLD"
    disclosed: dict[str, int] = attrs.field(factory=dict[str, int])
    gaps: int = 0
    executions: list[str] = attrs.field(factory=list[str])
    _before: dict[str, int] = attrs.field(init=False, factory=dict[str, int])

    def saw_body(self, number: int, piece: bytes, *, now: float) -> None:
        """Whole records are about to be handed in: the gateway puts each in a chunk of its own."""
        for line in piece.splitlines():
            read = msgspec.json.decode(line, type=dict[str, Any])
            if "error" in read:
                continue
            if number != self.owner:
                self.saw_login(number, now=now)
            record: dict[str, Any] = read["result"]
            orders = [*record.get("snapshot", {}).get("orders", ())]
            update = record.get("update", record)
            for execution in update.get("executions", ()):
                if "update" in record:
                    orders.append(execution["order"])
                else:
                    self.disclosed[f"drop_copy/{execution['id']}"] = 1
            for order in orders:
                unit, filled = f"orders/{order['id']}", int(order.get("cumQty", 0))
                self.disclosed[unit] = max(filled, self.disclosed.get(unit, 0))

    def saw_event(self, event: object, versions: dict[str, int]) -> None:
        """The application was given an event and has not acted on it."""
        if isinstance(event, StatusChanged):
            self.told = event.state.name
        elif isinstance(event, Gap):
            self.gaps += 1
        elif isinstance(event, Entry):
            if event.id in self.executions and not getattr(event, "repeated", False):
                self.problems.append("INV-S5: an execution is told twice")
            self.executions.append(str(event.id))
            if event.channel == "orders" and not versions:
                self.problems.append("INV-S3: an entry is applied where there is no base")
        self._before = versions

    def saw_effect(self, versions: dict[str, int]) -> None:
        """The application has acted on it."""
        before, self._before = self._before, {}
        for unit, version in versions.items():
            if version < before.get(unit, version) and self.told == "SYNCED":
                self.problems.append("INV-S6: an order goes back while it is called synced")


@final
@attrs.frozen
class Disk:
    """What outlives a process: a token, the state that was written with it, and what was told."""

    position: Position = attrs.field(factory=Position)
    scopes: tuple[tuple[ScopeName, ScopeImage], ...] = ()
    executions: tuple[str, ...] = ()
    versions: Mapping[str, int] = attrs.field(factory=dict[str, int])

    @property
    def written(self) -> tuple[Any, ...]:
        """What tells it from another."""
        proofs = [(name, image.unproven) for name, image in self.scopes]
        return (*tokens_of(self.position), proofs, [*self.versions.items()], self.executions)


def tokens_of(position: Position) -> list[tuple[str, str]]:
    """The tokens of a position, by channel."""
    return [(channel, token.reveal()) for channel, token in position.tokens]


class Summary(NamedTuple):
    """What can be seen of a client."""

    channel: str
    told: str
    drained: bool
    tokens: list[tuple[str, str]]
    versions: Mapping[str, int]
    staged: tuple[list[tuple[str, str]], Mapping[str, int]] | None
    disclosed: Mapping[str, int]
    gaps: int
    connections: int
    connected: bool
    stopped: str | None
    conserved: bool


@final
@attrs.define(eq=False)
class Client(Keeper):
    """One process."""

    acts_on: ClassVar[tuple[type[Any], ...]] = (Entry, StateSnapshot, StatusChanged, Gap)
    witness: Witness
    disk: Disk
    staged: tuple[int, Disk] | None = None

    def closed(self, number: int, code: int | None) -> None:
        """An answer is over, was cut, or was a refusal."""
        self.witness.saw_end(number, now=self.now)
        status = code if code is not None and code < 1000 else None
        end = End(reason="the body ended" if code is not None else _LOST, http_status=status)
        self.session.handle_closed(number, end, now=self.now)

    def frame(self, number: int, item: Head | bytes) -> None:
        """The head of an answer, or a piece of its body."""
        if isinstance(item, Head):
            self.session.handle_answered(number, item.content_type, now=self.now)
        else:
            self.witness.saw_body(number, item, now=self.now)
            self.session.handle_frames(number, (item,), now=self.now)

    def work(self) -> None:
        """Does what the session asks for; what concerns others goes to `out`."""
        while effects := self.session.poll_effects():
            for effect in effects:
                match effect:
                    case Connect():
                        self.witness.saw_connect(effect.connection, now=self.now)
                        self.out.append(("connect", effect.connection))
                    case Subscribe():
                        self.out.append(("send", effect.connection, _http(effect)))
                    case Close():
                        self.witness.saw_end(effect.connection, planned=True, now=self.now)
                        self.out.append(("close", effect.connection, effect.abandon))
                    case Commit():
                        self.staged = effect.commit, self._written(effect.position)
                    case _:
                        raise AssertionError(f"no driver for {effect}")

    def versions(self) -> dict[str, int]:
        """What the application knows, by unit: its copy of orders, or what it was told of."""
        if self.session.dialect.channel != "orders":
            return {f"drop_copy/{name}": 1 for name in self.witness.executions}
        scopes: Mapping[ScopeName, Any] = getattr(self.replica, HELD_SCOPES)
        return {
            key: version_of(key, unit.value)
            for units in scopes.values()
            for key, unit in units.items()
        }

    def summary(self, _: tuple[str, ...]) -> Summary:
        """What can be seen of it."""
        session, status = self.session, self.session.status()
        staged = self.staged[1] if self.staged is not None else None
        return Summary(
            channel=session.dialect.channel,
            told=self.witness.told,
            drained=session.waiting == 0,
            tokens=tokens_of(session.position),
            versions=self.versions(),
            staged=None if staged is None else (tokens_of(staged.position), staged.versions),
            disclosed=dict(self.witness.disclosed),
            gaps=self.witness.gaps,
            connections=status.connections,
            connected=status.connected,
            stopped=session.stopped,
            conserved=adds_up(session.counters().values()),
        )

    def _written(self, position: Position) -> Disk:
        scopes: Mapping[ScopeName, Any] = getattr(self.replica, HELD_SCOPES)
        unproven: set[ScopeName] = getattr(self.replica, UNPROVEN)
        images = tuple(
            (name, ScopeImage(unproven=name in unproven, units=dict(units)))
            for name, units in scopes.items()
        )
        return Disk(position, images, tuple(self.witness.executions), self.versions())


HELD_SCOPES: Final = "_scopes"
UNPROVEN: Final = "_unproven"


def _http(effect: Subscribe) -> HttpRequest:
    request = effect.request
    headers = tuple(
        (name, value.reveal() if isinstance(value, Secret) else value)
        for name, value in request.headers
    )
    return HttpRequest(
        method="POST", path=request.path, headers=headers, body=request.body.reveal().encode()
    )


@final
@attrs.define(eq=False)
class Timeless(Journal):
    """Tokens without the moment at which they were handed out."""

    def token(self, channel: str, seq: int | None = None, *, now: float) -> str:
        """The same for a place, whenever it is asked for."""
        del now
        return super().token(channel, seq, now=0.0)

    def in_session(self, number: int, channel: str, seq: int) -> str:
        """The token of a place in a session of the gateway, this one or a later one."""
        present, self._restarts = self._restarts, number
        token = self.token(channel, seq, now=0.0)
        self._restarts = present
        return token


@final
@attrs.define(eq=False)
class Venue(Server):
    """One gateway in which nothing happens but what is asked for."""

    gateway: PolymarketUSGateway
    journal: Timeless

    def connected(self, number: int) -> None:
        """Nobody has asked for anything yet."""

    def frame(self, number: int, http: HttpRequest) -> None:
        """A request for a stream."""
        self.act(lambda: self.gateway.handle_upgrade(number, http, now=self.now))
        if not any(out[:2] == ("end", number) for out in self.out):
            self.act(lambda: self.gateway.handle_connected(number, now=self.now))

    def publish(self, channel: str, unit: str, version: int) -> list[tuple[str, str]]:
        """An order is filled by one share, or an execution happens to any.

        Returns the tokens of the places behind and before it, by which is which.
        """
        members: dict[str, Any] = {"order": {"id": unit}, "lastShares": 1, "aggressor": False}
        if channel == "drop_copy":
            members |= {"id": unit, "order": {"id": "o-a"}}
        del version
        self.act(lambda: self.gateway.publish("orders", members, now=self.now))
        seq = self.journal.newest(channel)
        return [
            (name, self.journal.in_session(number, channel, place))
            for name, place in (("behind", seq), ("before", seq - 1))
            for number in _SESSIONS
        ]

    def act(self, what: Any) -> None:
        """With a wall clock that stands still."""
        setattr(self.gateway, "_wall_ms_at_zero", WALL_MS - round(self.now * 1000))  # noqa: B010
        super().act(what)


_ORDER: Final = {
    "symbol": "demo-aaa",
    "side": "BUY",
    "account": "acct-demo",
    "orderQty": 9,
    "clordId": "c",
    "price": 500,
}


def open_venue(situation: Situation) -> Venue:
    """The gateway of a situation, before anything was published."""
    knobs: dict[str, Any] = {"snapshot_s": None, **situation.gateway}
    options = PolymarketUSOptions(rate=0.0, symbols=1, orders=0, resend_s=None, **knobs)
    gateway = PolymarketUSGateway(options, rng=random.Random(1), wall_ms_at_zero=WALL_MS)
    journal = Timeless(options, b"\x00")
    for holder, name in (
        (gateway, "_journal"),
        (getattr(gateway, "_sessions"), "journal"),  # noqa: B009
        (getattr(gateway, "_opening"), "journal"),  # noqa: B009
    ):
        setattr(holder, name, journal)
    venue = Venue(gateway, journal)
    venue.tick(0.0)
    units = dict.fromkeys(
        unit if channel == "orders" else "o-a" for channel, unit in situation.units
    )
    for name in units:
        members = {"type": "NEW", "id": f"x-{name}", "order": {"id": name, **_ORDER}}
        venue.act(partial(gateway.publish, "orders", members, now=0.0))
    return venue


class Stage(NamedTuple):
    """What every client of a situation is made from."""

    situation: Situation
    dialect: PolymarketUS
    options: StreamOptions


def stage_of(situation: Situation, _: Venue) -> Stage:
    """What every client of a situation has in common."""
    stream = Stream(situation.channels[0])
    dialect = PolymarketUS(subscription=Subscription(stream=stream))
    return Stage(situation, dialect, StreamOptions(**situation.client))


def start_client(stage: Stage, mechanisms: Mechanisms, disk: Disk | None) -> Client:
    """A client, from nothing or from what is on its disk."""
    disk, options = disk or Disk(), stage.options
    client = Client(
        StreamSession(stage.dialect, STILL, options, Account(), mechanisms, key=Secret(DEMO_KEY)),
        Replica(stage.dialect),
        Witness(
            base_s=options.backoff_base_s,
            cap_s=options.backoff_cap_s,
            stable_after_s=options.stable_after_s,
            executions=list(disk.executions),
        ),
        disk,
    )
    scopes = {} if stage.situation.state_lost else dict(disk.scopes)
    client.replica.load(scopes)
    channel = stage.dialect.channel
    known = bool(scopes) or disk.position.token(channel) is not None
    bases = [ScopeKey(channel, None)] if known and not stage.situation.state_lost else []
    client.session.handle_begin(disk.position, bases, now=0.0)
    client.work()
    return client
