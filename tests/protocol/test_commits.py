"""Commits: one at a time, of what has been processed (R6)."""

from lastseen.commits import Commits
from lastseen.position import Position, PositionKeeper


def moved(keeper: PositionKeeper, entry_id: str) -> PositionKeeper:
    keeper.adopt("e1")
    keeper.advance("scores", entry_id)
    return keeper


def at(entry_id: str) -> Position:
    return Position("e1", (("scores", entry_id),))


def test_changes_coalesce_for_an_interval() -> None:
    commits, keeper = Commits(0.25), PositionKeeper()

    assert commits.poll(keeper, now=0.0) is None
    assert commits.deadline() is None
    assert commits.poll(moved(keeper, "1-1"), now=1.0) is None
    assert commits.deadline() == 1.25
    assert commits.poll(moved(keeper, "1-2"), now=1.2) is None
    assert commits.poll(keeper, now=1.25) == (1, at("1-2"))


def test_one_commit_is_under_way_at_a_time() -> None:
    commits, keeper = Commits(0.25), moved(PositionKeeper(), "1-1")
    commits.poll(keeper, now=0.0)
    commits.poll(keeper, now=0.25)

    assert commits.poll(moved(keeper, "1-2"), now=9.0) is None
    assert commits.deadline() is None
    assert not commits.settled

    commits.finished(1, ok=True, now=10.0)

    assert commits.durable == at("1-1")
    assert commits.poll(keeper, now=10.0) is None
    assert commits.poll(keeper, now=10.25) == (2, at("1-2"))


def test_a_failed_commit_is_retried_and_moves_nothing() -> None:
    """HZ-E9."""
    commits, keeper = Commits(0.25), moved(PositionKeeper(), "1-1")
    commits.poll(keeper, now=0.0)
    commits.poll(keeper, now=0.25)
    commits.finished(1, ok=False, now=1.0)

    failed = commits.failed
    assert failed
    assert commits.durable == Position()
    assert commits.poll(keeper, flush=True, now=1.0) is None
    assert commits.poll(keeper, flush=True, now=1.25) == (2, at("1-1"))

    commits.finished(2, ok=True, now=2.0)

    assert not commits.failed
    assert commits.settled


def test_an_answer_to_another_commit_is_ignored() -> None:
    commits, keeper = Commits(0.25), moved(PositionKeeper(), "1-1")
    commits.finished(1, ok=True, now=0.0)
    commits.poll(keeper, flush=True, now=0.0)
    commits.finished(7, ok=True, now=0.0)

    assert commits.durable == Position()

    commits.finished(1, ok=True, now=0.0)
    commits.finished(1, ok=False, now=0.0)

    assert commits.durable == at("1-1")


def test_a_flush_does_not_wait() -> None:
    commits = Commits(60.0)

    assert commits.poll(moved(PositionKeeper(), "1-1"), flush=True, now=0.0) is not None
