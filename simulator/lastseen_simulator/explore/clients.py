"""A process that follows an OddsPapi feed: the real session, its application and its disk.

Nothing here judges; `witness` watches, and `oracle` judges.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final, final

import attrs

from lastseen.backoff import Backoff
from lastseen.budget import Budget
from lastseen.connections import Connection
from lastseen.delivery import Delivery
from lastseen.dialect import End, HttpResponse, SnapshotFault
from lastseen.dialects.oddspapi import OddsPapi
from lastseen.durability import Durability
from lastseen.effects import CancelFetch, Close, Commit, Connect, FetchSnapshot, Ping, Send
from lastseen.events import Entry, StateSnapshot, StatusChanged
from lastseen.join import Join
from lastseen.mechanisms import Mechanisms
from lastseen.options import SessionOptions
from lastseen.position import Position
from lastseen.replica import Replica, ScopeImage, ScopeName
from lastseen.session import Session
from lastseen.snapshots import ScopeKey, SnapshotQueue
from lastseen_simulator.explore.copying import SHARE, Copier, two_levels
from lastseen_simulator.explore.fingerprints import Fingerprints, Walk
from lastseen_simulator.explore.market import version_of
from lastseen_simulator.explore.oracle import Summary
from lastseen_simulator.explore.parties import adds_up
from lastseen_simulator.explore.witness import Witness
from lastseen_simulator.explore.writing import (
    OPTIONS,
    write_budget,
    write_connection,
    write_delivery,
)

__all__ = ["CLIENT_COPIER", "CLIENT_PRINTS", "Client", "Disk", "Out", "STILL", "Still"]

Out = tuple[Any, ...]
"""What leaves a client: connect, send, close, fetch and cancel, each with its number."""

_TOLD: Final = (Entry, StateSnapshot, StatusChanged)
"""The events that an application acts on; any other is taken along with the next of these."""

_SCHEDULED_S: Final = 1e-9


@final
class Still:
    """Randomness that always draws nothing, so that a copy need not copy it."""

    def getrandbits(self, k: int, /) -> int:
        """No bits."""
        del k
        return 0


@final
@attrs.frozen
class Disk:
    """What outlives a process: a position and the state that was written with it."""

    position: Position = attrs.field(factory=Position)
    scopes: tuple[tuple[ScopeName, ScopeImage], ...] = ()
    written: tuple[Any, ...] = attrs.field(init=False, eq=False)
    """What tells it from another."""

    def __attrs_post_init__(self) -> None:
        position = self.position
        scopes = [(image.unproven, _scopes_of({name: image.units})) for name, image in self.scopes]
        written = position.epoch, position.cursors, position.replayable, scopes
        object.__setattr__(self, "written", written)


@final
@attrs.define(eq=False)
class Client:
    """One process, with its own clock; `staged` is a commit under way and its number."""

    session: Session
    replica: Replica
    witness: Witness
    now: float
    disk: Disk
    staged: tuple[int, Disk] | None = None
    out: list[Out] = attrs.field(factory=list[Out])

    @classmethod
    def start(
        cls,
        dialect: OddsPapi,
        options: SessionOptions,
        mechanisms: Mechanisms,
        disk: Disk,
        *,
        state_lost: bool,
    ) -> "Client":
        """A new process that finds this on its disk; with `state_lost`, nothing but a position."""
        client = cls(
            session=Session(dialect, STILL, options, mechanisms),
            replica=Replica(dialect),
            witness=Witness(
                base_s=options.backoff_base_s,
                cap_s=options.backoff_cap_s,
                stable_after_s=options.stable_after_s,
            ),
            now=0.0,
            disk=disk,
        )
        scopes = {} if state_lost else dict(disk.scopes)
        client.replica.load(scopes)
        bases = [ScopeKey(*name) for name in scopes]
        client.session.handle_begin(disk.position, bases, now=0.0)
        client.work()
        return client

    # What happens to it.

    def opened(self, number: int) -> None:
        """An upgrade is done."""
        self.session.handle_opened(number, now=self.now)

    def frame(self, number: int, text: str | bytes) -> None:
        """A frame arrives."""
        self.witness.saw_frame(number, text, now=self.now)
        fenced = number != self.witness.owner
        before = self._accepted() if fenced else 0
        self.session.handle_frames(number, (text,), now=self.now)
        if fenced and self._accepted() > before:
            self.witness.saw_fence_broken(number)

    def closed(self, number: int, code: int | None) -> None:
        """A socket is gone."""
        self.witness.saw_end(number, now=self.now)
        self.session.handle_closed(number, End(code=code), now=self.now)

    def answered(self, fetch: int, answer: tuple[HttpResponse, ...] | SnapshotFault) -> None:
        """A fetch is answered."""
        self.session.handle_snapshot(fetch, answer, now=self.now)

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
            self.witness.saw_effect(event, self.versions())
            self.session.handle_processed(event, now=self.now)
            if isinstance(event, _TOLD):
                break

    def sleep(self, seconds: float) -> None:
        """Time passes, to the next deadline at most."""
        deadline = self.session.poll_deadline()
        self.now += seconds
        if deadline is not None and deadline.at <= self.now + _SCHEDULED_S:
            self.now = max(self.now, deadline.at)
            self.session.handle_deadline(now=self.now)

    def work(self) -> None:
        """Does what the session asks for; what concerns others goes to `out`."""
        while effects := self.session.poll_effects():
            for effect in effects:
                match effect:
                    case Connect():
                        self.witness.saw_connect(effect.connection, now=self.now)
                        self.out.append(("connect", effect.connection))
                    case Send():
                        self.out.append(("send", effect.connection, effect.text.reveal()))
                    case Close():
                        self.witness.saw_end(effect.connection, now=self.now)
                        self.out.append(("close", effect.connection, effect.abandon))
                    case FetchSnapshot():
                        self.witness.saw_fetch()
                        self.out.append(("fetch", effect.fetch, effect.requests))
                    case CancelFetch():
                        self.out.append(("cancel", effect.fetch))
                    case Ping():
                        self.session.handle_alive(effect.connection, now=self.now)
                    case Commit():
                        self.staged = effect.commit, Disk(effect.position, self._scopes())
                    case _:
                        raise AssertionError(f"no driver for {effect}")

    # What it has.

    def deadline(self) -> float | None:
        """Seconds until it wants to be woken."""
        deadline = self.session.poll_deadline()
        return None if deadline is None else max(0.0, deadline.at - self.now)

    def versions(self) -> dict[str, int]:
        """What the application's copy says, by unit."""
        scopes: Mapping[ScopeName, Any] = getattr(self.replica, _SCOPES)
        return {
            key: version_of(unit.value) for scope in scopes.values() for key, unit in scope.items()
        }

    def summary(self, channels: tuple[str, ...]) -> Summary:
        """What can be seen of it."""
        session, status = self.session, self.session.status()
        position = session.position
        staged = None
        if self.staged is not None:
            disk = self.staged[1]
            versions = {
                key: version_of(unit.value)
                for _, image in disk.scopes
                for key, unit in image.units.items()
            }
            staged = disk.position.epoch, disk.position.cursors, versions
        return Summary(
            channels=channels,
            told=dict(self.witness.told),
            drained=session.waiting == 0,
            epoch=position.epoch,
            cursors=position.cursors,
            versions=self.versions(),
            disclosed=dict(self.witness.disclosed),
            staged=staged,
            connections=status.connections,
            connected=status.connected,
            stopped=session.stopped,
            conserved=adds_up(session.counters().values()),
        )

    def _accepted(self) -> int:
        """How many entries were applied, or wait to be."""
        rows = self.session.counters().values()
        return sum(row.applied + row.buffered + row.held for row in rows)

    def _scopes(self) -> tuple[tuple[ScopeName, ScopeImage], ...]:
        names: Mapping[ScopeName, Any] = getattr(self.replica, _SCOPES)
        unproven: set[ScopeName] = getattr(self.replica, _UNPROVEN)
        return tuple(
            (name, ScopeImage(unproven=name in unproven, units=dict(units)))
            for name, units in sorted(names.items(), key=str)
        )


