"""What happens to a stream's entries and snapshots on their way to the application, and its claim.

A snapshot replaces, at once and with all its pages; an entry that came before its snapshot waits
for it; nothing that says less of a unit than is known sets it back. What is dropped on the way is
counted, and becomes a fresh snapshot or, where a stream has none, a `Gap`.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import cast, final

import attrs

from lastseen.admission import Admission, Judgement
from lastseen.anomalies import Anomalies
from lastseen.claims import Claim
from lastseen.delivery import Delivery, Notice
from lastseen.errors import LocalProtocolError
from lastseen.events import (
    AnomalyCode,
    Discarded,
    Entry,
    Event,
    Gap,
    GapReason,
    Proof,
    StateSnapshot,
    Why,
)
from lastseen.gaps import Gaps
from lastseen.hold import Hold
from lastseen.pages import Freshness, Pages
from lastseen.position import Position
from lastseen.scopes import Row
from lastseen.secret import Secret
from lastseen.snapshots import ScopeKey
from lastseen.states import STREAM_TRANSITIONS, ScopeState, StreamInput
from lastseen.stream_dialect import Base, StreamDialect
from lastseen.stream_messages import StreamEntry, StreamSnapshot
from lastseen.token_trail import TokenTrail

__all__ = ["StreamIntake"]

_WAITING_SNAPSHOTS_MAX = 4
"""Snapshots that an idle application lets pile up before all but the newest are dropped."""

_FELL_FROM = (ScopeState.SYNCED, ScopeState.LIVE_ONLY)


@final
@attrs.define(eq=False, repr=False)
class StreamIntake:
    """One stream's data. What has to be done about its connection, `on_doubt` says."""

    dialect: StreamDialect
    delivery: Delivery
    trail: TokenTrail
    anomalies: Anomalies
    gaps: Gaps
    admission: Admission
    pages: Pages
    hold: Hold
    journal: Hold
    """Copies of what was applied between two pages of a snapshot: newer than its rows."""
    report_discarded: bool
    on_doubt: Callable[[str, float], None]
    """The state is in doubt: only a new subscription brings a snapshot."""
    state: ScopeState = attrs.field(init=False, default=ScopeState.COLD)
    proof: Proof = attrs.field(init=False, default=Proof.PROVEN)
    """Unproven only after a resume that nothing has followed."""
    based: bool = attrs.field(init=False, default=False)
    """A base came in this answer, and in the present session of the peer."""
    moved: bool = attrs.field(init=False, default=False)
    """This answer brought a base or a token: whoever resumes got somewhere (R13)."""
    row: Row = attrs.field(init=False, factory=Row)
    _channel: str = attrs.field(init=False)
    _base: Base = attrs.field(init=False)
    _has_tokens: bool = attrs.field(init=False)
    _has_base: bool = attrs.field(init=False)
    """Whether there is a state that can be had anew."""
    _claim: Claim = attrs.field(init=False)
    _begun: bool = attrs.field(init=False, default=False)
    """Something was once handed on, here or before a restart: there is something to miss."""
    _resumed: bool = attrs.field(init=False, default=False)
    """This answer is one to a token."""
    _warned: bool = attrs.field(init=False, default=False)
    _freshness: Freshness = attrs.field(init=False, factory=Freshness)
    _missing: set[str] = attrs.field(init=False, factory=set[str])
    _owed: set[tuple[str, ...]] = attrs.field(init=False, factory=set[tuple[str, ...]])
    """Of entries that were withdrawn, and come again before a resume has caught up (INV-S10)."""
    _waiting: int = attrs.field(init=False, default=0)
    """Snapshots that the application has not taken."""

    def __attrs_post_init__(self) -> None:
        dialect = self.dialect
        self._channel, self._base = dialect.channel, dialect.base
        self._has_tokens = dialect.has_tokens
        every = self._base is Base.UNITS and dialect.units_asked is None
        self._has_base = self._base is not Base.NONE and not every
        self._claim = Claim(self._channel, None, lambda: self.proof)

    # The life of a subscription.

    def restore(self, position: Position, bases: Collection[ScopeKey]) -> None:
        """Starts from a token, if the state that it describes is still there (R9)."""
        if ScopeKey(self._channel, None) not in bases:
            return
        self._begun = True
        if self._has_tokens and position.token(self._channel) is not None:
            self.trail.keeper.start_from(position, self._channel)
            self.state = ScopeState.RESUMING

    def begin(self) -> None:
        """Tells the first claim."""
        self._claim.tell(self.state, self.delivery)

    def token(self) -> Secret | None:
        """What a request may ask to resume from: what has been processed (design §5a)."""
        return self.trail.current()

    def ask(self) -> Secret | None:
        """A request leaves with the token that this returns: what waits will come again (R10)."""
        self.moved = False
        token = self.token()
        if token is None:
            return None
        self._owed |= self._withdraw(Why.FENCED)
        # It knew of what was withdrawn, which is no step back when it comes again.
        self.admission.progress.replace({})
        return token

    def opened(self, *, resumed: bool) -> None:
        """The request was answered: from now on a base, or what follows the token, may come."""
        self.based = self.moved = self._warned = False
        self._resumed = resumed
        self._expect_base()
        if resumed:
            self._apply(StreamInput.OPENED_RESUMED)
        elif self._base is Base.NONE and self._begun:
            self._tell_gap(GapReason.AWAY)

    def begin_anew(self) -> None:
        """Another session of the peer, in the same answer: nothing known of the last one counts."""
        self.anomalies.note(AnomalyCode.SESSION_CHANGED, self._channel, "the peer began anew")
        self.admission.forget_all()
        self._resumed = self.based = False
        if self._base is Base.NONE:
            self._tell_gap(GapReason.AWAY)
            return
        self._distrust()
        self._expect_base()

    def _expect_base(self) -> None:
        self._freshness.restart()
        self.admission.rebased = False
        if self._base is Base.UNITS:
            # A book may begin anew with each subscription; only within it times must not go back.
            self.admission.progress.replace({})
            self._missing = set(self.dialect.units_asked or ())
        if self._has_base and not self._resumed:
            self._apply(StreamInput.OPENED)

    def lost(self) -> None:
        """The connection is gone: what is known may be behind from now on (INV-S10)."""
        self._drop_held(Why.FENCED)
        resumable = self.token() is not None
        self._apply(StreamInput.LOST_RESUMABLE if resumable else StreamInput.LOST)
        self.based = self._resumed = False

    def drop_token(self) -> None:
        """Resuming leads nowhere, or was refused: the next request carries no token (R13)."""
        self.trail.drop(blocked=self._has_base)
        self._owed.clear()
        self._tell_gap(GapReason.RESUME_REFUSED)
        self._apply(StreamInput.DOUBTED)

    # What arrives.

    @property
    def takes_updates(self) -> bool:
        """Whether an update would be handed on, and not held until there is a base."""
        if self._base is not Base.SNAPSHOT:
            return True
        if self.state is ScopeState.SYNCED:
            return True
        return self._resumed and self.state is ScopeState.RESUMING and not self.pages.open

    def receive_update(
        self, entries: Sequence[StreamEntry], token: Secret | None, *, now: float
    ) -> None:
        """Takes the changes of one record, which count together."""
        self.row.received += len(entries)
        self._owed.difference_update(entry.identity for entry in entries)
        if not self.takes_updates:
            self._keep(entries, now=now)
            return
        self._note_token(token)
        if not self._hand_on(entries, token, now=now):
            return
        self._continue(Proof.PROVEN)
        self.fed()

    def presume(self) -> None:
        """A peer that took the token has been alive for long and has told nothing.

        So there seems to be nothing to tell; only the next update or snapshot proves it.
        """
        if self.state is ScopeState.RESUMING:
            self._continue(Proof.UNPROVEN)

    def _continue(self, proof: Proof) -> None:
        if not self._has_base or not self._resumed or self._owed:
            return
        if self.state is ScopeState.RESUMING:
            self.based, self.proof = True, proof
            self._apply(StreamInput.CONTINUED)
        elif self.proof is not proof and self.state is ScopeState.SYNCED:
            self.proof = proof
            self._claim.tell(self.state, self.delivery)

    def fed(self) -> None:
        """A record came; that is all there is to know of a stream without a base."""
        if not self._has_base:
            # From here on something can be missed, though nothing may have happened yet.
            self._begun = True
            self._apply(StreamInput.FED)
        elif self._base is Base.UNITS and not self._missing:
            self.based = self.moved = True
            self.proof = Proof.PROVEN
            if self.state is not ScopeState.SYNCED:
                self._apply(StreamInput.BASE)

    def receive_token(self, token: Secret | None) -> None:
        """A record that changes nothing, and says where to resume."""
        self._note_token(token)
        if token is not None and self._has_tokens and self.takes_updates:
            self.trail.put(token)

    def receive_snapshot(self, page: StreamSnapshot, token: Secret | None, *, now: float) -> None:
        """Takes a snapshot or a page of one; the last page replaces everything (HZ-C7, HZ-C8)."""
        whole = self.pages.put(page)
        if self.pages.full:
            self._drop_pages("a snapshot with too many rows")
            self.doubt("a snapshot with too many rows", now=now)
        if whole is None:
            return
        overlay = cast("list[StreamEntry]", self.journal.release())
        if self.based and not self._is_newer(whole, now=now):
            return
        self._replace(whole, token, overlay)
        self._note_token(token)
        self.moved = True
        self._release(now=now)

    def receive_malformed(self, detail: str, *, now: float) -> None:
        """A record that cannot be understood might have said anything (table O, R14)."""
        self.row.received += 1
        self.row.malformed += 1
        self.anomalies.note(AnomalyCode.UNDECODABLE, self._channel, detail)
        if self._has_base:
            self.doubt("a record that cannot be understood", now=now)
        else:
            self._tell_gap(GapReason.UNDECODABLE)

    def refuse(self, entries: Sequence[StreamEntry]) -> None:
        """Counts what comes over a connection that does not count any more (R10)."""
        self.row.received += len(entries)
        for entry in entries:
            self._discard(entry, Why.FENCED)

    def doubt(self, why: str, *, now: float) -> None:
        """What is known is not to be trusted until there is a fresh base (R2, R14)."""
        self._distrust()
        self.on_doubt(why, now)

    # What the application answers.

    def finish(self, event: Event) -> int:
        """It is done with an event and all before it; returns how many of them change a state."""
        if not self.delivery.holds(event):
            raise LocalProtocolError("finished an event that is not outstanding")
        return self.delivery.finish(event, self._finished)

    def reject(self, entry: Entry, *, now: float) -> int:
        """It cannot use an entry: quarantined; the state is fetched anew where it can be (HZ-H14).

        Returns how many of those before it change a state. The same entry, should it come again, is
        new (HZ-E4).
        """
        if not self.delivery.holds(entry):
            raise LocalProtocolError("rejected an entry that is not outstanding")
        before = self.delivery.finish_before(entry, self._finished)
        assert isinstance(entry, StreamEntry)
        self.row.quarantined += 1
        self.admission.forget(entry)
        self.anomalies.note(AnomalyCode.ENTRY_REJECTED, self._channel, entry.id or "without id")
        if self._has_base:
            self.doubt("an entry was rejected", now=now)
        else:
            self.trail.pass_over(entry)
        return before

    def position_after(self, event: Event) -> Position:
        """What `finish` would make of the position."""
        if not self.delivery.holds(event):
            raise LocalProtocolError("asked about an event that is not outstanding")
        return self.trail.after(event)

    # Helpers.

    def _apply(self, what: StreamInput) -> None:
        before = self.state
        self.state = STREAM_TRANSITIONS.get((before, what), before)
        if self.state is not before:
            self._claim.tell(self.state, self.delivery, fell=before in _FELL_FROM)

    def _distrust(self) -> None:
        self.trail.distrust()
        if self._has_base:
            self.trail.drop(blocked=True)
        self._owed.clear()
        self._drop_held(Why.SUPERSEDED)
        self.based = False
        self._apply(StreamInput.DOUBTED)

    def _note_token(self, token: Secret | None) -> None:
        if token is not None and self._has_tokens:
            self.moved = True

    def _hand_on(self, entries: Sequence[StreamEntry], token: Secret | None, *, now: float) -> bool:
        """Judges entries in arrival order and queues them; False when that crossed a cap."""
        last: StreamEntry | None = None
        for index, entry in enumerate(entries):
            if not self._admit(entry):
                continue
            last = entry
            if self.pages.open and not self.journal.put(entry):
                self._drop_pages("too much traffic between the pages of a snapshot")
            if not self.delivery.put_entry(entry, self.trail.era):
                self.row.dropped += len(entries) - index - 1
                self._overflow(now=now)
                return False
        self._begun = True
        if token is not None and self._has_tokens:
            if last is not None and last is entries[-1]:
                last.token = token
            else:
                self.trail.put(token)
        return True

    def _admit(self, entry: StreamEntry) -> bool:
        if entry.unit is not None:
            self._missing.discard(entry.unit)
        return self._accept(entry, self.admission.judge(entry))

    def _accept(self, entry: StreamEntry, judgement: Judgement) -> bool:
        if judgement is Judgement.NEWS:
            return True
        if judgement is Judgement.REPEATED:
            self.row.duplicate += 1
            self._tell(entry, Why.DUPLICATE)
        else:
            self._discard(entry, Why.SUPERSEDED)
        return False

    def _keep(self, entries: Sequence[StreamEntry], *, now: float) -> None:
        """Holds entries until there is a base: they are never applied to nothing (HZ-C22)."""
        if not self._warned and not self.pages.open:
            self._warned = True
            self.anomalies.note(AnomalyCode.NO_SNAPSHOT, self._channel, "before any snapshot")
        for index, entry in enumerate(entries):
            self.row.held += 1
            if not self.hold.put(entry):
                self.row.dropped += len(entries) - index - 1
                held = len(self.hold.release())
                self.row.held -= held
                self.row.dropped += held
                self.anomalies.note(AnomalyCode.HOLD_OVERFLOW, self._channel, "no snapshot comes")
                self.doubt("too much before a snapshot", now=now)
                return

    def _release(self, *, now: float) -> None:
        """What came before the base, in its order: what the base knows better does not set it."""
        held = cast("list[StreamEntry]", self.hold.release())
        self.row.held -= len(held)
        usable = [
            entry
            for entry in held
            if entry.unit is None
            or entry.progress is not None
            or self._accept(entry, self.admission.strip(entry))
        ]
        self._hand_on(usable, None, now=now)

    def _is_newer(self, whole: StreamSnapshot, *, now: float) -> bool:
        """Whether a snapshot that is not the first of its subscription replaces what is known."""
        behind = self.admission.progress.regressing(whole.progress)
        complaint = self._freshness.complaint(whole, behind)
        if complaint:
            self.anomalies.note(AnomalyCode.SNAPSHOT_STALE, self._channel, complaint)
        if self._freshness.contradicts:
            self.doubt("snapshots contradict what came before", now=now)
        return complaint is None

    def _replace(
        self, whole: StreamSnapshot, token: Secret | None, between: list[StreamEntry]
    ) -> None:
        """Queues a base: what it leaves out is gone, and no reader sees a mixture (INV-S9)."""
        if self._begun and not self.based and self.dialect.tells_events:
            self._tell_gap(GapReason.REPLACED)
        piled_up = self._waiting >= _WAITING_SNAPSHOTS_MAX
        if piled_up:
            self._withdraw(Why.RESYNC)
            if self.dialect.tells_events:
                self._tell_gap(GapReason.OVERFLOW)
        self.admission.rebase(whole.progress, first=not self.based)
        overlay = tuple(filter(self.admission.is_ahead, between))
        snapshot = StateSnapshot(
            channel=self._channel,
            entity=None,
            rows=whole.rows,
            overlay=overlay,
            proof=Proof.PROVEN,
        )
        self._waiting += 1
        self.delivery.put(Notice(self._channel, say=partial(self._give, snapshot)))
        self.trail.put_base(token)
        self._owed.clear()
        self.based, self._begun = True, True
        self._freshness.accept(whole)
        unproven, self.proof = self.proof is Proof.UNPROVEN, Proof.PROVEN
        told = self.state
        self._apply(StreamInput.BASE)
        if (piled_up or unproven) and self.state is told:
            # The news of an earlier rise may have gone with what it was about.
            self._claim.tell(self.state, self.delivery)

    def _give(self, snapshot: StateSnapshot) -> Event:
        self._waiting -= 1
        return snapshot

    def _overflow(self, *, now: float) -> None:
        """The application is too slow: a fresh base, or a gap that is told, never a silent loss."""
        self.anomalies.note(AnomalyCode.DELIVERY_OVERFLOW, self._channel, "too slow")
        self._withdraw(Why.RESYNC)
        if self._has_base:
            self.doubt("the application takes too slowly", now=now)
        if not self._has_base or self.dialect.tells_events:
            self._tell_gap(GapReason.OVERFLOW)

    def _withdraw(self, why: Why) -> set[tuple[str, ...]]:
        """Takes back what the application has not taken; returns what tells those entries apart."""
        self._waiting = 0
        withdrawn = cast("list[StreamEntry]", self.delivery.withdraw(self._channel))
        for entry in withdrawn:
            # Nobody had it, so it is new when it comes again.
            self.admission.forget(entry)
            if why is Why.RESYNC:
                self.row.dropped += 1
                self._tell(entry, why)
            else:
                self._discard(entry, why)
        return {entry.identity for entry in withdrawn if entry.identity}

    def _drop_held(self, why: Why) -> None:
        self.pages.clear()
        self.journal.release()
        for entry in self.hold.release():
            self.row.held -= 1
            self._discard(entry, why)

    def _drop_pages(self, why: str) -> None:
        self.pages.clear()
        self.journal.release()
        self.anomalies.note(AnomalyCode.SNAPSHOT_FAILED, self._channel, why)

    def _discard(self, entry: Entry, why: Why) -> None:
        self.row.discarded += 1
        self._tell(entry, why)

    def _tell(self, entry: Entry, why: Why) -> None:
        if self.report_discarded:
            self.delivery.put(Discarded(channel=self._channel, id=entry.id, why=why))

    def _tell_gap(self, reason: GapReason) -> None:
        self.gaps.tell(Gap(since_ms=None, until_ms=None, reason=reason, subscription=self._channel))

    def _finished(self, _name: str, era: int, entries: list[Entry]) -> None:
        self.row.applied += len(entries)
        self.trail.advance(self.trail.keeper, era, entries)
