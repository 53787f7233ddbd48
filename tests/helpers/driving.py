"""A virtual-time driver for one `Session`: sockets, fetches and an application, all by hand.

Time moves only by `pass_time`. Verbs say what the peer, the network or the application does; after
each of them every effect has been taken and `check` has looked at the session from outside.
"""

import json
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from lastseen import Session, SessionOptions
from lastseen.dialect import End, HttpResponse, SnapshotFault
from lastseen.dialects.oddspapi import OddsPapi, Subscription
from lastseen.effects import (
    CancelFetch,
    Close,
    Commit,
    Connect,
    FetchSnapshot,
    FetchToken,
    Ping,
    Request,
    Send,
    Subscribe,
)
from lastseen.events import Entry, Event, StateSnapshot, StatusChanged
from lastseen.mechanisms import Mechanisms
from lastseen.position import Position
from lastseen.replica import Replica
from lastseen.secret import Secret
from lastseen.states import ScopeState

__all__ = ["KEY", "Driver", "Fetch", "Login", "Socket", "Violation", "frame", "payload_of"]

KEY = "0123456789abcdef0123456789abcdef"
CHANNELS = ("fixtures", "scores", "odds")

ABNORMAL = End(code=1006, reason="gone")


class Violation(AssertionError):  # noqa: N818 - a verdict, not an error
    """The session broke a rule; the text says which."""


def stamp(version: int) -> str:
    """An `updatedAt` that sorts like the version it stands for."""
    return f"2026-01-01T00:00:{version // 1_000_000:02}.{version % 1_000_000:06}+00:00"


def payload_of(
    channel: str, fixture: str, key: str, version: int, *, active: bool = True, status: int = 1
) -> dict[str, Any]:
    """The payload of one unit in one version; `n` carries the version everywhere."""
    if channel == "scores":
        return {
            "fixtureId": fixture,
            "scores": {key: {"n": version, "updatedAt": stamp(version)}},
        }
    if channel == "odds":
        row = {"n": version, "active": active, "changedAt": version}
        return {"fixtureId": fixture, "odds": {"book": {key: row}}}
    if channel == "fixtures":
        return {"fixtureId": fixture, "n": version, "status": {"statusId": status}}
    return {"fixtureId": fixture, "n": version}


def frame(**members: Any) -> str:
    """A text frame."""
    return json.dumps(members)


@attrs.define(eq=False)
class Login:
    """What a login frame said."""

    at: float
    socket: int
    epoch: str | None
    cursors: dict[str, str]
    channels: tuple[str, ...]


@attrs.define(eq=False)
class Socket:
    """One connection as the network sees it."""

    number: int
    at: float
    state: str = "connecting"
    login: Login | None = None
    promoted: bool = False
    closed_at: float | None = None
    deaf: bool = False
    """Nothing gets through any more, and nobody says so."""
    queue: deque[str | bytes] = attrs.field(factory=deque[str | bytes])


@attrs.define(eq=False)
class Fetch:
    """A fetch under way."""

    number: int
    requests: tuple[Request, ...]
    at: float
    step: int
    deadline: float
    answer: tuple[HttpResponse, ...] | SnapshotFault | None = None

    @property
    def path(self) -> str:
        return self.requests[0].path

    @property
    def fixture(self) -> str | None:
        found = [value for name, value in self.requests[0].query if name == "fixtureId"]
        return str(found[0]) if found else None


