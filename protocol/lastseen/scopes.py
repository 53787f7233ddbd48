"""A channel and its scopes: the records that the receiving and the recovering half share.

A channel may have very many scopes, so nobody counts them: each tells its channel's `Census` when
something changes that a claim of the whole channel rests on.
"""

from typing import final

import attrs

from lastseen.claims import Claim
from lastseen.dedup import Dedup
from lastseen.delivery import Delivery
from lastseen.dialect import ScopeKind, SnapshotSource
from lastseen.events import Entry, Proof
from lastseen.hold import Hold, Share
from lastseen.join import at_or_below
from lastseen.position import Cursor
from lastseen.snapshots import ScopeKey
from lastseen.states import SCOPE_TRANSITIONS, ScopeInput, ScopeState
from lastseen.status import ChannelStatus, Counters, worst

__all__ = ["Census", "Channel", "Row", "Scope"]

_TRUSTED = (ScopeState.SYNCED, ScopeState.LIVE_ONLY)
_FORLORN = (ScopeState.STALE, ScopeState.COLD)


@final
@attrs.define(eq=False)
class Row:
    """One channel's tally; `Counters` is its frozen twin."""

    received: int = 0
    applied: int = 0
    duplicate: int = 0
    held: int = 0
    discarded: int = 0
    malformed: int = 0
    quarantined: int = 0
    dropped: int = 0

    def counters(self, buffered: int) -> Counters:
        """The tally at this moment."""
        return Counters(
            received=self.received,
            applied=self.applied,
            duplicate=self.duplicate,
            buffered=buffered,
            held=self.held,
            discarded=self.discarded,
            malformed=self.malformed,
            quarantined=self.quarantined,
            dropped=self.dropped,
        )


def _no_scopes() -> dict[ScopeState, int]:
    return dict.fromkeys(ScopeState, 0)


@final
@attrs.define(eq=False, repr=False)
class Census:
    """What is to be known of all scopes of a channel together; kept by the scopes themselves."""

    total: int = 0
    journals: int = 0
    """How many copy what is applied, until their base has been verified."""
    proven: int = 0
    states: dict[ScopeState, int] = attrs.field(factory=_no_scopes)
    """How many are in each state."""
    hopeful: dict[str | None, "Scope"] = attrs.field(factory=dict[str | None, "Scope"])
    """Those that are not forlorn, by fixture."""

    @property
    def trusted(self) -> bool:
        """Whether entries of every scope go straight to the application."""
        return sum(self.states[state] for state in _TRUSTED) == self.total

    @property
    def synced(self) -> bool:
        """Whether every scope is."""
        return self.states[ScopeState.SYNCED] == self.total


@final
@attrs.define(eq=False, repr=False)
class Scope:
    """The unit of sync; its state changes only by `apply`."""

    key: ScopeKey
    source: SnapshotSource | None
    hold: Hold
    state: ScopeState = ScopeState.COLD
    census: Census = attrs.field(factory=Census)
    """Its channel's."""
    proof: Proof = Proof.UNPROVEN
    fence: int = 0
    """Moves with every doubt and every login; a snapshot counts only if it did not (R4)."""
    journal: Hold | None = None
    """Copies of what was applied since the base, until the base has been verified (R11)."""
    covered: Cursor | None = None
    """Where its base was taken, when the stream had not come that far (HZ-C6)."""
    taken: Cursor | None = None
    """Where its base was taken, as far as its source said so."""
    verified: bool = False
    synced_at: float = float("-inf")
    repeats: int = 0
    """Doubts in a row that came soon after a sync (HZ-C20)."""
    keys: frozenset[str] = frozenset()
    """The units of its last base."""
    contradictions: int = 0
    """Verifications in a row that lacked units of the base before."""
    newborn: bool = False
    """Met in the stream after the present roster was asked for, so that it may not be in it."""
    _claim: Claim = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._claim = Claim(self.key.channel, self.key.entity, lambda: self.proof)
        self.census.total += 1
        self.census.states[self.state] += 1
        self._turn(self.state)

    def leave(self) -> None:
        """Ends the scope: it is no part of its channel any more."""
        self.forget_journal()
        self.rest_on(Proof.UNPROVEN)
        self.census.total -= 1
        self.census.states[self.state] -= 1
        self.census.hopeful.pop(self.key.entity, None)

    def apply(self, what: ScopeInput, delivery: Delivery) -> bool:
        """Takes a step of the table and tells the application; False when there is none."""
        before = self.state
        if not self.apply_quietly(what):
            return False
        if self.state is not before:
            self.announce(delivery, fell=before is ScopeState.SYNCED)
        return True

    def begin_journal(self, journal: Hold) -> None:
        """Copies what is applied from now on, into a hold of its own."""
        self.forget_journal()
        self.journal = journal
        self.census.journals += 1

    def forget_journal(self) -> None:
        """Ends the copying; what was copied is gone."""
        if self.journal is not None:
            self.journal.release()
            self.journal = None
            self.census.journals -= 1

    def apply_quietly(self, what: ScopeInput) -> bool:
        """Takes a step of the table; the caller says `announce` once the data is queued."""
        after = SCOPE_TRANSITIONS.get((self.state, what))
        if after is None:
            return False
        self._turn(after)
        return True

    def restore(self) -> None:
        """Starts from a base that the application kept: a login says whether it holds (R9)."""
        self._turn(ScopeState.RESUMING)

    def keep(self, entry: Entry) -> bool:
        """Holds an entry until there is a base (R5); False when that crosses a cap (R14)."""
        self.census.hopeful[self.key.entity] = self
        return self.hold.put(entry)

    def rest_on(self, proof: Proof) -> None:
        """The base is of this freshness."""
        self.census.proven += (proof is Proof.PROVEN) - (self.proof is Proof.PROVEN)
        self.proof = proof

    def verify(self) -> None:
        """The application has the verified base (R11)."""
        self.verified = True

    @property
    def trusted(self) -> bool:
        """Whether entries go straight to the application."""
        return self.state in _TRUSTED

    @property
    def forlorn(self) -> bool:
        """In doubt, with nothing held and no fetch under way: a doubt more changes nothing.

        What it wants has not been asked for yet, so that it will count all the same (R4).
        """
        return self.state in _FORLORN and not len(self.hold)

    def _turn(self, after: ScopeState) -> None:
        census = self.census
        census.states[self.state] -= 1
        census.states[after] += 1
        self.state = after
        if after in _FORLORN and not len(self.hold):
            census.hopeful.pop(self.key.entity, None)
        else:
            census.hopeful[self.key.entity] = self

    def announce(self, delivery: Delivery, *, fell: bool = False) -> None:
        """Queues the news of the present state; a fall overtakes what waits (INV-S10)."""
        self._claim.tell(self.state, delivery, fell=fell)


