"""Polymarket US: a client of one stream over HTTP, whose snapshot comes inside, and its tokens.

The gateway's wall clock stands still, and its tokens do not say when they were handed out: neither
makes a difference while tokens of any age are taken.
"""

import random
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, final

import attrs
import msgspec

from lastseen.accounts import Account, AccountLimits
from lastseen.backoff import Backoff
from lastseen.budget import Budget
from lastseen.connections import Connection
from lastseen.delivery import Delivery
from lastseen.dialect import End
from lastseen.dialects.polymarket_us import PolymarketUS, Stream, Subscription
from lastseen.durability import Durability
from lastseen.effects import Close, Commit, Connect, Subscribe
from lastseen.events import Entry, Gap, StateSnapshot, StatusChanged
from lastseen.mechanisms import Mechanisms
from lastseen.options import StreamOptions
from lastseen.position import Position
from lastseen.replica import Replica, ScopeImage, ScopeName
from lastseen.secret import Secret
from lastseen.snapshots import ScopeKey
from lastseen.stream_messages import StreamEntry
from lastseen.stream_session import StreamSession
from lastseen_simulator.alarms import Alarms
from lastseen_simulator.effects import HttpRequest
from lastseen_simulator.explore.casts import Cast
from lastseen_simulator.explore.clients import STILL, Still
from lastseen_simulator.explore.copying import SHARE, Copier, two_levels
from lastseen_simulator.explore.fingerprints import Fingerprints, Walk
from lastseen_simulator.explore.market import WALL_MS
from lastseen_simulator.explore.oracle import Log, truth_of
from lastseen_simulator.explore.parties import Follower, Head, Server, adds_up
from lastseen_simulator.explore.scopes import Bounds, Situation
from lastseen_simulator.explore.venues import write_alarms
from lastseen_simulator.explore.witness import Attempts
from lastseen_simulator.explore.writing import (
    OPTIONS,
    write_budget,
    write_connection,
    write_delivery,
)
from lastseen_simulator.polymarket_us.channels import Channel
from lastseen_simulator.polymarket_us.connections import Change
from lastseen_simulator.polymarket_us.core import PolymarketUSGateway
from lastseen_simulator.polymarket_us.journal import Journal
from lastseen_simulator.polymarket_us.market import Market
from lastseen_simulator.polymarket_us.options import DEMO_KEY, PolymarketUSOptions
from lastseen_simulator.polymarket_us.truth import PolymarketUSTruth
from lastseen_simulator.polymarket_us.wire import Wire

__all__ = ["CAST", "SCOPES", "SHOWN_IN"]

_LOST: Final = "the body was cut"
_CLAIMS: Final = ("SYNCED", "LIVE_ONLY")
_TOLD: Final = (Entry, StateSnapshot, StatusChanged, Gap)
_SESSIONS: Final = (1, 2, 3)
"""Sessions of the gateway that a schedule can reach."""


def _version_of(unit: str, value: Mapping[str, Any]) -> int:
    """How far an order is filled; an execution happens once."""
    return int(value.get("cumQty", 0)) if unit.startswith("orders/") else 1


@final
@attrs.define(eq=False)
class _Witness(Attempts):
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
class _Disk:
    """What outlives a process: a token, the state that was written with it, and what was told."""

    position: Position = attrs.field(factory=Position)
    scopes: tuple[tuple[ScopeName, ScopeImage], ...] = ()
    executions: tuple[str, ...] = ()
    versions: Mapping[str, int] = attrs.field(factory=dict[str, int])

    @property
    def written(self) -> tuple[Any, ...]:
        """What tells it from another."""
        proofs = [(name, image.unproven) for name, image in self.scopes]
        return (*_tokens(self.position), proofs, [*self.versions.items()], self.executions)


def _tokens(position: Position) -> list[tuple[str, str]]:
    return [(channel, token.reveal()) for channel, token in position.tokens]


