"""A client of PolyNode: a session with histories, which keeps nothing across its lives."""

import random
from typing import final

import attrs

from lastseen.dialects import polynode
from lastseen.dialects.polynode.dialect import Plan as AccountPlan
from lastseen.effects import Effect
from lastseen.errors import PayloadError
from lastseen.events import Entry, Event, ItemChanged
from lastseen.history_session import HistorySession
from lastseen.mechanisms import Mechanisms
from lastseen.options import HistoryOptions
from lastseen.secret import Secret
from lastseen_simulator.world.host import Host, shown
from lastseen_simulator.world.polynode_watch import PolyNodeWatch

__all__ = ["PolyNodeHost"]


@final
@attrs.define(eq=False)
class PolyNodeHost(Host[HistorySession, PolyNodeWatch]):
    """One life of it."""

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

    def sent(self, connection: int, text: str) -> None:
        """The session asks for something."""
        self.watch.sent(connection, text)
        if self.setting.trace.told:
            self.tell("gateway", f"on {connection}: {shown(text)}")
        super().sent(connection, text)

    def is_ping(self, text: str) -> bool:
        """Whether it is the ping of the application's own kind."""
        return text == '{"action":"ping"}'

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
