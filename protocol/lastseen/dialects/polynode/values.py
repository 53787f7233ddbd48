"""Reading the values that settlements, confirmations and clocks have in common."""

from collections.abc import Mapping
from typing import cast

from lastseen.history_messages import News

__all__ = ["EPOCH_MS", "STATUSES", "duration_ms", "epoch_ms"]

STATUSES: Mapping[object, News] = {"pending": News.PENDING, "confirmed": News.CONFIRMED}
"""What a settlement's `status` may be (`facts/polynode.md` §3.2)."""

EPOCH_MS = (1_577_836_800_000, 4_102_444_800_000)
"""2020 to 2100. In seconds the same range is another, so that no unit is mistaken (§9.8)."""


def epoch_ms(stamp: object) -> int | None:
    """A moment in epoch milliseconds, from milliseconds or seconds; None when it is neither.

    >>> epoch_ms(1790000005), epoch_ms(1790000005000), epoch_ms(7)
    (1790000005000, 1790000005000, None)
    """
    if type(stamp) is not int and type(stamp) is not float:
        return None
    first, last = EPOCH_MS
    if first <= stamp < last:
        return int(stamp)
    return int(stamp * 1000) if first <= stamp * 1000 < last else None


def duration_ms(value: object) -> float | None:
    """A time span as the wire has it; None when it is no number, or below 0 (HZ-G15)."""
    usable = (type(value) is int or type(value) is float) and cast("float", value) >= 0
    return cast("float", value) if usable else None
