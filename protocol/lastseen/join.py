"""How a base, a replay and the live stream become one (R3 to R5, R7, R8, R10, R11).

Each method answers one question and holds no state; a session asks, and acts on the answer.
"""

from collections.abc import Collection

import attrs

from lastseen.position import Cursor
from lastseen.states import ScopeState

__all__ = ["Join", "at_or_below"]


def at_or_below(cursor: Cursor, limit: Cursor) -> bool:
    """Whether both halves of an id are at or below the other's (HZ-A7)."""
    return cursor[0] <= limit[0] and cursor[1] <= limit[1]


@attrs.frozen
class Join:
    """The decisions; replaceable as a whole, so that each can be shown to matter."""

    def is_live(self, cursor: Cursor, barrier: Cursor | None) -> bool:
        """R3: during a replay an entry above the peer's head at login is live, and waits."""
        return barrier is not None and not at_or_below(cursor, barrier)

    def is_unchanged(self, asked: int, present: int) -> bool:
        """R4: a snapshot counts only if nothing put its scope in doubt since it was asked for.

        Every login, every `snapshot_required` and every other doubt moves a scope's fence.
        """
        return asked == present

    def must_wait(self, state: ScopeState) -> bool:
        """R5: an entry for a scope without a trusted base waits, to be overlaid on its snapshot."""
        return state in (ScopeState.COLD, ScopeState.STALE, ScopeState.SYNCING)

    def may_fetch(self, *, logged_in: bool) -> bool:
        """R7: subscribe first, fetch second."""
        return logged_in

    def resumes(
        self, channel: str, *, sent: Collection[str], replayable: Collection[str] | None, same: bool
    ) -> bool:
        """R8: only a channel whose cursor was sent, in its epoch, and can be replayed, resumes."""
        return same and channel in sent and (replayable is None or channel in replayable)

    def admits(self, connection: int, owner: int | None) -> bool:
        """R10: from a replacement's login on, nothing else's entries count."""
        return connection == owner

    def is_fresh(self, as_of: Cursor | None, barrier: Cursor | None) -> bool:
        """R11: a snapshot that says how old it is must not be behind the peer's head at login.

        Where the halves of the ids disagree nobody can say which is older (HZ-A7): such a snapshot
        counts, and proves nothing.
        """
        if barrier is None or as_of == barrier:
            return True
        return as_of is not None and not at_or_below(as_of, barrier)

    def reaches(self, as_of: Cursor | None, barrier: Cursor | None) -> bool:
        """Whether a snapshot is at the peer's head at login or beyond, for certain."""
        return barrier is None or (as_of is not None and at_or_below(barrier, as_of))
