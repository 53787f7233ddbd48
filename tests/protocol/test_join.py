"""The decisions, one by one."""

import pytest

from lastseen import ScopeState
from lastseen.join import Join, at_or_below

JOIN = Join()


@pytest.mark.parametrize(
    ("cursor", "limit", "below"),
    [((1, 1), (1, 1), True), ((1, 1), (2, 1), True), ((1, 1), (1, 2), True),
     ((2, 1), (1, 2), False), ((1, 2), (2, 1), False), ((2, 2), (1, 1), False)],
)  # fmt: skip
def test_at_or_below_asks_both_halves(
    cursor: tuple[int, int], limit: tuple[int, int], below: bool
) -> None:
    """HZ-A7."""
    assert at_or_below(cursor, limit) is below
    assert JOIN.is_live(cursor, limit) is not below
    assert JOIN.reaches(limit, cursor) is below
    # Nobody can say which of two is older when their halves disagree.
    assert JOIN.is_fresh(limit, cursor) is not (at_or_below(limit, cursor) and limit != cursor)


def test_without_a_barrier_nothing_is_live_and_everything_is_fresh() -> None:
    assert not JOIN.is_live((9, 9), None)
    assert JOIN.is_fresh(None, None)
    assert JOIN.reaches(None, None)
    assert not JOIN.reaches(None, (1, 1))
    assert JOIN.is_fresh((1, 1), None)
    assert not JOIN.is_fresh(None, (1, 1))


@pytest.mark.parametrize(
    ("sent", "replayable", "same", "resumes"),
    [
        ({"scores"}, {"scores"}, True, True),
        ({"scores"}, None, True, True),
        (set[str](), {"scores"}, True, False),
        ({"scores"}, set[str](), True, False),
        ({"scores"}, {"fixtures"}, True, False),
        ({"scores"}, {"scores"}, False, False),
    ],
)
def test_a_channel_resumes_only_with_cursor_epoch_and_replay(
    sent: set[str], replayable: set[str] | None, same: bool, resumes: bool
) -> None:
    """R8."""
    assert JOIN.resumes("scores", sent=sent, replayable=replayable, same=same) is resumes


def test_entries_wait_exactly_where_there_is_no_trusted_base() -> None:
    """R5."""
    waiting = {state for state in ScopeState if JOIN.must_wait(state)}

    assert waiting == {ScopeState.COLD, ScopeState.STALE, ScopeState.SYNCING}


def test_only_the_owner_and_only_the_asked_fence_count() -> None:
    """R4, R7, R10."""
    assert JOIN.admits(2, 2)
    assert not JOIN.admits(1, 2)
    assert not JOIN.admits(1, None)
    assert JOIN.is_unchanged(3, 3)
    assert not JOIN.is_unchanged(3, 4)
    assert JOIN.may_fetch(logged_in=True)
    assert not JOIN.may_fetch(logged_in=False)
