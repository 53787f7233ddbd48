"""How parts that every session has are written down."""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from lastseen.budget import Budget
from lastseen.connections import Connection
from lastseen_simulator.explore.fingerprints import Walk

__all__ = ["OPTIONS", "write_budget", "write_connection", "write_delivery"]

OPTIONS: Final = (
    *(("Commits", name) for name in ("interval_s", "items_max", "retry_cap_s")),
    ("Dedup", "ring_items"),
    ("Escalation", "failures_max"),
    *(("Hold", name) for name in ("items_max", "bytes_max")),
    ("Share", "bytes_max"),
    *(("Liveness", name) for name in ("interval_s", "timeout_s")),
    *(("Attempts", name) for name in ("base_s", "cap_s", "stable_after_s")),
)
"""Fields that hold what a situation decides, and never change."""


def write_delivery(delivery: Any, walk: Walk) -> None:
    """Its counts of items ever queued matter by their differences only."""
    appended = getattr(delivery, "_appended")  # noqa: B009
    cleared: Mapping[str, int] = getattr(delivery, "_cleared")  # noqa: B009
    queue = getattr(delivery, "_queue")  # noqa: B009
    walk.out += (_name_and_rest(cleared, appended, len(queue)), len(queue))
    for item in (*queue, *getattr(delivery, "_taken")):  # noqa: B009
        walk.write(item)
    walk.write(getattr(delivery, "_loads"))  # noqa: B009


def _name_and_rest(cleared: Mapping[str, int], appended: int, waiting: int) -> list[Any]:
    """By channel, how many of the waiting items may be of it."""
    return [[name, min(waiting, appended - count)] for name, count in cleared.items()]


def write_budget(budget: Budget, walk: Walk) -> None:
    """What was used within the window, by its age."""
    used: deque[float] = getattr(budget, "_used_at")  # noqa: B009
    ages = [round(walk.now - at, 6) for at in used] if used else ()
    walk.out.append([age for age in ages if age < budget.window_s])
    walk.ahead(getattr(budget, "_paused_until"))  # noqa: B009


def write_connection(connection: Connection, walk: Walk) -> None:
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
