"""Telling what may be believed of a scope: a fall overtakes the data, a rise comes behind it."""

from collections.abc import Callable
from typing import final

import attrs

from lastseen.delivery import Delivery, Notice
from lastseen.events import Event, Proof, StatusChanged
from lastseen.states import ScopeState

__all__ = ["Claim"]


@final
@attrs.define(eq=False, repr=False)
class Claim:
    """The news of one scope's state, of which only the last one matters (INV-S10).

    A rise that is not true any more when it is reached is not told; falls that nobody has taken
    become one.
    """

    channel: str
    entity: str | None
    proof: Callable[[], Proof]
    _unsynced: ScopeState = attrs.field(init=False, default=ScopeState.COLD)
    _fall_waits: bool = attrs.field(init=False, default=False)
    _revision: int = attrs.field(init=False, default=0)

    def tell(self, state: ScopeState, delivery: Delivery, *, fell: bool = False) -> None:
        """Queues the news of the present state; a fall overtakes what waits."""
        self._revision += 1
        if state is ScopeState.SYNCED:
            revision = self._revision
            delivery.put(self._notice(lambda: self._rise(revision), lasting=False))
            return
        self._unsynced = state
        if not self._fall_waits:
            self._fall_waits = True
            delivery.put(self._notice(self._fall, lasting=True), first=fell)

    def _notice(self, say: Callable[[], Event | None], *, lasting: bool) -> Notice:
        return Notice(self.channel, self.entity, say=say, lasting=lasting)

    def _rise(self, revision: int) -> Event | None:
        return self._status(ScopeState.SYNCED) if revision == self._revision else None

    def _fall(self) -> Event | None:
        self._fall_waits = False
        return self._status(self._unsynced)

    def _status(self, state: ScopeState) -> StatusChanged:
        return StatusChanged(
            channel=self.channel, entity=self.entity, state=state, proof=self.proof()
        )
