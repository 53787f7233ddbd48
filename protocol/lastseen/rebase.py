"""What the answer to a fetch is worth: refused, tried again, or a scope's new base (R4, R11)."""

from typing import final

import attrs

from lastseen.anomalies import Anomalies
from lastseen.channels import Channels
from lastseen.dialect import ScopeKind, SnapshotContent, SnapshotFault
from lastseen.events import AnomalyCode, Entry, Proof, StateSnapshot, Why
from lastseen.join import at_or_below
from lastseen.position import Cursor
from lastseen.recovery import Recovery
from lastseen.scopes import Channel, Scope
from lastseen.snapshots import Fetch, ScopeKey
from lastseen.states import ScopeInput, ScopeState

__all__ = ["Rebase"]

_CONTRADICTIONS_MAX = 3
_SHRUNK_ROWS_MIN = 10
"""A base smaller than this may well halve."""


@final
@attrs.define(eq=False, repr=False)
class Rebase:
    """Puts snapshots under the stream."""

    channels: Channels
    recovery: Recovery
    anomalies: Anomalies
    foreign: int = attrs.field(init=False, default=0)
    """Answers in a row that say they are of another epoch than our login."""

    def fetch_started(self, fetch: Fetch) -> None:
        """The driver is asked for a snapshot of these scopes."""
        for key, fence in fetch.asked.items():
            scope = self.channels.find(key)
            if scope is None or scope.fence != fence:
                continue
            scope.apply(ScopeInput.FETCH_STARTED, self.channels.delivery)
            if key.entity is None:
                for known in self.channels.active[key.channel].scopes.values():
                    known.newborn = False

    def fetch_finished(
        self, fetch: Fetch, answer: SnapshotContent | SnapshotFault, *, now: float
    ) -> None:
        """An answer came: it counts for each scope whose fence has not moved since (R4)."""
        if isinstance(answer, SnapshotContent):
            epoch = answer.as_of.epoch if answer.as_of is not None else None
            ours = epoch is None or epoch == self.channels.position.epoch
            self.foreign = 0 if ours else self.foreign + 1
        failed: dict[ScopeKey, int] = {}
        for key, fence in fetch.asked.items():
            scope = self.channels.find(key)
            if scope is None or not self.recovery.join.is_unchanged(fence, scope.fence):
                continue
            channel = self.channels.active[key.channel]
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
                scope.apply(ScopeInput.FETCH_FAILED, self.channels.delivery)
                if channel.kind is ScopeKind.PER_ENTITY and key.entity is None:
                    self.recovery.want_known(channel, now=now)
        fault = answer if isinstance(answer, SnapshotFault) else None
        if failed or fault is not None:
            self.recovery.snapshots.failed(
                fetch,
                failed,
                retry_after_s=fault.retry_after_s if fault else None,
                permanent=fault.permanent if fault else False,
                now=now,
            )
        else:
            self.recovery.snapshots.succeeded(fetch)

    def _refusal(self, channel: Channel, scope: Scope, content: SnapshotContent) -> str | None:
        """Why a well-formed answer must not become this channel's base (R11)."""
        if channel.name not in content.rows:
            return "the answer does not cover the channel"
        as_of = content.as_of
        if as_of is None:
            return None
        dated, head = self._dated(channel, scope, content)
        if as_of.epoch != self.channels.position.epoch:
            problem = "snapshot of another epoch"
        elif not self.recovery.join.is_fresh(as_of.cursors.get(dated), head):
            problem = "snapshot older than the head at login"
        elif scope.trusted and not self.recovery.join.is_fresh(
            as_of.cursors.get(dated), scope.taken
        ):
            # What the base brought is in no journal: laid under it, this would take it back.
            problem = "verification older than the base"
        else:
            return None
        self.anomalies.note(AnomalyCode.SNAPSHOT_STALE, channel.name, problem)
        return problem

    def _dated(
        self, channel: Channel, scope: Scope, content: SnapshotContent
    ) -> tuple[str, Cursor | None]:
        """The channel whose position dates the answer, and its newest id as far as we know."""
        if channel.is_roster(scope) and content.roster_channel is not None:
            return content.roster_channel, self.recovery.heads.get(content.roster_channel)
        return channel.name, channel.head

    def _is_proven(self, channel: Channel, scope: Scope, content: SnapshotContent) -> bool:
        """Without any head from the peer there is nothing that a position could be held against."""
        if content.as_of is None or not self.recovery.heads:
            return False
        dated, head = self._dated(channel, scope, content)
        return self.recovery.join.reaches(content.as_of.cursors.get(dated), head)

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
        proven = self._is_proven(channel, scope, content)
        scope.rest_on(Proof.PROVEN if proven else Proof.UNPROVEN)
        scope.verified = proven
        scope.synced_at = now
        as_of = content.as_of.cursors.get(channel.name) if content.as_of is not None else None
        scope.taken = None if channel.is_roster(scope) else as_of
        held = scope.hold.release()
        channel.row.held -= len(held)
        newer: list[Entry] = []
        for entry in held:
            cursor = entry.cursor
            if as_of is not None and cursor is not None and at_or_below(cursor, as_of):
                self.channels.discard(channel, entry, Why.SUPERSEDED)
            else:
                newer.append(entry)
        channel.cover(scope, as_of)
        self._check_size(channel, scope, content)
        self.channels.delivery.put(self._snapshot(channel, scope, content))
        self.recovery.arm_verification(channel, scope, since=newer, now=now)
        fits = True
        for entry in newer:
            fits = self.channels.delivery.put_entry(entry, channel.era) and fits
        scope.announce(self.channels.delivery)
        if content.entities is not None and channel.kind is ScopeKind.PER_ENTITY:
            self._apply_roster(channel, content.entities, now=now)
        if channel.synced:
            text = f"{as_of[0]}-{as_of[1]}" if as_of is not None else None
            whole = channel.kind is ScopeKind.WHOLE
            self.channels.mark_release(channel, text if whole else None)
        channel.settle()
        if not fits:
            self.recovery.overflow(channel, now=now)

    def _apply_verification(
        self, channel: Channel, scope: Scope, content: SnapshotContent, *, now: float
    ) -> None:
        overlay = scope.journal.copy() if scope.journal is not None else None
        scope.forget_journal()
        scope.verified = overlay is None
        if channel.is_roster(scope):
            # What it lacks may be newer than it; what it adds was missing.
            self._meet(channel, content.entities or frozenset(), now=now)
        elif overlay is not None:
            self.channels.delivery.put(self._snapshot(channel, scope, content, overlay=overlay))
            if self._contradicts(channel, scope, content):
                self.recovery.arm_verification(channel, scope, since=overlay, now=now)
            else:
                # A login may take it back; then the base is as unverified as before.
                self.channels.mark(channel, scope.verify)
        channel.settle()

    def _snapshot(
        self,
        channel: Channel,
        scope: Scope,
        content: SnapshotContent,
        overlay: tuple[Entry, ...] | None = None,
    ) -> StateSnapshot:
        roster = channel.is_roster(scope)
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
        before, scope.keys = len(scope.keys), frozenset(content.rows[channel.name])
        if before >= _SHRUNK_ROWS_MIN and len(scope.keys) < before // 2:
            self._note_shrunk(channel, before, scope)

    def _contradicts(self, channel: Channel, scope: Scope, content: SnapshotContent) -> bool:
        """Whether a verification lacks units of the base that it was to verify.

        One of the two is wrong then and nobody can say which, so there is one more, a few times.
        Odds are not asked: their rows go out of snapshots whenever they become inactive (OP-A27).
        """
        before, scope.keys = scope.keys, frozenset(content.rows[channel.name])
        if channel.kind is not ScopeKind.WHOLE or before <= scope.keys:
            scope.contradictions = 0
            return False
        self._note_shrunk(channel, len(before), scope)
        scope.contradictions += 1
        return scope.contradictions <= _CONTRADICTIONS_MAX

    def _note_shrunk(self, channel: Channel, before: int, scope: Scope) -> None:
        words = f"{before} rows became {len(scope.keys)}"
        self.anomalies.note(AnomalyCode.SNAPSHOT_SHRUNK, channel.name, words)

    def _apply_roster(self, channel: Channel, entities: frozenset[str], *, now: float) -> None:
        """Fixtures that are gone are forgotten, unless entries of theirs came meanwhile."""
        for entity, scope in list(channel.scopes.items()):
            if entity is None or entity in entities or len(scope.hold) or scope.newborn:
                continue
            if scope.source is not None:
                self.recovery.snapshots.forget(scope.source, scope.key)
            if scope.state is ScopeState.SYNCED:
                # The snapshot that tells of its end may be withdrawn; this claim must not outlive.
                scope.apply(ScopeInput.DOUBTED, self.channels.delivery)
            channel.remove(entity)
        self._meet(channel, entities, now=now)

    def _meet(self, channel: Channel, entities: frozenset[str], *, now: float) -> None:
        """Every listed fixture has a scope, and gets a base if it has none."""
        new = sorted(entities - channel.scopes.keys())
        if new:
            # No longer synced in all its scopes, so without a cursor (design §5a).
            self.channels.position.drop(channel.name)
            channel.era += 1
        for entity in new:
            if len(channel.scopes) >= self.channels.options.scopes_max:
                self.recovery.cut_short(channel, now=now)
                break
            self.channels.scope(channel, entity)
        self.recovery.want_known(channel, now=now)