@final
@attrs.define(eq=False, repr=False)
class Channel:
    """One channel: its scopes, its memory of ids, and its tally."""

    name: str
    kind: ScopeKind
    dedup: Dedup
    holds: Share
    journals: Share
    replay_hold: Hold
    scopes: dict[str | None, Scope] = attrs.field(factory=dict[str | None, Scope])
    """By fixture; the whole channel, or its roster, under None."""
    census: Census = attrs.field(factory=Census)
    row: Row = attrs.field(factory=Row)
    era: int = 0
    """The present stretch of trust; only its own entries may move the cursor."""
    head: Cursor | None = None
    """The peer's newest id as far as we know: the barrier of R3 and R11, never a position."""
    covered: Cursor | None = None
    """The newest position of its bases, until the stream has reached it."""
    replaying: bool = False
    barrier: Cursor | None = None
    replayed: Cursor | None = None
    """The last entry of a replay that has no barrier, also of one that broke off."""
    scrambled: bool = False
    """Such a replay went back: what it left behind may be older than what it overwrote."""
    flows: bool = False
    """Every scope is trusted and has nothing to copy: its entries need no look at a scope."""
    bad_ids: int = 0
    """Entries in a row without a usable id."""
    _ahead: dict[str | None, Scope] = attrs.field(init=False, factory=dict[str | None, Scope])
    """The scopes whose base the stream has not reached."""

    def raise_head(self, head: Cursor | None) -> None:
        """Notes an id that the next base must reach (R11)."""
        if head is not None and (self.head is None or head > self.head):
            self.head = head

    def cover(self, scope: Scope, as_of: Cursor | None) -> None:
        """A base was taken at this position; the stream may still be on its way there."""
        newest = self.dedup.newest()
        if as_of is None or (newest is not None and at_or_below(as_of, newest)):
            return
        scope.covered = as_of
        self._ahead[scope.key.entity] = scope
        if self.covered is None or as_of > self.covered:
            self.covered = as_of

    def supersedes(self, scope: Scope, cursor: Cursor) -> bool:
        """Whether a base that is ahead of the stream holds this entry already (HZ-C6, INV-S6)."""
        if self.covered is None:
            return False
        if cursor != self.covered and at_or_below(self.covered, cursor):
            self.uncover()
            self.settle()
            return False
        return scope.covered is not None and at_or_below(cursor, scope.covered)

    def uncover(self) -> None:
        """The stream has reached every base, or the bases do not count any more."""
        if self.covered is None:
            return
        self.covered = None
        for scope in self._ahead.values():
            scope.covered = None
        self._ahead.clear()

    def settle(self) -> None:
        """Recomputes `flows` after anything it depends on changed."""
        census = self.census
        self.flows = (
            not self.replaying and self.covered is None and not census.journals and census.trusted
        )

    def remove(self, entity: str | None) -> None:
        """Forgets a scope."""
        self.scopes.pop(entity).leave()
        self._ahead.pop(entity, None)

    def is_roster(self, scope: Scope) -> bool:
        """Whether a scope is the list of this channel's fixtures."""
        return self.kind is ScopeKind.PER_ENTITY and scope.key.entity is None

    @property
    def synced(self) -> bool:
        """Whether every scope is, so that the channel may have a cursor (design §5a)."""
        return self.census.synced

    def status(self, cursor: str | None, lag: int) -> ChannelStatus:
        """What the channel claims now."""
        census = self.census
        return ChannelStatus(
            channel=self.name,
            state=worst([state for state, count in census.states.items() if count]),
            proof=Proof.PROVEN if census.proven == census.total else Proof.UNPROVEN,
            scopes=census.total,
            synced_scopes=census.states[ScopeState.SYNCED],
            cursor=cursor,
            lag=lag,
        )
