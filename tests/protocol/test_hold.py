"""Bounded queues of what waits."""

import pytest

from lastseen import Entry
from lastseen.hold import Hold, Share


def entry(size: int) -> Entry:
    return Entry(channel="scores", raw=b"x" * size)


def test_entries_come_back_in_order_and_once() -> None:
    hold = Hold(10, 1000, Share(1000))
    entries = [entry(1) for _ in range(3)]

    assert all(hold.put(one) for one in entries)
    assert hold.copy() == tuple(entries)
    assert hold.release() == entries
    assert hold.release() == []
    assert len(hold) == 0


@pytest.mark.parametrize(("items", "size", "fits"), [(3, 1, 3), (100, 10, 5)])
def test_crossing_a_cap_is_said_at_that_entry(items: int, size: int, fits: int) -> None:
    hold = Hold(items, 50, Share(50))

    assert [hold.put(entry(size)) for _ in range(fits + 1)] == [True] * fits + [False]


def test_a_released_hold_has_room_again() -> None:
    hold = Hold(10, 10, Share(10))
    hold.put(entry(10))
    hold.release()

    assert hold.put(entry(10))


def test_a_share_bounds_what_several_holds_keep_together() -> None:
    share = Share(20)
    first, second = Hold(10, 1000, share), Hold(10, 1000, share)

    assert first.put(entry(10))
    assert second.put(entry(10))
    assert not second.put(entry(10))

    second.release()
    assert share.bytes == 10
    assert second.put(entry(10))
