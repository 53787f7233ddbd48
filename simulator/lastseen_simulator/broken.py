"""Sessions that break one rule each: what shows that a judge can tell right from wrong.

`WITHOUT["R4"]` is a set of mechanisms of which exactly one is wrong, in exactly the way that rule
R4 (`hazards.md` §0) forbids. The product has no switch for any of it.
"""

# ruff: noqa: ARG002 - a broken answer does not look at the question

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final, final

import attrs

from lastseen.backoff import ConnectGate
from lastseen.commits import Commits
from lastseen.escalation import Escalation
from lastseen.events import Entry
from lastseen.hold import Hold
from lastseen.join import Join
from lastseen.lifecycle import Change, ItemKey, ItemState, Lifecycle
from lastseen.mechanisms import Mechanisms
from lastseen.position import Cursor, Position, PositionKeeper
from lastseen.states import ScopeState

__all__ = ["WITHOUT"]


@final
@attrs.define(eq=False)
class _EpochBesideCursors(PositionKeeper):
    """R1: stores the new epoch beside the cursors of the old one and notices nothing."""

    def adopt(self, epoch: str | None) -> bool:
        changed = self.epoch is None and epoch is not None
        self.epoch = epoch
        return changed


@final
@attrs.define(eq=False)
class _CursorWithoutBase(PositionKeeper):
    """R2: the cursor goes when the base is in doubt, and grows again while it is missing."""

    def block(self, channel: str) -> None:
        self.unblock(channel)


@final
@attrs.define(eq=False)
class _CursorOutlivesState(PositionKeeper):
    """R9: takes stored cursors over whether or not their state is still there."""

    def restore(self, position: Position, bases: Collection[str]) -> None:
        super().restore(position, {*bases, *(name for name, _ in position.cursors)})


@final
@attrs.frozen
class _LiveBeforeReplay(Join):
    """R3: nothing that comes during a replay is taken for live."""

    def is_live(self, cursor: Cursor, barrier: Cursor | None) -> bool:
        return False


@final
@attrs.frozen
class _AnySnapshot(Join):
    """R4: an answer counts, whatever happened since it was asked for."""

    def is_unchanged(self, asked: int, present: int) -> bool:
        return True


@final
@attrs.frozen
class _LiveBeforeBase(Join):
    """R5: entries are applied at once, and the snapshot is put on top of them."""

    def must_wait(self, state: ScopeState) -> bool:
        return False


@final
@attrs.frozen
class _FetchFirst(Join):
    """R7: fetches before it has subscribed."""

    def may_fetch(self, *, logged_in: bool) -> bool:
        return True


@final
@attrs.frozen
class _ResumeCoversAll(Join):
    """R8: takes a resumed login to cover every channel, sent or not, replayable or not."""

    def resumes(
        self, channel: str, *, sent: Collection[str], replayable: Collection[str] | None, same: bool
    ) -> bool:
        return same


@final
@attrs.frozen
class _OldSocketCounts(Join):
    """R10: listens to every socket, also to one that has been replaced."""

    def admits(self, connection: int, owner: int | None) -> bool:
        return True


@final
@attrs.frozen
class _AnyAge(Join):
    """R11: does not look at how old a snapshot says it is."""

    def is_fresh(self, as_of: Cursor | None, barrier: Cursor | None) -> bool:
        return True

    def reaches(self, as_of: Cursor | None, barrier: Cursor | None) -> bool:
        return True


@final
@attrs.define(eq=False)
class _CommitsAhead(Commits):
    """R6: makes the position durable as if the entry after the last processed one had been."""

    def choose(self, position: PositionKeeper) -> Position:
        value = position.value()
        return attrs.evolve(
            value, cursors=tuple((name, _following(text)) for name, text in value.cursors)
        )


def _following(text: str) -> str:
    high, _, low = text.partition("-")
    return f"{high}-{int(low) + 1}"


@final
@attrs.define(eq=False)
class _GoodAtLogin(ConnectGate):
    """R12: a login is all it takes for the backoff to start anew."""

    def logged_in(self, *, now: float) -> None:
        super().logged_in(now=now)
        self.failures = 0


@final
@attrs.define(eq=False)
class _NeverGivesUp(Escalation):
    """R13: resumes from the same position for ever."""

    def failed(self, position: Position) -> bool:
        return False


@final
@attrs.define(eq=False)
class _DropsOldest(Hold):
    """R14: makes room by forgetting the oldest entry, and says that all is well."""

    def put(self, entry: Entry) -> bool:
        if not super().put(entry):
            size = self._entries.popleft().size
            self._bytes -= size
            self.share.bytes -= size
        return True


@final
@attrs.define(eq=False, repr=False, on_setattr=attrs.setters.NO_OP)
class _LastWordCounts(Lifecycle):
    """R15: whatever is heard of an item last is its state, also where it is less than was known."""

    def pending(self, key: ItemKey, *, now: float) -> Sequence[Change]:
        if self.state(key) is not ItemState.PENDING:
            self.forget(key)
            if self._confirmed.pop(key[0], None) is not None:
                self._confirmations.remove(key[0])
        return super().pending(key, now=now)


WITHOUT: Final[Mapping[str, Mechanisms]] = MappingProxyType(
    {
        "R1": Mechanisms(position=_EpochBesideCursors),
        "R2": Mechanisms(position=_CursorWithoutBase),
        "R3": Mechanisms(join=_LiveBeforeReplay),
        "R4": Mechanisms(join=_AnySnapshot),
        "R5": Mechanisms(join=_LiveBeforeBase),
        "R6": Mechanisms(commits=_CommitsAhead),
        "R7": Mechanisms(join=_FetchFirst),
        "R8": Mechanisms(join=_ResumeCoversAll),
        "R9": Mechanisms(position=_CursorOutlivesState),
        "R10": Mechanisms(join=_OldSocketCounts),
        "R11": Mechanisms(join=_AnyAge),
        "R12": Mechanisms(gate=_GoodAtLogin),
        "R13": Mechanisms(escalation=_NeverGivesUp),
        "R14": Mechanisms(hold=_DropsOldest),
        "R15": Mechanisms(lifecycle=_LastWordCounts),
    }
)
"""Mechanisms that keep every rule but one, by the rule they break."""
