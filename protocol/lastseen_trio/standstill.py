"""Noticing that the event loop stood still: a handler blocked it, or the machine was suspended."""

from collections.abc import Callable
from time import monotonic
from typing import final

import attrs
import trio

__all__ = ["Standstill"]


@final
@attrs.define(eq=False)
class Standstill(trio.abc.Instrument):
    """Reports, in seconds, every time that passed between two waits of the loop, when long enough.

    While tasks run without a checkpoint no pong is sent and no deadline kept (HZ-I1), and nothing
    can be said about it either; so it is told as soon as it is over. What counts is the time by the
    run's clock or the machine's, whichever is shorter: a clock of tests jumps without anybody
    having waited.
    """

    after_s: float
    report: Callable[[float], None]
    _since: tuple[float, float] | None = attrs.field(init=False, default=None)

    def after_io_wait(self, timeout: float) -> None:
        """The loop goes back to work."""
        del timeout
        self._since = monotonic(), trio.current_time()

    def before_io_wait(self, timeout: float) -> None:
        """The loop has done what there was to do."""
        del timeout
        if self._since is not None:
            worked, virtual = self._since
            seconds = min(monotonic() - worked, trio.current_time() - virtual)
            if seconds >= self.after_s:
                # Instruments may not run anything themselves.
                trio.lowlevel.current_trio_token().run_sync_soon(self.report, seconds)
