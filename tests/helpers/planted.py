"""Mechanisms with a bug in them, as somebody might write it: what a sweep has to find."""

# ruff: noqa: ARG002 - a broken answer does not look at the question

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import attrs
import msgspec

from lastseen.asks import Asks
from lastseen.budget import Budget
from lastseen.commits import Commits
from lastseen.coverage import Coverage
from lastseen.dedup import Dedup
from lastseen.delivery import Delivery
from lastseen.events import Entry
from lastseen.hold import Hold
from lastseen.identities import Identities
from lastseen.lifecycle import Change, Lifecycle
from lastseen.liveness import Liveness, Pulse
from lastseen.mechanisms import Mechanisms
from lastseen.pages import Pages
from lastseen.position import Cursor, Position, PositionKeeper
from lastseen.progress import Progress
from lastseen.stream_messages import StreamSnapshot
from lastseen_simulator.broken import WITHOUT

__all__ = ["PLANTED"]


@attrs.define(eq=False, repr=False)
class DedupBySequence(Dedup):
    """Compares the sequence and not the time, which a peer may restart each millisecond."""

    def admit(self, cursor: Cursor) -> bool:
        newest = self.newest()
        if newest is not None and cursor[1] <= newest[1]:
            return False
        return super().admit(cursor)


@attrs.define(eq=False, repr=False)
class DedupOfAllEpochs(Dedup):
    """Forgets to forget when the epoch changes."""

    def reset(self) -> None:
        pass


@attrs.define(eq=False, repr=False)
class DedupOfNothing(Dedup):
    """Takes for new what came before, unless it came last."""

    def admit_exact(self, cursor: Cursor) -> bool:
        return True

    def admit(self, cursor: Cursor) -> bool:
        super().admit(cursor)
        return True


@attrs.define(eq=False, repr=False)
class DedupOfTheFenced(Dedup):
    """Takes for known what was fenced off before anybody had it."""

    def rewind(self, cursor: Cursor | None, fenced: Iterable[Cursor]) -> None:
        super().rewind(cursor, ())


@attrs.define(eq=False, repr=False)
class HoldEverything(Hold):
    """Has no cap."""

    def put(self, entry: Entry) -> bool:
        super().put(entry)
        return True


@attrs.define(eq=False, repr=False)
class HoldBackwards(Hold):
    """Gives the newest back first."""

    def release(self) -> list[Entry]:
        return super().release()[::-1]


@attrs.define(eq=False, repr=False)
class HoldShort(Hold):
    """Forgets the newest when it is asked for a copy."""

    def copy(self) -> tuple[Entry, ...]:
        return super().copy()[:-1]


@attrs.define(eq=False)
class NeverBlocked(PositionKeeper):
    """Moves a cursor that waits for its base."""

    def block(self, channel: str) -> None:
        pass


@attrs.define(eq=False)
class NoBudget(Budget):
    """Allows everything."""

    def take(self, count: int = 1, *, now: float) -> bool:
        return True


@attrs.define(eq=False)
class Deaf(Liveness):
    """Never doubts that somebody is there."""

    def check(self, *, now: float) -> Pulse:
        self.heard_at = now
        return Pulse.ALIVE


@attrs.define(eq=False)
class Optimist(Commits):
    """Takes a commit that failed for one that did not."""

    def finished(self, commit: int, *, ok: bool, now: float) -> bool:
        return super().finished(commit, ok=True, now=now)


@attrs.define(eq=False)
class Forgetful(Commits):
    """Does not try again what failed."""

    def finished(self, commit: int, *, ok: bool, now: float) -> bool:
        answered = super().finished(commit, ok=ok, now=now)
        self._dirty = False
        return answered


@attrs.define(eq=False)
class Hasty(Commits):
    """Begins a commit while another is under way."""

    def poll(
        self, position: PositionKeeper, *, cold: bool = False, flush: bool = False, now: float
    ) -> tuple[int, Position] | None:
        self._in_flight = None
        return super().poll(position, cold=cold, flush=flush, now=now)


@attrs.define(eq=False, repr=False)
class NothingWithdrawn(Delivery):
    """Leaves in the queue what a doubt or a new login makes void."""

    def withdraw(self, channel: str, entity: str | None = None) -> list[Entry]:
        return []


@attrs.define(eq=False, repr=False, on_setattr=attrs.setters.NO_OP)
class NoDeadline(Lifecycle):
    """Waits for ever."""

    def expire(self, *, now: float) -> Sequence[Change]:
        return ()

    def deadline(self) -> float | None:
        return None


