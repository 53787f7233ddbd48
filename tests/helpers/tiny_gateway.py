"""A gateway in miniature with its own truth, and a judge that watches a session against it.

Nothing of the session's code judges here: the truth is kept as versions of units, folded by this
file alone. Every operation is a method with small integers, and does nothing where it makes no
sense, so that any list of operations is a legal schedule: a machine or a seed can choose them, and
a failing list can be cut down.
"""

import json
import random
from collections import Counter, deque
from typing import Any

import attrs
from driving import ABNORMAL, Driver, Fetch, Login, Socket, Violation, frame, payload_of
from recount import recount

from lastseen import SessionOptions
from lastseen.dialect import End, HttpResponse, SnapshotFault
from lastseen.events import AnomalyCode, Entry, Event, StateSnapshot
from lastseen.mechanisms import Mechanisms
from lastseen.position import Position
from lastseen.replica import Replica
from lastseen.snapshots import ScopeKey
from lastseen.states import ScopeState

__all__ = [
    "OPERATIONS",
    "Knobs",
    "Operation",
    "World",
    "draw_knobs",
    "draw_operations",
    "perform",
    "run_schedule",
    "shrink",
]

Cursor = tuple[int, int]

PER_FIXTURE = "odds"
LIVE_ONLY = "events"
STATEFUL = ("fixtures", "scores", "odds")
KEYS = ("a", "b")


@attrs.define(eq=False)
class Published:
    """One entry that the gateway published."""

    channel: str
    fixture: str
    id: str
    unit: str
    version: int
    at: float
    payload: dict[str, Any]


@attrs.define(eq=False)
class Version:
    """One version of one unit; `shown` is False when a snapshot leaves it out."""

    number: int
    shown: bool
    at: float
    row: Any


@attrs.define(eq=False)
class Epoch:
    """One life of the gateway."""

    name: str
    at: float
    base: dict[str, tuple[int, bool]]
    """What was true when it began: version and whether a reader sees it, by unit."""
    logs: dict[str, list[Published]] = attrs.field(factory=dict[str, list[Published]])


@attrs.frozen(kw_only=True)
class Knobs:
    """How this gateway and this application behave."""

    seed: int = 0
    replayable: tuple[str, ...] | None = ("fixtures", "scores")
    heads: bool = True
    interleaved: bool = True
    inclusive: bool = False
    verdict: bool = True
    completes: bool = True
    as_of: bool = True
    lag_s: float = 0.0
    """How old a snapshot may be."""
    window_s: float = 60.0
    limit: int = 2
    delivery_items: int = 1000
    hold_items: int = 1000
    ring_items: int = 4096
    report: bool = False
    shuns: bool = False
    """For ever answers a login with cursors by a close (HZ-H5)."""

    @property
    def exact(self) -> bool:
        """Whether a snapshot can be trusted to be no older than it says."""
        return not self.lag_s or (self.as_of and self.heads)


def draw_knobs(rng: random.Random) -> Knobs:
    """A random gateway."""
    heads = rng.random() < 0.8
    return Knobs(
        seed=rng.randrange(1 << 30),
        replayable=rng.choice(
            [
                ("fixtures", "scores"),
                ("fixtures", "scores"),
                ("fixtures", "scores", "odds"),
                (),
                None,
            ]
        ),
        heads=heads,
        interleaved=heads and rng.random() < 0.7,
        inclusive=rng.random() < 0.3,
        verdict=rng.random() < 0.7,
        completes=rng.random() < 0.9,
        as_of=rng.random() < 0.5,
        lag_s=rng.choice([0.0, 0.0, 8.0]),
        window_s=rng.choice([60.0, 5.0]),
        limit=rng.choice([1, 2, 5]),
        delivery_items=rng.choice([1000, 1000, 4, 1]),
        hold_items=rng.choice([1000, 1000, 4, 1]),
        ring_items=rng.choice([4096, 4096, 4]),
        report=rng.random() < 0.3,
        shuns=rng.random() < 0.1,
    )


