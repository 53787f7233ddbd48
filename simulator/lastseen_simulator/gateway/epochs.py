"""The lives of the gateway: the one that serves new logins, and old ones that still stream."""

import random
from collections.abc import Iterable
from typing import Any

import attrs

from lastseen_simulator.gateway.journal import Entry, Epoch, Journal
from lastseen_simulator.gateway.options import SERVED_CHANNELS, GatewayOptions

__all__ = ["Epochs"]


@attrs.define(eq=False)
class Epochs:
    """Every living epoch publishes every entry, under its own ids.

    Between a `reconnect` notice and the close, two replicas of the gateway stream the same market;
    each has its own epoch and its own numbers (RR-3).
    """

    options: GatewayOptions
    rng: random.Random
    living: list[Epoch] = attrs.field(init=False, factory=list[Epoch])
    _begun: int = attrs.field(init=False, default=0)

    @property
    def current(self) -> Epoch:
        """The epoch that serves new logins."""
        return self.living[-1]

    def begin(self) -> Epoch:
        """Starts a new epoch with empty replay buffers, or goes on in the old one (OP-A5)."""
        if self.living and self.options.restart_epoch == "kept":
            return self.current
        self._begun += 1
        goes_on = self.options.sequence_restarts == "never" and bool(self.living)
        journals = {
            channel: Journal(
                channel=channel,
                rule=self.options.sequence_restarts,
                window_ms=self.options.resume_window_ms,
                entries_max=self.options.journal_entries_max,
                seq=self.current.journals[channel].seq if goes_on else 0,
            )
            for channel in SERVED_CHANNELS
        }
        epoch = Epoch(
            name=f"{self.rng.getrandbits(128):032x}", number=self._begun, journals=journals
        )
        self.living.append(epoch)
        return epoch

    def append(
        self, channel: str, payload: dict[str, Any], *, wall_ms: int, coalesced: int
    ) -> dict[str, Entry]:
        """Publishes a payload in every living epoch; maps epoch name to entry."""
        return {
            epoch.name: epoch.journals[channel].append(
                payload, wall_ms=wall_ms, coalesced=coalesced
            )
            for epoch in self.living
        }

    def heads_of(self, channel: str) -> dict[str, str | None]:
        """The newest entry id of a channel in each living epoch."""
        return {epoch.name: epoch.head(channel) for epoch in self.living}

    def retire(self, served: Iterable[Epoch]) -> None:
        """Forgets epochs that serve nobody any more."""
        kept = {epoch.name for epoch in served} | {self.current.name}
        self.living = [epoch for epoch in self.living if epoch.name in kept]
