"""A client of OddsPapi: a session with positions, a replica, and a disk that keeps both."""

import random
from functools import partial
from typing import Final, final

import attrs

from lastseen.dialect import HttpResponse, SnapshotFault
from lastseen.dialects.oddspapi import OddsPapi, Subscription
from lastseen.effects import CancelFetch, Commit, Effect, FetchSnapshot, Request
from lastseen.errors import PayloadError
from lastseen.events import Entry, Event, StateSnapshot
from lastseen.mechanisms import Mechanisms
from lastseen.options import SessionOptions
from lastseen.position import Position
from lastseen.replica import Replica
from lastseen.secret import Secret
from lastseen.session import Session
from lastseen.snapshots import ScopeKey
from lastseen_simulator import effects as gateway
from lastseen_simulator.world.disk import Disk
from lastseen_simulator.world.host import Host, revealed, shown
from lastseen_simulator.world.keeping import Image, Record
from lastseen_simulator.world.oddspapi_fetches import Kept
from lastseen_simulator.world.oddspapi_watch import OddsPapiWatch

__all__ = ["OddsPapiHost"]

_LANGUAGE: Final = "en"
_SPORTS: Final = (10, 11, 12)
"""All that the market has, so that the state is that of the whole truth."""


@final
@attrs.define(eq=False)
class OddsPapiHost(Host[Session, OddsPapiWatch]):
    """One life of it."""

    disk: Disk[Record[Kept]]
    options: SessionOptions
    mechanisms: Mechanisms
    key: str = attrs.field(repr=False)
    receive_type: str = "json"
    life: int = 1
    counted: bool = True
    replica: Replica = attrs.field(init=False)
    _image: Image = attrs.field(init=False, factory=Image)
    _fetching: set[int] = attrs.field(init=False, factory=set[int])

    def __attrs_post_init__(self) -> None:
        subscription = Subscription(
            channels=self.watch.channels, sport_ids=_SPORTS, receive_type=self.receive_type
        )
        dialect = OddsPapi(subscription=subscription, key=Secret(self.key))
        rng = random.Random(f"{self.setting.rng.random()} life {self.life}")
        self.session = Session(dialect, rng, self.options, self.mechanisms)
        self.replica = Replica(OddsPapi(subscription=subscription), tracked=True)

    def begin(self) -> None:
        """Starts, from what is durable."""
        record, lost = self.disk.durable, self.setting.forgets
        scopes = {name: image for name, image in record.scopes.items() if name[0] != lost}
        self.replica.load(scopes)
        self._image.load(scopes)
        held = {ScopeKey(name, None) for name, _ in record.position.cursors if name != lost}
        bases = frozenset(held | {ScopeKey(*name) for name in scopes})
        self.watch.reborn(record.kept, record.position, lost)
        self.step(lambda now: self.session.handle_begin(record.position, bases, now=now))

    def sent(self, connection: int, text: str) -> None:
        """The session logs in."""
        self.watch.logging_in(connection, text)
        if self.setting.trace.told:
            self.tell("gateway", f"login on {connection}: {self.hidden(text)}")
        super().sent(connection, text)

    def apply(self, event: Event) -> bool:
        """The application takes an event."""
        if isinstance(event, Entry):
            if self.setting.rejects:
                self.setting.rejects -= 1
                self.tell("application", f"rejects {event.channel} {event.id}")
                self.watch.rejected(event)
                return False
            try:
                self.replica.dialect.units(event)
            except PayloadError:
                return False
        self.watch.told(event)
        self.replica.apply(event)
        if isinstance(event, StateSnapshot) and event.entities is None:
            prefix = f"{event.channel}/{event.entity}/" if event.entity else f"{event.channel}/"
            based = self.watch.overlaid(event)
            self.watch.sequence.check_replaced(prefix, self.replica.state(), based)
        trace = self.setting.trace
        trace.note(self.now, type(event).__name__, _named(event))
        if trace.told:
            self.tell("application", _said(event))
        return True

    def resync(self) -> None:
        """The application wants everything anew."""
        self.watch.doubted()
        self.step(lambda now: self.session.handle_resync(now=now))

    def busy(self) -> bool:
        """Whether something is under way."""
        return super().busy() or bool(self._fetching) or self.disk.busy

    def watched(self) -> None:
        """After every step."""
        counters = self.session.counters() if self.counted else None
        self.watch.stepped(self.session.position, counters, idle=not self.session.waiting)

    def do_more(self, effect: Effect) -> None:
        """Fetches and commits."""
        match effect:
            case FetchSnapshot():
                self._begin_fetch(effect)
            case CancelFetch():
                self.watch.cancelled(effect.fetch)
                if not self.setting.stubborn:
                    self.setting.clock.after(0.0, partial(self._fail, effect.fetch, "cancelled"))
            case Commit():
                self._commit(effect)
            case _:
                raise AssertionError(f"a feed with positions wants no {type(effect).__name__}")

    def _begin_fetch(self, effect: FetchSnapshot) -> None:
        asked = [(each.path, dict(revealed(each.query))) for each in effect.requests]
        self.watch.fetching(effect.fetch, asked)
        path, query = asked[0]
        entity = query.get("fixtureId") or query.get("futureId") or ""
        self.tell("gateway", f"fetch {effect.fetch}: GET {path} {entity}")
        self._fetching.add(effect.fetch)
        self._fetch(effect, effect.requests, ())
        late = partial(self._fail, effect.fetch, "timed out")
        self.setting.clock.after(effect.timeout_s, late)

    def _fetch(
        self,
        effect: FetchSnapshot,
        requests: tuple[Request, ...],
        answers: tuple[tuple[HttpResponse, int], ...],
    ) -> None:
        if effect.fetch not in self._fetching or not self.alive:
            return
        if not requests:
            self._finish(effect.fetch, answers)
            return
        request = requests[0]
        http = gateway.HttpRequest(
            method="GET",
            path=f"/{_LANGUAGE}{request.path}",
            query=revealed(request.query),
            headers=request.headers,
        )

        def answered(response: gateway.HttpResponse, seen: int) -> None:
            if response.cut_at is not None and response.cut_at < len(response.body):
                self._fail(effect.fetch, "the body was cut")
                return
            headers = tuple((name.lower(), value) for name, value in response.headers)
            got = HttpResponse(status=response.status, headers=headers, body=response.body)
            rest = requests[1:] if 200 <= response.status < 300 else ()
            self._fetch(effect, rest, (*answers, (got, seen)))

        self.setting.network.ask(http, answered)

    def _finish(self, fetch: int, answers: tuple[tuple[HttpResponse, int], ...]) -> None:
        self._fetching.discard(fetch)
        if self.setting.trace.told:
            statuses = " ".join(str(response.status) for response, _ in answers)
            seen = min(seen for _, seen in answers)
            words = f"answer to fetch {fetch}: {statuses}, as of publication {seen}"
            self.hear("gateway", words)

        def handle(now: float) -> None:
            good = all(200 <= response.status < 300 for response, _ in answers)
            self.watch.answering(fetch, answers if good else ())
            responses = tuple(response for response, _ in answers)
            self.session.handle_snapshot(fetch, responses, now=now)

        self.step(handle)

    def _fail(self, fetch: int, why: str) -> None:
        if fetch not in self._fetching or not self.alive:
            return
        self._fetching.discard(fetch)
        self.watch.cancelled(fetch)
        fault = SnapshotFault(reason=why)
        self.step(lambda now: self.session.handle_snapshot(fetch, fault, now=now))

    def _commit(self, effect: Commit) -> None:
        if self.disk.busy:
            self.watch.blame("S15", "a second commit while one is under way")
        self.watch.committing(effect.position)
        if self.watch.secrecy.stored(effect.position):
            self.watch.blame("S16", "what is committed shows the key")
        record = Record(effect.position, self._image.taken(self.replica), self.watch.kept())
        self.tell("disk", f"commit {effect.commit}: {_cursors(effect.position)}")

        def done(trouble: str | None) -> None:
            self.tell("disk", f"commit {effect.commit}: {trouble or 'durable'}")
            self.step(
                lambda now: self.session.handle_committed(effect.commit, trouble=trouble, now=now)
            )
            if self.alive and self.session.status().durable != self.disk.durable.position:
                self.watch.blame("S2", "calls durable what the disk does not have")

        self.disk.write(record, done)


def _named(event: Event) -> str:
    """What tells an event from others, for the hash."""
    channel = getattr(event, "channel", "")
    entity = getattr(event, "entity", "")
    return f"{channel} {entity} {getattr(event, 'id', '')} {getattr(event, 'state', '')}"


def _cursors(position: Position) -> str:
    told = ", ".join(f"{name} {text}" for name, text in position.cursors)
    return f"{position.epoch or 'no epoch'} {told or 'no cursors'}"


def _said(event: Event) -> str:
    match event:
        case Entry():
            return f"entry {event.channel} {event.id} ({event.source.value})"
        case _:
            return shown(str(event))
