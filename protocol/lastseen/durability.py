"""What the application is told of commits: only when they begin to fail, or work again."""

from typing import final

import attrs

from lastseen.anomalies import Anomalies
from lastseen.commits import Commits
from lastseen.delivery import Delivery
from lastseen.events import AnomalyCode, Committed, DurabilityChanged

__all__ = ["Durability"]


@final
@attrs.frozen(eq=False, repr=False)
class Durability:
    """The news of a session's commits."""

    commits: Commits
    delivery: Delivery
    anomalies: Anomalies
    reports: bool
    """Whether every success is told, too."""

    def finished(self, commit: int, trouble: str | None, *, now: float) -> None:
        """A commit is durable, or because of some trouble nothing of it is (HZ-E9)."""
        before = self.commits.failures
        if not self.commits.finished(commit, ok=trouble is None, now=now):
            return
        if trouble is not None:
            self.anomalies.note(AnomalyCode.COMMIT_FAILED, None, trouble)
            if not before:
                self.delivery.put(DurabilityChanged(durable=False, detail=trouble), first=True)
            return
        if before:
            self.delivery.put(DurabilityChanged(durable=True, detail=""))
        if self.reports:
            self.delivery.put(Committed(position=self.commits.durable))
