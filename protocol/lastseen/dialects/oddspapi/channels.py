"""Every channel in one table: how it is restored, narrowed, read and compared (`facts` §5, §6)."""

from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from typing import Any, Final, final

import attrs

from lastseen.dialect import ScopeKind
from lastseen.dialects.oddspapi.units import (
    Reader,
    Units,
    changed_at,
    is_blank,
    is_finished,
    is_inactive,
    read_clock,
    read_currencies,
    read_items,
    read_rows,
    read_whole,
    updated_at,
)
from lastseen.errors import PayloadError

__all__ = [
    "CHANNELS",
    "DEFAULT_CHANNELS",
    "ENTITY_MEMBERS",
    "LIVE_ONLY",
    "ROSTERS",
    "SNAPSHOT_CHANNELS",
    "ChannelTraits",
    "Family",
    "read_units",
    "restored_by",
    "stamp_of",
    "traits_of",
    "view",
]


class Family(Enum):
    """What an update can be about; the value is the member that names it."""

    FIXTURES = "fixtureId"
    FUTURES = "futureId"


def _never(_: Any) -> bool:
    return False


def _undated(_: Any) -> None:
    return None


@final
@attrs.frozen(kw_only=True)
class ChannelTraits:
    """One row of the table."""

    family: Family | None
    """None for a global channel, to which no filter applies."""
    source: str | None = None
    """The kind of fetch that restores the channel or, where there is an `entity_source`, lists the
    entities that it has. Such a list bears the name of the channel that it restores itself."""
    entity_source: str | None = None
    """The kind of fetch that restores one fixture or future of the channel."""
    gated: bool = False
    """Sorted by bookmaker: filtered by `bookmakers`, and gone once its entity is over."""
    read: Reader | None = None
    """None when nothing is known of the payload, which is passed on untouched (`facts` §6.8)."""
    stamp: Callable[[Any], Any] = _undated
    hidden: Callable[[Any], bool] = _never
    """Whether a unit counts as absent."""

    @property
    def kind(self) -> ScopeKind:
        """What one snapshot of the channel covers."""
        if self.entity_source is not None:
            return ScopeKind.PER_ENTITY
        return ScopeKind.NONE if self.source is None else ScopeKind.WHOLE


LIVE_ONLY: Final = ChannelTraits(family=Family.FIXTURES)
"""A channel that nothing restores, and what is assumed of one that is not in the table."""

CHANNELS: Final[Mapping[str, ChannelTraits]] = {
    "fixtures": ChannelTraits(
        family=Family.FIXTURES,
        source="fixtures",
        read=partial(read_whole, ("scores", "clock", "bookmakers")),
    ),
    "scores": ChannelTraits(
        family=Family.FIXTURES,
        source="fixtures",
        read=partial(read_items, "scores"),
        stamp=updated_at,
    ),
    "clocks": ChannelTraits(
        family=Family.FIXTURES,
        source="fixtures",
        read=read_clock,
        hidden=is_blank,
    ),
    "odds": ChannelTraits(
        family=Family.FIXTURES,
        source="fixtures",
        entity_source="odds",
        read=partial(read_rows, "odds"),
        gated=True,
        stamp=changed_at,
        hidden=is_inactive,
    ),
    "bookmakers": ChannelTraits(
        family=Family.FIXTURES,
        source="fixtures",
        entity_source="odds",
        read=partial(read_items, "bookmakers"),
        gated=True,
        stamp=updated_at,
    ),
    "futures": ChannelTraits(
        family=Family.FUTURES, source="futures", read=partial(read_whole, ("bookmakers",))
    ),
    "oddsFutures": ChannelTraits(
        family=Family.FUTURES,
        source="futures",
        entity_source="future_odds",
        read=partial(read_rows, "oddsFutures"),
        gated=True,
        stamp=changed_at,
        hidden=is_inactive,
    ),
    "bookmakersFutures": ChannelTraits(
        family=Family.FUTURES,
        source="futures",
        entity_source="future_odds",
        read=partial(read_items, "bookmakers"),
        gated=True,
        stamp=updated_at,
    ),
    "currencies": ChannelTraits(
        family=None, source="currencies", read=read_currencies, stamp=updated_at
    ),
    "events": LIVE_ONLY,
    "stats": LIVE_ONLY,
    "injuries": LIVE_ONLY,
    "lineups": LIVE_ONLY,
}
"""Every channel name that is known (`facts` §2.1); the set is open."""

DEFAULT_CHANNELS: Final = ("fixtures", "scores", "odds", "bookmakers")
"""What a subscription asks for unless it says otherwise."""

SNAPSHOT_CHANNELS: Final = tuple(
    name for name, traits in CHANNELS.items() if traits.kind is not ScopeKind.NONE
)
"""Channels that can be synced: there is a snapshot of them (`facts` §5)."""

ENTITY_MEMBERS: Final[Mapping[str, str]] = {
    name: traits.family.value
    for name, traits in CHANNELS.items()
    if traits.kind is ScopeKind.PER_ENTITY and traits.family is not None
}
"""Channels synced one entity at a time, and the payload's member that names it (design §5a)."""

ROSTERS: Final[Mapping[str, Family]] = {
    traits.source: traits.family
    for traits in CHANNELS.values()
    if traits.kind is ScopeKind.PER_ENTITY and traits.source and traits.family is not None
}
"""Kinds of fetch that list entities, each named like the channel that it restores."""


def traits_of(channel: str) -> ChannelTraits:
    """The row of a channel; any name has one."""
    return CHANNELS.get(channel, LIVE_ONLY)


def restored_by(kind: str) -> tuple[str, ...]:
    """The channels that this kind of fetch restores, or has the roster of."""
    return tuple(
        name for name, traits in CHANNELS.items() if kind in (traits.source, traits.entity_source)
    )


def read_units(channel: str, payload: Mapping[str, Any]) -> Units:
    """The units of one update; raises `PayloadError` for a wrong shape.

    >>> read_units("scores", {"fixtureId": "f1", "scores": {"p1": {}}})
    {'scores/f1/p1': {}}
    """
    traits = traits_of(channel)
    if traits.read is None:
        return {}
    if traits.family is None:
        return traits.read(channel, payload)
    name = payload.get(traits.family.value)
    if type(name) is not str or not name:
        raise PayloadError(f"{channel} without a {traits.family.value}")
    return traits.read(f"{channel}/{name}", payload)


def stamp_of(channel: str, value: Any) -> Any:
    """A unit's own time (OP-A6): `changedAt` of odds, `updatedAt` of scores, statuses, currencies.

    None when there is none, or when it cannot be compared; then the stream wins.
    """
    return traits_of(channel).stamp(value)


def view(units: Mapping[str, Any]) -> Units:
    """What a reader should see: no inactive rows, no blank clocks, and no odds of what is over.

    The vendor's snapshots may leave them out (OP-A27, `facts` §5, §6.4), so that only this view can
    be compared.
    """
    over = {
        key
        for key, value in units.items()
        if key.partition("/")[0] in ROSTERS and is_finished(value)
    }
    return {key: value for key, value in units.items() if _is_shown(key, value, over)}


def _is_shown(key: str, value: Any, over: set[str]) -> bool:
    channel, _, rest = key.partition("/")
    traits = traits_of(channel)
    if traits.gated and f"{traits.source}/{rest.partition('/')[0]}" in over:
        return False
    return not traits.hidden(value)
