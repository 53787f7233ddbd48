"""What a search says: all of a small scope, a shortest way, a client that does not recover."""

# ruff: noqa: ARG002 - a client that never comes back does not look at the question

import attrs
import pytest

from lastseen.backoff import ConnectGate
from lastseen.mechanisms import Mechanisms
from lastseen_simulator.broken import WITHOUT
from lastseen_simulator.explore.oddspapi import CAST
from lastseen_simulator.explore.scopes import Bounds, Situation
from lastseen_simulator.explore.search import Finding, Search
from lastseen_simulator.explore.worlds import World

CALM = Situation(name="calm", bounds=Bounds(publish=1))


def explored(
    situation: Situation, mechanisms: Mechanisms | None = None
) -> tuple[Search, Finding | None]:
    search = Search(World(CAST, (situation,), mechanisms))
    return search, search.run()


def test_a_scope_is_looked_at_to_its_end_and_twice_alike() -> None:
    first, finding = explored(CALM)
    second, _ = explored(CALM)
    assert finding is None
    assert first.progress.complete
    assert first.progress.states > 200
    counted = [(p.states, p.transitions, p.depth) for p in (first.progress, second.progress)]
    assert counted[0] == counted[1]
    assert list(first.states()) == list(second.states())


def test_a_shortest_way_is_found() -> None:
    _, finding = explored(CALM, WITHOUT["R6"])
    assert finding is not None
    search = Search(World(CAST, (CALM,), WITHOUT["R6"]))
    search.run()
    # Every state that is a step nearer was looked at, and nothing found.
    assert search.progress.depth == len(finding.steps) - 2


@attrs.define(eq=False)
class NeverAgain(ConnectGate):
    """A client that does not come back once it has lost a connection."""

    def request(self, *, planned: bool = False, at_least_s: float = 0.0, now: float) -> float:
        return 0.0


def test_a_client_that_does_not_recover_is_found() -> None:
    broken = Situation(name="one drop", settled=0, bounds=Bounds(drop=1, faults=1))
    _, finding = explored(broken, Mechanisms(gate=NeverAgain))
    assert finding is not None
    assert [step.action[0] for step in finding.steps] == ["settle", "drop"]
    assert finding.problems[0].startswith("INV-S20")


@pytest.mark.parametrize("most", [50, 100])
def test_a_search_ends_where_it_is_told_to(most: int) -> None:
    search = Search(World(CAST, (attrs.evolve(CALM, bounds=Bounds(publish=2)),)))
    assert search.run(states_max=most) is None
    assert not search.progress.complete
    assert most <= search.progress.states
