"""A stream of a wire of our own, and a stage on which a session of it plays: time, peer, reader.

Its records are lines of JSON that say plainly what a session may be told, so that schedules read as
they happen. The stage checks conservation and the caps after every step.
"""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from lastseen import Entry, Event, Failure, Mechanisms, Position, Replica, ScopeKey, Secret
from lastseen.accounts import Account, Bearer, TokenFault
from lastseen.dialect import End
from lastseen.effects import Close, Commit, Connect, FetchToken, StreamRequest, Subscribe
from lastseen.errors import PayloadError
from lastseen.events import Gap, StateSnapshot, StatusChanged
from lastseen.options import StreamOptions
from lastseen.stream_dialect import Base
from lastseen.stream_messages import (
    Heartbeat,
    Malformed,
    PeerError,
    StreamEntry,
    StreamMessage,
    StreamSnapshot,
    StreamUpdate,
)
from lastseen.stream_session import StreamSession

__all__ = ["Stage", "Toy", "error", "heartbeat", "snapshot", "update"]


def snapshot(rows: Mapping[str, int | None], **beside: Any) -> bytes:
    """The whole state; the values are how far along each unit is, None when it does not say."""
    return _line({"snapshot": dict(rows), **beside})


def update(*entries: tuple[str | None, str | None, int | None], **beside: Any) -> bytes:
    """Entries as (id, unit, progress)."""
    return _line({"update": [list(entry) for entry in entries], **beside})


def heartbeat(**beside: Any) -> bytes:
    return _line({"heartbeat": True, **beside})


def error(code: int, **beside: Any) -> bytes:
    return _line({"error": code, **beside})


def _line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


@attrs.define(eq=False)
class Lines:
    """Cuts at line ends."""

    fault: str | None = None
    ended: bool = False
    _rest: bytes = b""

    def feed(self, data: bytes) -> list[bytes]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > 100_000:
            self.fault = "a record without an end"
        return [line for line in lines if line]


