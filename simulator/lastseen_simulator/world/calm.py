"""What is looked at when everything is in order again: what quiet costs, and what a loss costs."""

from collections import deque
from collections.abc import Collection, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final, Protocol, cast

import msgspec

from lastseen_simulator.world.network import Network

__all__ = ["LONG_QUIET_S", "QUIET_S", "Calm", "things_in", "watch_loss", "watch_quiet"]

QUIET_S: Final = 20.0
LONG_QUIET_S: Final = 180.0
"""How long nothing happens (INV-L8), and in one run of `_LONG_EACH`."""

_LONG_EACH: Final = 8
_GROWTH: Final = 16
"""Things more than at half time that may be kept for a moment: a ping under way, say."""

_LOOKS: Final = 8
_LOOK_S: Final = 0.13

_ATOMS: Final = (str, bytes, int, float, bool, type(None), type)
_ROWS: Final = (list, tuple, set, frozenset, deque)
_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})
_SLACK_S: Final = 1.0


class Calm(Protocol):
    """The part of the world that this touches."""

    plan: Any
    clock: Any
    network: Network
    cast: Any
    hosts: list[Any]
    watches: list[Any]

    def until(self, moment: float) -> None:
        """Lets time pass."""
        ...


def watch_quiet(world: Calm) -> None:
    """INV-L8: nothing happens for a while, and no client does more than ping, nor grows."""
    seconds = LONG_QUIET_S if world.plan.seed % _LONG_EACH == 0 else QUIET_S
    failing = world.plan.permanent is not None and world.cast.fails(world.plan.permanent)
    # A history that never fits is asked for until it is too old.
    cramped = world.plan.dialect == "polynode" and bool(world.plan.settings.get("nasty"))
    world.until(world.clock.now + max(watch.effort.facts.settle_s for watch in world.watches))
    before = [watch.effort.spent() for watch in world.watches]
    world.until(world.clock.now + seconds / 2)
    sizes = [things_in(host.session) for host in world.hosts]
    middle = [watch.effort.spent() for watch in world.watches]
    world.until(world.clock.now + seconds / 2)
    for client, watch in enumerate(world.watches):
        watch.effort.check_quiet(before[client], seconds, failing=failing, cramped=cramped)
        grown = things_in(world.hosts[client].session) - sizes[client]
        # A peer that says something rarely has said it for the first time.
        known = middle[client].fed > before[client].fed or middle[client].fed == watch.effort.fed
        for _ in range(_LOOKS):
            if grown <= _GROWTH or not known:
                break
            # Maybe a part of something that will be thrown away when it is whole.
            world.until(world.clock.now + _LOOK_S)
            grown = min(grown, things_in(world.hosts[client].session) - sizes[client])
        if grown > _GROWTH and known:
            watch.effort.blame("L8", f"{grown} things more in memory after {seconds / 2:g} s")


def watch_loss(world: Calm) -> None:
    """INV-L6: every connection is lost once more, and each client is back at the base delay."""
    counts = [watch.effort.connects for watch in world.watches]
    for client, watch in enumerate(world.watches):
        watch.effort.calm = True
        wire = world.network.newest(client)
        if wire is not None:
            world.network.cut(wire, "both", 0, 0.5)
    longest_s = max(watch.effort.facts.base_s for watch in world.watches)
    world.until(world.clock.now + longest_s + _SLACK_S)
    for client, watch in enumerate(world.watches):
        watch.effort.calm = False
        if watch.effort.connects == counts[client]:
            watch.effort.blame("L6", "does not connect again after a loss in good service")


def things_in(value: object) -> int:
    """How many things hang on an object: what a session remembers, counted.

    >>> things_in([1, [2, 3]])
    4
    """
    met, count, rest = set[int](), 0, [value]
    while rest:
        each: Any = rest.pop()
        names = _names_in(each.__class__)
        if names is None or id(each) in met or callable(each):
            continue
        met.add(id(each))
        before = len(rest)
        if isinstance(each, dict):
            table = cast("dict[object, object]", each)
            rest += table
            rest += table.values()
        elif isinstance(each, _ROWS):
            rest += cast("Collection[object]", each)
        else:
            rest += [getattr(each, name, None) for name in names]
            rest += getattr(each, "__dict__", _NOTHING).values()
        count += len(rest) - before
    return count


@cache
def _names_in(kind: type[Any]) -> tuple[str, ...] | None:
    """The fields of a class; None for one in which nothing is."""
    if issubclass(kind, _ATOMS):
        return None
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    return tuple(field.name for field in getattr(kind, "__attrs_attrs__", ()))
