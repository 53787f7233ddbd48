"""The market's tables: the one state that entries announce and REST answers are read from.

So the two can only disagree where a fault makes them. Every table value is replaced, never edited
in place, so whoever holds an older one holds an older truth.
"""

from collections.abc import Iterator
from typing import Any

import attrs

from lastseen.shapes import as_object, member
from lastseen_simulator.channels import (
    CHANNELS,
    ROOTS,
    STATEFUL_CHANNELS,
    EntityMember,
    entity_of,
    payload_of,
    section_of,
)

__all__ = ["Change", "Ledger", "Payload", "Tables", "Undo", "status_of"]

Payload = dict[str, Any]
Change = tuple[str, Payload]
Tables = dict[str, dict[str, Any]]
"""Channel → entity → the section of that channel's payload, whole (see `channels`).

A global channel has one entity, named by empty text. Channels without a state have no table.
"""


@attrs.frozen(kw_only=True)
class Undo:
    """What one `apply` replaced: the entity's value before, None when there was none.

    `entity` is None when the payload has left the tables as they were.
    """

    channel: str
    entity: str | None
    previous: Any


@attrs.define(eq=False)
class Ledger:
    """Takes payloads in, remembers what each replaced."""

    tables: Tables = attrs.field(
        init=False, factory=lambda: {channel: {} for channel in STATEFUL_CHANNELS}
    )
    turns: int = attrs.field(init=False, default=0)
    """How often a fixture or a future has appeared or changed its status."""
    _undos: list[Undo] = attrs.field(init=False, factory=list[Undo])

    def apply(self, name: str, payload: Payload) -> None:
        """Replaces the units a payload carries (§6.0); odd shapes change what they can."""
        channel = CHANNELS[name]
        entity = entity_of(channel, payload)
        if channel.depth is None or entity is None:
            self._undos.append(Undo(channel=name, entity=None, previous=None))
            return
        table = self.tables[name]
        known = table.get(entity)
        self._undos.append(Undo(channel=name, entity=entity, previous=known))
        section = as_object(section_of(channel, payload))
        if section is not None:
            table[entity] = after = _merged(known, section, channel.depth)
            if name in ROOTS.values() and (known is None or _status(known) != _status(after)):
                self.turns += 1

    def take_undos(self) -> list[Undo]:
        """What each `apply` since the last call replaced, in order."""
        undos, self._undos = self._undos, []
        return undos

    def payloads(self) -> Iterator[Change]:
        """The whole state as payloads, as if everything had just been published."""
        for name, table in self.tables.items():
            for entity, section in table.items():
                yield name, payload_of(CHANNELS[name], entity, section)

    def section(self, name: str, entity: str) -> dict[str, Any]:
        """What a table holds of an entity; empty when there is nothing."""
        return self.tables[name].get(entity) or {}


def _merged(known: Any, section: dict[str, Any], depth: int) -> dict[str, Any]:
    """`section` on top of what is known: merged down to the unit, the unit replaced."""
    if depth == 0:
        return section
    before = as_object(known) or {}
    if depth == 1:
        return before | section
    return before | {
        name: _merged(before.get(name), part, depth - 1)
        for name, value in section.items()
        if (part := as_object(value)) is not None
    }


def status_of(tables: Tables, entity: str, *, of: EntityMember = "fixtureId") -> int | None:
    """The `statusId` of a fixture or a future, None when it has none or is not there."""
    return _status(tables[ROOTS[of]].get(entity))


def _status(subject: Any) -> int | None:
    number = member(subject, "status", "statusId")
    return number if type(number) is int else None
