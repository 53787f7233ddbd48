"""The feed of a wire that catches up from histories, as an application holds it."""

from typing import final

import attrs

from lastseen.dialects.polynode import Subscription
from lastseen.history_session import HistorySession
from lastseen.lifecycle import ItemKey, ItemState
from lastseen.status import HistoryStatus
from lastseen_trio.driver import Driver

__all__ = ["HistoryFeed"]


@final
@attrs.define(eq=False, repr=False)
class HistoryFeed(Driver[HistorySession]):
    """Every event of some subscriptions to a feed that catches up from histories.

    Made by `open_feed`, and taken from as a `Feed` is. There is no position and nothing to keep
    across restarts: what matters between two runs is in the histories, as far as they reach.
    """

    def subscribe(self, subscription: Subscription) -> None:
        """Asks for one more subscription on the same connection; `Subscribed` says when it stands.

        Raises `LocalProtocolError` for one that is there already, and `ConfigurationError` for one
        that cannot stand beside the others.
        """
        self._step(lambda now: self._session.handle_subscribe(subscription, now=now))

    def unsubscribe(self, subscription: Subscription) -> None:
        """Ends one subscription; raises `LocalProtocolError` for one that is not there, or last."""
        self._step(lambda now: self._session.handle_unsubscribe(subscription, now=now))

    def resync(self) -> None:
        """Asks for as much history as there is, to be merged once more."""
        self._step(lambda now: self._session.handle_resync(now=now))

    def item(self, key: ItemKey) -> ItemState | None:
        """Where an item stands, as far as it is remembered."""
        return self._session.item(key)

    def status(self) -> HistoryStatus:
        """What the session claims at this moment."""
        return self._session.status()

    def _begin(self, now: float) -> None:
        self._session.handle_begin(now=now)
