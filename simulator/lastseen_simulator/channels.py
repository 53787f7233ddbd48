"""The channels of the feed, a row each: what a payload names, what it carries, who may see it.

Whoever needs to know something about a channel asks this table, by the channel's name. Payloads are
decoded JSON and may have any shape; the readers here pass over what is not what the row says.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

import attrs

from lastseen.shapes import as_object

__all__ = [
    "CHANNELS",
    "GATED_CHANNELS",
    "ROOTS",
    "STATEFUL_CHANNELS",
    "Channel",
    "entity_of",
    "payload_of",
    "section_of",
]

EntityMember = Literal["fixtureId", "futureId"]


@attrs.frozen(kw_only=True)
class Channel:
    """How the payloads of one channel are built (`facts` §6).

    `entity` is the member that names what a payload is about, None where the channel is global and
    no filter applies. `section` is the member that holds the units, None where the payload itself
    does. `depth` is how many names lead from there to a unit, which the wire replaces whole; None
    where there is no state at all. `gated` channels are filtered by bookmaker, which is the first
    of those names; units of `priced` ones may be inactive.
    """

    name: str
    entity: EntityMember | None
    section: str | None
    depth: int | None
    foreign: tuple[str, ...] = ()
    """Members of the payload that have channels of their own (§6.0, consequence 4)."""
    gated: bool = False
    priced: bool = False


_ROWS: Final = (
    Channel(name="bookmakers", entity="fixtureId", section="bookmakers", depth=1, gated=True),
    Channel(name="bookmakersFutures", entity="futureId", section="bookmakers", depth=1, gated=True),
    Channel(name="clocks", entity="fixtureId", section="clock", depth=0),
    # Either the payload is the section, or `rates` is (OP-A14): see `section_of`.
    Channel(name="currencies", entity=None, section=None, depth=1),
    Channel(name="events", entity="fixtureId", section="events", depth=None),
    Channel(
        name="fixtures",
        entity="fixtureId",
        section=None,
        depth=0,
        foreign=("scores", "clock", "bookmakers"),
    ),
    Channel(name="futures", entity="futureId", section=None, depth=0, foreign=("bookmakers",)),
    Channel(name="injuries", entity="fixtureId", section="injuries", depth=None),
    Channel(name="lineups", entity="fixtureId", section="lineups", depth=None),
    Channel(name="odds", entity="fixtureId", section="odds", depth=2, gated=True, priced=True),
    Channel(
        name="oddsFutures",
        entity="futureId",
        section="oddsFutures",
        depth=2,
        gated=True,
        priced=True,
    ),
    Channel(name="scores", entity="fixtureId", section="scores", depth=1),
    Channel(name="stats", entity="fixtureId", section="stats", depth=None),
)

CHANNELS: Final[Mapping[str, Channel]] = MappingProxyType({row.name: row for row in _ROWS})
"""Every channel of the vendor by its name, in alphabetical order (§2.1)."""

STATEFUL_CHANNELS: Final = tuple(row.name for row in _ROWS if row.depth is not None)
"""Channels whose entries add up to a state; the others are heard once or never."""

GATED_CHANNELS: Final = tuple(row.name for row in _ROWS if row.gated)
"""Channels whose messages are filtered by bookmaker (§2.1)."""

ROOTS: Final[Mapping[EntityMember, str]] = MappingProxyType(
    {"fixtureId": "fixtures", "futureId": "futures"}
)
"""The channel that describes an entity: its sport, its tournament, whether it is over."""


def entity_of(channel: Channel, payload: Mapping[str, Any]) -> str | None:
    """What a payload is about: empty text on a global channel, None where it does not say.

    >>> entity_of(CHANNELS["clocks"], {"fixtureId": "f1", "clock": None})
    'f1'
    """
    if channel.entity is None:
        return ""
    named: object = payload.get(channel.entity)
    return named if isinstance(named, str) else None


def section_of(channel: Channel, payload: Mapping[str, Any]) -> Any:
    """The part of a payload that holds its units.

    Currencies come as the payload itself or, in the older form, under `rates` (OP-A14).

    >>> section_of(CHANNELS["currencies"], {"rates": {"EUR": 0.91}})
    {'EUR': 0.91}
    """
    if channel.section is not None:
        return payload.get(channel.section)
    if channel.entity is None:
        rates = as_object(payload.get("rates"))
        return rates if rates is not None and _are_rates(rates) else dict(payload)
    return {name: value for name, value in payload.items() if name not in channel.foreign}


def payload_of(channel: Channel, entity: str, section: Any) -> dict[str, Any]:
    """A payload that carries this section of this entity.

    >>> payload_of(CHANNELS["currencies"], "", {"EUR": 0.91})
    {'rates': {'EUR': 0.91}}
    """
    if channel.entity is None:
        return {"rates": section} if _are_rates(section) else section
    if channel.section is None:
        return dict(section)
    return {channel.entity: entity, channel.section: section}


def _are_rates(section: Mapping[str, Any]) -> bool:
    return all(type(value) in (int, float) for value in section.values())