STILL: Final = Still()
_SCOPES: Final = "_scopes"
_UNPROVEN: Final = "_unproven"

CLIENT_COPIER: Final = Copier(
    fields={
        (Replica, _SCOPES): two_levels,
        (Client, "disk"): SHARE,
        (Client, "staged"): SHARE,
    },
    mutable=[Durability],
    constant=[Entry, Still],
)


def _write_position(position: Position, walk: Walk) -> None:
    walk.out += (position.epoch, position.cursors, position.replayable)


def _write_entry(entry: Entry, walk: Walk) -> None:
    walk.out += (entry.channel, entry.id, entry.source.name, bytes(entry.raw))


def _write_snapshot(snapshot: StateSnapshot, walk: Walk) -> None:
    walk.out += (snapshot.channel, snapshot.entity, snapshot.proof.name, snapshot.verification)
    walk.out += ((key, version_of(value)) for key, value in snapshot.rows.items())
    for entry in snapshot.overlay:
        _write_entry(entry, walk)


_of_queue: Final[Callable[[SnapshotQueue], tuple[Any, ...]]] = attrgetter(
    "_pending", "_under_way", "_later", "_ready", "_number", "_stirred", "_wake_at"
)


def _write_queue(queue: SnapshotQueue, walk: Walk) -> None:
    """The order of what is ready counts, the numbers it is made of do not."""
    places, under_way, later, ready, number, stirred, wake_at = _of_queue(queue)
    out = walk.out
    for source, pending in places.items():
        out += (source.kind, source.entity, pending.attempts, pending.under_way)
        out.append(pending.place is None)
        walk.ahead(pending.not_before)
        walk.ahead(pending.scheduled)
        for key, want in pending.wants.items():
            out += (key.channel, key.entity, int(want.priority))
            walk.name("fence", want.fence)
            walk.ahead(want.due)
    for fetched, fetch in under_way.items():
        out += (fetched, fetch.source.kind, fetch.source.entity)
        for key, fence in fetch.asked.items():
            out += (key.channel, key.entity)
            walk.name("fence", fence)
    for at, _, source in sorted(later) if later else ():
        walk.ahead(at)
        out += (source.kind, source.entity)
    for name, heap in ready.items():
        out.append(name)
        for priority, _, source in sorted(heap) if heap else ():
            out += (int(priority), source.kind, source.entity)
    for budget in queue.budgets.values():
        write_budget(budget, walk)
    out += (number, stirred)
    walk.ahead(wake_at)