@attrs.define(eq=False)
class KeepsAnyCursor(PositionKeeper):
    """Takes a cursor over whose state is gone."""

    def restore(self, position: Position, bases: Collection[str]) -> None:
        super().restore(position, [*bases, *(name for name, _ in position.cursors)])


@attrs.define(eq=False, repr=False)
class AnyProgress(Progress):
    """Lets a unit go back."""

    def admit(self, unit: str, progress: tuple[int, ...]) -> bool:
        super().admit(unit, progress)
        return True


@attrs.define(eq=False, repr=False)
class AlwaysBehind(Progress):
    """Believes of each base that it did not know what was told."""

    def is_behind(self, unit: str, progress: tuple[int, ...]) -> bool:
        return True


@attrs.define(eq=False, repr=False)
class FirstPage(Pages):
    """Takes a page for the whole."""

    def put(self, page: StreamSnapshot) -> StreamSnapshot | None:
        return super().put(msgspec.structs.replace(page, last=True))


def patient(**caps: Any) -> Asks[Any]:
    """Waits for an answer for ever."""
    return Asks(**{**caps, "timeout_s": 1e9})


def far_sighted(**caps: Any) -> Coverage:
    """Believes that the peer looks back for as long as one likes."""
    return Coverage(**{**caps, "lookback_ms": 10**9, "count_max": 10**6})


def without_tombstones(**caps: Any) -> Lifecycle:
    """Forgets an item as soon as the next one is over."""
    return Lifecycle(**{**caps, "tombstones_max": 1})


PLANTED: Final[Mapping[str, tuple[str, Mechanisms]]] = {
    "dedup by sequence only": ("oddspapi", Mechanisms(dedup=DedupBySequence)),
    "ids kept across epochs": ("oddspapi", Mechanisms(dedup=DedupOfAllEpochs)),
    "no dedup": ("oddspapi", Mechanisms(dedup=DedupOfNothing)),
    "live before snapshot": ("oddspapi", WITHOUT["R5"]),
    "cursors kept across epochs": ("oddspapi", WITHOUT["R1"]),
    "any snapshot counts": ("oddspapi", WITHOUT["R4"]),
    "any age of a snapshot": ("oddspapi", WITHOUT["R11"]),
    "old connection counts": ("oddspapi", WITHOUT["R10"]),
    "backoff reset at login": ("oddspapi", WITHOUT["R12"]),
    "resumes in vain": ("oddspapi", WITHOUT["R13"]),
    "newest held first": ("oddspapi", Mechanisms(hold=HoldBackwards)),
    "journal one short": ("oddspapi", Mechanisms(hold=HoldShort)),
    "cursor never blocked": ("oddspapi", Mechanisms(position=NeverBlocked)),
    "no budget": ("oddspapi", Mechanisms(budget=NoBudget)),
    "silence unnoticed": ("oddspapi", Mechanisms(liveness=Deaf)),
    "failed commit counts": ("oddspapi", Mechanisms(commits=Optimist)),
    "two commits at once": ("oddspapi", Mechanisms(commits=Hasty)),
    "nothing withdrawn": ("oddspapi", Mechanisms(delivery=NothingWithdrawn)),
    "fenced for ever": ("oddspapi", Mechanisms(dedup=DedupOfTheFenced)),
    "held without a cap": ("oddspapi", Mechanisms(hold=HoldEverything)),
    "failed commit forgotten": ("oddspapi", Mechanisms(commits=Forgetful)),
    "cursor without its state": ("oddspapi", Mechanisms(position=KeepsAnyCursor)),
    "tombstones omitted": ("polynode", Mechanisms(lifecycle=without_tombstones)),
    "items wait for ever": ("polynode", Mechanisms(lifecycle=NoDeadline)),
    "one identity remembered": ("polynode", Mechanisms(identities=lambda _: Identities(1))),
    "looks back for ever": ("polynode", Mechanisms(coverage=far_sighted)),
    "asks wait for ever": ("polynode", Mechanisms(asks=patient)),
    "backoff reset at delivery": ("polymarket-us", WITHOUT["R12"]),
    "token resumed in vain": ("polymarket-us", WITHOUT["R13"]),
    "units go back": ("polymarket-us", Mechanisms(progress=AnyProgress)),
    "told once more": ("polymarket-us", Mechanisms(progress=AlwaysBehind)),
    "first page is all": ("polymarket-us", Mechanisms(pages=FirstPage)),
    "one execution remembered": ("polymarket-us", Mechanisms(identities=lambda _: Identities(1))),
}
"""By what is wrong: whose sessions have it, and the mechanisms."""
