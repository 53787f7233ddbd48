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
    commits, keeper = Commits(0.25, 1000, 5.0), PositionKeeper()

    assert commits.poll(keeper, now=0.0) is None
    assert commits.deadline() is None
    assert commits.poll(moved(keeper, "1-1"), now=1.0) is None
    assert commits.deadline() == 1.25
    assert commits.poll(moved(keeper, "1-2"), now=1.2) is None
    assert commits.poll(keeper, now=1.25) == (1, at("1-2"))


def test_one_commit_is_under_way_at_a_time() -> None:
    commits, keeper = Commits(0.25, 1000, 5.0), moved(PositionKeeper(), "1-1")
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
    commits, keeper = Commits(0.25, 1000, 5.0), moved(PositionKeeper(), "1-1")
    commits.poll(keeper, now=0.0)
    commits.poll(keeper, now=0.25)
    commits.finished(1, ok=False, now=1.0)

    failed = commits.failures
    assert failed
    assert commits.durable == Position()
    assert commits.poll(keeper, flush=True, now=1.0) is None
    assert commits.poll(keeper, flush=True, now=1.49) is None
    assert commits.poll(keeper, now=1.5) == (2, at("1-1"))

    commits.finished(2, ok=True, now=2.0)

    assert not commits.failures
    assert commits.settled


def test_an_answer_to_another_commit_is_ignored() -> None:
    commits, keeper = Commits(0.25, 1000, 5.0), moved(PositionKeeper(), "1-1")
    commits.finished(1, ok=True, now=0.0)
    commits.poll(keeper, flush=True, now=0.0)
    commits.finished(7, ok=True, now=0.0)

    assert commits.durable == Position()

    commits.finished(1, ok=True, now=0.0)
    commits.finished(1, ok=False, now=0.0)

    assert commits.durable == at("1-1")


def test_a_flush_does_not_wait() -> None:
    commits = Commits(60.0, 1000, 5.0)

    assert commits.poll(moved(PositionKeeper(), "1-1"), flush=True, now=0.0) is not None


def test_failures_wait_twice_as_long_each_up_to_the_cap() -> None:
    commits, keeper = Commits(0.25, 1000, 5.0), moved(PositionKeeper(), "1-1")
    now, waits = 1.0, list[float]()
    commits.poll(keeper, now=0.0)
    for number in range(1, 8):
        commits.poll(keeper, now=now)
        commits.finished(number, ok=False, now=now)
        deadline = commits.deadline()
        assert deadline is not None
        waits.append(deadline - now)
        now = deadline

    assert waits == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


def test_many_processed_events_do_not_wait_for_the_interval() -> None:
    commits, keeper = Commits(60.0, 3, 5.0), PositionKeeper()
    commits.note(2)
    assert commits.poll(keeper, now=0.0) is None
    commits.note(1)

    assert commits.poll(keeper, now=0.0) == (1, Position())


def test_events_that_move_no_cursor_are_committed_too() -> None:
    """Their effect is state; rows of a channel that has no cursor yet must not wait for it."""
    commits, keeper = Commits(0.25, 1000, 5.0), PositionKeeper()
    commits.note(1)
    commits.poll(keeper, now=0.0)

    assert commits.poll(keeper, now=0.25) == (1, Position())
    commits.finished(1, ok=True, now=0.25)
    assert commits.settled


def test_a_hand_over_does_not_wait_for_the_interval_but_for_a_failing_store() -> None:
    commits, keeper = Commits(60.0, 1000, 5.0), moved(PositionKeeper(), "1-1")
    commits.hurry()
    assert commits.poll(keeper, now=0.0) == (1, at("1-1"))
    assert commits.poll(moved(keeper, "1-2"), now=0.0) is None

    commits.finished(1, ok=False, now=0.0)
    commits.hurry()

    assert commits.poll(keeper, now=0.0) is None
    assert commits.poll(keeper, now=5.0) == (2, at("1-2"))


def test_what_belongs_to_a_subscription_that_is_given_up_is_committed_without_cursors() -> None:
    commits, keeper = Commits(0.25, 1000, 5.0), moved(PositionKeeper(), "1-1")

    assert commits.poll(keeper, cold=True, flush=True, now=0.0) == (1, Position())


def test_a_restored_position_is_durable_from_the_start() -> None:
    commits = Commits(0.25, 1000, 5.0)
    commits.restored(at("1-1"))

    assert commits.durable == at("1-1")
    assert commits.settled