class _Summary(NamedTuple):
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
class _Client(Follower):
    """One process; `staged` is a commit under way and its number."""

    replica: Replica
    witness: _Witness
    disk: _Disk
    staged: tuple[int, _Disk] | None = None

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

    def committed(self) -> None:
        """The commit under way is durable."""
        if self.staged is not None:
            number, self.disk = self.staged
            self.staged = None
            self.session.handle_committed(number, now=self.now)

    def take(self) -> None:
        """The application takes events up to one that it acts on, and is done with it."""
        while events := self.session.poll_events(1):
            event = events[0]
            self.witness.saw_event(event, self.versions())
            self.replica.apply(event)
            self.witness.saw_effect(self.versions())
            self.session.handle_processed(event, now=self.now)
            if isinstance(event, _TOLD):
                break

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
        scopes: Mapping[ScopeName, Any] = getattr(self.replica, _SCOPES)
        return {
            key: _version_of(key, unit.value)
            for units in scopes.values()
            for key, unit in units.items()
        }

    def summary(self, _: tuple[str, ...]) -> _Summary:
        """What can be seen of it."""
        session, status = self.session, self.session.status()
        staged = self.staged[1] if self.staged is not None else None
        return _Summary(
            channel=session.dialect.channel,
            told=self.witness.told,
            drained=session.waiting == 0,
            tokens=_tokens(session.position),
            versions=self.versions(),
            staged=None if staged is None else (_tokens(staged.position), staged.versions),
            disclosed=dict(self.witness.disclosed),
            gaps=self.witness.gaps,
            connections=status.connections,
            connected=status.connected,
            stopped=session.stopped,
            conserved=adds_up(session.counters().values()),
        )

    def _written(self, position: Position) -> _Disk:
        scopes: Mapping[ScopeName, Any] = getattr(self.replica, _SCOPES)
        unproven: set[ScopeName] = getattr(self.replica, _UNPROVEN)
        images = tuple(
            (name, ScopeImage(unproven=name in unproven, units=dict(units)))
            for name, units in scopes.items()
        )
        return _Disk(position, images, tuple(self.witness.executions), self.versions())


_SCOPES: Final = "_scopes"
_UNPROVEN: Final = "_unproven"


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
class _Timeless(Journal):
    """Tokens without the moment at which they were handed out."""

    def token(self, channel: str, seq: int | None = None, *, now: float) -> str:
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
class _Venue(Server):
    """One gateway in which nothing happens but what is asked for."""

    gateway: PolymarketUSGateway
    journal: _Timeless

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


def _open(situation: Situation) -> _Venue:
    options = PolymarketUSOptions(
        rate=0.0, symbols=1, orders=0, resend_s=None,
        **{"snapshot_s": None, **situation.gateway},
    )  # fmt: skip
    gateway = PolymarketUSGateway(options, rng=random.Random(1), wall_ms_at_zero=WALL_MS)
    journal = _Timeless(options, b"\x00")
    for holder, name in (
        (gateway, "_journal"),
        (getattr(gateway, "_sessions"), "journal"),  # noqa: B009
        (getattr(gateway, "_opening"), "journal"),  # noqa: B009
    ):
        setattr(holder, name, journal)
    venue = _Venue(gateway, journal)
    venue.tick(0.0)
    units = dict.fromkeys(
        unit if channel == "orders" else "o-a" for channel, unit in situation.units
    )
    for name in units:
        members = {"type": "NEW", "id": f"x-{name}", "order": {"id": name, **_ORDER}}
        venue.act(lambda members=members: gateway.publish("orders", members, now=0.0))
    return venue


class _Stage(NamedTuple):
    situation: Situation
    dialect: PolymarketUS
    options: StreamOptions


def _stage(situation: Situation, _: _Venue) -> _Stage:
    stream = Stream(situation.channels[0])
    dialect = PolymarketUS(subscription=Subscription(stream=stream))
    return _Stage(situation, dialect, StreamOptions(**situation.client))


