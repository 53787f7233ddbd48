"""Whether an entry of a stream is news, and what of it: judged once, in arrival order."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import final

import attrs

from lastseen.anomalies import Anomalies
from lastseen.events import AnomalyCode
from lastseen.identities import Identities, Verdict
from lastseen.progress import Progress
from lastseen.stream_messages import StreamEntry

__all__ = ["Admission", "Judgement"]


class Judgement(Enum):
    """What becomes of an entry."""

    NEWS = "news"
    REPEATED = "repeated"
    SUPERSEDED = "superseded"
    """It says only what its unit was before."""


@final
@attrs.define(eq=False, repr=False)
class Admission:
    """The memory of what was told (HZ-F1, HZ-F2, HZ-F4) and how far its units are (HZ-F5)."""

    channel: str
    make_identities: Callable[[], Identities]
    progress: Progress
    anomalies: Anomalies
    rebased: bool = attrs.field(init=False, default=False)
    """A snapshot began this answer, so that it may not know what was told before."""
    _identities: Identities = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._identities = self.make_identities()

    def judge(self, entry: StreamEntry) -> Judgement:
        """Judges one entry and remembers it; may take its unit away, or mark it as repeated."""
        if entry.identity:
            verdict = self._identities.admit(entry.identity, entry.raw)
            if verdict is Verdict.REPEATED and not self._sets_anew(entry):
                return Judgement.REPEATED
        unit, progress = entry.unit, entry.progress
        if unit is None or progress is None or self.progress.admit(unit, progress):
            return Judgement.NEWS
        self.anomalies.note(AnomalyCode.UNIT_REGRESSED, self.channel, unit)
        return self.strip(entry)

    def strip(self, entry: StreamEntry) -> Judgement:
        """Old news of its unit; one with an identity is an event of its own all the same."""
        if not entry.identity:
            return Judgement.SUPERSEDED
        entry.unit = None
        return Judgement.NEWS

    def is_ahead(self, entry: StreamEntry) -> bool:
        """Whether an entry belongs on top of a base that came after it."""
        if entry.unit is None or entry.progress is None:
            return entry.unit is not None
        return self.progress.admit(entry.unit, entry.progress)

    def rebase(self, progress: Mapping[str, tuple[int, ...]], *, first: bool) -> None:
        """A base was taken in, the first of its answer or a later one."""
        self.progress.replace(progress)
        self.rebased = self.rebased or first

    def forget(self, entry: StreamEntry) -> None:
        """Nobody had it, or could use it: when it comes again, it is new (HZ-E4)."""
        self._identities.forget(entry.identity)

    def forget_all(self) -> None:
        """Ids may come again for something else (HZ-A9)."""
        self._identities = self.make_identities()

    def __len__(self) -> int:
        return len(self._identities)

    def _sets_anew(self, entry: StreamEntry) -> bool:
        """Whether an entry that was told before has to be told again, for what it sets (HZ-E3)."""
        unit, progress = entry.unit, entry.progress
        if not self.rebased or unit is None or progress is None:
            return False
        entry.repeated = self.progress.is_behind(unit, progress)
        return entry.repeated
