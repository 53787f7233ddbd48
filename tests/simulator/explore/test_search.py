from lastseen_simulator.broken import WITHOUT
from lastseen_simulator.explore.oddspapi import CAST
from lastseen_simulator.explore.scopes import Bounds, Situation
from lastseen_simulator.explore.search import Finding, Search
from lastseen_simulator.explore.worlds import World


def explored(situation: Situation, without: str | None = None) -> tuple[Search, Finding | None]:
    search = Search(World(CAST, (situation,), WITHOUT[without] if without else None))
    return search, search.run()


def test_a_scope_without_faults_is_looked_at_to_its_end() -> None:
    search, finding = explored(Situation(name="calm", bounds=Bounds(publish=1)))
    assert finding is None
    assert search.progress.complete
    assert search.progress.states == 306


def test_a_commit_ahead_of_the_state_is_found() -> None:
    _, finding = explored(Situation(name="calm", bounds=Bounds(publish=1)), "R6")
    assert finding is not None
    assert any("INV-S4" in problem or "INV-S2" in problem for problem in finding.problems)