def _start(stage: _Stage, mechanisms: Mechanisms, disk: _Disk | None) -> _Client:
    disk, options = disk or _Disk(), stage.options
    client = _Client(
        StreamSession(stage.dialect, STILL, options, Account(), mechanisms, key=Secret(DEMO_KEY)),
        Replica(stage.dialect),
        _Witness(
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


def _judge(summary: _Summary, log: Log, _: Situation) -> list[str]:
    problems = _tokens_ahead("INV-S1", summary.tokens, summary.versions, summary, log)
    if summary.staged is not None:
        problems += _tokens_ahead("INV-S2", *summary.staged, summary, log)
    if summary.drained and summary.told == "SYNCED":
        problems += [
            f"INV-S10: the stream is called synced, and {unit} is not at version {version}"
            for unit, version in summary.disclosed.items()
            if summary.versions.get(unit, -1) < version
        ]
    newest = truth_of(log, summary.channel)
    problems += [
        f"phantom: {unit} is at {version}, which nobody published"
        for unit, version in summary.versions.items()
        if version > newest.get(unit, 0) and not unit.startswith("drop_copy/x-")
    ]
    if summary.connections > 1:
        problems.append(f"INV-S15: {summary.connections} sockets")
    if not summary.conserved:
        problems.append("INV-S21: the tallies do not add up")
    if summary.stopped is not None:
        problems.append(f"the session gave up: {summary.stopped}")
    return problems


def _tokens_ahead(
    invariant: str,
    tokens: list[tuple[str, str]],
    versions: Mapping[str, int],
    summary: _Summary,
    log: Log,
) -> list[str]:
    problems: list[str] = []
    for channel, token in tokens:
        needed = _needed(log, channel, token)
        if needed is None:
            problems.append("INV-S4: the token was never handed out")
        elif not summary.gaps and any(versions.get(u, -1) < v for u, v in needed.items()):
            problems.append(f"{invariant}: the token is ahead of the state")
    return problems


def _needed(log: Log, channel: str, token: str) -> dict[str, int] | None:
    """What a state covers that is at this token; None when there is no such token."""
    if not log:
        return {}
    for count, each in enumerate(log, 1):
        for place, known in each.ids:
            if known == token and each.channel == channel:
                return truth_of(log, channel, count if place == "behind" else count - 1)
    return None


def _is_true(summary: _Summary, log: Log) -> bool:
    """Everything is claimed and right, but for what a told gap may have cost."""
    newest = truth_of(log, summary.channel)
    return (
        summary.drained
        and summary.connected
        and summary.connections == 1
        and summary.told in _CLAIMS
        and (
            summary.gaps > 0
            or all(summary.versions.get(unit, -1) >= version for unit, version in newest.items())
        )
    )


def _write_client(client: _Client, walk: Walk) -> None:
    walk.write(client.session)
    scopes: Mapping[ScopeName, Any] = getattr(client.replica, _SCOPES)
    for name, units in scopes.items():
        told = [(key, _version_of(key, unit.value), unit.streamed) for key, unit in units.items()]
        walk.out += (name, told)
    walk.out.append(sorted(map(str, getattr(client.replica, _UNPROVEN))))
    walk.out.append(client.disk.written)
    walk.write(client.witness)
    if client.staged is not None:
        walk.out += ("staged", client.staged[1].written)


def _write_disk(disk: _Disk, walk: Walk) -> None:
    walk.out.append(disk.written)


def _write_position(position: Position, walk: Walk) -> None:
    walk.out.append(_tokens(position))


def _write_secret(secret: Secret, walk: Walk) -> None:
    walk.out.append(secret.reveal())


def _write_bytes(held: bytearray, walk: Walk) -> None:
    walk.out.append(bytes(held))


def _write_entry(entry: StreamEntry, walk: Walk) -> None:
    token = entry.token.reveal() if entry.token is not None else None
    walk.out += (entry.channel, entry.id, entry.unit, token, entry.repeated)


def _write_snapshot(snapshot: StateSnapshot, walk: Walk) -> None:
    walk.out.append([(key, _version_of(key, value)) for key, value in snapshot.rows.items()])
    walk.out += (snapshot.channel, snapshot.proof.name, len(snapshot.overlay))
    for entry in snapshot.overlay:
        walk.write(entry)


def _write_journal(journal: _Timeless, walk: Walk) -> None:
    changes: Mapping[str, Any] = getattr(journal, "_changes")  # noqa: B009
    walk.out += (journal.session, getattr(journal, "_forgotten"))  # noqa: B009
    for channel in ("orders", "drop_copy"):
        walk.out += (journal.newest(channel), [each.entry_id for each in changes[channel]])


_SILENCE_S: Final = 200.0
_LOGIN_AGE_S: Final = 10.0
_DRAWN: Final = (
    "rng", "positions", "instruments", "trades", "executions", "symbols", "_books", "_shown",
    "_uncleared",
)  # fmt: skip
"""What of the market has no part in a client of orders or of the drop copy."""

_CLIENT_COPIER: Final = Copier(
    fields={(Replica, _SCOPES): two_levels, (_Client, "disk"): SHARE, (_Client, "staged"): SHARE},
    mutable=[Durability],
    constant=[Entry, Still],
)

_CLIENT_PRINTS: Final = Fingerprints(
    ahead=(
        "due_at",
        "stable_at",
        "floor_at",
        "base_due",
        "paused_until",
        "_not_before",
        "_usable_until",
        "_retry_at",
    ),
    behind={"heard_at": _SILENCE_S, "logged_in_at": _LOGIN_AGE_S, "began_at": _LOGIN_AGE_S},
    equal={"era": "era", "revision": "claim", "_revision": "claim", "_seen_revision": "claim"},
    skipped=[
        ("StreamIntake", "row"),
        ("Gaps", "total"),
        ("Anomalies", "counts"),
        ("Anomalies", "redact"),
        ("Answers", "redact"),
        ("Commits", "_number"),
        ("Connections", "listen"),
        ("Connections", "classify"),
        ("Connections", "on_lost"),
        ("Connections", "on_login_ended"),
        ("Connections", "may_connect"),
        ("Admission", "make_identities"),
        ("_Witness", "problems"),
        *OPTIONS,
    ],
    wiring=("dialect", "options", "mechanisms", "rng", "delivery", "anomalies", "connections"),
    writers={
        Position: _write_position,
        Secret: _write_secret,
        Entry: _write_entry,
        StreamEntry: _write_entry,
        StateSnapshot: _write_snapshot,
        Delivery: write_delivery,
        Budget: write_budget,
        Connection: write_connection,
        _Client: _write_client,
        _Disk: _write_disk,
        bytearray: _write_bytes,
    },
    constant=(StreamOptions, Mechanisms, Backoff, Still, PolymarketUS, AccountLimits),
)

_VENUE_COPIER: Final = Copier(
    ways={PolymarketUSTruth: SHARE, Wire: SHARE},
    fields={(Market, name): SHARE for name in _DRAWN},
    constant=[Change],
)
"""What is traded beside the orders is shared, since nobody here looks at it."""

_VENUE_PRINTS: Final = Fingerprints(
    skipped=[
        *(
            ("PolymarketUSGateway", name)
            for name in (
                "options",
                "truth",
                "_rng",
                "_accepted",
                "_mischief",
                "_strikes",
                "_delivery",
                "_sessions",
                "_opening",
                "_next_at",
                "_wall_ms_at_zero",
            )
        ),
        *(("Market", name) for name in (*_DRAWN, "options")),
        ("Connection", "last_sent_at"),
        ("Connection", "snapshots"),
        ("Line", "counts"),
        ("Line", "ordinal"),
        ("_Venue", "now"),
    ],
    writers={Alarms: write_alarms, _Timeless: _write_journal, Secret: _write_secret},
    constant=(PolymarketUSOptions, random.Random, Channel),
)

CAST: Final = Cast(
    open=_open,
    stage=_stage,
    start=_start,
    unit=lambda _, channel, unit: f"{channel}/{unit}",
    judge=_judge,
    is_true=_is_true,
    client_copier=_CLIENT_COPIER,
    client_prints=_CLIENT_PRINTS,
    venue_copier=_VENUE_COPIER,
    venue_prints=_VENUE_PRINTS,
    resumes=lambda http: b"resumeToken" in http.body,
)

_ORDERS: Final = (("orders", "o-a"),)
_COPIES: Final = (("drop_copy", "a"), ("drop_copy", "b"), ("drop_copy", "c"))

_CUT: Final = Situation(
    name="orders, and a body that is cut",
    units=_ORDERS,
    settled=1,
    bounds=Bounds(publish=2, drop=1, faults=1),
)
_FORGETS: Final = Situation(
    name="orders, and a gateway that restarts and refuses every earlier token",
    units=_ORDERS,
    settled=1,
    bounds=Bounds(publish=1, drop=1, restart=1, faults=2),
)
_REFUSES: Final = Situation(
    name="orders, and a token too old, which is refused with a status",
    units=_ORDERS,
    gateway={"journal": 1, "refused_token": "status"},
    settled=1,
    bounds=Bounds(publish=3, drop=1, faults=1),
)
_CRASH: Final = Situation(
    name="orders, and a client that crashes",
    units=_ORDERS,
    settled=1,
    bounds=Bounds(publish=2, crash=1, faults=1),
)
_STATE_LOST: Final = Situation(
    name="orders, and a token that outlives its state",
    units=_ORDERS,
    state_lost=True,
    settled=1,
    bounds=Bounds(publish=1, crash=1, faults=1),
)
_PERIODIC: Final = Situation(
    name="orders in pages, with snapshots again and again",
    units=(("orders", "o-a"), ("orders", "o-b")),
    gateway={"snapshot_s": 20.0, "page_items": 1},
    settled=1,
    bounds=Bounds(publish=1, drop=1, faults=1),
)
_BREAKS: Final = Situation(
    name="orders, and streams that break again and again",
    units=_ORDERS,
    settled=0,
    bounds=Bounds(publish=1, drop=2, restart=1, faults=2),
)
_POISON: Final = Situation(
    name="orders, and resuming never works",
    units=_ORDERS,
    poison=True,
    settled=1,
    bounds=Bounds(publish=1, drop=1, faults=1),
)
_DROP_COPY: Final = Situation(
    name="executions, of which there is no snapshot",
    units=_COPIES,
    once=True,
    settled=1,
    bounds=Bounds(publish=2, drop=1, crash=1, restart=1, faults=1),
)
_EVERYTHING: Final = Situation(
    name="orders, and everything at once",
    units=_ORDERS,
    bounds=Bounds(publish=2, drop=1, crash=1, restart=1, faults=2),
)

SHOWN_IN: Final[Mapping[str, Situation]] = {"R12": _BREAKS, "R13": _POISON}

SCOPES: Final[Mapping[str, tuple[Situation, ...]]] = {
    "small": (
        _CUT,
        _FORGETS,
        _REFUSES,
        _CRASH,
        _STATE_LOST,
        _PERIODIC,
        _BREAKS,
        _POISON,
        _DROP_COPY,
        _EVERYTHING,
    )
}
