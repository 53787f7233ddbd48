"""The channels of the effective subscription: who is there, and where their entries went."""

from collections.abc import Callable, Collection
from typing import final

import attrs

from lastseen.delivery import Delivery, Notice
from lastseen.dialect import Dialect, ScopeKind, SnapshotSource
from lastseen.events import Discarded, Entry, Why
from lastseen.hold import Hold, Share
from lastseen.mechanisms import Mechanisms
from lastseen.options import SessionOptions
from lastseen.position import Position, PositionKeeper, parse_cursor
from lastseen.scopes import Channel, Scope
from lastseen.snapshots import ScopeKey
from lastseen.states import ScopeState
from lastseen.status import Counters

__all__ = ["Channels"]


@final
@attrs.define(eq=False, repr=False)
class Channels:
    """Every channel and its scopes; an entry that is not handed on is counted here."""

    options: SessionOptions
    mechanisms: Mechanisms
    dialect: Dialect
    delivery: Delivery
    position: PositionKeeper
    active: dict[str, Channel] = attrs.field(init=False, factory=dict[str, Channel])
    retired: dict[str, Channel] = attrs.field(init=False, factory=dict[str, Channel])
    """Channels of earlier subscriptions: their tallies go on (INV-S21)."""
    _fences: int = attrs.field(init=False, default=0)

    def subscribe(self, dialect: Dialect) -> None:
        """Takes on the (effective) subscription: new channels appear, others are forgotten."""
        self.dialect = dialect
        for name in [name for name in self.active if name not in dialect.channels]:
            self._retire(self.active.pop(name))
        for name in dialect.channels:
            if name not in self.active:
                self.position.block(name)
                self._add_channel(name)

    def restore(self, position: Position, bases: Collection[ScopeKey]) -> None:
        """Trusts the application's word that it holds these scopes at this position (R9)."""
        self.position.restore(position, {key.channel for key in bases if key.entity is None})
        # In an order of ours: a set's would differ from process to process (INV-S18).
        ordered = sorted(bases, key=lambda key: (key.channel, key.entity or ""))
        for channel in self.active.values():
            cursor = self.position.cursor(channel.name)
            if cursor is None or channel.kind is ScopeKind.NONE:
                continue
            for key in ordered:
                if key.channel == channel.name:
                    self.scope(channel, key.entity).restore()
            self.position.unblock(channel.name)
            channel.dedup.rewind(parse_cursor(cursor), ())

    def counters(self) -> dict[str, Counters]:
        """Every channel's tally, also of those that are not subscribed any more."""
        return {
            name: channel.row.counters(self.delivery.load(name))
            for name, channel in (self.retired | self.active).items()
        }

    def next_fence(self) -> int:
        """A number no scope's fence ever had: an answer asked for before it cannot count (R4)."""
        self._fences += 1
        return self._fences

    def scope(self, channel: Channel, entity: str | None) -> Scope:
        """The scope of an entity, made when it is met for the first time."""
        scope = channel.scopes.get(entity)
        if scope is None:
            source = self.source(channel, entity)
            scope = channel.scopes[entity] = Scope(
                key=ScopeKey(channel.name, entity),
                source=source,
                hold=self.new_hold(channel.holds),
                fence=self.next_fence(),
                state=ScopeState.COLD if source is not None else ScopeState.LIVE_ONLY,
                census=channel.census,
            )
        return scope

    def source(self, channel: Channel, entity: str | None) -> SnapshotSource | None:
        """What restores a scope; None for a channel that cannot be restored."""
        if channel.kind is ScopeKind.NONE:
            return None
        return self.dialect.snapshot_source(channel.name, entity)

    def discard(self, channel: Channel, entry: Entry, why: Why) -> None:
        """Counts an entry that is not handed on."""
        channel.row.discarded += 1
        self.tell(entry, why)

    def repeat(self, channel: Channel, entry: Entry) -> None:
        """Counts an entry that was accepted before."""
        channel.row.duplicate += 1
        self.tell(entry, Why.DUPLICATE)

    def give_up(self, channel: Channel, entity: str | None = None) -> None:
        """What waits for the application is dropped, and counted as such (R14)."""
        for entry in self.delivery.withdraw(channel.name, entity):
            channel.row.dropped += 1
            self.tell(entry, Why.RESYNC)

    def empty(self, channel: Channel, hold: Hold, why: Why, *, overflow: bool = False) -> None:
        """Takes what a hold has out of it; none of it is handed on."""
        held = hold.release()
        channel.row.held -= len(held)
        for entry in held:
            if overflow:
                channel.row.dropped += 1
                self.tell(entry, Why.RESYNC)
            else:
                self.discard(channel, entry, why)

    def stop_replay(self, channel: Channel, why: Why, *, overflow: bool = False) -> None:
        """Ends a replay without its verdict; what waited for it is not handed on."""
        channel.replaying = False
        self.empty(channel, channel.replay_hold, why, overflow=overflow)

    def mark(self, channel: Channel, reached: Callable[[], None]) -> None:
        """Acts when all that is queued so far is finished, if nothing fell since."""
        era = channel.era
        self.delivery.put(
            Notice(channel.name, reached=lambda: reached() if channel.era == era else None)
        )

    def mark_release(self, channel: Channel, otherwise: str | None = None) -> None:
        """The channel gets its cursor back when all that is queued so far is finished."""
        era = channel.era

        def move(keeper: PositionKeeper) -> None:
            if channel.era == era:
                keeper.release(channel.name, otherwise)

        self.delivery.put(Notice(channel.name, reached=lambda: move(self.position), moves=move))

    def find(self, key: ScopeKey) -> Scope | None:
        """The scope of a key, while there is one."""
        channel = self.active.get(key.channel)
        return channel.scopes.get(key.entity) if channel is not None else None

    def new_hold(self, share: Share) -> Hold:
        """An empty hold with the session's caps, within its channel's share."""
        return self.mechanisms.hold(self.options.hold_items_max, self.options.hold_bytes_max, share)

    def _retire(self, channel: Channel) -> None:
        """Forgets all of a channel but its tally: entries of it may be with the application."""
        for entry in self.delivery.withdraw(channel.name):
            self.discard(channel, entry, Why.UNSUBSCRIBED)
        self.stop_replay(channel, Why.UNSUBSCRIBED)
        for scope in channel.scopes.values():
            self.empty(channel, scope.hold, Why.UNSUBSCRIBED)
        channel.scopes.clear()
        channel.era += 1
        self.position.drop(channel.name)
        self.retired[channel.name] = channel

    def _add_channel(self, name: str) -> None:
        """A channel with nothing but its first scope, and its tally if it was here before."""
        holds = Share(self.options.channel_hold_bytes_max)
        channel = Channel(
            name=name,
            kind=self.dialect.scope_kind(name),
            dedup=self.mechanisms.dedup(self.options.ring_items),
            holds=holds,
            journals=Share(self.options.channel_hold_bytes_max),
            replay_hold=self.new_hold(holds),
        )
        before = self.retired.pop(name, None)
        if before is not None:
            channel.row, channel.era = before.row, before.era + 1
        self.active[name] = channel
        self.scope(channel, None)
        channel.settle()

    def tell(self, entry: Entry, why: Why) -> None:
        """Says what became of an entry, to an application that wants to know."""
        if self.options.report_discarded:
            self.delivery.put(Discarded(channel=entry.channel, id=entry.id, why=why))
