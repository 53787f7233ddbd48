"""Which events were heard before: a bounded memory of identities, and of what each one said.

Where a wire has no position, this is what joins history snapshots and the live stream: both are
taken as they come, in any order, and whatever overlaps is told apart here (HZ-F1, HZ-G18).
"""

from collections import deque
from enum import Enum
from typing import Any, final

import attrs
import msgspec

from lastseen.errors import ConfigurationError

__all__ = ["Identities", "Verdict"]

_VERSIONS_MAX = 8


class Verdict(Enum):
    """What an event is to us."""

    NEW = "new"
    REPEATED = "repeated"
    """Heard before, word for word."""
    AMENDED = "amended"
    """Heard before with another body: the same event, not another one (`facts/polynode.md` §7)."""


_NEW = Verdict.NEW


def _positive(_: object, attribute: "attrs.Attribute[Any]", value: int) -> None:
    if not value > 0:
        raise ConfigurationError(f"{attribute.name} must be above 0, not {value}")


@final
@attrs.define(eq=False, repr=False, on_setattr=attrs.setters.NO_OP)
class Identities:
    """The last `items_max` identities, the oldest out first, with a mark of what each one said.

    The memory must reach further back than any history snapshot: 500 events, or five minutes of
    everything (`facts/polynode.md` §6). The default holds that at 200 events a second, in about
    40 MiB.

    A mark is the body's hash, keyed anew in each process, so that no peer can make an amendment
    look like a repetition. A cryptographic digest would cost as much as decoding does.
    """

    items_max: int = attrs.field(default=65_536, validator=_positive)
    _marks: dict[tuple[str, ...], int | tuple[int, ...]] = attrs.field(
        init=False, factory=dict[tuple[str, ...], int | tuple[int, ...]]
    )
    """Of the body that an identity had; of all of them when it was more or less than one."""
    _order: deque[tuple[str, ...]] = attrs.field(init=False, factory=deque[tuple[str, ...]])

    def admit(self, key: tuple[str, ...], body: bytes | msgspec.Raw) -> Verdict:
        """Judges one event, and remembers it.

        A body that its identity had at any time is a repetition: an old snapshot takes back
        nothing. The empty key is no identity, and whatever has none is new (HZ-F2).

        >>> identities = Identities()
        >>> [identities.admit(("tx",), body).value for body in (b"1", b"2", b"1")]
        ['new', 'amended', 'repeated']
        """
        if not key:
            return _NEW
        mark = hash(bytes(body))
        known = self._marks.get(key)
        if known is None:
            self._marks[key] = mark
            self._order.append(key)
            if len(self._order) > self.items_max:
                del self._marks[self._order.popleft()]
            return _NEW
        versions = known if isinstance(known, tuple) else (known,)
        if mark in versions:
            return Verdict.REPEATED
        self._marks[key] = (*versions, mark)[-_VERSIONS_MAX:]
        return Verdict.AMENDED if versions else _NEW

    def forget(self, key: tuple[str, ...]) -> None:
        """The event was dropped before anybody had it: when it comes again, it is new."""
        if key in self._marks:
            # Its place in the order stays, so that it is not there twice.
            self._marks[key] = ()

    def __len__(self) -> int:
        return len(self._order)
