"""One open stream, as the gateway knows it, and what goes there."""

from collections.abc import Mapping
from typing import Any

import attrs

from lastseen.shapes import as_object
from lastseen_simulator.lines import Line
from lastseen_simulator.mischief import Placed
from lastseen_simulator.polymarket_us.access import Client
from lastseen_simulator.polymarket_us.asking import Asked
from lastseen_simulator.polymarket_us.market import FIRM

__all__ = ["Change", "Connection", "ConnectionView", "Grant", "member_of"]


@attrs.frozen(kw_only=True)
class Change:
    """A change as it was published; `seq` counts those of its channel."""

    channel: str
    entry_id: str
    seq: int
    item: Mapping[str, Any]
    wall_ms: int = 0

    def of(self, name: str) -> str | None:
        """The account or the symbol that it is about."""
        return member_of(self.item, name)


def member_of(item: Mapping[str, Any], name: str) -> str | None:
    """The account or the symbol that an object is about, wherever it says so.

    >>> member_of({"passive": {"account": "acct-demo"}}, "account")
    'acct-demo'
    """
    holders = ("order", "position", "passive", "aggressor")
    for holder in (item, *(item.get(each) for each in holders)):
        found = (as_object(holder) or {}).get(name)
        if isinstance(found, str):
            return found
    return None


@attrs.frozen(kw_only=True)
class Grant:
    """A stream that was granted; `marks` are the faults that change how it begins, by kind.

    With `refused` it begins well and ends at once with that code and message.
    """

    asked: Asked
    client: Client
    refused: tuple[int, str] | None = None
    marks: Mapping[str, Placed] = attrs.field(factory=dict[str, Placed])


@attrs.frozen(kw_only=True)
class ConnectionView:
    """One open stream from outside."""

    connection: int
    ordinal: int
    channel: str
    framing: str
    half_open: bool
    accounts: tuple[str, ...]
    symbols: tuple[str, ...]
    resumed: bool


@attrs.define(eq=False)
class Connection:
    """Its request, and the snapshot before the last one, for whoever wants to send it again."""

    line: Line
    grant: Grant
    last_sent_at: float
    silent_until: float = 0.0
    snapshots: list[bytes] = attrs.field(factory=list[bytes])
    """The last two, the older one first."""
    marks: dict[str, Placed] = attrs.field(init=False)
    """Faults that are still to change how it begins."""
    waits_for_delta: Placed | None = None
    """The snapshot comes only after a delta, as no gateway should do it."""

    def __attrs_post_init__(self) -> None:
        self.marks = dict(self.grant.marks)

    @property
    def number(self) -> int:
        """The driver's number of it."""
        return self.line.number

    @property
    def asked(self) -> Asked:
        """What it is."""
        return self.grant.asked

    def is_gone(self) -> bool:
        """Whether nothing more can be sent."""
        return self.line.is_gone()

    def wants(self, change: Change) -> bool:
        """Whether its filters let a change pass."""
        return change.channel == self.asked.channel.name and self.shows(change.item)

    def shows(self, item: Mapping[str, Any]) -> bool:
        """Whether its filters let an object pass; what names no account is everybody's."""
        asked = self.asked
        return (
            (not asked.accounts or member_of(item, "account") in (None, *asked.accounts))
            and (not asked.symbols or member_of(item, "symbol") in (None, *asked.symbols))
            and (not asked.firms or FIRM in asked.firms)
        )

    def view(self) -> ConnectionView:
        """What an operator may see of it."""
        asked = self.asked
        return ConnectionView(
            connection=self.number,
            ordinal=self.line.ordinal,
            channel=asked.channel.name,
            framing=asked.framing,
            half_open=self.line.muted,
            accounts=tuple(sorted(asked.accounts)),
            symbols=tuple(sorted(asked.symbols)),
            resumed=asked.token is not None,
        )
