"""The mechanisms a session is composed of, handed in at construction.

A broken variant of a session is made by replacing one of them; the product has no other switch.
"""

from collections.abc import Callable
from typing import Any

import attrs

from lastseen.asks import Asks
from lastseen.backoff import ConnectGate
from lastseen.budget import Budget
from lastseen.commits import Commits
from lastseen.coverage import Coverage
from lastseen.dedup import Dedup
from lastseen.delivery import Delivery
from lastseen.escalation import Escalation
from lastseen.hold import Hold, Share
from lastseen.identities import Identities
from lastseen.join import Join
from lastseen.lifecycle import Lifecycle
from lastseen.liveness import Liveness
from lastseen.pages import Pages
from lastseen.position import PositionKeeper
from lastseen.progress import Progress
from lastseen.tokens import TokenKeeper

__all__ = ["Mechanisms"]


@attrs.frozen(kw_only=True)
class Mechanisms:
    """How each mechanism is made; the defaults keep R1 to R15."""

    position: Callable[[], PositionKeeper] = PositionKeeper
    """R1, R2, R9."""
    dedup: Callable[[int], Dedup] = Dedup
    hold: Callable[[int, int, Share], Hold] = Hold
    """R14."""
    delivery: Callable[[int, int], Delivery] = Delivery
    """R14."""
    join: Callable[[], Join] = Join
    """R3, R4, R5, R7, R8, R10, R11."""
    commits: Callable[[float, int, float], Commits] = Commits
    """R6."""
    gate: Callable[..., ConnectGate] = ConnectGate
    """R12."""
    escalation: Callable[[int], Escalation] = Escalation
    """R13."""
    lifecycle: Callable[..., Lifecycle] = Lifecycle
    """R15."""
    identities: Callable[[int], Identities] = Identities
    asks: Callable[..., Asks[Any]] = Asks
    coverage: Callable[..., Coverage] = Coverage
    liveness: Callable[..., Liveness] = Liveness
    budget: Callable[[int, float], Budget] = Budget
    tokens: Callable[[], TokenKeeper] = TokenKeeper
    """R2, R6, R9 for a stream."""
    progress: Callable[[int], Progress] = Progress
    pages: Callable[[int], Pages] = Pages
