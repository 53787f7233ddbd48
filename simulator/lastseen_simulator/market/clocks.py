"""The clock of a live fixture (§6.4, §6.8)."""

from typing import Any, Final

from lastseen_simulator.sports import Sport

__all__ = ["NO_CLOCK", "clock_of"]

NO_CLOCK: Final = {
    "currentPeriod": None,
    "currentTime": None,
    "remainingTime": None,
    "remainingTimeInPeriod": None,
    "stopped": None,
}
"""What a fixture shows that has never had a clock."""


def clock_of(sport: Sport, elapsed_s: int, *, stopped: bool) -> dict[str, Any]:
    """The clock so many seconds after kick-off; a sport that is not timed has a period only."""
    if sport.period_minutes is None:
        return {**NO_CLOCK, "currentPeriod": sport.periods[0], "stopped": stopped}
    period_s = sport.period_minutes * 60
    whole_s = period_s * len(sport.periods)
    elapsed_s = min(max(elapsed_s, 0), whole_s)
    index = min(elapsed_s // period_s, len(sport.periods) - 1)
    return {
        "currentPeriod": sport.periods[index],
        "currentTime": _minutes(elapsed_s),
        "remainingTime": _minutes(whole_s - elapsed_s),
        "remainingTimeInPeriod": _minutes((index + 1) * period_s - elapsed_s),
        "stopped": stopped,
    }


def _minutes(seconds: int) -> str:
    """A span as `mm:ss`.

    >>> _minutes(5567)
    '92:47'
    """
    return f"{seconds // 60:02d}:{seconds % 60:02d}"
