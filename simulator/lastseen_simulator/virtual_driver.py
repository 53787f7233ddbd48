"""Drives a gateway in virtual time: what the server does, without sockets and clocks."""

from collections.abc import Callable

import attrs

from lastseen_simulator.effects import Effect
from lastseen_simulator.gateways import GatewayCore

__all__ = ["VirtualDriver"]


@attrs.define(eq=False)
class VirtualDriver:
    """Hands every effect to `take`, in order, and lets time pass from deadline to deadline.

    Whatever is due is done before a call returns; `effects` has all effects there ever were.
    """

    gateway: GatewayCore
    take: Callable[[Effect], None]
    now: float = 0.0
    effects: list[Effect] = attrs.field(init=False, factory=list[Effect])

    def settle(self) -> None:
        """Drains effects and rings whatever is due by now."""
        self._drain()
        while (deadline := self.gateway.poll_deadline()) is not None and deadline[0] <= self.now:
            self.gateway.handle_deadline(now=self.now)
            self._drain()

    def advance(self, seconds: float) -> None:
        """Lets time pass, stopping at every deadline on the way."""
        end = self.now + seconds
        while (deadline := self.gateway.poll_deadline()) is not None and deadline[0] <= end:
            self.now = max(self.now, deadline[0])
            self.gateway.handle_deadline(now=self.now)
            self._drain()
        self.now = end

    def _drain(self) -> None:
        while effects := self.gateway.poll_effects():
            for effect in effects:
                self.effects.append(effect)
                self.take(effect)
