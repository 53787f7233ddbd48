"""A machine that is loaded is the one that was saved, whatever was played on its host meanwhile."""

from collections import deque
from collections.abc import Callable
from enum import Enum

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


class Shade(Enum):
    LIGHT = "light"
    DARK = "dark"


@attrs.define(eq=False)
class Grove:
    trees: dict[str, Leaf]
    counts: dict[Shade, int]
    felled: list[str] = attrs.field(factory=list[str])

    def fell(self, name: str) -> None:
        """A new one takes its place in front of the others."""
        old = self.trees.pop(name)
        others = dict(self.trees)
        self.trees.clear()
        self.trees |= {f"{name}'": Leaf(old.count + 1), **others}
        self.counts[Shade.LIGHT] += 1
        self.felled.append(name)

    def seen(self) -> tuple[list[tuple[str, int]], dict[Shade, int], list[str]]:
        trees = [(name, leaf.count) for name, leaf in self.trees.items()]
        return trees, dict(self.counts), list(self.felled)


def test_a_table_that_is_as_at_first_comes_back_after_it_was_changed_and_the_other_way() -> None:
    leaves = {"ash": Leaf(1), "elm": Leaf(2)}
    host = Host(Grove(leaves, dict.fromkeys(Shade, 0)), Copier())
    first, untouched = host.save(), host.machine.seen()
    host.load(first).fell("ash")
    second, felled = host.save(), host.machine.seen()
    host.load(second).fell("elm")
    third, bare = host.save(), host.machine.seen()
    assert len({str(each) for each in (untouched, felled, bare)}) == 3
    for image, seen in ((first, untouched), (third, bare), (second, felled), (first, untouched)):
        assert host.load(image).seen() == seen
        host.machine.trees.clear()
        host.machine.counts[Shade.DARK] = 9
    assert host.load(first).trees["ash"] is host.load(first).trees["ash"]


def test_every_client_of_a_search_is_still_the_one_that_was_kept() -> None:
    world = World(CAST, (SHOWN_IN["R10"],))
    search = Search(world)
    search.run(states_max=1000)
    keys = {number: key for key, number in world.client_ids.items()}
    for number, kept in enumerate(world.kept_clients):
        client = kept.host.load(kept.image)
        assert CLIENT_PRINTS.of(client, now=client.now) == keys[number][1]
