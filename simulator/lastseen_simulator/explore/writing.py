"""How parts that every session has are written down."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Final

from lastseen.budget import Budget
from lastseen.connections import Connection
from lastseen.delivery import Delivery
from lastseen_simulator.explore.fingerprints import Walk, Write

__all__ = [
    "BESIDE_A_GATEWAY",
    "BESIDE_A_SESSION",
    "EQUAL",
    "WRITERS",
    "write_budget",
    "write_keeper",
]

_OPTIONS: Final = (
    *(("Commits", name) for name in ("interval_s", "items_max", "retry_cap_s")),
    ("Dedup", "ring_items"),
    ("Escalation", "failures_max"),
    *(("Hold", name) for name in ("items_max", "bytes_max")),
    ("Share", "bytes_max"),
    *(("Liveness", name) for name in ("interval_s", "timeout_s")),
    *(("Attempts", name) for name in ("base_s", "cap_s", "stable_after_s")),
)
"""Fields that hold what a situation decides, and never change."""

BESIDE_A_SESSION: Final = (
    ("Anomalies", "counts"),
    ("Anomalies", "redact"),
    ("Commits", "_number"),
    ("Witness", "problems"),
    *(
        ("Connections", name)
        for name in ("listen", "classify", "on_lost", "on_login_ended", "may_connect")
    ),
    *_OPTIONS,
)
"""Counters, traces, wiring and options of every client that keeps something."""

BESIDE_A_GATEWAY: Final = (
    "truth",
    "_accepted",
    "_mischief",
    "_strikes",
    "_delivery",
    "_sessions",
)
"""Fields of every gateway in which no state of it is."""

EQUAL: Final[Mapping[str, str]] = {
    "era": "era",
    "revision": "claim",
    "_revision": "claim",
    "_seen_revision": "claim",
}
"""Numbers of every session that are only compared for being equal, and their sort."""


_of_delivery: Final[Callable[[Any], tuple[int, Mapping[str, int], Any, Any, Any]]] = attrgetter(
    "_appended", "_cleared", "_queue", "_taken", "_loads"
)
_of_budget: Final[Callable[[Budget], tuple[deque[float], float]]] = attrgetter(
    "_used_at", "_paused_until"
)


def _write_delivery(delivery: Any, walk: Walk) -> None:
    """Its counts of items ever queued matter by their differences only."""
    appended, cleared, queue, taken, loads = _of_delivery(delivery)
    walk.out += (_name_and_rest(cleared, appended, len(queue)), len(queue))
    for item in (*queue, *taken):
        walk.write(item)
    walk.write(loads)


def _name_and_rest(cleared: Mapping[str, int], appended: int, waiting: int) -> list[Any]:
    """By channel, how many of the waiting items may be of it."""
    return [[name, min(waiting, appended - count)] for name, count in cleared.items()]


def write_budget(budget: Budget, walk: Walk) -> None:
    """What was used within the window, by its age."""
    used, paused_until = _of_budget(budget)
    now, window_s = walk.now, budget.window_s
    ages = [age for at in used if (age := round(now - at, 6)) < window_s] if used else ()
    walk.out += (ages, round(paused_until - now, 6) if paused_until > now else 0.0)


def _write_connection(connection: Connection, walk: Walk) -> None:
    """How many entries came matters only in whether any did."""
    walk.out += (
        connection.number,
        connection.state.name,
        connection.noticed,
        connection.resumed,
        connection.promoted,
        connection.login_sent,
        connection.entries > 0,
        connection.login_waits,
        connection.awaits,
        str(connection.cause),
    )
    walk.ahead(connection.deadline)
    walk.write(connection.liveness)
    walk.write(connection.login_position)


def write_keeper(client: Any, walk: Walk, scopes: object, unproven: Iterable[Any]) -> None:
    """A client with a disk; `scopes` are what its copy of the state says, in a dialect's words."""
    walk.write(client.session)
    walk.out += (scopes, sorted(map(str, unproven)))
    walk.write(client.witness)
    walk.out.append(client.disk.written)
    if client.staged is not None:
        walk.out += ("staged", client.staged[1].written)


WRITERS: Final[Mapping[type, Write]] = {
    Delivery: _write_delivery,
    Budget: write_budget,
    Connection: _write_connection,
}
"""Parts of every session that are written by hand."""
