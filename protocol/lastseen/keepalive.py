"""A ping in the application's own words, for peers and proxies that do not see the WebSocket's."""

from typing import final

import attrs

__all__ = ["Keepalive"]


@final
@attrs.define(eq=False)
class Keepalive:
    """When to ping on one connection, and whether an error that names no request answers a ping.

    The peer answers in order, so an error belongs to the ping when that came first and has no
    answer yet. A peer that does not know the ping is not asked again on this connection. One that
    says nothing is judged by `Liveness`, never here (HZ-I4).
    """

    interval_s: float
    answer_timeout_s: float
    """How long an error may still be the answer."""
    due_at: float | None = attrs.field(init=False, default=None)
    _sent_at: float | None = attrs.field(init=False, default=None)

    def start(self, *, now: float) -> None:
        """A connection is there."""
        self.due_at, self._sent_at = now + self.interval_s, None

    def stop(self) -> None:
        """The connection is gone, or its peer does not know the ping."""
        self.due_at = self._sent_at = None

    def is_due(self, *, now: float) -> bool:
        """Whether to ping now."""
        return self.due_at is not None and self.due_at <= now

    def sent(self, *, now: float) -> None:
        """A ping is on its way."""
        self.due_at, self._sent_at = now + self.interval_s, now

    def answered(self) -> None:
        """A pong came."""
        self._sent_at = None

    def refused(self, *, now: float) -> bool:
        """An error came; True when it answers a ping, after which there will be no other."""
        if self._sent_at is None or now >= self._sent_at + self.answer_timeout_s:
            return False
        self.stop()
        return True