def _write_replica(replica: Replica, walk: Walk) -> None:
    walk.out.append(_scopes_of(getattr(replica, _SCOPES)))
    walk.out.append(sorted(map(str, getattr(replica, _UNPROVEN))))


def _scopes_of(scopes: Mapping[ScopeName, Any]) -> list[Any]:
    return [
        (name, [(key, version_of(unit.value), unit.streamed) for key, unit in units.items()])
        for name, units in scopes.items()
    ]


def _write_disk(disk: Disk, walk: Walk) -> None:
    walk.out.append(disk.written)


def _write_client(client: Client, walk: Walk) -> None:
    walk.write(client.session)
    _write_replica(client.replica, walk)
    walk.write(client.witness)
    walk.out.append(client.disk.written)
    if client.staged is not None:
        walk.out += ("staged", client.staged[1].written)


def _write_dialect(dialect: OddsPapi, walk: Walk) -> None:
    """What a login left of the subscription; the rest of it never changes."""
    walk.out += (list(dialect.channels), list(dialect.subscription.bookmakers))


_SYNC_AGE_S: Final = 10.0
_SILENCE_S: Final = 40.0

CLIENT_PRINTS: Final = Fingerprints(
    ahead=("due_at", "stable_at", "resume_deadline", "_not_before", "floor_at"),
    behind={
        "heard_at": _SILENCE_S,
        "synced_at": _SYNC_AGE_S,
        "logged_in_at": _SYNC_AGE_S,
    },
    equal={
        "fence": "fence",
        "era": "era",
        "revision": "claim",
        "_revision": "claim",
        "_seen_revision": "claim",
    },
    skipped=[
        ("Channels", "_fences"),
        ("Channel", "row"),
        ("Intake", "unknown"),
        ("Anomalies", "counts"),
        ("Commits", "_number"),
        ("Dedup", "out_of_order"),
        ("Session", "options"),
        ("Session", "dialect"),
        ("Scope", "census"),
        ("Channel", "census"),
        ("Claim", "proof"),
        ("Connections", "listen"),
        ("Connections", "classify"),
        ("Connections", "on_lost"),
        ("Connections", "on_login_ended"),
        ("Connections", "may_connect"),
        ("Anomalies", "redact"),
        ("Witness", "problems"),
        *OPTIONS,
    ],
    wiring=(
        "anomalies",
        "channels",
        "commits",
        "connections",
        "delivery",
        "effects",
        "intake",
        "join",
        "logins",
        "mechanisms",
        "options",
        "position",
        "recovery",
        "rng",
        "snapshots",
        "_anomalies",
        "_control",
        "_durability",
        "_join",
        "_rebase",
    ),
    writers={
        Position: _write_position,
        Entry: _write_entry,
        Delivery: write_delivery,
        Budget: write_budget,
        SnapshotQueue: _write_queue,
        Client: _write_client,
        Disk: _write_disk,
        Connection: write_connection,
        OddsPapi: _write_dialect,
        StateSnapshot: _write_snapshot,
    },
    constant=(SessionOptions, Mechanisms, Backoff, Still, Join),
)