@attrs.define(eq=False)
class World(Driver):
    """A session, an application and the gateway, with an eye on every step."""

    knobs: Knobs = attrs.field(factory=Knobs, kw_only=True)
    epochs: list[Epoch] = attrs.field(init=False, factory=list[Epoch])
    history: dict[str, list[Version]] = attrs.field(init=False, factory=dict[str, list[Version]])
    fixtures: list[str] = attrs.field(init=False, factory=list[str])
    over: set[str] = attrs.field(init=False, factory=set[str])
    received: Counter[str] = attrs.field(init=False, factory=Counter[str])
    disclosed: dict[str, int] = attrs.field(init=False, factory=dict[str, int])
    """How much of the present owner's epoch's logs the client has been told of."""
    owner_epoch: Epoch | None = attrs.field(init=False, default=None)
    login_step: int = attrs.field(init=False, default=0)
    demanded: dict[str, int] = attrs.field(init=False, factory=dict[str, int])
    resumable: set[str] = attrs.field(init=False, factory=set[str])
    """Channels whose cursor was in the owner's login and that were not named since (S11)."""
    valid: dict[int, set[str]] = attrs.field(init=False, factory=dict[int, set[str]])
    pending: dict[int, deque[str]] = attrs.field(init=False, factory=dict[int, deque[str]])
    """Replays under way: what is still to be sent, by socket."""
    backlog: dict[int, list[str]] = attrs.field(init=False, factory=dict[int, list[str]])
    sockets_epoch: dict[int, Epoch] = attrs.field(init=False, factory=dict[int, Epoch])
    issued: dict[int, dict[str, int]] = attrs.field(init=False, factory=dict[int, dict[str, int]])
    sent: dict[int, list[Published]] = attrs.field(init=False, factory=dict[int, list[Published]])
    """What each connection was sent, or will be."""
    tags: dict[int, int] = attrs.field(init=False, factory=dict[int, int])
    states: dict[str, ScopeState] = attrs.field(init=False, factory=dict[str, ScopeState])
    cursors_seen: dict[str, tuple[str, Cursor]] = attrs.field(
        init=False, factory=dict[str, tuple[str, Cursor]]
    )
    planned: bool = attrs.field(init=False, default=False)
    stable_since: float | None = attrs.field(init=False, default=None)
    attempts: int = attrs.field(init=False, default=0)
    versions: int = attrs.field(init=False, default=0)
    kept: dict[int, tuple[Position, Replica, tuple[ScopeKey, ...]]] = attrs.field(
        init=False, factory=dict[int, tuple[Position, Replica, tuple[ScopeKey, ...]]]
    )
    durable: tuple[Position, Replica, tuple[ScopeKey, ...]] | None = attrs.field(
        init=False, default=None
    )
    handovers: int = attrs.field(init=False, default=0)
    healing: bool = attrs.field(init=False, default=False)
    marks: Counter[str] = attrs.field(init=False, factory=Counter[str])
    _reset_at: int = attrs.field(init=False, default=0)
    _ms: int = attrs.field(init=False, default=0)
    _seq: int = attrs.field(init=False, default=100)
    _tag: int = attrs.field(init=False, default=0)
    _acted: str = attrs.field(init=False, default="")

    @classmethod
    def make(cls, knobs: Knobs, **more: Any) -> "World":
        """A world and a session that has begun."""
        options = SessionOptions(
            connection_limit=knobs.limit,
            delivery_items_max=knobs.delivery_items,
            hold_items_max=knobs.hold_items,
            ring_items=knobs.ring_items,
            backoff_cap_s=8.0,
            snapshot_backoff_cap_s=8.0,
            report_discarded=knobs.report,
        )
        world = cls(
            channels=("fixtures", "scores", "odds", "events"),
            options=options,
            seed=knobs.seed,
            knobs=knobs,
            **more,
        )
        world.epochs.append(Epoch("e0", world.now, {}))
        for fixture in ("f0", "f1"):
            world.fixtures.append(fixture)
            world._write("fixtures", fixture, "", silent=True)
            for key in KEYS:
                world._write("scores", fixture, key, silent=True)
                world._write("odds", fixture, key, silent=True)
        for versions in world.history.values():
            versions[0].at = 0.0
        world.epochs[0].base = world._base()
        world.begin()
        return world

    @property
    def epoch(self) -> Epoch:
        return self.epochs[-1]

    # The gateway's truth.

    def _base(self) -> dict[str, tuple[int, bool]]:
        return {
            unit: (versions[-1].number, versions[-1].shown)
            for unit, versions in self.history.items()
        }

    def _write(
        self,
        channel: str,
        fixture: str,
        key: str,
        *,
        active: bool = True,
        status: int = 1,
        silent: bool = False,
    ) -> Published | None:
        self.versions += 1
        payload = payload_of(channel, fixture, key, self.versions, active=active, status=status)
        unit = {
            "fixtures": f"fixtures/{fixture}",
            "scores": f"scores/{fixture}/{key}",
            "odds": f"odds/{fixture}/book/{key}",
        }.get(channel, f"{channel}/{fixture}")
        row = payload
        if channel == "scores":
            row = payload["scores"][key]
        elif channel == "odds":
            row = payload["odds"]["book"][key]
        if channel in STATEFUL:
            self.history.setdefault(unit, []).append(Version(self.versions, active, self.now, row))
        if silent:
            return None
        self._ms = max(self._ms, int(self.now * 1000))
        self._seq += 1
        entry = Published(
            channel, fixture, f"{self._ms}-{self._seq}", unit, self.versions, self.now, payload
        )
        self.epoch.logs.setdefault(channel, []).append(entry)
        return entry

    def _at(self, unit: str, moment: float) -> Version | None:
        return next((v for v in reversed(self.history[unit]) if v.at <= moment), None)

    def _frame(self, number: int, entry: Published) -> str:
        self._tag += 1
        self.tags[self._tag] = number
        self.sent.setdefault(number, []).append(entry)
        payload = {**entry.payload, "tag": self._tag}
        return frame(channel=entry.channel, type="UPDATE", ts=1, entryId=entry.id, payload=payload)

    # Operations: the gateway.

    def publish(self, channel: int, fixture: int, key: int, flavour: int = 0) -> None:
        """A change in the market, told to everybody who is logged in."""
        name = ("fixtures", "scores", "odds", "events")[channel % 4]
        where = self.fixtures[fixture % len(self.fixtures)]
        if flavour % 8 == 7 and len(self.fixtures) < 5:
            where = f"f{len(self.fixtures)}"
            self.fixtures.append(where)
            name = "fixtures"
        if where in self.over and name == PER_FIXTURE:
            return
        status = 1
        if where in self.over:
            status = 2
        elif name == "fixtures" and flavour % 8 == 6:
            status = 2
            self.over.add(where)
        active = not (name == PER_FIXTURE and flavour % 8 >= 6)
        entry = self._write(name, where, KEYS[key % len(KEYS)], active=active, status=status)
        assert entry is not None
        for number, epoch in self.sockets_epoch.items():
            socket = self.sockets.get(number)
            if socket is None or epoch is not self.epoch or socket.deaf:
                continue
            if self.pending.get(number) is not None and not self.knobs.interleaved:
                self.backlog.setdefault(number, []).append(self._frame(number, entry))
            else:
                socket.queue.append(self._frame(number, entry))

    def serve(self, which: int = 0) -> None:
        """The gateway reads a login and answers it."""
        waiting = [
            s
            for s in self.sockets.values()
            if s.state == "open"
            and s.login is not None
            and not s.deaf
            and s.number not in self.sockets_epoch
        ]
        if not waiting:
            return
        socket = waiting[which % len(waiting)]
        login = socket.login
        assert login is not None
        if self.knobs.shuns and login.cursors:
            self._lose(socket.number, ABNORMAL)
            return
        epoch = self.epoch
        self.sockets_epoch[socket.number] = epoch
        heads = {name: log[-1].id for name, log in epoch.logs.items() if log}
        self.issued[socket.number] = {n: len(log) for n, log in epoch.logs.items()}
        resume: dict[str, Any] = {"serverEpoch": epoch.name, "resumeWindowMs": 60000}
        if self.knobs.replayable is not None:
            resume["replayChannels"] = list(self.knobs.replayable)
        if self.knobs.heads:
            resume["serverEntryIds"] = {name: heads.get(name) for name in login.channels}
        socket.queue.append(frame(type="login_ok", channels=list(login.channels), resume=resume))
        if login.epoch is None:
            return
        if login.epoch != epoch.name:
            if self.knobs.verdict:
                self._demand(socket, list(login.channels), "server_restarted")
            return
        replay: list[Published] = []
        late: list[str] = []
        for name, text in login.cursors.items():
            log = epoch.logs.get(name, [])
            at = next(i for i, entry in enumerate(log) if entry.id == text)
            able = self.knobs.replayable is None or name in self.knobs.replayable
            if not able or self.now - log[at].at > self.knobs.window_s:
                late.append(name)
            else:
                replay += log[at if self.knobs.inclusive else at + 1 :]
        if late:
            self._demand(socket, late, "resume_window_exceeded")
        if len(late) < len(login.cursors):
            replay.sort(key=lambda entry: entry.version)
            frames = deque(self._frame(socket.number, entry) for entry in replay)
            if self.knobs.completes or self.healing:
                frames.append(frame(type="resume_complete", serverEpoch=epoch.name))
            self.pending[socket.number] = frames
            if frames:
                self.marks["replay"] += 1

    def replay(self, count: int) -> None:
        """Sends some of a replay that is under way."""
        for number, frames in list(self.pending.items()):
            socket = self.sockets.get(number)
            if socket is None:
                del self.pending[number]
                continue
            for _ in range(min(count, len(frames))):
                socket.queue.append(frames.popleft())
            if not frames:
                del self.pending[number]
                socket.queue.extend(self.backlog.pop(number, []))

    def _demand(self, socket: Socket, channels: list[str], reason: str, shape: int = 0) -> None:
        epoch = self.sockets_epoch[socket.number]
        members: dict[str, Any] = {
            "type": "snapshot_required",
            "reason": reason,
            "channels": channels,
            "serverEpoch": epoch.name,
        }
        if shape % 2 and self.knobs.heads:
            members["serverEntryIds"] = {n: log[-1].id for n, log in epoch.logs.items() if log}
        match shape // 2 % 6:
            case 1:
                del members["channels"]
            case 2:
                members["channels"] = []
            case 3:
                members["channels"] = channels[0]
            case 4:
                members["channels"] = [*channels, 7, "nope"]
            case 5:
                del members["serverEpoch"]
            case _:
                pass
        socket.queue.append(json.dumps(members))

    def demand(self, which: int, channels: int, shape: int) -> None:
        """`snapshot_required` out of the blue, also in odd shapes (HZ-C11, HZ-C12)."""
        socket = self._fed(which)
        if socket is None:
            return
        names = [n for i, n in enumerate(self.channels) if channels >> i & 1] or ["scores"]
        reasons = ("client_backpressure", "server_restarted", "resume_window_exceeded", "quantum")
        self._demand(socket, names, reasons[shape % 4], shape)

    def notice(self, which: int) -> None:
        """`reconnect`."""
        socket = self._fed(which)
        if socket is not None:
            socket.queue.append(frame(type="reconnect", reason="server_upgrade"))

    def restart(self, which: int, lose: int = 0) -> None:
        """The gateway starts anew, has another epoch, and sends the old sockets away or not."""
        if lose % 3 == 1:
            name, fixture = ("scores", "odds")[which % 2], self.fixtures[which % len(self.fixtures)]
            if fixture not in self.over:
                self._write(name, fixture, KEYS[lose % 2], silent=True)
        if lose % 3 == 2:
            self._seq = 100
        if lose % 4 == 3 and len(self.fixtures) > 1:
            gone = self.fixtures.pop(which % len(self.fixtures))
            self.versions += 1
            for unit, versions in self.history.items():
                if unit.split("/")[1] == gone:
                    versions.append(Version(self.versions, False, self.now, None))
            self.over.discard(gone)
            self.fixtures.append(f"g{self.versions}")
            self._write("fixtures", self.fixtures[-1], "", silent=True)
        self.epochs.append(Epoch(f"e{len(self.epochs)}", self.now, self._base()))
        self.pending.clear()
        self.backlog.clear()
        if which % 2:
            for number in list(self.sockets_epoch):
                if number in self.sockets:
                    self._lose(number, ABNORMAL)

    def flip(self, which: int) -> None:
        """A frame of a served connection names another epoch than its login did (HZ-A19)."""
        # A peer that does this has restarted; the connection goes on in the new epoch.
        socket = self._fed(which)
        if socket is None or self.sockets_epoch[socket.number] is self.epoch:
            return
        if self.pending.pop(socket.number, None) is not None:
            return
        socket.queue.clear()
        self.sent.pop(socket.number, None)
        self.sockets_epoch[socket.number] = self.epoch
        self._demand(socket, list(self.channels), "server_restarted")

    def repeat(self, which: int, back: int) -> None:
        """Sends an entry again that this connection was sent before."""
        socket = self._fed(which)
        if socket is None:
            return
        done = [entry for entry in self.sent.get(socket.number, []) if entry.channel != LIVE_ONLY]
        if done and not self._owes_replay(socket):
            socket.queue.append(self._frame(socket.number, done[-1 - back % min(len(done), 4)]))

    def _owes_replay(self, socket: Socket) -> bool:
        """Whether entries that were to be replayed have not left, or never will (a restart)."""
        return socket.number in self.pending or self.sockets_epoch[socket.number] is not self.epoch

    def garbage(self, which: int, kind: int) -> None:
        """Frames that should not be."""
        socket = self._fed(which)
        if socket is None or (kind % 10 == 6 and self._owes_replay(socket)):
            # Nothing defends against a peer that completes a replay it has not sent.
            return
        socket.queue.append(
            (
                '{"type":',
                "[]",
                '{"channel":"scores","type":"UPDATE","payload":[]}',
                '{"channel":"odds","type":"UPDATE","payload":{"x":1}}',
                '{"channel":"nope","type":"UPDATE","entryId":"1-1","payload":{}}',
                '{"type":"notice","entryId":"9-9"}',
                '{"type":"resume_complete"}',
                b"\xff\x00",
                '{"type":"login_ok"}',
                '{"type":"error","error":"odd"}',
            )[kind % 10]
        )

    def _fed(self, which: int) -> Socket | None:
        served = [
            s
            for s in self.sockets.values()
            if s.number in self.sockets_epoch and not s.deaf and s.state != "connecting"
        ]
        return served[which % len(served)] if served else None

    # Operations: the network.

    def accept(self, outcome: int = 0) -> None:
        """A connect succeeds or fails."""
        socket = self.latest("connecting")
        if socket is None:
            return
        if outcome % 8 < 6:
            self.open()
        elif outcome % 8 == 6:
            self.drop(socket.number, End(reason="refused"))
        else:
            self.drop(socket.number, End(http_status=503))

    def deliver(self, which: int, count: int) -> None:
        """Some frames of a connection arrive, as one batch."""
        ready = [s for s in self.sockets.values() if s.queue and s.state != "connecting"]
        if not ready:
            return
        socket = ready[which % len(ready)]
        batch = [socket.queue.popleft() for _ in range(min(count, len(socket.queue)))]
        self.give(socket.number, batch)

    def lose(self, which: int, kind: int) -> None:
        """A socket ends, or goes deaf without saying so."""
        live = [s for s in self.sockets.values() if s.state != "connecting"]
        if not live:
            return
        socket = live[which % len(live)]
        if kind % 8 == 7:
            socket.deaf = True
            socket.queue.clear()
            self.pending.pop(socket.number, None)
            self.backlog.pop(socket.number, None)
            return
        codes = (1006, 1006, 1000, 1001, 4002, 1011, 4003)
        self._lose(socket.number, End(code=codes[kind % 8]))

    def _lose(self, number: int, end: End) -> None:
        if number in self.sockets:
            self.drop(number, end)

    def drop(self, number: int | None = None, end: End = ABNORMAL) -> None:
        assert number is not None
        self.pending.pop(number, None)
        self.backlog.pop(number, None)
        self.sockets_epoch.pop(number, None)
        super().drop(number, end)

    # Operations: snapshots.

    def capture(self, which: int, lag: int = 0) -> None:
        """The REST side looks at the truth for a fetch; the answer travels later."""
        waiting = [f for f in self.fetches.values() if f.answer is None]
        if waiting:
            fetch = waiting[which % len(waiting)]
            fetch.answer = self._read(fetch, self.knobs.lag_s * (lag % 4) / 3)

    def answer(self, which: int, kind: int = 0) -> None:
        """A fetch is answered, well or badly, even one that was cancelled."""
        if kind % 16 == 15 and self.cancelled:
            fetch = self.cancelled.pop(next(iter(self.cancelled)))
            self.respond(fetch, self._read(fetch, 0.0))
            return
        if not self.fetches:
            return
        fetch = list(self.fetches.values())[which % len(self.fetches)]
        content = (("content-type", "application/json"),)
        bad: dict[int, tuple[HttpResponse, ...] | SnapshotFault] = {
            9: SnapshotFault(reason="reset"),
            10: (HttpResponse(status=503, headers=(), body=b""),),
            11: (HttpResponse(status=429, headers=(("retry-after", "2"),), body=b"{}"),),
            12: (HttpResponse(status=404, headers=(), body=b""),),
            13: (HttpResponse(status=200, headers=content, body=b"[{"),),
            14: (HttpResponse(status=200, headers=content, body=b"{}"),),
        }
        answer = bad.get(kind % 16)
        if answer is None:
            answer = fetch.answer or self._read(fetch, self.knobs.lag_s * (kind % 4) / 3)
        self.respond(fetch, answer)

    def respond(self, fetch: Fetch, answer: tuple[HttpResponse, ...] | SnapshotFault) -> None:
        socket = self.sockets.get(self.promoted or -1)
        if (
            fetch.number in self.fetches
            and socket is not None
            and socket.state == "open"
            and fetch.step >= self.login_step
        ):
            self.valid[fetch.number] = {
                name for name in STATEFUL if fetch.step >= self.demanded.get(name, -1)
            }
        else:
            self.valid[fetch.number] = set()
        self._acted = "snapshot"
        super().respond(fetch, answer)
        self._acted = ""

    def _read(self, fetch: Fetch, lag: float) -> tuple[HttpResponse, ...]:
        moment = self.now - lag
        epoch = next((e for e in reversed(self.epochs) if e.at <= moment), self.epochs[0])
        cursors = [
            f"{name}={seen[-1].id}"
            for name, log in epoch.logs.items()
            if (seen := [entry for entry in log if entry.at <= moment])
        ]
        headers = [("content-type", "application/json")]
        if self.knobs.as_of:
            headers.append(("x-as-of", f"{epoch.name};{','.join(cursors)}"))
        rows: dict[str, Any] = {}
        for unit in self.history:
            version = self._at(unit, moment)
            if version is not None and version.shown:
                rows[unit] = {**version.row, "via": fetch.number}
        body: Any
        if fetch.path == "/fixtures":
            body = [
                {
                    **row,
                    "sport": {"sportId": 10},
                    "scores": {
                        u.split("/")[2]: r
                        for u, r in rows.items()
                        if u.startswith(f"scores/{unit.split('/')[1]}/")
                    },
                }
                for unit, row in rows.items()
                if unit.startswith("fixtures/")
            ]
        else:
            fixture = fetch.fixture
            over = rows.get(f"fixtures/{fixture}", {}).get("status", {}).get("statusId") == 2
            odds = {u.split("/")[3]: r for u, r in rows.items() if u.startswith(f"odds/{fixture}/")}
            body = {
                "fixtureId": fixture,
                "odds": {} if over else {"book": odds},
                "bookmakers": {},
            }
        return (HttpResponse(status=200, headers=tuple(headers), body=json.dumps(body).encode()),)

    # Operations: the application.

    def decline(self) -> None:
        """The application rejects the next entry it was given."""
        while self.taken and not isinstance(self.taken[0], Entry):
            self.apply(1)
        if self.taken:
            entry = self.taken[0]
            assert isinstance(entry, Entry)
            self.reject(entry)

    def resync(self, channel: int) -> None:
        """The application asks for a fresh base."""
        name = (*self.channels, None)[channel % 5]
        if self.session.status().stopped is None:
            self.call(lambda: self.session.handle_resync(name, now=self.now))

    def blip(self, lost: int, live: int, fate: int) -> None:
        """A short loss of the connection, with entries missed, replayed and overtaken."""
        owner = self.sockets.get(self.promoted or -1)
        if owner is None or owner.state != "open" or owner.deaf:
            return
        self._lose(owner.number, ABNORMAL)
        for number in range(lost):
            self.publish(number % 3, number, number // 2)
        for _ in range(12):
            if self.latest("connecting") is not None:
                break
            self.pass_time(1.0)
        self.accept()
        if fate == 0:
            # No verdict, three times at one position (HZ-H5).
            self._lose(next(reversed(self.sockets), -1), ABNORMAL)
            return
        self.serve()
        for number in range(live):
            self.publish(number % 3, lost + number, number)
            self.replay(fate % 3)
            self.deliver(0, 2)

    def crash(self, kind: int) -> None:
        """The process dies; what it kept is what its last good commit made durable, or nothing."""
        keeps = kind % 2 == 1 and self.durable is not None
        position, replica, bases = self.durable or (Position(), None, ())
        for memory in (
            self.pending,
            self.backlog,
            self.sockets_epoch,
            self.issued,
            self.sent,
            self.received,
            self.disclosed,
            self.demanded,
            self.valid,
            self.states,
            self.cursors_seen,
            self.kept,
            self.resumable,
        ):
            memory.clear()
        self.owner_epoch = self.stable_since = None
        self._reset_at = self.attempts
        self.durable = None
        self.reborn(replica if keeps and replica is not None else self.empty_replica())
        self.begin(position, bases if keeps else ())

    def commit_began(self, number: int, position: Position) -> None:
        copy = self.empty_replica()
        copy._scopes = {name: dict(scope) for name, scope in self.replica._scopes.items()}
        copy._unproven = set(self.replica._unproven)
        bases = tuple(ScopeKey(*name) for name in self.claims)
        self.kept[number] = (position, copy, bases)
        if self.knobs.exact:
            self._check_position(position, "S2", remember=False)

    def made_durable(self, number: int, position: Position) -> None:  # noqa: ARG002 - a hook
        self.durable = self.kept.pop(number)

    # What the judge notes.

    def login_sent(self, login: Login) -> None:
        if login.epoch is None:
            if login.cursors:
                raise Violation("S4: cursors without an epoch")
            return
        epoch = next((e for e in self.epochs if e.name == login.epoch), None)
        if epoch is None:
            raise Violation(f"S4: epoch {login.epoch} was never issued")
        for name, text in login.cursors.items():
            if name not in login.channels or name == LIVE_ONLY:
                raise Violation(f"S4: cursor of {name}")
            if not any(entry.id == text for entry in epoch.logs.get(name, [])):
                raise Violation(f"S4: {name} {text} was not issued in {login.epoch}")

    def give(self, number: int, frames: Any) -> None:
        socket = self.sockets[number]
        before = dict(self.states)
        completed = False
        for text in frames:
            value: Any = None
            try:
                value = json.loads(text)
            except (ValueError, UnicodeDecodeError):
                continue
            if not isinstance(value, dict):
                continue
            if "entryId" in value and "channel" in value:
                name = value["channel"]
                self.received[name if name in self.channels else "?"] += 1
                self._disclose(socket, value)
            elif value.get("type") == "login_ok":
                self._logged_in(socket)
            elif number == self.promoted and socket.state == "open":
                if value.get("type") == "snapshot_required":
                    self._demanded(value)
                completed |= value.get("type") == "resume_complete"
        self._acted = "complete" if completed else "frames"
        allowed = set(self.resumable)
        super().give(number, frames)
        self._acted = ""
        for name, state in self.states.items():
            if state is ScopeState.SYNCED and before.get(name) is not ScopeState.SYNCED:
                self.marks["S11"] += 1
                if not completed or name not in allowed:
                    raise Violation(f"S11: {name} became synced by {frames}")
        if completed:
            self.resumable.clear()

    def _disclose(self, socket: Socket, value: dict[str, Any]) -> None:
        if socket.number != self.promoted or socket.state != "open":
            return
        epoch, name = self.owner_epoch, value["channel"]
        if epoch is None:
            return
        for at, entry in enumerate(epoch.logs.get(name, [])):
            if entry.id == value.get("entryId"):
                self.disclosed[name] = max(self.disclosed.get(name, 0), at + 1)

    def _logged_in(self, socket: Socket) -> None:
        if socket.number not in self.sockets_epoch or socket.state != "open" or socket.promoted:
            return
        login = socket.login
        assert login is not None
        socket.promoted = True
        before = self.sockets.get(self.promoted or -1)
        if before is not None and before.state == "open":
            self.handovers += 1
        self.promoted = socket.number
        self.owner_epoch = self.sockets_epoch[socket.number]
        self.disclosed = dict(self.issued[socket.number]) if self.knobs.heads else {}
        self.login_step = self.steps + 1
        self.stable_since = self.now
        same = login.epoch == self.owner_epoch.name
        self.resumable = set(login.cursors) if same else set()
        self.demanded = {}

    def _demanded(self, value: dict[str, Any]) -> None:
        names = value.get("channels")
        chosen = [n for n in names if n in self.channels] if isinstance(names, list) else []
        if not isinstance(names, list) or not [n for n in names if isinstance(n, str)]:
            chosen = list(self.channels)
        assert self.owner_epoch is not None
        if value.get("serverEpoch", self.owner_epoch.name) != self.owner_epoch.name:
            chosen = list(self.channels)
            self.owner_epoch = next(e for e in self.epochs if e.name == value["serverEpoch"])
            self.disclosed = {}
        for name in chosen:
            self.demanded[name] = self.steps + 1
            self.resumable.discard(name)

    def saw(self, event: Event) -> None:
        if isinstance(event, Entry):
            tag = int(event.payload["tag"])
            if self.tags[tag] != self.promoted:
                raise Violation(f"S7: {event.id} came from connection {self.tags[tag]}")
        if isinstance(event, StateSnapshot):
            for row in event.rows.values():
                via = row["via"]
                if event.channel not in self.valid.get(via, set()):
                    raise Violation(f"S8: {event.channel} took the answer of fetch {via}")
                break

    def looked(self, event: Event) -> None:
        if not isinstance(event, StateSnapshot) or event.verification:
            return
        if self.claims.get((event.channel, event.entity)) is ScopeState.SYNCED:
            raise Violation(f"S10: new base of {event.channel} without a fall")

    # The judge.

    def check(self) -> None:
        session = self.session
        status = session.status()
        counters = session.counters()
        waiting = Counter(
            e.channel for q in (self.taken, self.applied) for e in q if isinstance(e, Entry)
        )
        for name, row in counters.items():
            if not row.conserved:
                raise Violation(f"S21: {name} {row}")
            if row.received - row.malformed != self.received[name]:
                raise Violation(f"S21: {name} {row}, but {self.received[name]} were sent")
            if session.waiting == 0 and row.buffered != waiting[name]:
                raise Violation(f"S21: {name} buffered {row.buffered}, not {waiting[name]}")
            if name != "?" and row.buffered > self.knobs.delivery_items + 0:
                raise Violation(f"S13: {row.buffered} of {name} wait for the application")
            if name != "?" and row.held > self.knobs.hold_items * (status.channel(name).scopes + 1):
                raise Violation(f"S13: {row.held} of {name} held")
        self.states = {c.channel: c.state for c in status.channels}
        recount(session)
        self._check_alive()
        self._check_attempts(status.stopped)
        if self.knobs.exact:
            self._check_position(session.position)
        self._check_claims()

    def _check_alive(self) -> None:
        if self.session.finished or self.session.status().stopped is not None:
            return
        connecting = any(s.state == "connecting" for s in self.sockets.values())
        if self.session.poll_deadline() is None and not connecting and not self.fetches:
            raise Violation("S20: nothing will ever happen again")

    def _check_attempts(self, stopped: str | None) -> None:
        if stopped is not None and not self.healing:
            raise Violation(f"S20: stopped: {stopped}")
        owner = self.sockets.get(self.promoted or -1)
        if len(self.connects) > self.attempts:
            gap = self.connects[-1] - self.connects[-2] if len(self.connects) > 1 else 1e9
            count = self.attempts - self._reset_at
            if count > 1:
                options = self.options
                least = min(options.backoff_cap_s, options.backoff_base_s * 2 ** (count - 1)) / 2
                if gap < least - 1e-6:
                    raise Violation(f"S14: attempt {count} after {gap} s, not {least}")
            self.attempts = len(self.connects)
        if owner is None or owner.state != "open":
            if self.stable_since is not None:
                if self.now - self.stable_since >= self.options.stable_after_s:
                    self._reset_at = self.attempts
                self.stable_since = None
        elif (
            self.stable_since is not None
            and self.now - self.stable_since >= self.options.stable_after_s
        ):
            self._reset_at = self.attempts

    def _required(self, epoch: Epoch, channel: str, count: int) -> dict[str, tuple[int, bool]]:
        need = {u: v for u, v in epoch.base.items() if u.startswith(f"{channel}/")}
        for entry in epoch.logs.get(channel, [])[:count]:
            version = next(v for v in self.history[entry.unit] if v.number == entry.version)
            need[entry.unit] = (entry.version, version.shown)
        return need

    def _covers(self, what: str, need: dict[str, tuple[int, bool]], only: str | None) -> None:
        state = self.state()
        for unit, (version, shown) in need.items():
            fixture = unit.split("/")[1]
            if (only is not None and fixture != only) or (
                unit.startswith("odds/") and fixture in self.over
            ):
                continue
            have = state.get(unit)
            if have is None:
                later = any(not v.shown for v in self.history[unit] if v.number >= version)
                if shown and not later:
                    raise Violation(f"{what}: {unit} is missing, should be {version}")
            elif have < version:
                raise Violation(f"{what}: {unit} is {have}, should be {version}")

    def _check_position(
        self, position: Position, rule: str = "S1", *, remember: bool = True
    ) -> None:
        epoch = next((e for e in self.epochs if e.name == position.epoch), None)
        for name, text in position.cursors:
            if name == LIVE_ONLY:
                raise Violation(f"{rule}: {name} has a cursor and no base")
            log = epoch.logs.get(name, []) if epoch is not None else []
            at = next((i for i, entry in enumerate(log) if entry.id == text), None)
            if epoch is None or at is None:
                raise Violation(f"S4: {name} {text} was not issued in {position.epoch}")
            self._covers(f"{rule}: cursor {text}", self._required(epoch, name, at + 1), None)
            if not remember:
                continue
            high, _, low = text.partition("-")
            cursor = (int(high), int(low))
            seen = self.cursors_seen.get(name)
            if seen is not None and seen[0] == epoch.name and seen[1] > cursor:
                raise Violation(f"S6: cursor of {name} went back from {seen[1]} to {cursor}")
            self.cursors_seen[name] = (epoch.name, cursor)
        for name in self.channels:
            if position.cursor(name) is None:
                self.cursors_seen.pop(name, None)

    def _check_claims(self) -> None:
        """What the application is told, once it has acted on everything."""
        if self.session.waiting or self.taken:
            return
        for (name, entity), state in self.claims.items():
            if state is not ScopeState.SYNCED:
                continue
            if self.owner_epoch is None or (self.sockets.get(self.promoted or -1) is None):
                raise Violation(f"S10: {name} claims to be synced without a connection")
            if not self.knobs.exact:
                continue
            need = self._required(self.owner_epoch, name, self.disclosed.get(name, 0))
            if entity is not None or name != PER_FIXTURE:
                self._covers(f"S10: {name} {entity}", need, entity)
            elif self.states.get(name) is ScopeState.SYNCED:
                self._covers(f"S10: {name} of every fixture", need, None)
                # Only a snapshot with a position says which epoch it is of.
                epochs = [self.owner_epoch] if self.knobs.as_of else self.epochs
                known = {e.unit for epoch in epochs for e in epoch.logs.get(name, [])}
                known |= {unit for epoch in epochs for unit in epoch.base}
                for unit in self.state():
                    if unit.startswith("odds/") and unit not in need and unit not in known:
                        raise Violation(f"S9: {unit} should be gone")
        for name, state in self.states.items():
            mine = [s for (n, _), s in self.claims.items() if n == name]
            if state is ScopeState.SYNCED and not all(s is ScopeState.SYNCED for s in mine):
                raise Violation(f"S10: {name} is synced, the application was told {mine}")
            if (
                name in STATEFUL
                and name != PER_FIXTURE
                and state is not ScopeState.SYNCED
                and mine
                and all(s is ScopeState.SYNCED for s in mine)
            ):
                raise Violation(f"S10: {name} is {state}, the application was told {mine}")

    # The end.

    def heal(self, bound_s: float = 400.0) -> None:
        """Faults stop; everything must converge within a bound of virtual time (L1, L7)."""
        self.healing = True
        end = self.now + bound_s
        for socket in self.sockets.values():
            if socket.deaf:
                socket.queue.clear()
        for number, epoch in list(self.sockets_epoch.items()):
            if epoch is not self.epoch:
                self._lose(number, ABNORMAL)
        while True:
            self._settle()
            deadline = self.session.poll_deadline()
            if self._converged():
                break
            if self.now >= end or deadline is None:
                raise Violation(
                    f"L1: no convergence: {self.session.status().channels} {deadline} "
                    f"{self.sockets} {self.fetches}"
                )
            step = min((m for m in (deadline.at, self._next()[0]) if m is not None), default=end)
            self.pass_time(max(0.0, step - self.now))
        self._judge_end()

    def calm(self, kind: int) -> None:
        """For a moment everything works; the answers and the application may be left out."""
        if kind == 3:
            self.pass_time(3.0)
        self._settle(1, answers=kind != 1, application=kind != 2)

    def _settle(
        self, rounds: int = 10_000, *, answers: bool = True, application: bool = True
    ) -> None:
        for _ in range(rounds):
            before = self.steps
            if self.latest("connecting") is not None:
                self.accept()
            self.serve()
            self.replay(1 << 20)
            self.deliver(0, 1 << 20)
            while answers and self.fetches:
                self.capture(0)
                self.answer(0)
            self.commit_done()
            if application:
                self.finish_all()
            if self.steps == before:
                return
        if rounds > 1:
            raise Violation("L1: no rest")

    def _converged(self) -> bool:
        deadline = self.session.poll_deadline()
        return (
            self.session.status().synced
            and [socket.deaf for socket in self.sockets.values()] == [False]
            and deadline is not None
            and deadline.reason == "liveness"
        )

    def sights(self) -> dict[str, int]:
        """How often each situation that must come up came up."""
        odd = {code for code, _ in self.session.anomalies()}
        return {
            "resume login": sum(bool(login.cursors) for login in self.logins),
            "replay": self.marks["replay"],
            "resumed to synced": self.marks["S11"],
            "hand-over": self.handovers,
            "new epoch": len(self.epochs) - 1,
            "delivery overflow": AnomalyCode.DELIVERY_OVERFLOW in odd,
            "hold overflow": AnomalyCode.HOLD_OVERFLOW in odd,
            "stale snapshot refused": AnomalyCode.SNAPSHOT_STALE in odd,
            "no verdict": AnomalyCode.REPLAY_TIMEOUT in odd,
            "resuming given up": AnomalyCode.RESUME_ABANDONED in odd,
            "epoch changed inside a connection": AnomalyCode.EPOCH_CHANGED in odd,
            "entry rejected": AnomalyCode.ENTRY_REJECTED in odd,
        }

    def _judge_end(self) -> None:
        owner = self.sockets[self.promoted or -1]
        skipped = any(
            code is AnomalyCode.VERIFICATION_SKIPPED for code, _ in self.session.anomalies()
        )
        if skipped and not self.knobs.exact:
            # A base that could not be verified is told of, and stays unproven.
            return
        assert self.sockets_epoch[owner.number] is self.epoch
        for name in STATEFUL:
            need = self._required(self.epoch, name, len(self.epoch.logs.get(name, [])))
            self._covers(f"L1: {name}", need, None)
        for unit in self.state():
            known = self.history.get(unit)
            gone = known is None or not known[-1].shown
            if gone and unit.split("/")[0] in STATEFUL and unit.split("/")[1] not in self.over:
                raise Violation(f"L1: {unit} should be gone")


OPERATIONS: tuple[tuple[str, int, tuple[int, ...]], ...] = (
    # name, weight, exclusive upper bounds of its integers
    ("publish", 30, (4, 4, 2, 8)),
    ("deliver", 30, (3, 6)),
    ("serve", 10, (2,)),
    ("accept", 8, (8,)),
    ("replay", 10, (4,)),
    ("capture", 8, (4, 4)),
    ("answer", 14, (4, 16)),
    ("take", 12, (6,)),
    ("apply", 12, (6,)),
    ("acknowledge", 10, (6,)),
    ("drain", 8, ()),
    ("lose", 4, (3, 8)),
    ("restart", 1, (4, 12)),
    ("calm", 12, (4,)),
    ("blip", 6, (5, 4, 8)),
    ("crash", 1, (2,)),
    ("flip", 1, (2,)),
    ("demand", 2, (2, 16, 12)),
    ("notice", 3, (2,)),
    ("repeat", 3, (2, 4)),
    ("garbage", 2, (2, 10)),
    ("decline", 2, ()),
    ("resync", 2, (5,)),
    ("wait", 10, (6,)),
    ("commit", 5, (4,)),
)
"""What may be done to a world, how often, and with which integers."""

Operation = tuple[str, tuple[int, ...]]


def perform(world: World, operation: Operation) -> None:
    """Does one operation."""
    name, numbers = operation
    match name:
        case "take":
            world.take(numbers[0] + 1)
        case "apply":
            world.apply(numbers[0] + 1)
        case "acknowledge":
            world.acknowledge(numbers[0] + 1)
        case "drain":
            world.finish_all()
        case "deliver":
            world.deliver(numbers[0], numbers[1] + 1)
        case "replay":
            world.replay(numbers[0] + 1)
        case "wait":
            world.pass_time((0.05, 0.3, 1.0, 3.0, 11.0, 25.0)[numbers[0]])
        case "calm":
            world.calm(numbers[0])
        case "commit":
            world.commit_done(ok=numbers[0] > 0)
        case _:
            getattr(world, name)(*numbers)


def draw_operations(rng: random.Random, count: int) -> list[Operation]:
    """A random schedule."""
    names = [name for name, _, _ in OPERATIONS]
    weights = [weight for _, weight, _ in OPERATIONS]
    bounds = {name: limits for name, _, limits in OPERATIONS}
    return [
        (name, tuple(rng.randrange(limit) for limit in bounds[name]))
        for name in rng.choices(names, weights, k=count)
    ]


def run_schedule(
    knobs: Knobs, operations: list[Operation], mechanisms: Mechanisms | None = None
) -> World:
    """Plays a schedule to its end and heals; raises `Violation`."""
    world = World.make(knobs, mechanisms=mechanisms or Mechanisms())
    for operation in operations:
        perform(world, operation)
    world.heal()
    return world


def shrink(knobs: Knobs, operations: list[Operation], rule: str) -> tuple[Knobs, list[Operation]]:
    """Cuts a failing schedule down while the same rule fails."""

    def fails(these: Knobs, shorter: list[Operation]) -> bool:
        try:
            run_schedule(these, shorter)
        except Exception as error:
            return str(error).partition(":")[0] == rule
        return False

    size = max(1, len(operations) // 2)
    while size:
        at = 0
        while at < len(operations):
            shorter = operations[:at] + operations[at + size :]
            if fails(knobs, shorter):
                operations = shorter
            else:
                at += size
        size //= 2
    default = Knobs()
    for field in attrs.fields(Knobs):
        simpler = attrs.evolve(knobs, **{field.name: getattr(default, field.name)})
        if simpler != knobs and fails(simpler, operations):
            knobs = simpler
    return knobs, operations
