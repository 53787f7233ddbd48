"""REST rate limits: fixed windows per key and endpoint (§8)."""

import math

import attrs

__all__ = ["Allowance", "RateLimits"]


@attrs.frozen(kw_only=True)
class Allowance:
    """What the limiter says to one request; `resets_in_s` until the window ends."""

    limit: int
    remaining: int
    window_s: float
    resets_in_s: float
    refused: bool

    @property
    def retry_after_s(self) -> int:
        """Whole seconds after which a retry is welcome, at least one."""
        return max(1, math.ceil(self.resets_in_s))


@attrs.define(eq=False)
class RateLimits:
    """Counts requests; the first one of a window opens it."""

    _windows: dict[tuple[str, str], tuple[float, int]] = attrs.field(
        init=False, factory=dict[tuple[str, str], tuple[float, int]], repr=False
    )

    def take(self, key: str, bucket: str, *, limit: int, window_s: float, now: float) -> Allowance:
        """Takes one request out of the bucket; a refused one costs nothing."""
        opened, used = self._windows.get((key, bucket), (now, 0))
        if now - opened >= window_s:
            opened, used = now, 0
        refused = used >= limit
        used += not refused
        self._windows[key, bucket] = opened, used
        return Allowance(
            limit=limit,
            remaining=limit - used,
            window_s=window_s,
            resets_in_s=max(0.0, opened + window_s - now),
            refused=refused,
        )
