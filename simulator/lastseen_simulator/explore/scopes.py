"""What is explored: a situation, and how much of each thing may happen in it."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, final

import attrs

__all__ = ["KINDS", "Bounds", "Situation", "bounds_of"]


class Bounds(NamedTuple):
    """How often each of these may happen; `faults` is the most of all but publications together."""

    publish: int = 0
    drop: int = 0
    crash: int = 0
    restart: int = 0
    notice: int = 0
    demand: int = 0
    failure: int = 0
    stale: int = 0
    faults: int = 0


KINDS: Final = Bounds._fields


@final
@attrs.frozen(kw_only=True)
class Situation:
    """A client, a gateway and their bounds.

    `units` are what may be published, by channel. With `settled` the client begins in sync, so many
    entries having reached it, and one more being on its way with `under_way`; else it has just
    started. `state_lost`: after a crash only the
    position is there. `poison`: every connection that resumes ends right after its `login_ok`, for
    ever. With `once` no unit is published twice. `client` and `gateway` are options that differ
    from the defaults.
    """

    name: str
    units: tuple[tuple[str, str], ...] = (("scores", "p1"),)
    bounds: Bounds
    client: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    gateway: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    settled: int | None = None
    under_way: bool = False
    state_lost: bool = False
    poison: bool = False
    once: bool = False

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels of the units."""
        return tuple(dict.fromkeys(channel for channel, _ in self.units))


def bounds_of(situations: tuple[Situation, ...]) -> dict[str, dict[str, int]]:
    """The bounds that are not zero, by situation."""
    return {
        each.name: {kind: most for kind, most in each.bounds._asdict().items() if most}
        for each in situations
    }
