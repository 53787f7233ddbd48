"""The timers a client is asked to use, short enough that a case takes a second or two."""

from collections.abc import Mapping
from typing import Final

__all__ = ["PATIENCE_S", "TIMERS", "as_environment"]

TIMERS: Final[Mapping[str, float]] = {
    "backoff_base_s": 0.05,
    "backoff_cap_s": 0.4,
    "stable_after_s": 1.0,
    "limit_backoff_s": 0.3,
    "handover_jitter_s": 0.1,
    "connect_timeout_s": 3.0,
    "login_timeout_s": 2.0,
    "resume_timeout_s": 2.0,
    "ping_interval_s": 0.5,
    "ping_timeout_s": 2.0,
    "snapshot_timeout_s": 2.0,
    "snapshot_jitter_s": 0.05,
    "snapshot_backoff_base_s": 0.1,
    "snapshot_backoff_cap_s": 0.5,
    "snapshot_settled_s": 0.2,
    "verify_after_s": 0.8,
    "keepalive_interval_s": 0.5,
    "history_timeout_s": 1.0,
    "history_interval_s": 0.5,
    "pending_timeout_s": 1.5,
    "silence_limit_s": 2.5,
    "token_timeout_s": 2.0,
}
"""By their names in the options of our sessions. A client may be slower than any."""

PATIENCE_S: Final = 10.0
"""How long a client may take for what it owes, before it has failed to do it."""


def as_environment(timers: Mapping[str, float]) -> dict[str, str]:
    """As environment variables.

    >>> as_environment({"backoff_base_s": 0.05})
    {'LASTSEEN_BACKOFF_BASE_S': '0.05'}
    """
    return {f"LASTSEEN_{name.upper()}": f"{seconds:g}" for name, seconds in timers.items()}
