"""The way to one connection, and the frames that go there, as faults see them."""

from typing import Protocol

import attrs

from lastseen_simulator.mischief import Placed

__all__ = ["Line", "Outgoing", "Published"]


class Published(Protocol):
    """What a data frame carries: `channel` is what faults and the truth log sort it by."""

    @property
    def channel(self) -> str:
        """The channel, or the type of the event."""
        ...

    @property
    def entry_id(self) -> str:
        """What tells it from any other of its channel."""
        ...


@attrs.frozen(kw_only=True)
class Outgoing:
    """A frame on its way: data frames have their `entry`, control frames what is told of them.

    A control frame that carries entries, as a history snapshot does, names them in `carries`; so
    does a data frame that has more than one, whose `entry` is the last.
    """

    name: str
    data: str | bytes
    control: object = None
    entry: Published | None = None
    carries: tuple[Published, ...] = ()

    @property
    def channel(self) -> str | None:
        """The channel of a data frame."""
        return None if self.entry is None else self.entry.channel


@attrs.define(eq=False)
class Line:
    """What goes to one connection: `number` is the driver's, `ordinal` counts those accepted.

    `muted` is half-open: it still holds its socket, but nothing goes in or out any more. `armed`
    are faults for the next data frame, `waiting` frames that are to be overtaken.
    """

    number: int
    ordinal: int
    muted: bool = False
    ended: bool = False
    armed: list[Placed] = attrs.field(factory=list[Placed])
    waiting: list[Outgoing] = attrs.field(factory=list[Outgoing])
    overtaken_by: Placed | None = None
    counts: dict[tuple[str, str | None], int] = attrs.field(
        factory=dict[tuple[str, str | None], int]
    )

    def is_gone(self) -> bool:
        """Whether nothing more can be sent."""
        return self.muted or self.ended

    def count(self, frame: Outgoing) -> dict[tuple[str, str | None], int]:
        """Counts a frame under each of its names; returns its number under each."""
        names = ("frame", frame.name) if frame.entry is None else ("frame", "data", frame.name)
        keys: list[tuple[str, str | None]] = [(name, None) for name in names]
        if frame.entry is not None:
            keys += [(name, frame.entry.channel) for name in names]
        for key in keys:
            self.counts[key] = self.counts.get(key, 0) + 1
        return {key: self.counts[key] for key in keys}
