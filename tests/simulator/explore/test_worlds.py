"""What is looked up is what would have happened: states are checked against their own history."""

from typing import Any

from lastseen.position import Position
from lastseen_simulator.explore.clients import CLIENT_PRINTS, Disk
from lastseen_simulator.explore.oddspapi import CAST
from lastseen_simulator.explore.scopes import Bounds, Situation
from lastseen_simulator.explore.search import Search
from lastseen_simulator.explore.states import Action, State
from lastseen_simulator.explore.venues import VENUE_PRINTS, Venue
from lastseen_simulator.explore.worlds import World
from lastseen_simulator.gateway.options import GatewayOptions

UNITS = (("scores", "p1"), ("scores", "result"))

SITUATION = Situation(
    name="two units, a drop and a crash",
    units=UNITS,
    settled=1,
    bounds=Bounds(publish=2, drop=1, crash=1, faults=1),
)
EVERY = 80


def key(action: Action) -> Action:
    """An action without the number of a frame, which is another one in another world."""
    return action[:2] if action[0] in ("deliver", "answer") else action


def played(actions: list[Action]) -> tuple[World, State]:
    """The same steps in a world in which nothing else has happened."""
    world = World(CAST, (SITUATION,))
    state = next(iter(world.roots())).state
    for wanted in actions:
        state = next(each.state for each in world.steps(state) if key(each.action) == key(wanted))
    return world, state


def shown(world: World, state: State) -> list[Any]:
    client, venue = world.client(state), world.venue(state)
    return [
        CLIENT_PRINTS.of(client, now=client.now),
        VENUE_PRINTS.of(venue, now=venue.now),
        [world.text(item) for socket in state.sockets for item in socket.items if item >= 0],
        state.left,
    ]


def test_a_state_is_what_its_own_history_makes_of_it() -> None:
    world = World(CAST, (SITUATION,))
    search = Search(world)
    search.run(states_max=1000)
    looked_at = list(search.states())
    assert len(looked_at) >= 1000
    for state in looked_at[::EVERY]:
        actions = [step.action for step in search.way_to(state)[1:]]
        assert shown(*played(actions)) == shown(world, state)


def test_what_was_published_first_makes_a_difference() -> None:
    prints: list[bytes] = []
    for units in (("p1", "result"), ("result", "p1")):
        venue = Venue.open(GatewayOptions(channels=("fixtures", "scores")))
        for unit in units:
            venue.publish("scores", unit, 1)
        prints.append(VENUE_PRINTS.of(venue, now=venue.now))
    assert prints[0] != prints[1]


def test_disks_that_differ_in_a_cursor_alone_are_two() -> None:
    disks = [Disk(Position(epoch="e1", cursors=cursors)) for cursors in ((), (("scores", "1-1"),))]
    assert CLIENT_PRINTS.of(disks[0], now=0.0) != CLIENT_PRINTS.of(disks[1], now=0.0)


def test_when_a_state_is_reached_makes_no_difference() -> None:
    venues = [Venue.open(GatewayOptions(channels=("fixtures", "scores"))) for _ in range(2)]
    venues[1].tick(1000.0)
    for venue in venues:
        venue.connected(1)
    first, second = (VENUE_PRINTS.of(venue, now=venue.now) for venue in venues)
    assert first == second