@attrs.frozen
class Toy:
    """The wire: which base it has, and whether it has tokens."""

    base: Base = Base.SNAPSHOT
    has_tokens: bool = False
    units_asked: frozenset[str] | None = None
    tells_events: bool = True
    name: str = "toy"
    channel: str = "orders"
    identity: str = "orders"

    def request(self, *, token: Secret | None, bearer: Secret | None) -> StreamRequest:
        body = {} if token is None else {"token": token.reveal()}
        headers: list[tuple[str, str | Secret]] = [("Content-Type", "application/json")]
        if bearer is not None:
            headers.append(("Authorization", Secret(f"Bearer {bearer.reveal()}")))
        return StreamRequest(path="/orders", headers=tuple(headers), body=Secret(json.dumps(body)))

    def reader(self, content_type: str | None) -> Lines:
        del content_type
        return Lines()

    def decode(self, record: bytes) -> StreamMessage:
        try:
            value = json.loads(record)
            return StreamMessage(
                body=self._body(value),
                token=Secret(value["token"]) if "token" in value else None,
                session_id=value.get("session"),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as wrong:
            return StreamMessage(body=Malformed(detail=type(wrong).__name__))

    def _body(self, value: Any) -> Any:
        if "snapshot" in value:
            rows = value["snapshot"]
            at = value.get("at")
            return StreamSnapshot(
                rows=dict(rows),
                progress={u: (p,) for u, p in rows.items() if p is not None},
                taken_at=None if at is None else (at,),
                last=value.get("last", True),
            )
        if "update" in value:
            return StreamUpdate(entries=tuple(self._entry(*one) for one in value["update"]))
        if "heartbeat" in value:
            return Heartbeat()
        return PeerError(code=value["error"], message="as told")

    def _entry(self, name: str | None, unit: str | None, progress: int | None) -> StreamEntry:
        return StreamEntry(
            channel=self.channel,
            id=name,
            raw=json.dumps([name, unit, progress]).encode(),
            identity=() if name is None else (name,),
            unit=unit,
            progress=None if progress is None else (progress,),
        )

    def classify(self, end: End | PeerError, *, token_sent: bool) -> Failure:
        if isinstance(end, PeerError):
            code = end.code
        else:
            code = {400: 3, 401: 16, 403: 7, 429: 8}.get(end.http_status or 0, 14)
            if end.http_status is not None and 300 <= end.http_status < 400:
                return Failure.NOT_A_FEED
        if code in (3, 5, 9, 11) and token_sent:
            return Failure.RESUME_REFUSED
        return {
            3: Failure.REJECTED,
            7: Failure.REJECTED,
            8: Failure.LIMIT,
            16: Failure.UNAUTHENTICATED,
        }.get(int(code or 0), Failure.TRANSIENT)

    def retry_after_s(self, end: End | PeerError) -> float | None:
        return end.retry_after_s if isinstance(end, End) else None

    def redact(self, text: str) -> str:
        return text

    def units(self, entry: Entry) -> Mapping[str, Any]:
        assert isinstance(entry, StreamEntry)
        if b"unreadable" in bytes(entry.raw):
            raise PayloadError("unreadable")
        if entry.unit is None:
            return {}
        return {entry.unit: json.loads(entry.raw)[2]}

    def stamp(self, channel: str, value: Any) -> Any:
        del channel, value

    def view(self, units: Mapping[str, Any]) -> dict[str, Any]:
        return dict(units)


@attrs.define(eq=False)
class Stage:
    """One session, its peer and its application, in virtual time."""

    dialect: Any = attrs.field(factory=Toy)
    options: StreamOptions = attrs.field(factory=StreamOptions)
    account: Account = attrs.field(factory=Account)
    mechanisms: Mechanisms = attrs.field(factory=Mechanisms)
    seed: int = 1
    key: Secret | None = None
    anonymous: bool = True
    now: float = 0.0
    session: StreamSession = attrs.field(init=False)
    sockets: set[int] = attrs.field(init=False, factory=set)
    """Connecting or connected; a socket that was told to close stays until `gone`."""
    closing: set[int] = attrs.field(init=False, factory=set)
    connects: list[tuple[float, int]] = attrs.field(init=False, factory=list)
    requests: list[tuple[int, dict[str, Any], StreamRequest]] = attrs.field(
        init=False, factory=list
    )
    fetches: list[int] = attrs.field(init=False, factory=list)
    commits: list[Commit] = attrs.field(init=False, factory=list)
    events: list[Event] = attrs.field(init=False, factory=list)
    """All that the application was given."""
    replica: Replica = attrs.field(init=False)
    answers: bool = True
    """Whether the application is done with what it is given at once."""
    takes: bool = True

    def __attrs_post_init__(self) -> None:
        self.session = StreamSession(
            self.dialect,
            random.Random(self.seed),
            self.options,
            self.account,
            self.mechanisms,
            key=self.key,
            anonymous=self.anonymous,
        )
        self.replica = Replica(self.dialect)

    # Steps.

    def begin(self, position: Position | None = None, bases: Iterable[ScopeKey] = ()) -> "Stage":
        self.session.handle_begin(position, frozenset(bases), now=self.now)
        return self.settle()

    def settle(self) -> "Stage":
        for effect in self.session.poll_effects():
            match effect:
                case Connect():
                    self.sockets.add(effect.connection)
                    self.connects.append((self.now, effect.connection))
                case Subscribe():
                    body = json.loads(effect.request.body.reveal())
                    self.requests.append((effect.connection, body, effect.request))
                case Close():
                    self.closing.add(effect.connection)
                case FetchToken():
                    self.fetches.append(effect.fetch)
                case Commit():
                    self.commits.append(effect)
                case _:
                    raise AssertionError(effect)
        if self.takes:
            self.take()
        row = self.session.counters()[self.dialect.channel]
        assert row.conserved, row
        return self

    def take(self, limit: int = 1000) -> list[Event]:
        given = self.session.poll_events(limit)
        self.events.extend(given)
        if self.answers:
            for event in given:
                self.replica.apply(event)
            if given:
                self.session.handle_processed(given[-1], now=self.now)
                self.settle()
        return given

    def advance(self, seconds: float) -> "Stage":
        """Lets time pass, waking the session when it asked for it."""
        until = self.now + seconds
        for _ in range(10_000):
            deadline = self.session.poll_deadline()
            if deadline is None or deadline.at > until:
                break
            self.now = max(self.now, deadline.at)
            self.session.handle_deadline(now=self.now)
            self.settle()
        else:
            raise AssertionError(f"busy at {self.now}: {self.session.poll_deadline()}")
        self.now = until
        return self

    def open(self, wait_s: float = 120.0) -> int:
        """Lets the next connection come up and send its request; returns its number."""
        before = len(self.connects)
        waited = 0.0
        while not (fresh := self.sockets - self.closing - {n for n, *_ in self.requests}):
            assert waited <= wait_s, "no connection is asked for"
            self.advance(0.25)
            waited += 0.25
        del before
        number = max(fresh)
        self.session.handle_opened(number, now=self.now)
        self.settle()
        return number

    def answer(self, number: int) -> None:
        self.session.handle_answered(number, "application/json", now=self.now)
        self.settle()

    def serve(self, *records: bytes) -> int:
        """Opens, answers and sends; returns the connection."""
        number = self.open()
        self.answer(number)
        if records:
            self.send(number, *records)
        return number

    def send(self, number: int, *records: bytes) -> "Stage":
        self.session.handle_frames(number, [b"".join(records)], now=self.now)
        return self.settle()

    def drop(self, number: int, end: End | None = None) -> "Stage":
        """The socket is gone."""
        self.sockets.discard(number)
        self.closing.discard(number)
        self.session.handle_closed(number, end or End(reason="the body was cut"), now=self.now)
        return self.settle()

    def gone(self) -> "Stage":
        """Whatever was told to close is gone."""
        for number in sorted(self.closing):
            self.drop(number)
        return self

    def give_token(self, answer: Bearer | TokenFault | None = None) -> "Stage":
        fetch = self.fetches.pop(0)
        bearer = answer or Bearer(token=Secret(f"bearer-{fetch}"), lives_s=180.0)
        self.session.handle_token(fetch, bearer, now=self.now)
        return self.settle()

    # What was seen.

    @property
    def state(self) -> str:
        return self.session.status().state.value

    def view(self) -> dict[str, Any]:
        return self.replica.state()

    def told(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def ids(self) -> list[str | None]:
        return [entry.id for entry in self.told(StreamEntry)]

    @property
    def states(self) -> list[str]:
        return [event.state.value for event in self.told(StatusChanged)]

    @property
    def gaps(self) -> list[str]:
        return [event.reason.value for event in self.told(Gap)]

    @property
    def bases(self) -> list[Mapping[str, Any]]:
        return [event.rows for event in self.told(StateSnapshot)]

    def sent(self) -> Sequence[str | None]:
        """The token of each request."""
        return [body.get("token") for _, body, _ in self.requests]
