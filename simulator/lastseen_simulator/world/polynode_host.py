"""A client of PolyNode: a session with histories, which keeps nothing across its lives."""

import random
from collections.abc import Sequence
from typing import Any, final

import attrs

from lastseen.dialects import polynode
from lastseen.dialects.polynode.dialect import Plan as AccountPlan
from lastseen.effects import Connect, Effect
from lastseen.errors import PayloadError
from lastseen.events import Entry, Event, ItemChanged
from lastseen.history_session import HistorySession
from lastseen.mechanisms import Mechanisms
from lastseen.options import HistoryOptions
from lastseen.secret import Secret
from lastseen_simulator import effects as gateway
from lastseen_simulator.world.host import Host, Socket, revealed, shown
from lastseen_simulator.world.network import Wire
from lastseen_simulator.world.polynode_watch import PolyNodeWatch

__all__ = ["PolyNodeHost"]


@final
@attrs.define(eq=False)
class PolyNodeHost(Host[HistorySession]):
    """One life of it."""

    watch: PolyNodeWatch
    presets: tuple[str, ...]
    account: AccountPlan
    compress: bool
    options: HistoryOptions
    mechanisms: Mechanisms
    key: str = attrs.field(repr=False)

    def __attrs_post_init__(self) -> None:
        dialect = polynode.PolyNode(
            subscriptions=tuple(
                polynode.Subscription(preset=polynode.Preset(name)) for name in self.presets
            ),
            key=Secret(self.key),
            compress=self.compress,
            plan=self.account,
        )
        rng = random.Random(f"{self.setting.rng.random()} session")
        self.session = HistorySession(dialect, rng, self.options, self.mechanisms)

    def begin(self) -> None:
        """Starts; there is no place to keep."""
        self.watch.reborn()
        self.step(lambda now: self.session.handle_begin(now=now))

    def dial(self, effect: Connect, socket: Socket) -> Wire:
        """Opens a socket; the key is in its address."""
        http = gateway.HttpRequest(method="GET", path="/ws", query=revealed(effect.query))
        self.tell("gateway", f"connect {effect.connection}")
        return self.setting.network.dial(self.setting.number, http, socket)

    def sent(self, connection: int, text: str) -> None:
        """The session asks for something."""
        self.watch.sent(connection, text)
        if self.setting.trace.told:
            self.tell("gateway", f"on {connection}: {shown(text)}")
        super().sent(connection, text)

    def received(self, socket: Socket, frames: list[str | bytes]) -> None:
        """Messages arrived together."""
        if self.setting.trace.told:
            for frame in frames:
                self.hear("gateway", f"on {socket.number}: {shown(frame)}")

        def handle(now: float) -> None:
            self.watch.handed(socket.number, frames)
            self.session.handle_frames(socket.number, frames, now=now)

        self.step(handle)

    def answered(self, socket: Socket, headers: Sequence[tuple[str, str]]) -> None:
        """No stream has a head here."""

    def closed(self, socket: Socket, end: Any) -> None:
        """A socket has ended."""
        self.watch.lost(socket.number)
        self.tell("application", f"connection {socket.number} has ended")
        super().closed(socket, end)

    def closing(self, connection: int) -> None:
        """The session lets a connection go."""
        self.watch.lost(connection)

    def resync(self) -> None:
        """There is nothing to take anew."""

    def apply(self, event: Event) -> bool:
        """The application takes an event."""
        if isinstance(event, Entry):
            if self.setting.rejects:
                self.setting.rejects -= 1
                self.watch.rejected(event)
                return False
            try:
                event.payload  # noqa: B018 - reading is the check
            except PayloadError:
                return False
        self.watch.told(event)
        named = event.key if isinstance(event, ItemChanged) else getattr(event, "channel", "")
        self.setting.trace.note(self.now, type(event).__name__, str(named))
        if self.setting.trace.told:
            words = (
                f"entry {event.channel} ({event.source.value})"
                if isinstance(event, Entry)
                else str(event)
            )
            self.tell("application", shown(words))
        return True

    def watched(self) -> None:
        """After every step."""
        self.watch.stepped(self.session.counters(), idle=not self.session.waiting)

    def do_more(self, effect: Effect) -> None:
        """There are no other effects."""
        raise AssertionError(f"a feed with histories wants no {type(effect).__name__}")