@attrs.define(eq=False)
class Driver:
    """The driver of one session, its network and its application."""

    channels: tuple[str, ...] = CHANNELS
    options: SessionOptions = attrs.field(factory=SessionOptions)
    mechanisms: Mechanisms = attrs.field(factory=Mechanisms)
    seed: int = 0
    now: float = 1000.0
    closing_takes_s: float = 2.0
    session: Session = attrs.field(init=False)
    replica: Replica = attrs.field(init=False)
    sockets: dict[int, Socket] = attrs.field(init=False, factory=dict[int, Socket])
    """Those whose end has not been reported."""
    fetches: dict[int, Fetch] = attrs.field(init=False, factory=dict[int, Fetch])
    cancelled: dict[int, Fetch] = attrs.field(init=False, factory=dict[int, Fetch])
    commits: dict[int, Position] = attrs.field(init=False, factory=dict[int, Position])
    connects: list[float] = attrs.field(init=False, factory=list[float])
    logins: list[Login] = attrs.field(init=False, factory=list[Login])
    requests: list[tuple[float, str, int]] = attrs.field(
        init=False, factory=list[tuple[float, str, int]]
    )
    """When, which path, how many."""
    events: list[Event] = attrs.field(init=False, factory=list[Event])
    taken: deque[Event] = attrs.field(init=False, factory=deque[Event])
    """Given to the application and not looked at."""
    applied: deque[Event] = attrs.field(init=False, factory=deque[Event])
    """Looked at and not acknowledged."""
    claims: dict[tuple[str, str | None], ScopeState] = attrs.field(
        init=False, factory=dict[tuple[str, str | None], ScopeState]
    )
    promoted: int | None = attrs.field(init=False, default=None)
    """The last connection whose login was accepted."""
    steps: int = attrs.field(init=False, default=0)
    answers_pings: bool = True
    _pongs: list[int] = attrs.field(init=False, factory=list[int])

    def __attrs_post_init__(self) -> None:
        self.replica = self.empty_replica()
        self._make_session(self.seed)

    def empty_replica(self) -> Replica:
        subscription = Subscription(channels=self.channels, sport_ids=(10,))
        return Replica(OddsPapi(subscription=subscription, key=Secret(KEY)))

    def reborn(self, replica: Replica) -> None:
        """The process died; another one starts with this state and has yet to begin."""
        self.replica = replica
        self._make_session(self.seed + self.steps)
        for memory in (
            self.sockets,
            self.fetches,
            self.cancelled,
            self.commits,
            self.taken,
            self.applied,
            self.claims,
        ):
            memory.clear()
        self.promoted = None

    def _make_session(self, seed: int) -> None:
        dialect = self.replica.dialect
        assert isinstance(dialect, OddsPapi)
        self.session = Session(dialect, random.Random(seed), self.options, self.mechanisms)

    # The loop.

    def begin(self, position: Position | None = None, bases: Iterable[Any] = ()) -> None:
        self.call(lambda: self.session.handle_begin(position, tuple(bases), now=self.now))

    def call(self, handle: Callable[[], None]) -> None:
        """One handle, then every effect; then a look from outside."""
        self.steps += 1
        handle()
        self._drain()
        while self._pongs:
            number = self._pongs.pop()
            self.session.handle_alive(number, now=self.now)
            self._drain()
        self.check()

    def check(self) -> None:
        """Looked at after each step; a test may add to it."""

    def _drain(self) -> None:
        for effect in self.session.poll_effects():
            match effect:
                case Connect():
                    if any(
                        s.state == "connecting" or (s.login is None and s.state == "open")
                        for s in self.sockets.values()
                    ):
                        raise Violation("S15: a second connect while one is under way")
                    self.connects.append(self.now)
                    self.sockets[effect.connection] = Socket(effect.connection, self.now)
                    if len(self.sockets) > self.options.connection_limit:
                        raise Violation("S14: more sockets than the limit")
                case Send():
                    self._sent(self.sockets[effect.connection], effect.text.reveal())
                case Close():
                    socket = self.sockets[effect.connection]
                    socket.state = "closing"
                    socket.closed_at = self.now
                case Ping():
                    socket = self.sockets[effect.connection]
                    if self.answers_pings and not socket.deaf:
                        self._pongs.append(effect.connection)
                case FetchSnapshot():
                    fetch = Fetch(
                        effect.fetch,
                        effect.requests,
                        self.now,
                        self.steps,
                        self.now + effect.timeout_s,
                    )
                    self.fetches[effect.fetch] = fetch
                    self.requests.append((self.now, fetch.path, len(fetch.requests)))
                    self.fetch_began(fetch)
                case CancelFetch():
                    self.cancelled[effect.fetch] = self.fetches.pop(effect.fetch)
                case Commit():
                    self.commits[effect.commit] = effect.position
                    self.commit_began(effect.commit, effect.position)
                case Subscribe() | FetchToken():
                    raise AssertionError("an effect of a stream over HTTP")

    def _sent(self, socket: Socket, text: str) -> None:
        value = json.loads(text)
        if socket.login is not None or value["type"] != "login":
            raise Violation("S15: not exactly one login a socket")
        socket.login = Login(
            self.now,
            socket.number,
            value.get("serverEpoch"),
            value.get("lastSeenId", {}),
            tuple(value["channels"]),
        )
        self.logins.append(socket.login)
        self.login_sent(socket.login)

    def login_sent(self, login: Login) -> None:
        """A hook for models."""

    def fetch_began(self, fetch: Fetch) -> None:
        """A hook for models."""

    def commit_began(self, number: int, position: Position) -> None:
        """A hook for models: the state of this moment is to become durable with the position."""

    def made_durable(self, number: int, position: Position) -> None:
        """A hook for models."""

    def saw(self, event: Event) -> None:
        """A hook for models: the application was given an event."""

    def pass_time(self, seconds: float) -> None:
        """Lets virtual time pass, waking the session whenever it asked for it."""
        end = self.now + seconds
        for _ in range(100_000):
            moment, act = self._next()
            if moment is None or moment > end:
                break
            self.now = max(self.now, moment)
            act()
        else:
            raise Violation("the session keeps asking to be woken")
        self.now = end

    def _next(self) -> tuple[float | None, Callable[[], None]]:
        moments: list[tuple[float, int, Callable[[], None]]] = []
        for socket in self.sockets.values():
            number = socket.number
            if socket.state == "connecting":
                moments.append(
                    (
                        socket.at + self.options.connect_timeout_s,
                        number,
                        lambda n=number: self.drop(n, End(reason="timed out")),  # type: ignore[misc]
                    )
                )
            elif socket.closed_at is not None:
                moments.append(
                    (
                        socket.closed_at + self.closing_takes_s,
                        number,
                        lambda n=number: self.drop(n, End(code=1000)),  # type: ignore[misc]
                    )
                )
        for fetch in self.fetches.values():
            moments.append(
                (
                    fetch.deadline,
                    1000 + fetch.number,
                    lambda f=fetch: self.respond(f, SnapshotFault(reason="timed out")),  # type: ignore[misc]
                )
            )
        deadline = self.session.poll_deadline()
        if deadline is not None:
            moments.append((max(deadline.at, self.now), 1 << 40, self.wake))
        if not moments:
            return None, lambda: None
        moment, _, act = min(moments, key=lambda item: item[:2])
        return moment, act

    def wake(self) -> None:
        self.call(lambda: self.session.handle_deadline(now=self.now))
        deadline = self.session.poll_deadline()
        if deadline is not None and deadline.at <= self.now:
            raise Violation(f"S20: woken at {self.now}, still wants to be woken: {deadline}")

    # The network.

    def latest(self, *states: str) -> Socket | None:
        found = [s for s in self.sockets.values() if s.state in (states or ("open",))]
        return found[-1] if found else None

    def open(self) -> Socket:
        """The socket that is connecting is connected."""
        socket = self.latest("connecting")
        assert socket is not None, "nothing is connecting"
        socket.state = "open"
        self.call(lambda: self.session.handle_opened(socket.number, now=self.now))
        return socket

    def give(self, number: int, frames: Sequence[str | bytes]) -> None:
        """Frames arrive on a socket."""
        socket = self.sockets[number]
        for text in frames:
            if (
                isinstance(text, str)
                and '"login_ok"' in text
                and socket.state == "open"
                and socket.login is not None
                and not socket.promoted
            ):
                socket.promoted = True
                self.promoted = number
        self.call(lambda: self.session.handle_frames(number, frames, now=self.now))

    def drop(self, number: int | None = None, end: End = ABNORMAL) -> None:
        """A socket is gone, or a connect failed."""
        if number is None:
            number = self.owner().number
        del self.sockets[number]
        self.call(lambda: self.session.handle_closed(number, end, now=self.now))

    def owner(self) -> Socket:
        """The newest socket that is open."""
        socket = self.latest("open")
        assert socket is not None, "no socket is open"
        return socket

    def respond(self, fetch: Fetch, answer: tuple[HttpResponse, ...] | SnapshotFault) -> None:
        """A fetch is answered; also one that was cancelled, as a careless driver might."""
        self.fetches.pop(fetch.number, None)
        self.call(lambda: self.session.handle_snapshot(fetch.number, answer, now=self.now))

    def commit_done(self, *, ok: bool = True) -> None:
        """The store answers the commit under way."""
        for number in list(self.commits):
            position = self.commits.pop(number)
            if ok:
                self.made_durable(number, position)
            trouble = None if ok else "disk full"
            self.call(
                lambda n=number, t=trouble: self.session.handle_committed(  # type: ignore[misc]
                    n, trouble=t, now=self.now
                )
            )

    # The application.

    def take(self, limit: int = 1024) -> int:
        """The application is given up to so many events."""
        events = self.session.poll_events(limit)
        for event in events:
            self.events.append(event)
            self.taken.append(event)
            self.saw(event)
        self.check()
        return len(events)

    def apply(self, count: int = 1 << 30) -> None:
        """The application acts on events it was given, without saying so."""
        for _ in range(min(count, len(self.taken))):
            event = self.taken.popleft()
            self.replica.apply(event)
            if isinstance(event, StatusChanged):
                self.claims[event.channel, event.entity] = event.state
            if isinstance(event, StateSnapshot) and event.entities is not None:
                for name in [n for n in self.claims if n[0] == event.channel]:
                    if name[1] is not None and name[1] not in event.entities:
                        del self.claims[name]
            self.applied.append(event)
            self.looked(event)
        self.check()

    def looked(self, event: Event) -> None:
        """A hook for models: the application acted on an event."""

    def acknowledge(self, count: int = 1 << 30) -> None:
        """The application says that it is done with events it acted on."""
        if not self.applied or count < 1:
            return
        for _ in range(min(count, len(self.applied))):
            event = self.applied.popleft()
        foretold = self.session.position_after(event)
        self.call(lambda: self.session.handle_processed(event, now=self.now))
        if self.session.position != foretold:
            raise Violation("R6: the position after an event is not the one that was foretold")

    def finish_all(self) -> None:
        """The application takes, acts on and acknowledges everything there is."""
        while self.session.waiting or self.taken or self.applied:
            if not self.take() and not self.taken and not self.applied:
                break
            self.apply()
            self.acknowledge()

    def reject(self, entry: Entry) -> None:
        """The application cannot use the entry that is next for it."""
        while self.applied:
            self.acknowledge()
        assert self.taken.popleft() is entry
        self.call(lambda: self.session.handle_rejected(entry, now=self.now))

    # What is seen.

    def state(self) -> dict[str, int]:
        """The application's state as versions by unit key."""
        return {key: value["n"] for key, value in self.replica.state().items()}

    def channel_state(self, channel: str) -> ScopeState:
        return self.session.status().channel(channel).state

    @property
    def cursors(self) -> Mapping[str, str]:
        return dict(self.session.position.cursors)
