"""A machine that is loaded is the one that was saved, whatever was played on its host meanwhile."""

from collections import deque
from collections.abc import Callable

import attrs

from lastseen_simulator.explore.clients import CLIENT_PRINTS
from lastseen_simulator.explore.copying import Copier
from lastseen_simulator.explore.hosts import Host
from lastseen_simulator.explore.oddspapi import CAST, SHOWN_IN
from lastseen_simulator.explore.search import Search
from lastseen_simulator.explore.worlds import World


@attrs.define(eq=False)
class Leaf:
    count: int = 0


@attrs.define(eq=False)
class Tree:
    leaf: Leaf = attrs.field(factory=Leaf)
    fallen: deque[Leaf] = attrs.field(factory=deque[Leaf])
    names: dict[str, Leaf] = attrs.field(factory=dict[str, Leaf])
    act: Callable[[], int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.act = lambda: self.leaf.count

    def shed(self) -> None:
        """A new leaf takes the place of the one that falls."""
        self.fallen.append(self.leaf)
        self.names["last"] = self.leaf
        self.leaf = Leaf(self.leaf.count + 1)


def test_what_is_replaced_or_grows_comes_back_as_it_was() -> None:
    host = Host(Tree(), Copier())
    images = [host.save()]
    for _ in range(3):
        host.load(images[-1]).shed()
        images.append(host.save())
    for fallen, image in reversed(list(enumerate(images))):
        tree: Tree = host.load(image)
        assert [leaf.count for leaf in tree.fallen] == list(range(fallen))
        assert tree.act() == tree.leaf.count == fallen
        assert not fallen or tree.names["last"] is tree.fallen[-1]
        tree.leaf.count = 99
        tree.fallen.clear()


def test_every_client_of_a_search_is_still_the_one_that_was_kept() -> None:
    world = World(CAST, (SHOWN_IN["R10"],))
    search = Search(world)
    search.run(states_max=1000)
    keys = {number: key for key, number in world.client_ids.items()}
    for number, kept in enumerate(world.kept_clients):
        client = kept.host.load(kept.image)
        assert CLIENT_PRINTS.of(client, now=client.now) == keys[number][1]
