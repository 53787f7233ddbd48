"""What a case may do, one step at a time: values, so that any driver can play them.

A case yields steps and is sent what became of them. It never waits itself, reads no clock and
touches no socket.
"""

from collections.abc import Callable, Generator
from typing import Any

import attrs

from lastseen_conformance.history import History
from lastseen_simulator.faults import Fault

__all__ = [
    "Compare",
    "Condition",
    "Drop",
    "Kill",
    "Linger",
    "Notice",
    "Place",
    "Publish",
    "Restart",
    "Start",
    "Step",
    "Steps",
    "Stop",
    "Tell",
    "Wait",
    "now",
]

Condition = Callable[[History], bool]


@attrs.frozen(kw_only=True)
class Start:
    """Starts the client, again after it has ended."""


@attrs.frozen(kw_only=True)
class Kill:
    """Kills the client, at once and with everything it has started."""


@attrs.frozen(kw_only=True)
class Stop:
    """Asks the client to end, and kills it when it does not."""


@attrs.frozen
class Tell:
    """Says a line to the client: `state`."""

    command: str


@attrs.frozen
class Publish:
    """Publishes entries; answered with their ids."""

    channel: str
    payload: dict[str, Any] | None = None
    count: int = 1


@attrs.frozen
class Place:
    """Places a fault; answered with its number. It has to fire, or the case has shown nothing."""

    fault: Fault


@attrs.frozen(kw_only=True)
class Restart:
    """Restarts the gateway under another epoch, with or without notice."""

    announce: bool = False


@attrs.frozen(kw_only=True)
class Drop:
    """Ends one connection or all, without a close frame."""

    connection: int | None = None
    reset: bool = False


@attrs.frozen(kw_only=True)
class Notice:
    """Tells one connection, or all, to move."""

    connection: int | None = None
    reason: str = "server_upgrade"
    grace_s: float = 3.0


@attrs.frozen(kw_only=True)
class Wait:
    """Waits until something has happened; answered with whether it did.

    With a `rule` the client owes it, and a client that does not do it has broken the rule. Without
    one the case cannot go on and shows nothing. Either way it ends there.
    """

    until: Condition
    what: str
    rule: str | None = None
    patience_s: float | None = None


@attrs.frozen(kw_only=True)
class Linger:
    """Lets time pass, to see what the client does or does not do; less when `until` comes true."""

    seconds: float
    why: str
    until: Condition | None = None
    may_end: bool = False
    """The client is free to end meanwhile, or later."""


@attrs.frozen(kw_only=True)
class Compare:
    """Asks for the client's state until it equals the truth, which it owes by `rule`.

    Nothing is asked of a client that does not report.
    """

    rule: str
    what: str = "the client's state is the gateway's"
    patience_s: float | None = None


Step = (
    Start | Kill | Stop | Tell | Publish | Place | Restart | Drop | Notice | Wait | Linger | Compare
)
Steps = Generator[Step, Any, Any]


def now(kind: str, **parameters: Any) -> Place:
    """A fault that strikes at once."""
    return Place(Fault(kind=kind, at="at 0", **parameters))
