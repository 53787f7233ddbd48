"""One open stream, as the gateway knows it, and what goes there."""

from collections.abc import Mapping
from typing import Any

import attrs

from lastseen.shapes import as_object
from lastseen_simulator.lines import Line
from lastseen_simulator.polymarket_us.asking import Asked

__all__ = ["Change", "Connection", "ConnectionView"]


@attrs.frozen(kw_only=True)
class Change:
    """A change as it was published; `seq` counts those of its channel."""

    channel: str
    entry_id: str
    seq: int
    item: Mapping[str, Any]

    def of(self, name: str) -> str | None:
        """The account or the symbol that it is about."""
        for holder in (self.item, self.item.get("order"), self.item.get("position")):
            found = (as_object(holder) or {}).get(name)
            if isinstance(found, str):
                return found
        return None


@attrs.frozen(kw_only=True)
class ConnectionView:
    """One open stream from outside."""

    connection: int
    ordinal: int
    channel: str
    framing: str
    half_open: bool


@attrs.define(eq=False)
class Connection:
    """Its request, and the snapshot before the last one, for whoever wants to send it again."""

    line: Line
    asked: Asked
    last_sent_at: float
    silent_until: float = 0.0
    old_snapshots: list[bytes] = attrs.field(factory=list[bytes])
    waits_for_delta: bool = False
    """The snapshot comes only after a delta, as no gateway should do it."""

    @property
    def number(self) -> int:
        """The driver's number of it."""
        return self.line.number

    def is_gone(self) -> bool:
        """Whether nothing more can be sent."""
        return self.line.is_gone()

    def wants(self, change: Change) -> bool:
        """Whether its filters let a change pass."""
        asked = self.asked
        return (
            change.channel == asked.channel
            and (not asked.accounts or change.of("account") in (None, *asked.accounts))
            and (not asked.symbols or change.of("symbol") in (None, *asked.symbols))
        )

    def view(self) -> ConnectionView:
        """What an operator may see of it."""
        return ConnectionView(
            connection=self.number,
            ordinal=self.line.ordinal,
            channel=self.asked.channel,
            framing=self.asked.framing,
            half_open=self.line.muted,
        )
