"""How a scope gets its base back: at a login, after a doubt, from a snapshot.

The slow half of a session's data: nothing here happens once per entry.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import final

import attrs

from lastseen.anomalies import Anomalies
from lastseen.backoff import Backoff, Rng
from lastseen.delivery import Delivery, Notice
from lastseen.dialect import Dialect, ScopeKind, SnapshotContent, SnapshotFault
from lastseen.events import AnomalyCode, Discarded, Entry, Proof, StateSnapshot, Why
from lastseen.hold import Hold
from lastseen.join import Join, at_or_below
from lastseen.mechanisms import Mechanisms
from lastseen.messages import LoginAccepted, SnapshotDemanded
from lastseen.options import SessionOptions
from lastseen.position import Cursor, Position, PositionKeeper, parse_cursor
from lastseen.scopes import Channel, Scope
from lastseen.snapshots import Fetch, ScopeKey, SnapshotQueue
from lastseen.states import ScopeInput, ScopeState

__all__ = ["Recovery"]

_WHOLE_FIRST = 0
_ROSTER_NEXT = 1
_ENTITIES_THEN = 2
_VERIFICATION_LAST = 3

_SHRUNK_ROWS_MIN = 10
"""A base smaller than this may well halve."""


@final
@attrs.define(eq=False)
class Recovery:
    """Every scope's way back to a trusted base."""

    options: SessionOptions
    mechanisms: Mechanisms
    dialect: Dialect
    rng: Rng
    delivery: Delivery
    position: PositionKeeper
    snapshots: SnapshotQueue
    anomalies: Anomalies
    channels: dict[str, Channel] = attrs.field(init=False, factory=dict[str, Channel])
    retired: dict[str, Channel] = attrs.field(init=False, factory=dict[str, Channel])
    """Channels of earlier subscriptions: their tallies go on (INV-S21)."""
    logged_in: bool = attrs.field(init=False, default=False)
    resume_deadline: float | None = attrs.field(init=False, default=None)
    cancelled: list[int] = attrs.field(init=False, factory=list[int])
    """Fetches whose answers are of no use any more; the session empties it."""
    _join: Join = attrs.field(init=False)
    _heads: Mapping[str, Cursor] = attrs.field(init=False, factory=dict[str, Cursor])
    """The peer's newest ids at login, also of channels that are not subscribed."""
    _backoff: Backoff = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._join = self.mechanisms.join()
        self._backoff = Backoff(
            base_s=self.options.snapshot_backoff_base_s, cap_s=self.options.snapshot_backoff_cap_s
        )

    # Channels come and go with the effective subscription.

    def subscribe(self, dialect: Dialect) -> None:
        """Takes on the (effective) subscription: new channels appear, others are forgotten."""
        self.dialect = dialect
        for name in [name for name in self.channels if name not in dialect.channels]:
            self._retire(self.channels.pop(name))
        for name in dialect.channels:
            if name not in self.channels:
                self.position.block(name)
                self._add_channel(name)

    def restore(self, position: Position, bases: Collection[ScopeKey]) -> None:
        """Trusts the application's word that it holds these scopes at this position (R9)."""
        self.position.restore(position, {key.channel for key in bases if key.entity is None})
        for channel in self.channels.values():
            cursor = self.position.cursor(channel.name)
            if cursor is None:
                continue
            for key in bases:
                if key.channel == channel.name:
                    self.scope(channel, key.entity).state = ScopeState.RESUMING
            self.position.unblock(channel.name)
            channel.dedup.rewind(parse_cursor(cursor), ())

    def scope(self, channel: Channel, entity: str | None) -> Scope:
        """The scope of an entity, made when it is met for the first time."""
        scope = channel.scopes.get(entity)
        if scope is None:
            sourceless = channel.kind is ScopeKind.NONE
            scope = channel.scopes[entity] = Scope(
                key=ScopeKey(channel.name, entity),
                source=None if sourceless else self.dialect.snapshot_source(channel.name, entity),
                hold=self._new_hold(),
                state=ScopeState.LIVE_ONLY if sourceless else ScopeState.COLD,
            )
        return scope

    def discover(self, channel: Channel, entity: str | None, *, now: float) -> Scope | None:
        """A fixture we had not heard of: it needs a base. None when there are too many (R14)."""
        if len(channel.scopes) >= self.options.scopes_max:
            self._cut_short(channel, now=now)
            return None
        scope = self.scope(channel, entity)
        scope.newborn = True
        # The channel is no longer synced in all its scopes, so it has no cursor (design §5a).
        self.position.drop(channel.name)
        channel.era += 1
        channel.flows = False
        self._want(channel, scope, now=now)
        return scope

    # Connections come and go.

    def begin(self, *, now: float) -> None:
        """The session starts; whatever may be fetched already is wanted (R7: nothing may)."""
        for channel in self.channels.values():
            self._want(channel, channel.scopes[None], now=now)

    def accept_login(
        self,
        dialect: Dialect,
        message: LoginAccepted,
        *,
        sent: Collection[str],
        same_epoch: bool,
        now: float,
    ) -> tuple[str, ...]:
        """A connection became the owner: each channel resumes or takes a snapshot (R8)."""
        self._abandon_fetches()
        self.logged_in = True
        self.subscribe(dialect)
        # One draw for all channels, so that those with the same source still share a fetch.
        jitter_s = 0.0 if same_epoch else self._jitter_s()
        resumed: list[str] = []
        self._heads = message.heads
        for channel in self.channels.values():
            cursor = self.position.cursor(channel.name)
            # A cursor that fell while the login was on its way describes nothing any more (R2).
            held = sent if cursor is not None else ()
            resumes = self._join.resumes(
                channel.name, sent=held, replayable=message.replayable, same=same_epoch
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
        self.logged_in = False
        self.resume_deadline = None
        self._abandon_fetches()
        for channel in self.channels.values():
            self._stop_replay(channel, Why.FENCED)
            for scope in channel.scopes.values():
                scope.fence += 1
                scope.journal = None
                self._empty(channel, scope.hold, Why.FENCED)
                scope.apply(ScopeInput.CONNECTION_LOST, self.delivery)
            channel.settle()

    def complete_replay(self, *, now: float) -> bool:
        """`resume_complete`: true for the channels that still replay, and for no other (R8)."""
        replaying = [channel for channel in self.channels.values() if channel.replaying]
        self.resume_deadline = None
        for channel in replaying:
            if channel.scrambled:
                # Live entries came in between, and nothing says which is the newer of two.
                self.anomalies.note(AnomalyCode.ID_ORDER, channel.name, "replay out of order")
                self.doubt(channel, now=now)
                continue
            channel.replaying = False
            held = channel.replay_hold.release()
            channel.row.held -= len(held)
            for scope in channel.scopes.values():
                scope.apply(ScopeInput.REPLAYED, self.delivery)
                self._arm_verification(channel, scope, since=(), now=now)
            for entry in held:
                self.admit(channel, entry, entry.cursor, now=now)
            if channel.synced:
                self._mark(channel, partial(self.position.release, channel.name))
            channel.settle()
        return bool(replaying)

    def expire_replay(self, *, now: float) -> None:
        """No verdict in time: a snapshot instead (HZ-B3, OP-A20)."""
        self.resume_deadline = None
        for channel in self.channels.values():
            if channel.replaying:
                self.anomalies.note(
                    AnomalyCode.REPLAY_TIMEOUT, channel.name, "no resume_complete in time"
                )
                self.doubt(channel, now=now)

    def change_epoch(self, epoch: str, *, now: float) -> None:
        """The peer turned out to be another one than we thought: every cursor falls (R1)."""
        self.position.adopt(epoch)
        # Ids of the epoch before are no barrier for snapshots of this one (R11).
        self._heads = {}
        for channel in self.channels.values():
            channel.dedup.reset()
            channel.head = None
        self.doubt_all(spread=True, now=now)

    def abandon_resume(self, *, now: float) -> None:
        """Resuming leads nowhere: the next login is a cold one (R13)."""
        self.doubt_all(now=now)

    # Doubts.

    def demand(self, message: SnapshotDemanded, *, now: float) -> None:
        """`snapshot_required`, in whatever phase it comes (HZ-B5, HZ-B6, HZ-C11, HZ-C12)."""
        self._heads = {**self._heads, **message.heads}
        for channel in self.channels.values():
            if message.channels is None or channel.name in message.channels:
                channel.raise_head(message.heads.get(channel.name))
                self.doubt(channel, now=now)

    def doubt_all(self, *, spread: bool = False, now: float) -> None:
        """No channel's base is to be trusted."""
        jitter_s = self._jitter_s() if spread else 0.0
        for channel in self.channels.values():
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
        doubted = [one] if one is not None else list(channel.scopes.values())
        if any(scope.trusted or scope.state is ScopeState.RESUMING for scope in doubted):
            if overflow:
                self._give_up(channel, entity)
            else:
                for entry in self.delivery.withdraw(channel.name, entity):
                    self.discard(channel, entry, Why.SUPERSEDED)
        if one is None:
            if channel.replaying and channel.head is not None:
                # The rest of the replay is older than live entries that are given up here; laid
                # over the base that is asked for now, it would move the state back (R3, R5).
                channel.dedup.pass_over(channel.head)
            channel.uncover()
            self._stop_replay(channel, Why.SUPERSEDED, overflow=overflow)
        channel.era += 1
        self.position.drop(channel.name)
        for scope in doubted:
            self._doubt_scope(channel, scope, overflow=overflow, now=now)
        channel.settle()
        if one is not None:
            self._want(channel, one, now=now)
        else:
            self._want(channel, channel.scopes[None], jitter_s=jitter_s, now=now)

    # Snapshots.

    def fetch_started(self, fetch: Fetch) -> None:
        """The driver is asked for a snapshot of these scopes."""
        for key, fence in fetch.asked.items():
            scope = self._find(key)
            if scope is None or scope.fence != fence:
                continue
            scope.apply(ScopeInput.FETCH_STARTED, self.delivery)
            if key.entity is None:
                for known in self.channels[key.channel].scopes.values():
                    known.newborn = False

    def fetch_finished(
        self, fetch: Fetch, answer: SnapshotContent | SnapshotFault, *, now: float
    ) -> None:
        """An answer came: it counts for each scope whose fence has not moved since (R4)."""
        failed: dict[ScopeKey, int] = {}
        for key, fence in fetch.asked.items():
            scope = self._find(key)
            if scope is None or not self._join.is_unchanged(fence, scope.fence):
                continue
            channel = self.channels[key.channel]
            if isinstance(answer, SnapshotFault):
                reason: str | None = answer.reason
            else:
                reason = self._refusal(channel, scope, answer)
            if reason is None and isinstance(answer, SnapshotContent):
                self._apply(channel, scope, answer, now=now)
                continue
            failed[key] = fence
            if not scope.trusted:
                self.anomalies.note(AnomalyCode.SNAPSHOT_FAILED, channel.name, str(reason))
                scope.apply(ScopeInput.FETCH_FAILED, self.delivery)
                if channel.kind is ScopeKind.PER_ENTITY and key.entity is None:
                    self._want_known(channel, now=now)
        fault = answer if isinstance(answer, SnapshotFault) else None
        if failed or fault is not None:
            self.snapshots.failed(
                fetch,
                failed,
                priority=_ENTITIES_THEN,
                retry_after_s=fault.retry_after_s if fault else None,
                permanent=fault.permanent if fault else False,
                now=now,
            )
        else:
            self.snapshots.succeeded(fetch)

    # Entries, once a replay is not in their way.

    def admit(self, channel: Channel, entry: Entry, cursor: Cursor | None, *, now: float) -> None:
        """Judges one entry in arrival order: known already, or on its way to the application.

        Ids are judged here and never later: an entry that waits for a snapshot must not be taken
        for a duplicate because other fixtures' entries overtook it.
        """
        if cursor is not None and not channel.dedup.admit(cursor):
            self.repeat(channel, entry)
            return
        self.place(channel, entry, now=now)

    def place(self, channel: Channel, entry: Entry, *, now: float) -> None:
        """Finds an entry's scope, which is met here when it is a new fixture's."""
        scope = channel.scopes.get(entry.entity)
        if scope is None:
            scope = self.discover(channel, entry.entity, now=now)
            if scope is None:
                channel.row.dropped += 1
                self._tell(entry, Why.RESYNC)
                return
        self.route(channel, scope, entry, now=now)

    def route(self, channel: Channel, scope: Scope, entry: Entry, *, now: float) -> None:
        """Hands an entry on, or holds it until its scope has a base (R5)."""
        if channel.covered is not None:
            cursor = entry.cursor
            if cursor is not None and channel.supersedes(scope, cursor):
                self.discard(channel, entry, Why.SUPERSEDED)
                return
        if self._join.must_wait(scope.state):
            channel.row.held += 1
            if not scope.hold.put(entry):
                self._overflow(channel, AnomalyCode.HOLD_OVERFLOW, entry.entity, now=now)
            return
        if scope.journal is not None and not scope.journal.put(entry):
            scope.journal = None
            scope.verified = True
            self.anomalies.note(
                AnomalyCode.VERIFICATION_SKIPPED, channel.name, "too much traffic to verify a base"
            )
            channel.settle()
        if not self.delivery.put_entry(entry, channel.era):
            self.overflow(channel, now=now)

    def wait_for_replay(self, channel: Channel, entry: Entry, *, now: float) -> None:
        """Holds a live entry until the replay is complete (R3)."""
        channel.row.held += 1
        if not channel.replay_hold.put(entry):
            self._overflow(channel, AnomalyCode.HOLD_OVERFLOW, None, now=now)

    def overflow(self, channel: Channel, *, now: float) -> None:
        """The application's share of a channel is full: give it up and resync (R14)."""
        self._overflow(channel, AnomalyCode.DELIVERY_OVERFLOW, None, now=now)

    def repeat(self, channel: Channel, entry: Entry) -> None:
        """Counts an entry that was accepted before."""
        channel.row.duplicate += 1
        self._tell(entry, Why.DUPLICATE)

    def discard(self, channel: Channel, entry: Entry, why: Why) -> None:
        """Counts an entry that is not handed on."""
        channel.row.discarded += 1
        self._tell(entry, why)

    def _overflow(
        self, channel: Channel, code: AnomalyCode, entity: str | None, *, now: float
    ) -> None:
        self.anomalies.note(code, channel.name, "buffer cap crossed: resync")
        if channel.kind is ScopeKind.NONE:
            # Nothing to resync from: what waits is given up, and no claim was ever made.
            self._give_up(channel, None)
        self.doubt(channel, entity, overflow=True, now=now)

    def _give_up(self, channel: Channel, entity: str | None) -> None:
        """What waits for the application is dropped, and counted as such (R14)."""
        for entry in self.delivery.withdraw(channel.name, entity):
            channel.row.dropped += 1
            self._tell(entry, Why.RESYNC)

    def _retire(self, channel: Channel) -> None:
        """Forgets all of a channel but its tally: entries of it may be with the application."""
        for entry in self.delivery.withdraw(channel.name):
            self.discard(channel, entry, Why.UNSUBSCRIBED)
        self._stop_replay(channel, Why.UNSUBSCRIBED)
        for scope in channel.scopes.values():
            self._empty(channel, scope.hold, Why.UNSUBSCRIBED)
        channel.scopes.clear()
        channel.era += 1
        self.position.drop(channel.name)
        self.retired[channel.name] = channel

    def _add_channel(self, name: str) -> None:
        channel = Channel(
            name=name,
            kind=self.dialect.scope_kind(name),
            dedup=self.mechanisms.dedup(self.options.ring_items),
            replay_hold=self._new_hold(),
        )
        before = self.retired.pop(name, None)
        if before is not None:
            channel.row, channel.era = before.row, before.era + 1
        self.channels[name] = channel
        self.scope(channel, None)
        channel.settle()

    def _new_hold(self) -> Hold:
        return self.mechanisms.hold(self.options.hold_items_max, self.options.hold_bytes_max)

    def _tell(self, entry: Entry, why: Why) -> None:
        if self.options.report_discarded:
            self.delivery.put(Discarded(channel=entry.channel, id=entry.id, why=why))

    def _find(self, key: ScopeKey) -> Scope | None:
        channel = self.channels.get(key.channel)
        return channel.scopes.get(key.entity) if channel is not None else None

    def _mark(self, channel: Channel, reached: Callable[[], None]) -> None:
        """Acts when all that is queued so far is finished, if nothing fell since."""
        era = channel.era
        self.delivery.put(
            Notice(channel.name, reached=lambda: reached() if channel.era == era else None)
        )

    def _abandon_fetches(self) -> None:
        self.cancelled.extend(self.snapshots.clear())

    def _fence(self, channel: Channel, cursor: str | None, *, same_epoch: bool) -> None:
        """What the connection before delivered and nobody took is fenced off (R10)."""
        fenced: list[Cursor] = []
        for entry in self.delivery.withdraw(channel.name):
            self.discard(channel, entry, Why.FENCED)
            cursor_of_entry = entry.cursor
            if cursor_of_entry is not None:
                fenced.append(cursor_of_entry)
        channel.era += 1
        channel.bad_ids = 0
        self._stop_replay(channel, Why.FENCED)
        if same_epoch:
            channel.dedup.rewind(parse_cursor(cursor) if cursor is not None else None, fenced)
        else:
            channel.dedup.reset()
        for scope in channel.scopes.values():
            scope.fence += 1
            scope.journal = None
            self._empty(channel, scope.hold, Why.FENCED)

    def _resume(self, channel: Channel) -> None:
        channel.replaying = True
        channel.barrier = channel.head
        channel.replayed, channel.scrambled = None, False
        if channel.barrier is None:
            self.position.block(channel.name)
        else:
            self.position.unblock(channel.name)
        for scope in channel.scopes.values():
            scope.apply(ScopeInput.LOGIN_RESUMED, self.delivery)

    def _start_cold(self, channel: Channel, *, jitter_s: float, now: float) -> None:
        self.position.drop(channel.name)
        channel.uncover()
        for scope in channel.scopes.values():
            scope.verified = False
            scope.apply(ScopeInput.LOGIN_COLD, self.delivery)
        self._want(channel, channel.scopes[None], jitter_s=jitter_s, now=now)

    def _stop_replay(self, channel: Channel, why: Why, *, overflow: bool = False) -> None:
        channel.replaying = False
        self._empty(channel, channel.replay_hold, why, overflow=overflow)

    def _empty(self, channel: Channel, hold: Hold, why: Why, *, overflow: bool = False) -> None:
        held = hold.release()
        channel.row.held -= len(held)
        for entry in held:
            if overflow:
                channel.row.dropped += 1
                self._tell(entry, Why.RESYNC)
            else:
                self.discard(channel, entry, why)

    def _doubt_scope(self, channel: Channel, scope: Scope, *, overflow: bool, now: float) -> None:
        if scope.state is ScopeState.SYNCED:
            soon = now - scope.synced_at < self.options.snapshot_settled_s
            scope.repeats = scope.repeats + 1 if soon else 0
        scope.fence += 1
        scope.journal = None
        scope.covered = None
        scope.verified = False
        if scope.source is not None:
            # What it wanted before the doubt would be asked for in vain (R4).
            self.snapshots.forget(scope.source, scope.key)
        self._empty(channel, scope.hold, Why.SUPERSEDED, overflow=overflow)
        scope.apply(ScopeInput.DOUBTED, self.delivery)

    def _jitter_s(self) -> float:
        return self.options.snapshot_jitter_s * self.rng.getrandbits(16) / (1 << 16)

    def _want(self, channel: Channel, scope: Scope, *, jitter_s: float = 0.0, now: float) -> None:
        if scope.source is None or not self._join.may_fetch(logged_in=self.logged_in):
            return
        delay = jitter_s
        if scope.repeats:
            delay = self._backoff.delay(scope.repeats - 1, self.rng)
        if scope.key.entity is not None:
            priority = _ENTITIES_THEN
        elif channel.kind is ScopeKind.PER_ENTITY:
            priority = _ROSTER_NEXT
        else:
            priority = _WHOLE_FIRST
        self.snapshots.want(
            scope.source, scope.key, scope.fence, priority=priority, due=now + delay
        )

    def _want_known(self, channel: Channel, *, now: float) -> None:
        """Without a roster, at least the fixtures we know get their bases (INV-L3)."""
        for scope in channel.scopes.values():
            if scope.key.entity is not None and scope.state in (ScopeState.COLD, ScopeState.STALE):
                self._want(channel, scope, now=now)

    def _refusal(self, channel: Channel, scope: Scope, content: SnapshotContent) -> str | None:
        """Why a well-formed answer must not become this channel's base (R11)."""
        if channel.name not in content.rows:
            return "the answer does not cover the channel"
        as_of = content.as_of
        if as_of is None:
            return None
        dated, head = channel.name, channel.head
        if self._is_roster(channel, scope) and content.roster_channel is not None:
            dated = content.roster_channel
            head = self._heads.get(dated)
        if as_of.epoch != self.position.epoch:
            problem = "snapshot of another epoch"
        elif not self._join.is_fresh(as_of.cursors.get(dated), head):
            problem = "snapshot older than the head at login"
        else:
            return None
        self.anomalies.note(AnomalyCode.SNAPSHOT_STALE, channel.name, problem)
        return problem

    def _apply(
        self, channel: Channel, scope: Scope, content: SnapshotContent, *, now: float
    ) -> None:
        if scope.state is ScopeState.SYNCED:
            self._apply_verification(channel, scope, content, now=now)
            return
        # An answer that counts (R4) is a fetch that began, whatever state the scope fell to.
        scope.apply_quietly(ScopeInput.FETCH_STARTED)
        if not scope.apply_quietly(ScopeInput.SNAPSHOT_APPLIED):
            return
        # Without any head from the peer there is nothing that a position could be held against.
        proven = content.as_of is not None and bool(self._heads)
        scope.proof = Proof.PROVEN if proven else Proof.UNPROVEN
        scope.verified = proven
        scope.synced_at = now
        as_of = content.as_of.cursors.get(channel.name) if content.as_of is not None else None
        held = scope.hold.release()
        channel.row.held -= len(held)
        newer: list[Entry] = []
        for entry in held:
            cursor = entry.cursor
            if as_of is not None and cursor is not None and at_or_below(cursor, as_of):
                self.discard(channel, entry, Why.SUPERSEDED)
            else:
                newer.append(entry)
        channel.cover(scope, as_of)
        self._check_size(channel, scope, content)
        self.delivery.put(self._snapshot(channel, scope, content))
        self._arm_verification(channel, scope, since=newer, now=now)
        fits = True
        for entry in newer:
            fits = self.delivery.put_entry(entry, channel.era) and fits
        scope.announce(self.delivery)
        if content.entities is not None and channel.kind is ScopeKind.PER_ENTITY:
            self._apply_roster(channel, content.entities, now=now)
        if channel.synced:
            text = f"{as_of[0]}-{as_of[1]}" if as_of is not None else None
            whole = channel.kind is ScopeKind.WHOLE
            self._mark(
                channel, lambda: self.position.release(channel.name, text if whole else None)
            )
        channel.settle()
        if not fits:
            self.overflow(channel, now=now)

    def _apply_verification(
        self, channel: Channel, scope: Scope, content: SnapshotContent, *, now: float
    ) -> None:
        overlay = scope.journal.copy() if scope.journal is not None else None
        scope.journal = None
        scope.verified = overlay is None
        if self._is_roster(channel, scope):
            # What it lacks may be newer than it; what it adds was missing.
            self._meet(channel, content.entities or frozenset(), now=now)
        elif overlay is not None:
            self.delivery.put(self._snapshot(channel, scope, content, overlay=overlay))
            # A login may take it back; then the base is as unverified as before.
            self._mark(channel, scope.verify)
        channel.settle()

    @staticmethod
    def _is_roster(channel: Channel, scope: Scope) -> bool:
        return channel.kind is ScopeKind.PER_ENTITY and scope.key.entity is None

    def _snapshot(
        self,
        channel: Channel,
        scope: Scope,
        content: SnapshotContent,
        overlay: tuple[Entry, ...] | None = None,
    ) -> StateSnapshot:
        roster = self._is_roster(channel, scope)
        entities = content.entities
        if roster and entities is not None:
            scopes = channel.scopes.items()
            entities = entities.union(name for name, known in scopes if name and known.newborn)
        return StateSnapshot(
            channel=channel.name,
            entity=scope.key.entity,
            rows={} if roster else content.rows[channel.name],
            overlay=overlay or (),
            entities=entities if roster else None,
            proof=scope.proof,
            verification=overlay is not None,
        )

    def _check_size(self, channel: Channel, scope: Scope, content: SnapshotContent) -> None:
        rows = len(content.rows[channel.name])
        if scope.rows >= _SHRUNK_ROWS_MIN and rows < scope.rows // 2:
            self.anomalies.note(
                AnomalyCode.SNAPSHOT_SHRUNK, channel.name, f"{scope.rows} rows became {rows}"
            )
        scope.rows = rows

    def _apply_roster(self, channel: Channel, entities: frozenset[str], *, now: float) -> None:
        """Fixtures that are gone are forgotten, unless entries of theirs came meanwhile."""
        for entity, scope in list(channel.scopes.items()):
            if entity is None or entity in entities or len(scope.hold) or scope.newborn:
                continue
            if scope.source is not None:
                self.snapshots.forget(scope.source, scope.key)
            if scope.state is ScopeState.SYNCED:
                # The snapshot that tells of its end may be withdrawn; this claim must not outlive.
                scope.apply(ScopeInput.DOUBTED, self.delivery)
            del channel.scopes[entity]
        self._meet(channel, entities, now=now)

    def _meet(self, channel: Channel, entities: frozenset[str], *, now: float) -> None:
        """Every listed fixture has a scope, and gets a base if it has none."""
        new = sorted(entities - channel.scopes.keys())
        if new:
            # No longer synced in all its scopes, so without a cursor (design §5a).
            self.position.drop(channel.name)
            channel.era += 1
        for entity in new:
            if len(channel.scopes) >= self.options.scopes_max:
                self._cut_short(channel, now=now)
                break
            self.scope(channel, entity)
        self._want_known(channel, now=now)

    def _cut_short(self, channel: Channel, *, now: float) -> None:
        """More fixtures than we may remember: the channel must not look whole (R14)."""
        self.anomalies.note(AnomalyCode.SCOPE_LIMIT, channel.name, "too many fixtures")
        roster = channel.scopes[None]
        if roster.state is ScopeState.SYNCED:
            channel.era += 1
            self.position.drop(channel.name)
            self._doubt_scope(channel, roster, overflow=False, now=now)
            channel.settle()
            self._want(channel, roster, now=now)

    def _arm_verification(
        self, channel: Channel, scope: Scope, *, since: Iterable[Entry], now: float
    ) -> None:
        """An unproven base is fetched once more, later, under everything applied since (R11)."""
        if scope.verified or scope.source is None or scope.state is not ScopeState.SYNCED:
            return
        if not self._is_roster(channel, scope):
            scope.journal = self._new_hold()
            for entry in since:
                scope.journal.put(entry)
        self.snapshots.want(
            scope.source,
            scope.key,
            scope.fence,
            priority=_VERIFICATION_LAST,
            due=now + self.options.verify_after_s,
        )
