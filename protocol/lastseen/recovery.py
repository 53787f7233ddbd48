"""How a scope gets its base back: at a login, after a doubt, after a loss.

The slow half of a session's data: nothing here happens once per entry. What a snapshot is worth
once it is there is decided in `rebase`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from operator import attrgetter
from typing import final

import attrs

from lastseen.anomalies import Anomalies
from lastseen.backoff import Rng
from lastseen.channels import Channels
from lastseen.delivery import Delivery
from lastseen.dialect import Dialect, ScopeKind
from lastseen.events import AnomalyCode, Entry, Why
from lastseen.join import Join
from lastseen.messages import LoginAccepted, SnapshotDemanded
from lastseen.options import SessionOptions
from lastseen.position import Cursor, PositionKeeper, parse_cursor
from lastseen.scopes import Channel, Scope
from lastseen.snapshots import Priority, SnapshotQueue
from lastseen.states import ScopeInput, ScopeState

__all__ = ["Recovery"]

_synced_at = attrgetter("synced_at")


@final
@attrs.define(eq=False, repr=False)
class Recovery:
    """Every scope's way back to a trusted base."""

    options: SessionOptions
    rng: Rng
    join: Join
    channels: Channels
    delivery: Delivery
    position: PositionKeeper
    snapshots: SnapshotQueue
    anomalies: Anomalies
    logged_in: bool = attrs.field(init=False, default=False)
    resume_deadline: float | None = attrs.field(init=False, default=None)
    cancelled: list[int] = attrs.field(init=False, factory=list[int])
    """Fetches whose answers are of no use any more; the session empties it."""
    muddled: bool = attrs.field(init=False, default=False)
    """The rest of a replay comes, and nothing tells it from what is live."""
    heads: Mapping[str, Cursor] = attrs.field(init=False, factory=dict[str, Cursor])
    """The peer's newest ids at login, also of channels that are not subscribed."""

    def begin(self, *, now: float) -> None:
        """The session starts; whatever may be fetched already is wanted (R7: nothing may)."""
        for channel in self.channels.active.values():
            self._want(channel, channel.scopes[None], now=now)

    def accept_login(
        self,
        dialect: Dialect,
        message: LoginAccepted,
        *,
        replayable: Collection[str] | None,
        sent: Collection[str],
        same_epoch: bool,
        now: float,
    ) -> tuple[str, ...]:
        """A connection became the owner: each channel resumes or takes a snapshot (R8)."""
        self._abandon_fetches()
        self.logged_in, self.muddled = True, False
        self.channels.subscribe(dialect)
        # One draw for all channels, so that those with the same source still share a fetch.
        jitter_s = 0.0 if same_epoch else self._jitter_s()
        resumed: list[str] = []
        self.heads = message.heads
        for channel in self.channels.active.values():
            cursor = self.position.cursor(channel.name)
            # A cursor that fell while the login was on its way describes nothing any more (R2).
            held = sent if cursor is not None else ()
            resumes = self.join.resumes(
                channel.name, sent=held, replayable=replayable, same=same_epoch
            )
            self._fence(channel, cursor, same_epoch=same_epoch)
            channel.head = message.heads.get(channel.name)
            if resumes and channel.kind is not ScopeKind.NONE:
                resumed.append(channel.name)
                self._resume(channel)
            else:
                self._start_cold(channel, jitter_s=jitter_s, now=now)
            channel.settle()
        self.resume_deadline = now + self.options.resume_timeout_s if resumed else None
        return tuple(resumed)

    def lose_connection(self) -> None:
        """Nobody feeds us: every claim falls at once, bases and cursors stay (design §5)."""
        self.logged_in = self.muddled = False
        self.resume_deadline = None
        self._abandon_fetches()
        for channel in self.channels.active.values():
            self.channels.stop_replay(channel, Why.FENCED)
            for scope in channel.scopes.values():
                scope.fence = self.channels.next_fence()
                scope.forget_journal()
                self.channels.empty(channel, scope.hold, Why.FENCED)
                scope.apply(ScopeInput.CONNECTION_LOST, self.delivery)
            channel.settle()

    def complete_replay(self, admit: Callable[[Channel, Entry], None], *, now: float) -> bool:
        """`resume_complete`: true for the channels that still replay, and for no other (R8).

        `admit` takes the live entries that waited for it.
        """
        replaying = [channel for channel in self.channels.active.values() if channel.replaying]
        self.resume_deadline, muddled = None, self.muddled
        for channel in replaying:
            if channel.scrambled:
                # Live entries came in between, and nothing says which is the newer of two.
                self.anomalies.note(AnomalyCode.ID_ORDER, channel.name, "replay out of order")
                self.doubt(channel, now=now)
                # There is no rest of a replay that is over.
                self.muddled = muddled
                continue
            channel.replaying, channel.replayed = False, None
            held = channel.replay_hold.release()
            channel.row.held -= len(held)
            for scope in channel.scopes.values():
                scope.apply(ScopeInput.REPLAYED, self.delivery)
                self.arm_verification(channel, scope, since=(), now=now)
            for entry in held:
                admit(channel, entry)
            if channel.synced:
                self.channels.mark_release(channel)
            channel.settle()
        return bool(replaying)

    def expire_replay(self, *, now: float) -> None:
        """No verdict in time: a snapshot instead (HZ-B3, OP-A20)."""
        self.resume_deadline, muddled = None, self.muddled
        for channel in self.channels.active.values():
            if channel.replaying:
                self.anomalies.note(
                    AnomalyCode.REPLAY_TIMEOUT, channel.name, "no resume_complete in time"
                )
                self.doubt(channel, now=now)
        self.muddled = muddled

    def change_epoch(self, epoch: str, *, now: float) -> None:
        """The peer turned out to be another one than we thought: every cursor falls (R1)."""
        self.position.adopt(epoch)
        # Ids of the epoch before are no barrier for snapshots of this one (R11).
        self.heads = {}
        for channel in self.channels.active.values():
            channel.dedup.reset()
            channel.head = None
        self.doubt_all(spread=True, now=now)

    def abandon_resume(self, *, now: float) -> None:
        """Resuming leads nowhere: the next login is a cold one (R13)."""
        self.doubt_all(now=now)

    def demand(self, message: SnapshotDemanded, *, now: float) -> None:
        """`snapshot_required`, in whatever phase it comes (HZ-B5, HZ-B6, HZ-C11, HZ-C12)."""
        self.heads = {**self.heads, **message.heads}
        for channel in self.channels.active.values():
            if message.channels is None or channel.name in message.channels:
                channel.raise_head(message.heads.get(channel.name))
                self.doubt(channel, now=now)

    def doubt_all(self, *, spread: bool = False, now: float) -> None:
        """No channel's base is to be trusted."""
        jitter_s = self._jitter_s() if spread else 0.0
        for channel in self.channels.active.values():
            self.doubt(channel, jitter_s=jitter_s, now=now)

    def doubt(
        self,
        channel: Channel,
        entity: str | None = None,
        *,
        overflow: bool = False,
        jitter_s: float = 0.0,
        now: float,
    ) -> None:
        """The base of a channel, or of one fixture, must not be trusted: snapshot (R2, R14)."""
        if channel.kind is ScopeKind.NONE:
            return
        # What was received so far is gone with this doubt: only a newer base makes up for it (R11).
        channel.raise_head(channel.dedup.newest())
        for entry in channel.replay_hold.copy()[-1:]:
            channel.raise_head(entry.cursor)
        one = channel.scopes.get(entity) if entity is not None else None
        # A flood of doubts must neither pay for every scope again nor undo the pace at which a
        # failing source is asked (HZ-C13).
        concerned = channel.scopes if overflow else channel.census.hopeful
        doubted = [one] if one is not None else list(concerned.values())
        if not overflow:
            doubted = [scope for scope in doubted if not scope.forlorn]
        if any(scope.trusted or scope.state is ScopeState.RESUMING for scope in doubted):
            if overflow:
                self.channels.give_up(channel, entity)
            else:
                for entry in self.delivery.withdraw(channel.name, entity):
                    self.channels.discard(channel, entry, Why.SUPERSEDED)
        if one is None:
            if channel.replaying and channel.barrier is None:
                # Nothing tells the rest of it from live entries: only another connection is safe.
                self.muddled = True
            elif channel.replaying and channel.head is not None:
                # The rest of the replay is older than live entries that are given up here; laid
                # over the base that is asked for now, it would move the state back (R3, R5).
                channel.dedup.pass_over(channel.head)
            channel.uncover()
            channel.replayed, channel.scrambled = None, False
            self.channels.stop_replay(channel, Why.SUPERSEDED, overflow=overflow)
        channel.era += 1
        self.position.drop(channel.name)
        for scope in doubted:
            self._doubt_scope(channel, scope, overflow=overflow, now=now)
        channel.settle()
        if one is not None:
            self._want(channel, one, now=now)
        else:
            self._want(channel, channel.scopes[None], jitter_s=jitter_s, now=now)

    def overflow(
        self,
        channel: Channel,
        code: AnomalyCode = AnomalyCode.DELIVERY_OVERFLOW,
        entity: str | None = None,
        *,
        now: float,
    ) -> None:
        """A cap was crossed: what it held is given up, and its scope or channel resyncs (R14)."""
        self.anomalies.note(code, channel.name, "buffer cap crossed: resync")
        if channel.kind is ScopeKind.NONE:
            # Nothing to resync from: what waits is given up, and no claim was ever made.
            self.channels.give_up(channel)
        self.doubt(channel, entity, overflow=True, now=now)

    def discover(self, channel: Channel, entity: str | None, *, now: float) -> Scope | None:
        """A fixture we had not heard of: it needs a base. None when there are too many (R14)."""
        if len(channel.scopes) >= self.options.scopes_max:
            self.cut_short(channel, now=now)
            return None
        scope = self._bear(channel, entity, now=now)
        # Whatever the same fetch restores need not wait to be met, and then be fetched once more.
        for other in self.channels.active.values():
            known = entity in other.scopes
            if known or self.channels.source(other, entity) != scope.source:
                continue
            if len(other.scopes) < self.options.scopes_max:
                self._bear(other, entity, now=now)
        return scope

    def keep(self, scope: Scope, entry: Entry) -> bool:
        """Holds an entry until its scope has a base (R5); False when that crosses a cap (R14)."""
        if scope.source is not None and not len(scope.hold) and not scope.repeats:
            self.snapshots.hasten(scope.source, scope.key)
        return scope.keep(entry)

    def want_known(self, channel: Channel, *, now: float) -> None:
        """The fixtures we know get their bases, also without a roster (INV-L3).

        Whoever has been without one for longest goes first, or a connection that ends before all
        have had their turn would leave the same ones out each time.
        """
        for scope in sorted(channel.scopes.values(), key=_synced_at):
            if scope.key.entity is not None and scope.state in (ScopeState.COLD, ScopeState.STALE):
                self._want(channel, scope, now=now)

    def arm_verification(
        self, channel: Channel, scope: Scope, *, since: Iterable[Entry], now: float
    ) -> None:
        """An unproven base is fetched once more, later, under everything applied since (R11)."""
        if scope.verified or scope.source is None or scope.state is not ScopeState.SYNCED:
            return
        if not channel.is_roster(scope):
            journal = self.channels.new_hold(channel.journals)
            for entry in since:
                journal.put(entry)
            scope.begin_journal(journal)
        self.snapshots.want(
            scope.source,
            scope.key,
            scope.fence,
            priority=Priority.VERIFICATION,
            due=now + self.options.verify_after_s,
        )

    def cut_short(self, channel: Channel, *, now: float) -> None:
        """More fixtures than we may remember: the channel must not look whole (R14)."""
        self.anomalies.note(AnomalyCode.SCOPE_LIMIT, channel.name, "too many fixtures")
        roster = channel.scopes[None]
        if roster.state is ScopeState.SYNCED:
            channel.era += 1
            self.position.drop(channel.name)
            self._doubt_scope(channel, roster, overflow=False, now=now)
            channel.settle()
            self._want(channel, roster, now=now)

    def _bear(self, channel: Channel, entity: str | None, *, now: float) -> Scope:
        scope = self.channels.scope(channel, entity)
        scope.newborn = True
        # The channel is no longer synced in all its scopes, so it has no cursor (design §5a).
        self.position.drop(channel.name)
        channel.era += 1
        channel.settle()
        self._want(channel, scope, now=now)
        return scope

    def _abandon_fetches(self) -> None:
        self.cancelled.extend(self.snapshots.clear())

    def _fence(self, channel: Channel, cursor: str | None, *, same_epoch: bool) -> None:
        """What the connection before delivered and nobody took is fenced off (R10)."""
        fenced: list[Cursor] = []
        for entry in self.delivery.withdraw(channel.name):
            self.channels.discard(channel, entry, Why.FENCED)
            cursor_of_entry = entry.cursor
            if cursor_of_entry is not None:
                fenced.append(cursor_of_entry)
        channel.era += 1
        channel.bad_ids = 0
        self.channels.stop_replay(channel, Why.FENCED)
        if same_epoch:
            channel.dedup.rewind(parse_cursor(cursor) if cursor is not None else None, fenced)
        else:
            channel.dedup.reset()
        for scope in channel.scopes.values():
            scope.fence = self.channels.next_fence()
            scope.forget_journal()
            self.channels.empty(channel, scope.hold, Why.FENCED)

    def _resume(self, channel: Channel) -> None:
        channel.replaying = True
        channel.barrier = channel.head
        if channel.barrier is None:
            self.position.block(channel.name)
        else:
            self.position.unblock(channel.name)
        for scope in channel.scopes.values():
            scope.apply(ScopeInput.LOGIN_RESUMED, self.delivery)

    def _start_cold(self, channel: Channel, *, jitter_s: float, now: float) -> None:
        self.position.drop(channel.name)
        channel.replayed, channel.scrambled = None, False
        channel.uncover()
        for scope in channel.scopes.values():
            scope.verified = False
            scope.apply(ScopeInput.LOGIN_COLD, self.delivery)
        self._want(channel, channel.scopes[None], jitter_s=jitter_s, now=now)

    def _doubt_scope(self, channel: Channel, scope: Scope, *, overflow: bool, now: float) -> None:
        if scope.state is ScopeState.SYNCED:
            soon = now - scope.synced_at < self.options.snapshot_settled_s
            scope.repeats = scope.repeats + 1 if soon else 0
        elif overflow:
            scope.repeats += 1
        scope.fence = self.channels.next_fence()
        scope.forget_journal()
        scope.covered = None
        scope.verified = False
        if scope.source is not None:
            # What it wanted before the doubt would be asked for in vain (R4).
            self.snapshots.forget(scope.source, scope.key)
        self.channels.empty(channel, scope.hold, Why.SUPERSEDED, overflow=overflow)
        scope.apply(ScopeInput.DOUBTED, self.delivery)

    def _jitter_s(self) -> float:
        return self.options.snapshot_jitter_s * self.rng.getrandbits(16) / (1 << 16)

    def _want(self, channel: Channel, scope: Scope, *, jitter_s: float = 0.0, now: float) -> None:
        if scope.source is None or not self.join.may_fetch(logged_in=self.logged_in):
            return
        delay = jitter_s
        if scope.repeats:
            delay = self.snapshots.backoff.delay(scope.repeats - 1, self.rng)
        if scope.key.entity is not None:
            # What was synced a moment ago has had its turn.
            busy = len(scope.hold) and not scope.repeats
            priority = Priority.BUSY if busy else Priority.QUIET
        elif channel.kind is ScopeKind.PER_ENTITY:
            priority = Priority.ROSTER
        else:
            priority = Priority.WHOLE
        self.snapshots.want(
            scope.source, scope.key, scope.fence, priority=priority, due=now + delay
        )
