"""A client of one Polymarket US stream: a stream session, a replica, and a disk that keeps both."""

import random
from collections.abc import Mapping, Sequence
from typing import final

import attrs

from lastseen.accounts import Account
from lastseen.dialect import End
from lastseen.dialects.polymarket_us import PolymarketUS
from lastseen.effects import Commit, Connect, Effect, Subscribe
from lastseen.errors import PayloadError
from lastseen.events import Entry, Event, StateSnapshot
from lastseen.mechanisms import Mechanisms
from lastseen.options import StreamOptions
from lastseen.replica import Replica, ScopeImage, ScopeName
from lastseen.secret import Secret
from lastseen.snapshots import ScopeKey
from lastseen.stream_messages import StreamEntry
from lastseen.stream_session import StreamSession
from lastseen_simulator import effects as gateway
from lastseen_simulator.polymarket_us.verdict import STATEFUL
from lastseen_simulator.world.disk import Disk
from lastseen_simulator.world.host import Host, Socket, revealed, shown
from lastseen_simulator.world.keeping import Image, Record
from lastseen_simulator.world.network import Wire
from lastseen_simulator.world.polymarket_us_watch import Kept, PolymarketUSWatch

__all__ = ["PolymarketUSHost"]


@final
@attrs.define(eq=False)
class PolymarketUSHost(Host[StreamSession, PolymarketUSWatch]):
    """One life of it."""

    disk: Disk[Record[Kept]]
    dialect: PolymarketUS
    options: StreamOptions
    mechanisms: Mechanisms
    key: str = attrs.field(repr=False)
    replica: Replica = attrs.field(init=False)
    _image: Image = attrs.field(init=False, factory=Image)

    def __attrs_post_init__(self) -> None:
        rng = random.Random(f"{self.setting.rng.random()} session")
        self.session = StreamSession(
            self.dialect, rng, self.options, Account(), self.mechanisms, key=Secret(self.key)
        )
        self.replica = Replica(self.dialect, tracked=True)

    def begin(self) -> None:
        """Starts, from what is durable."""
        record, channel = self.disk.durable, self.watch.channel
        lost = self.setting.forgets is not None and channel in STATEFUL
        scopes: Mapping[ScopeName, ScopeImage] = {} if lost else record.scopes
        self.replica.load(scopes)
        self._image.load(scopes)
        known = not lost and (bool(scopes) or record.position.token(channel) is not None)
        bases = frozenset({ScopeKey(channel, None)}) if known else frozenset[ScopeKey]()
        self.watch.reborn(record.kept, record.position)
        self.step(lambda now: self.session.handle_begin(record.position, bases, now=now))

    def dial(self, effect: Connect, socket: Socket) -> Wire:
        """Opens a connection."""
        self.tell("gateway", f"connect {effect.connection}")
        return self.setting.network.dial(self.setting.number, None, socket)

    def answered(self, socket: Socket, headers: Sequence[tuple[str, str]]) -> None:
        """The head of a success came."""
        kind = {name.lower(): value for name, value in headers}.get("content-type")
        self.hear("gateway", f"on {socket.number}: 200 {kind}")
        self.watch.granted(socket.number)
        self.step(lambda now: self.session.handle_answered(socket.number, kind, now=now))

    def received(self, socket: Socket, frames: Sequence[str | bytes]) -> None:
        """Pieces of the body arrived together."""
        pieces = [each.encode() if isinstance(each, str) else each for each in frames]
        super().received(socket, pieces)

    def end_of(self, code: int | None, reason: str) -> End:
        """The end of a body, or its cut."""
        del reason
        return End(reason="the body was cut" if code is None else "the body ended")

    def resync(self) -> None:
        """The application wants a fresh snapshot."""
        self.watch.moving = True
        self.watch.ask_anew()
        self.watch.effort.odd(None)
        self.step(lambda now: self.session.handle_resync(now=now))
        self.watch.moving = False

    def apply(self, event: Event) -> bool:
        """The application takes an event."""
        if isinstance(event, Entry):
            if self.setting.rejects:
                self.setting.rejects -= 1
                self.watch.rejected(event)
                self.tell("application", f"rejects {event.channel} {event.id}")
                return False
            try:
                self.dialect.units(event)
            except PayloadError:
                return False
        self.watch.told(event)
        self.replica.apply(event)
        if isinstance(event, StateSnapshot):
            laid = (each.unit for each in event.overlay if isinstance(each, StreamEntry))
            based = {unit for unit in laid if unit is not None}.union(event.rows)
            self.watch.sequence.check_replaced(f"{event.channel}/", self.replica.state(), based)
        trace = self.setting.trace
        trace.note(self.now, type(event).__name__, str(getattr(event, "id", "")))
        if trace.told:
            words = f"entry {event.id}" if isinstance(event, Entry) else str(event)
            self.tell("application", shown(words))
        return True

    def busy(self) -> bool:
        """Whether something is under way."""
        return super().busy() or self.disk.busy

    def watched(self) -> None:
        """After every step."""
        self.watch.stepped(
            self.session.position, self.session.counters(), idle=not self.session.waiting
        )

    def do_more(self, effect: Effect) -> None:
        """Requests and commits."""
        match effect:
            case Subscribe():
                self._subscribe(effect)
            case Commit():
                self._commit(effect)
            case _:
                raise AssertionError(f"a stream with a key wants no {type(effect).__name__}")

    def _subscribe(self, effect: Subscribe) -> None:
        socket, request = self.sockets.get(effect.connection), effect.request
        if socket is None or socket.wire is None:
            return
        body = request.body.reveal()
        self.watch.asking(effect.connection, body)
        self.tell("gateway", f"on {effect.connection}: POST {request.path} {shown(body)}")
        http = gateway.HttpRequest(
            method="POST",
            path=request.path,
            headers=revealed(request.headers),
            body=body.encode(),
        )
        self.setting.network.request(socket.wire, http)

    def _commit(self, effect: Commit) -> None:
        if self.disk.busy:
            self.watch.blame("S15", "a second commit while one is under way")
        self.watch.committing(effect.position)
        if self.watch.secrecy.stored(effect.position):
            self.watch.blame("S16", "what is committed shows the key")
        record = Record(effect.position, self._image.taken(self.replica), self.watch.kept())
        token = "a token" if effect.position.tokens else "no token"
        self.tell("disk", f"commit {effect.commit}: {token}")

        def done(trouble: str | None) -> None:
            if trouble is None:
                self.watch.durable_at = self.now
            self.tell("disk", f"commit {effect.commit}: {trouble or 'durable'}")
            self.step(
                lambda now: self.session.handle_committed(effect.commit, trouble=trouble, now=now)
            )
            if self.alive and self.session.status().durable != self.disk.durable.position:
                self.watch.blame("S2", "calls durable what the disk does not have")

        self.disk.write(record, done)
