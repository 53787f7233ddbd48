"""A process that follows an OddsPapi feed: the real session, its application and its disk.

Nothing here judges; `witness` watches, and `oracle` judges.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, ClassVar, Final, final

import attrs

from lastseen.backoff import Backoff
from lastseen.dialect import HttpResponse, SnapshotFault
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
from lastseen_simulator.explore.parties import Keeper, adds_up
from lastseen_simulator.explore.witness import Witness
from lastseen_simulator.explore.writing import (
    BESIDE_A_SESSION,
    EQUAL,
    WRITERS,
    write_budget,
    write_keeper,
)

__all__ = ["CLIENT_COPIER", "CLIENT_PRINTS", "Client", "Disk", "STILL", "Still"]


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
class Client(Keeper):
    """One process."""

    acts_on: ClassVar[tuple[type[Any], ...]] = (Entry, StateSnapshot, StatusChanged)
    """Any other is taken along with the next of these."""
    session: Session
    witness: Witness
    disk: Disk
    staged: tuple[int, Disk] | None = None

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
            disk=disk,
        )
        scopes = {} if state_lost else dict(disk.scopes)
        client.replica.load(scopes)
        bases = [ScopeKey(*name) for name in scopes]
        client.session.handle_begin(disk.position, bases, now=0.0)
        client.work()
        return client

    # What happens to it.

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
        super().closed(number, code)

    def answered(self, fetch: int, answer: tuple[HttpResponse, ...] | SnapshotFault) -> None:
        """A fetch is answered."""
        self.session.handle_snapshot(fetch, answer, now=self.now)

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


def _scopes_of(scopes: Mapping[ScopeName, Any]) -> list[Any]:
    return [
        (name, [(key, version_of(unit.value), unit.streamed) for key, unit in units.items()])
        for name, units in scopes.items()
    ]


def _write_disk(disk: Disk, walk: Walk) -> None:
    walk.out.append(disk.written)


def _write_client(client: Client, walk: Walk) -> None:
    replica = client.replica
    scopes, unproven = getattr(replica, _SCOPES), getattr(replica, _UNPROVEN)
    write_keeper(client, walk, _scopes_of(scopes), unproven)


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
    equal={"fence": "fence", **EQUAL},
    skipped=[
        ("Channels", "_fences"),
        ("Channel", "row"),
        ("Intake", "unknown"),
        ("Dedup", "out_of_order"),
        ("Session", "options"),
        ("Session", "dialect"),
        ("Scope", "census"),
        ("Channel", "census"),
        ("Claim", "proof"),
        *BESIDE_A_SESSION,
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
        **WRITERS,
        SnapshotQueue: _write_queue,
        Client: _write_client,
        Disk: _write_disk,
        OddsPapi: _write_dialect,
        StateSnapshot: _write_snapshot,
    },
    constant=(SessionOptions, Mechanisms, Backoff, Still, Join),
)
