"""What a client asks of OddsPapi: channels and filters, as the login frame can say them."""

from typing import Any, final

import attrs

from lastseen.dialects.oddspapi.wire import ACCEPTED_LANGUAGES
from lastseen.errors import ConfigurationError

__all__ = ["DOCUMENTED_SPORTS", "SNAPSHOT_CHANNELS", "Subscription"]

SNAPSHOT_CHANNELS = ("fixtures", "scores", "odds", "bookmakers")
"""Channels that can be synced: there is a snapshot of them (`facts` §5)."""

DOCUMENTED_SPORTS = (10, 11, 12, 13, 14, 15)
"""Soccer, basketball, tennis, baseball, American football, ice hockey (`facts` §6.1)."""

_RECEIVE_TYPES = ("json", "binary")


def _no_repeats(_: object, attribute: "attrs.Attribute[Any]", value: tuple[Any, ...]) -> None:
    if type(value) is not tuple or len(set(value)) != len(value):
        raise ConfigurationError(f"{attribute.name} must be a tuple without repeats")


def _default_sports(subscription: "Subscription") -> tuple[int, ...]:
    narrowed = subscription.tournament_ids or subscription.fixture_ids
    return () if narrowed else DOCUMENTED_SPORTS


@final
@attrs.frozen(kw_only=True)
class Subscription:
    """Channels and filters; filters narrow each other, an empty one does not narrow (OP-A9).

    A snapshot must be asked for by sport, tournament or fixture (`facts` §5), so a subscription
    without any of the three could not be restored: it then names the documented sports, so that
    the login asks for exactly what a snapshot can bring back.
    """

    channels: tuple[str, ...] = attrs.field(default=SNAPSHOT_CHANNELS, validator=_no_repeats)
    tournament_ids: tuple[int, ...] = attrs.field(default=(), validator=_no_repeats)
    fixture_ids: tuple[str, ...] = attrs.field(default=(), validator=_no_repeats)
    sport_ids: tuple[int, ...] = attrs.field(
        default=attrs.Factory(_default_sports, takes_self=True), validator=_no_repeats
    )
    bookmakers: tuple[str, ...] = attrs.field(default=(), validator=_no_repeats)
    """Gates odds and bookmakers; empty asks for every permitted one (OP-A11)."""
    future_ids: tuple[str, ...] = attrs.field(default=(), validator=_no_repeats)
    """For the futures channels, which are delivered and not synced."""
    live: bool | None = None
    pregame: bool | None = None
    """Passed on when they are set; the newer page takes them from the key only (OP-A12)."""
    lang: str | None = None
    receive_type: str = "json"
    client_name: str | None = "lastseen"

    def __attrs_post_init__(self) -> None:
        if not self.channels:
            raise ConfigurationError("a subscription needs at least one channel")
        if not (self.sport_ids or self.tournament_ids or self.fixture_ids):
            raise ConfigurationError(
                "a subscription needs sport_ids, tournament_ids or fixture_ids"
            )
        if self.receive_type not in _RECEIVE_TYPES:
            raise ConfigurationError(f"receive_type must be one of {', '.join(_RECEIVE_TYPES)}")
        if self.lang is not None and self.lang not in ACCEPTED_LANGUAGES:
            raise ConfigurationError(f"lang must be one of {', '.join(ACCEPTED_LANGUAGES)}")
