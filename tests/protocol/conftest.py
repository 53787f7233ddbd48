"""A session on a stage: virtual time, a scripted peer, and an application that can be slow."""

import json
import random
from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, settings

from lastseen import (
    AnomalyCode,
    CancelFetch,
    Close,
    Commit,
    Connect,
    Discarded,
    End,
    Entry,
    Event,
    FetchSnapshot,
    HttpResponse,
    OddsPapi,
    Ping,
    Position,
    Replica,
    ScopeKey,
    ScopeState,
    Secret,
    Send,
    Session,
    SessionOptions,
    SnapshotFault,
    StateSnapshot,
    StatusChanged,
    Stopped,
    Subscription,
    Why,
)

# A busy machine is no fault of the code under test.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

KEY = "00112233445566778899aabbccddeeff"


@attrs.define(eq=False)
class Stage:
    """Feeds one `Session` by hand; after every step checks conservation and single flight.

    `greedy` lets the application take and finish everything at once, `polite` lets sockets close as
    soon as we ask, `lively` answers pings, `durable` is what the store says to commits.
    """

    channels: tuple[str, ...] = ("scores",)
    options: SessionOptions = attrs.field(factory=lambda: SessionOptions(report_discarded=True))
    greedy: bool = True
    polite: bool = True
    lively: bool = True
    durable: bool | None = True
    begin: bool = True
    restored: Position | None = None
    bases: tuple[ScopeKey, ...] = ()
    seed: int = 1
    bookmakers: tuple[str, ...] = ()
    scores: dict[str, int] = attrs.field(factory=dict[str, int])
    """What REST says: the score of each listed fixture."""
    odds: dict[str, int] = attrs.field(factory=dict[str, int])
    now: float = 0.0
    session: Session = attrs.field(init=False)
    replica: Replica = attrs.field(init=False)
    events: list[Event] = attrs.field(init=False, factory=list[Event])
    connects: list[tuple[float, int]] = attrs.field(init=False, factory=list[tuple[float, int]])
    logins: list[dict[str, Any]] = attrs.field(init=False, factory=list[dict[str, Any]])
    closes: list[Close] = attrs.field(init=False, factory=list[Close])
    pings: list[float] = attrs.field(init=False, factory=list[float])
    fetches: dict[int, FetchSnapshot] = attrs.field(init=False, factory=dict[int, FetchSnapshot])
    """Asked for and neither answered nor cancelled."""
    fetched_at: list[float] = attrs.field(init=False, factory=list[float])
    commits: list[Commit] = attrs.field(init=False, factory=list[Commit])
    dialling: int | None = attrs.field(init=False, default=None)
    sockets: set[int] = attrs.field(init=False, factory=set[int])
    """Asked for by Connect and not yet reported as ended."""

    def __attrs_post_init__(self) -> None:
        dialect = self.dialect()
        self.session = Session(dialect, random.Random(self.seed), self.options)
        self.replica = Replica(dialect)
        if self.begin:
            self.session.handle_begin(self.restored, self.bases, now=self.now)
            self.drain()

    def dialect(self, **changes: Any) -> OddsPapi:
        asked: dict[str, Any] = {
            "channels": self.channels, "sport_ids": (10,), "bookmakers": self.bookmakers,
        }  # fmt: skip
        return OddsPapi(subscription=Subscription(**{**asked, **changes}), key=Secret(KEY))

    # Frames.

    @staticmethod
    def login_ok(
        epoch: str | None = "E1",
        *,
        heads: Mapping[str, str] | None = None,
        replay: Any = ("fixtures", "scores"),
        **members: Any,
    ) -> str:
        resume: dict[str, Any] = {"serverEpoch": epoch, "resumeWindowMs": 60000}
        resume["serverEntryIds"] = heads or {}
        if replay is not None:
            resume["replayChannels"] = replay
        return json.dumps({"type": "login_ok", "resume": resume, **members})

    @staticmethod
    def update(
        entry_id: Any, channel: str = "scores", *, fixture: str = "A", value: int | None = None
    ) -> str:
        """An update whose value is, unless given, the sequence number in its id."""
        if value is None:
            value = int(str(entry_id).rpartition("-")[2])
        payload = {"fixtureId": fixture, **Stage.unit(channel, fixture, value)}
        frame = {"channel": channel, "type": "UPDATE", "ts": 1, "payload": payload}
        return json.dumps(frame if entry_id is None else {**frame, "entryId": entry_id})

    @staticmethod
    def unit(channel: str, fixture: str, value: int) -> dict[str, Any]:
        if channel == "scores":
            return {"scores": {"p1": {"period": "p1", "participant1Score": value}}}
        if channel == "odds":
            row = {"price": value, "active": True}
            return {"odds": {"pin": {f"{fixture}:pin:1:0": row}}}
        if channel == "bookmakers":
            return {"bookmakers": {"pin": {"bookmaker": "pin", "hasOdds": bool(value)}}}
        return {"startTime": value}

    @staticmethod
    def rc(epoch: str = "E1") -> str:
        return json.dumps({"type": "resume_complete", "serverEpoch": epoch})

    @staticmethod
    def sr(
        channels: Any = ("scores",),
        *,
        epoch: str | None = "E1",
        reason: Any = "resume_window_exceeded",
        heads: Mapping[str, str] | None = None,
    ) -> str:
        frame = {"type": "snapshot_required", "reason": reason, "channels": channels,
                 "serverEpoch": epoch, "serverEntryIds": heads}  # fmt: skip
        return json.dumps({name: value for name, value in frame.items() if value is not None})

    @staticmethod
    def move(reason: Any = "server_upgrade") -> str:
        return json.dumps({"type": "reconnect", "reason": reason})

    @staticmethod
    def error(code: str, message: str = "") -> str:
        return json.dumps({"type": "error", "error": code, "message": message})

    # What happens.

    def open(self) -> int:
        """The next connection opens (waiting for its moment) and sends its login."""
        self.dial()
        number = self.dialling
        assert number is not None
        self.dialling = None
        self.session.handle_opened(number, now=self.now)
        self.drain()
        return number

    def dial(self, *, within: float = 3600.0) -> None:
        """Waits until the session wants a connection."""
        end = self.now + within
        while self.dialling is None:
            deadline = self.session.poll_deadline()
            assert deadline is not None, "nothing is armed"
            assert deadline.at <= end, "no connection is wanted in time"
            self.step(deadline.at)

    def log_in(self, epoch: str | None = "E1", *more: str, **login_ok: Any) -> int:
        number = self.open()
        self.hear(number, self.login_ok(epoch, **login_ok), *more)
        return number

    def sync(self, epoch: str = "E1", *more: str, **login_ok: Any) -> int:
        """Logs in, answers every snapshot, and lets the verification pass."""
        number = self.log_in(epoch, *more, **login_ok)
        self.settle(20.0)
        assert self.session.status().synced
        self.fetched_at.clear()
        return number

    def settle(self, seconds: float) -> None:
        """Time passes while REST answers at once."""
        end = self.now + seconds
        self.serve()
        while (deadline := self.session.poll_deadline()) is not None and deadline.at <= end:
            self.step(deadline.at)
            self.serve()
        self.step(end)
        self.serve()

    def hear(self, number: int, *frames: str | bytes) -> None:
        self.session.handle_frames(number, frames, now=self.now)
        self.drain()

    def drop(self, number: int, code: int | None = 1006, **end: Any) -> None:
        if self.dialling == number:
            self.dialling = None
        self.sockets.discard(number)
        self.session.handle_closed(number, End(code=code, **end), now=self.now)
        self.drain()

    def wait(self, seconds: float) -> None:
        """Time passes; every deadline on the way is kept."""
        end = self.now + seconds
        while (deadline := self.session.poll_deadline()) is not None and deadline.at <= end:
            self.step(deadline.at)
        self.step(end)

    def step(self, moment: float) -> None:
        """Wakes the session at one moment, whatever it asked for."""
        self.now = max(self.now, moment)
        self.session.handle_deadline(now=self.now)
        self.drain()

    # REST.

    def wait_for_fetch(self, *, within: float = 600.0) -> None:
        """Waits until a snapshot is under way."""
        end = self.now + within
        while not self.fetches:
            deadline = self.session.poll_deadline()
            assert deadline is not None, "nothing is armed"
            assert deadline.at <= end, "no snapshot is wanted in time"
            self.step(deadline.at)

    def serve_roster(self, body: bytes | None = None) -> None:
        """Answers the one list of fixtures that is under way."""
        (number,) = (n for n, f in self.fetches.items() if f.requests[0].path == "/fixtures")
        self.answer(number, body=body)

    def serve(self, *, as_of: str | None = None, **answer: Any) -> int:
        """Answers every fetch under way, as of now; returns how many."""
        served = 0
        while self.fetches:
            self.answer(min(self.fetches), as_of=as_of, **answer)
            served += 1
            assert served < 1000
        return served

    def answer(
        self,
        fetch: int,
        *,
        status: int = 200,
        body: bytes | None = None,
        headers: Iterable[tuple[str, str]] = (),
        kind: str = "application/json",
        as_of: str | None = None,
    ) -> None:
        asked = self.fetches.pop(fetch)
        common = [("content-type", kind), *headers]
        if as_of is not None:
            common.append(("x-as-of", as_of))
        answers = tuple(
            HttpResponse(
                status=status,
                headers=tuple(common),
                body=body if body is not None else self.body(request),
            )
            for request in asked.requests
        )
        self.session.handle_snapshot(fetch, answers, now=self.now)
        self.drain()

    def fail(self, fetch: int, reason: str = "connection reset") -> None:
        del self.fetches[fetch]
        self.session.handle_snapshot(fetch, SnapshotFault(reason=reason), now=self.now)
        self.drain()

    def body(self, request: Any) -> bytes:
        """What REST says at this moment."""
        if request.path == "/fixtures/odds":
            fixture = dict(request.query)["fixtureId"]
            row: dict[str, Any] = {"fixtureId": fixture, "odds": {}, "bookmakers": {}}
            if fixture in self.odds:
                row |= self.unit("odds", fixture, self.odds[fixture])
            return json.dumps(row).encode()
        fixtures = {**dict.fromkeys(self.odds), **self.scores}
        return json.dumps(
            [
                {
                    "fixtureId": fixture, "sport": {"sportId": 10}, "status": {"statusId": 1},
                    **(self.unit("scores", fixture, score) if score is not None else {"scores": {}})
                }
                for fixture, score in fixtures.items()
            ]
        ).encode()  # fmt: skip

    # The application.

    def take(self, limit: int = 10_000) -> list[Event]:
        """Takes events without finishing them."""
        events = self.session.poll_events(limit)
        self.events.extend(events)
        return events

    def finish(self, event: Event) -> None:
        self._process(event)
        self.drain()

    def _process(self, event: Event) -> None:
        foretold = self.session.position_after(event)
        self.session.handle_processed(event, now=self.now)
        assert self.session.position == foretold

    def consume(self, limit: int = 10_000) -> list[Event]:
        """Takes, applies and finishes events."""
        events = self.take(limit)
        for event in events:
            self.replica.apply(event)
            self._process(event)
        self.drain()
        return events

    # What came of it.

    def drain(self) -> None:
        while effects := self.session.poll_effects():
            for effect in effects:
                self._obey(effect)
        if self.greedy and self.session.waiting:
            self.consume()
        for name, row in self.session.counters().items():
            assert row.conserved, (name, row)
        self._check_alive()

    def _obey(self, effect: Any) -> None:
        match effect:
            case Connect():
                assert self.dialling is None, "two connects outstanding"
                self.dialling = effect.connection
                self.sockets.add(effect.connection)
                self.connects.append((self.now, effect.connection))
            case Send():
                self.logins.append(json.loads(effect.text.reveal()))
            case Ping():
                self.pings.append(self.now)
                if self.lively:
                    self.session.handle_alive(effect.connection, now=self.now)
            case Close():
                self.closes.append(effect)
                if self.dialling == effect.connection:
                    self.dialling = None
                if self.polite:
                    self.sockets.discard(effect.connection)
                    end = End(code=effect.code)
                    self.session.handle_closed(effect.connection, end, now=self.now)
            case FetchSnapshot():
                self.fetches[effect.fetch] = effect
                self.fetched_at.append(self.now)
            case CancelFetch():
                self.fetches.pop(effect.fetch, None)
            case Commit():
                self.commits.append(effect)
                if self.durable is not None:
                    trouble = None if self.durable else "disk full"
                    self.session.handle_committed(effect.commit, trouble=trouble, now=self.now)
            case _:
                raise AssertionError(effect)

    def _check_alive(self) -> None:
        """INV-S20: stopped, or woken by a deadline, or somebody else owes an answer."""
        alive = self.session.poll_deadline() or self.fetches or self.sockets
        assert self.session.finished or self.session.status().stopped or alive or not self.begin

    @property
    def applied(self) -> list[str | None]:
        """The ids of the entries the application was given, in order."""
        return [event.id for event in self.events if isinstance(event, Entry)]

    def discarded(self, why: Why) -> list[str | None]:
        return [e.id for e in self.events if isinstance(e, Discarded) and e.why is why]

    @property
    def snapshots(self) -> list[StateSnapshot]:
        return [event for event in self.events if isinstance(event, StateSnapshot)]

    def said(self, channel: str = "scores", entity: str | None = None) -> list[ScopeState]:
        """The states the application was told of one scope, in order."""
        return [
            event.state
            for event in self.events
            if isinstance(event, StatusChanged)
            and (event.channel, event.entity) == (channel, entity)
        ]

    @property
    def stopped(self) -> Stopped | None:
        return next((event for event in self.events if isinstance(event, Stopped)), None)

    def is_over(self) -> bool:
        return self.session.finished

    def state(self, channel: str = "scores") -> ScopeState:
        return self.session.status().channel(channel).state

    def cursor(self, channel: str = "scores") -> str | None:
        return self.session.position.cursor(channel)

    def anomalies(self, code: AnomalyCode) -> int:
        return sum(n for (kind, _), n in self.session.anomalies().items() if kind is code)

    def score(self, fixture: str = "A") -> int | None:
        unit = self.replica.state().get(f"scores/{fixture}/p1")
        return None if unit is None else unit["participant1Score"]

    def price(self, fixture: str = "A") -> int | None:
        unit = self.replica.state().get(f"odds/{fixture}/pin/{fixture}:pin:1:0")
        return None if unit is None else unit["price"]

    def sent(self, login: int = -1) -> Any:
        """The cursors of a login."""
        return self.logins[login].get("lastSeenId")


@pytest.fixture(scope="session")
def stage() -> type[Stage]:
    """The class: each test sets its own stage."""
    return Stage
