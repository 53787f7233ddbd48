"""The memory of ids, against a naive model."""

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastseen.dedup import Dedup
from lastseen.position import Cursor

cursors = st.tuples(st.integers(0, 6), st.integers(0, 6))


class Naive:
    """The rule as it is written: exact in the ring, or both halves at or below the last one's."""

    def __init__(self, ring: int) -> None:
        self.last: Cursor = (-1, -1)
        self.ring: deque[Cursor] = deque(maxlen=ring)

    def admit(self, cursor: Cursor) -> bool:
        if cursor in self.ring or (cursor[0] <= self.last[0] and cursor[1] <= self.last[1]):
            return False
        self.last = cursor
        self.ring.append(cursor)
        return True

    def admit_replayed(self, cursor: Cursor) -> bool:
        below = cursor[0] <= self.last[0] and cursor[1] <= self.last[1]
        return not below and self.admit_exact(cursor)

    def admit_exact(self, cursor: Cursor) -> bool:
        if cursor in self.ring:
            return False
        self.ring.append(cursor)
        return True

    def rewind(self, cursor: Cursor | None, fenced: list[Cursor]) -> None:
        self.last = cursor or (-1, -1)
        if cursor is not None and len(self.ring) == self.ring.maxlen:
            oldest = self.ring[0]
            if not (oldest[0] <= cursor[0] and oldest[1] <= cursor[1]):
                self.ring.clear()
        self.ring = deque((kept for kept in self.ring if kept not in fenced), self.ring.maxlen)

    def reset(self) -> None:
        self.last = (-1, -1)
        self.ring.clear()


steps = st.one_of(
    st.tuples(st.just("admit"), cursors),
    st.tuples(st.just("admit_exact"), cursors),
    st.tuples(st.just("admit_replayed"), cursors),
    st.tuples(st.just("rewind"), cursors | st.none(), st.lists(cursors, max_size=4)),
    st.tuples(st.just("reset")),
)


@settings(max_examples=500)
@given(st.integers(1, 8), st.lists(steps, max_size=30))
def test_it_judges_as_the_naive_rule_does(ring: int, plan: list[tuple[object, ...]]) -> None:
    ours, naive = Dedup(ring), Naive(ring)
    for name, *arguments in plan:
        assert getattr(ours, str(name))(*arguments) == getattr(naive, str(name))(*arguments)


@given(st.lists(cursors, max_size=30))
def test_a_run_is_taken_as_its_entries_would_be(ids: list[Cursor]) -> None:
    """`frontier` and `advance` are the fast way through the same judgement."""
    fast, slow = Dedup(8), Dedup(8)
    for cursor in ids:
        frontier = fast.frontier()
        ascends = frontier is not None and cursor[0] >= frontier[0] and cursor[1] > frontier[1]
        if ascends:
            fast.advance([cursor])
        taken = ascends or fast.admit(cursor)

        assert taken == slow.admit(cursor)


def test_ids_whose_halves_disagree_are_taken_as_they_come() -> None:
    """HZ-A7: the server's clock stepped back, then its sequence began anew."""
    dedup = Dedup()
    stream = [(1000, 7), (990, 8), (1001, 0)]

    assert [dedup.admit(cursor) for cursor in stream] == [True] * 3
    assert [dedup.admit(cursor) for cursor in stream] == [False] * 3
    assert dedup.out_of_order == 2


def test_two_channels_do_not_know_each_other() -> None:
    """HZ-A8."""
    assert [Dedup().admit((100, 5)), Dedup().admit((100, 5))] == [True, True]


def test_another_epoch_starts_with_no_memory() -> None:
    """HZ-A9."""
    dedup = Dedup()
    dedup.admit((100, 5))
    dedup.admit((90, 6))
    dedup.reset()

    assert dedup.admit((100, 5))
    assert dedup.admit((100, 6))


def test_behind_a_short_ring_the_cursor_decides() -> None:
    """HZ-F3: an entry as old as the ring is long."""
    dedup = Dedup(4)
    for n in range(10):
        dedup.admit((100, n))

    assert not any(dedup.admit((100, n)) for n in range(10))


@pytest.mark.parametrize("ring", [1, 3, 100])
def test_the_ring_is_bounded(ring: int) -> None:
    """HZ-F1, also where every id has to be looked up."""
    dedup = Dedup(ring)
    for n in range(1000):
        dedup.admit((1000 - n, n))
        dedup.admit_exact((5000, n))

    assert len(dedup._ring) <= ring  # pyright: ignore[reportPrivateUsage]
    assert len(dedup._members or ()) <= ring  # pyright: ignore[reportPrivateUsage]


def test_what_was_fenced_comes_again_and_what_was_taken_does_not() -> None:
    dedup = Dedup()
    for n in (11, 12, 13):
        dedup.admit((100, n))
    dedup.rewind((100, 11), [(100, 13)])

    assert [dedup.admit((100, n)) for n in (11, 12, 13, 14)] == [False, False, True, True]


def test_a_ring_that_forgot_part_of_what_a_replay_brings_lets_all_of_it_come_again() -> None:
    """Else the part it still knows is left out, and the older part has the last word."""
    dedup = Dedup(4)
    for n in range(1, 8):
        dedup.admit((100, n))
    dedup.rewind((100, 2), [(100, 7)])

    assert [dedup.admit((100, n)) for n in range(1, 8)] == [False] * 2 + [True] * 5
