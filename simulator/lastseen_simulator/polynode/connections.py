"""One accepted connection, as the PolyNode gateway knows it."""

import collections

import attrs

from lastseen_simulator.lines import Line, Outgoing
from lastseen_simulator.polynode.options import KeyGrant, Plan
from lastseen_simulator.polynode.subscriptions import Subscription

__all__ = ["Answer", "Connection", "ConnectionView", "Grant"]


@attrs.frozen(kw_only=True)
class Grant:
    """What an upgrade was granted: to which key, with which plan, compressed or not."""

    key: KeyGrant
    plan: Plan
    compressed: bool
    close: tuple[int, str] | None = None
    """Code and reason of the close that follows at once, where refusals are told so."""


@attrs.frozen(kw_only=True)
class Answer:
    """An answer on its way: not before `at`, or not before a live event if that is sooner."""

    out: Outgoing
    at: float
    or_live: bool = False


@attrs.frozen(kw_only=True)
class ConnectionView:
    """One open connection from outside; `subscriptions` by id, with the preset of each."""

    connection: int
    ordinal: int
    subscriber_id: str
    half_open: bool
    compressed: bool
    subscriptions: dict[str, str]


@attrs.define(eq=False)
class Connection:
    """Its subscriptions by their ids, and the answers that are owed, in the order of asking."""

    line: Line
    grant: Grant
    last_pong_at: float
    last_heard_at: float
    subscriptions: dict[str, Subscription] = attrs.field(factory=dict[str, Subscription])
    answers: collections.deque[Answer] = attrs.field(factory=collections.deque[Answer])
    subscribed: int = 0
    asked: int = 0
    silent_until: float = 0.0

    @property
    def number(self) -> int:
        """The driver's number of it."""
        return self.line.number

    @property
    def subscriber_id(self) -> str:
        """What it is called on the wire (§3.1)."""
        return f"conn-{self.line.ordinal}"

    def is_gone(self) -> bool:
        """Whether nothing more can be sent."""
        return self.line.is_gone()

    def view(self) -> ConnectionView:
        """What an operator may see of it."""
        return ConnectionView(
            connection=self.number,
            ordinal=self.line.ordinal,
            subscriber_id=self.subscriber_id,
            half_open=self.line.muted,
            compressed=self.grant.compressed,
            subscriptions={name: each.preset for name, each in self.subscriptions.items()},
        )
