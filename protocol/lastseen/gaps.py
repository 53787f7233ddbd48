"""Telling what may be missing, without ever telling too little or too much (R14)."""

from collections.abc import Hashable
from functools import partial
from typing import final

import attrs
import msgspec

from lastseen.delivery import Delivery, Notice
from lastseen.events import Gap

__all__ = ["Gaps"]


@final
@attrs.define(eq=False, repr=False)
class Gaps:
    """Every gap on its way to the application.

    A gap is never dropped, however slow the application is: those of one subscription that it has
    not taken yet become one with the outermost bounds, so that there are as many as subscriptions.
    """

    delivery: Delivery
    total: int = attrs.field(init=False, default=0)
    """Told or about to be told, before any became one."""
    _waiting: dict[Hashable, Gap] = attrs.field(init=False, factory=dict[Hashable, Gap])

    def tell(self, gap: Gap) -> None:
        """Queues a gap, or widens the one that waits."""
        self.total += 1
        before = self._waiting.get(gap.subscription)
        if before is not None:
            self._waiting[gap.subscription] = _joined(before, gap)
            return
        self._waiting[gap.subscription] = gap
        say = partial(self._waiting.pop, gap.subscription)
        self.delivery.put(Notice(channel="", say=say, lasting=True))


def _joined(first: Gap, second: Gap) -> Gap:
    """One gap over both; its reason is that of the later one."""
    since = (
        None
        if first.since_ms is None or second.since_ms is None
        else min(first.since_ms, second.since_ms)
    )
    until = (
        None
        if first.until_ms is None or second.until_ms is None
        else max(first.until_ms, second.until_ms)
    )
    return msgspec.structs.replace(second, since_ms=since, until_ms=until)
