"""Streams over HTTP: a cut body in every order, and a judge that sees each thing that is wrong."""

from typing import Any

import pytest

from lastseen_simulator.explore.polymarket_us import CAST, SCOPES
from lastseen_simulator.explore.search import Search
from lastseen_simulator.explore.states import State
from lastseen_simulator.explore.worlds import World

CUT = SCOPES["small"][0]


@pytest.fixture(scope="module")
def search() -> Search:
    searched = Search(World(CAST, (CUT,)))
    assert searched.run() is None
    return searched


def test_a_body_that_is_cut_anywhere_costs_nothing(search: Search) -> None:
    assert search.progress.complete
    assert search.progress.states > 4000


def test_every_client_and_gateway_of_it_is_still_the_one_that_was_kept(search: Search) -> None:
    world = search.world
    for (_, key), number in world.client_ids.items():
        kept = world.kept_clients[number]
        client = kept.host.load(kept.image)
        assert CAST.client_prints.of(client, now=client.now) == key


def at_the_beginning(search: Search) -> State:
    return next(search.states())


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"versions": {"orders/o-a": 0}}, "INV-S1"),
        ({"tokens": [("orders", "another")]}, "INV-S4"),
        ({"tokens": [], "disclosed": {"orders/o-a": 2}}, "INV-S10"),
        ({"versions": {"orders/o-a": 2}}, "phantom"),
        ({"connections": 2}, "INV-S15"),
        ({"conserved": False}, "INV-S21"),
        ({"stopped": "refused"}, "the session gave up"),
    ],
)
def test_each_thing_that_is_wrong_is_named(
    search: Search, changes: dict[str, Any], problem: str | None
) -> None:
    world, state = search.world, at_the_beginning(search)
    summary = world.kept_clients[state.client].summary._replace(**changes)
    problems = CAST.judge(summary, world.log(state), CUT)
    assert [each.partition(":")[0] for each in problems][:1] == ([problem] if problem else [])
