"""A copy is a machine of its own: what it does is not seen in the original, and is the same."""

from collections import deque
from collections.abc import Callable
from enum import Enum

import attrs

from lastseen_simulator.explore.clients import CLIENT_COPIER, CLIENT_PRINTS, Client
from lastseen_simulator.explore.copying import Copier
from lastseen_simulator.explore.oddspapi import CAST
from lastseen_simulator.explore.scopes import Bounds, Situation
from lastseen_simulator.explore.states import State
from lastseen_simulator.explore.venues import VENUE_COPIER, VENUE_PRINTS, Venue
from lastseen_simulator.explore.worlds import World
from lastseen_simulator.gateway.options import GatewayOptions


class Shade(Enum):
    DARK = "dark"


@attrs.frozen
class Label:
    text: str


@attrs.define(eq=False)
class Part:
    count: int
    label: Label
    shade: Shade = Shade.DARK
    tags: set[str] = attrs.field(factory=set[str])
    whole: "Whole | None" = None

    def grow(self) -> int:
        self.count += 1
        return self.count


@attrs.define(eq=False)
class Whole:
    parts: list[Part]
    by_name: dict[str, Part]
    queue: deque[tuple[str, Part]]
    act: Callable[[], int]
    later: Callable[[], int]


def machine() -> Whole:
    part = Part(1, Label("a"))
    whole = Whole(
        [part], {"a": part}, deque([("a", part)], maxlen=3), part.grow, lambda: part.count
    )
    part.whole = whole
    return whole


def test_what_is_shared_inside_stays_shared_and_cycles_close() -> None:
    original = machine()
    copy: Whole = Copier().copy(original)
    part = copy.parts[0]
    assert part is not original.parts[0]
    assert copy.by_name["a"] is part is copy.queue[0][1]
    assert part.whole is copy
    assert copy.queue.maxlen == 3
    assert part.label is original.parts[0].label


def test_methods_and_closures_act_on_the_copy() -> None:
    original = machine()
    copy: Whole = Copier().copy(original)
    assert copy.act() == 2
    assert copy.later() == 2
    assert original.parts[0].count == original.later() == 1
    copy.parts[0].tags.add("x")
    assert not original.parts[0].tags


def busy_state(world: World) -> State:
    """In the midst of things: a snapshot under way, an entry held, another one in flight."""
    state = next(iter(world.roots())).state
    wanted = [
        ("open", 1),
        ("deliver", 1),
        ("publish", "scores"),
        ("deliver", 1),
        ("publish", "scores"),
    ]
    for name in wanted:
        state = next(step.state for step in world.steps(state) if step.action[: len(name)] == name)
    return state


def test_a_session_and_its_copy_go_the_same_way_without_meeting() -> None:
    world = World(CAST, (Situation(name="busy", bounds=Bounds(publish=2)),))
    original: Client = CLIENT_COPIER.copy(world.client(busy_state(world)))
    before = CLIENT_PRINTS.written(original, now=original.now)
    first: Client = CLIENT_COPIER.copy(original)
    second: Client = CLIENT_COPIER.copy(first)
    for client in (first, second):
        client.take()
        client.closed(1, None)
        client.work()
        client.sleep(0.5)
        client.work()
    assert CLIENT_PRINTS.of(first, now=first.now) == CLIENT_PRINTS.of(second, now=second.now)
    assert CLIENT_PRINTS.written(original, now=original.now) == before


def test_a_gateway_and_its_copy_go_the_same_way_without_meeting() -> None:
    original = Venue.open(GatewayOptions(channels=("fixtures", "scores")))
    before = VENUE_PRINTS.of(original, now=original.now)
    made: list[list[tuple[str, str]]] = []
    copies: list[Venue] = [VENUE_COPIER.copy(original), VENUE_COPIER.copy(original)]
    for venue in copies:
        venue.restart()
        made.append(venue.publish("scores", "p1", 1))
    assert made[0] == made[1]
    assert VENUE_PRINTS.of(copies[0], now=0.0) == VENUE_PRINTS.of(copies[1], now=0.0)
    assert VENUE_PRINTS.of(original, now=original.now) == before
