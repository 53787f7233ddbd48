"""What a client asks of OddsPapi: channels and filters, as the login frame can say them."""

from typing import Any, cast, final

import attrs

from lastseen.dialect import ScopeKind
from lastseen.dialects.oddspapi.channels import DEFAULT_CHANNELS, Family, traits_of
from lastseen.dialects.oddspapi.wire import ACCEPTED_LANGUAGES
from lastseen.errors import ConfigurationError

__all__ = ["DOCUMENTED_SPORTS", "Subscription"]

DOCUMENTED_SPORTS = (10, 11, 12, 13, 14, 15)
"""Soccer, basketball, tennis, baseball, American football, ice hockey (`facts` §6.1)."""

_RECEIVE_TYPES = ("json", "binary")

_NAMING = {Family.FIXTURES: "fixture_ids", Family.FUTURES: "future_ids"}


def _no_repeats(_: object, attribute: "attrs.Attribute[Any]", value: tuple[Any, ...]) -> None:
    if type(value) is not tuple or len(set(value)) != len(value):
        raise ConfigurationError(f"{attribute.name} must be a tuple without repeats")


def _default_sports(subscription: "Subscription") -> tuple[int, ...]:
    asked: Any = subscription.channels
    # What is no tuple is refused in a moment, by its validator.
    names = cast("tuple[str, ...]", asked) if type(asked) is tuple else ()
    families = {traits_of(name).family for name in names}
    # Futures can be named although no channel of theirs is asked for; that selects nothing.
    futures = subscription.future_ids if Family.FUTURES in families else ()
    narrowed = subscription.tournament_ids or subscription.fixture_ids or futures
    return () if narrowed or families <= {None} else DOCUMENTED_SPORTS


@final
@attrs.frozen(kw_only=True)
class Subscription:
    """Channels and filters; filters narrow each other, an empty one does not narrow (OP-A9).

    Sports and tournaments narrow the channels about fixtures and those about futures, `fixture_ids`
    and `future_ids` those of their own kind, and nothing narrows `currencies` (`facts` §2.1, §6.7).

    A snapshot of fixtures or futures must be asked for by sport, tournament or id (`facts` §5), so
    without any of these such channels could not be restored. A subscription that names none at all
    means the documented sports, so that the login asks for exactly what a snapshot can bring back;
    one that names some, but none that selects for a channel that it asks for, is refused.
    """

    channels: tuple[str, ...] = attrs.field(default=DEFAULT_CHANNELS, validator=_no_repeats)
    tournament_ids: tuple[int, ...] = attrs.field(default=(), validator=_no_repeats)
    fixture_ids: tuple[str, ...] = attrs.field(default=(), validator=_no_repeats)
    future_ids: tuple[str, ...] = attrs.field(default=(), validator=_no_repeats)
    sport_ids: tuple[int, ...] = attrs.field(
        default=attrs.Factory(_default_sports, takes_self=True), validator=_no_repeats
    )
    bookmakers: tuple[str, ...] = attrs.field(default=(), validator=_no_repeats)
    """Gates the channels of odds and bookmakers; empty asks for every permitted one (OP-A11)."""
    live: bool | None = None
    pregame: bool | None = None
    """Passed on when they are set; the newer page takes them from the key only (OP-A12)."""
    lang: str | None = None
    receive_type: str = "json"
    client_name: str | None = "lastseen"

    def __attrs_post_init__(self) -> None:
        if not self.channels:
            raise ConfigurationError("a subscription needs at least one channel")
        for family in Family:
            if not (self.sport_ids or self.tournament_ids or self.named(family)):
                self._refuse_unselected(family)
        if self.receive_type not in _RECEIVE_TYPES:
            raise ConfigurationError(f"receive_type must be one of {', '.join(_RECEIVE_TYPES)}")
        if self.lang is not None and self.lang not in ACCEPTED_LANGUAGES:
            raise ConfigurationError(f"lang must be one of {', '.join(ACCEPTED_LANGUAGES)}")

    def named(self, family: Family) -> tuple[str, ...]:
        """The fixtures or futures that are asked for by id."""
        return self.fixture_ids if family is Family.FIXTURES else self.future_ids

    def _refuse_unselected(self, family: Family) -> None:
        unselected = [
            name
            for name in self.channels
            if (traits := traits_of(name)).family is family and traits.kind is not ScopeKind.NONE
        ]
        if unselected:
            raise ConfigurationError(
                f"{', '.join(unselected)} cannot be restored without sport_ids, tournament_ids "
                f"or {_NAMING[family]}"
            )
