"""The queue of fetches: sharing, single flight, budgets, retries and priorities."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastseen.backoff import Backoff
from lastseen.budget import Budget
from lastseen.dialect import SnapshotSource
from lastseen.snapshots import Fetch, Priority, ScopeKey, SnapshotQueue

ROSTER = SnapshotSource("fixtures")


def odds(entity: str) -> SnapshotSource:
    return SnapshotSource("odds", entity)


def key(channel: str = "scores", entity: str | None = None) -> ScopeKey:
    return ScopeKey(channel, entity)


def new_queue(*, concurrency: int = 4, limit: int = 1000, cost: int = 1) -> SnapshotQueue:
    return SnapshotQueue(
        concurrency=concurrency,
        backoff=Backoff(base_s=0.5, cap_s=60.0),
        rng=random.Random(1),
        budgets={"odds": Budget(limit, 1.0), "other": Budget(100, 60.0)},
        budget_class=lambda source: "odds" if source.kind == "odds" else "other",
        cost=lambda _: cost,
    )


def fail(queue: SnapshotQueue, fetch: Fetch, *, now: float, **how: object) -> float:
    arguments = {"retry_after_s": None, "permanent": False, **how}
    return queue.failed(fetch, fetch.asked, now=now, **arguments)  # type: ignore[arg-type]


def test_scopes_with_one_source_share_a_fetch() -> None:
    queue = new_queue()
    queue.want(ROSTER, key("scores"), 3, priority=Priority.WHOLE, due=0.0)
    queue.want(ROSTER, key("fixtures"), 7, priority=Priority.WHOLE, due=0.0)
    (fetch,) = queue.start(now=0.0)

    assert fetch.asked == {key("scores"): 3, key("fixtures"): 7}
    assert queue.start(now=0.0) == []


def test_a_want_during_a_fetch_waits_for_the_next() -> None:
    """R4, INV-S15."""
    queue = new_queue()
    queue.want(ROSTER, key(), 1, priority=Priority.WHOLE, due=0.0)
    (first,) = queue.start(now=0.0)
    queue.want(ROSTER, key(), 2, priority=Priority.WHOLE, due=0.0)

    assert queue.start(now=5.0) == []
    assert queue.finished(first.number) is first

    queue.succeeded(first)
    (second,) = queue.start(now=5.0)

    assert second.asked == {key(): 2}


def test_an_answer_counts_once() -> None:
    queue = new_queue()
    queue.want(ROSTER, key(), 1, priority=Priority.WHOLE, due=0.0)
    (fetch,) = queue.start(now=0.0)

    assert queue.finished(fetch.number) is fetch
    assert queue.finished(fetch.number) is None
    assert queue.finished(99) is None


def test_a_fetch_starts_when_it_is_due_and_says_when_that_is() -> None:
    queue = new_queue()
    queue.want(ROSTER, key(), 1, priority=Priority.WHOLE, due=3.0)

    assert queue.start(now=2.9) == []
    assert queue.deadline() == 3.0
    assert len(queue.start(now=3.0)) == 1
    assert queue.deadline() is None


def test_an_earlier_want_brings_a_later_one_forward_only_for_itself() -> None:
    queue = new_queue()
    queue.want(ROSTER, key("scores"), 1, priority=Priority.VERIFICATION, due=10.0)
    queue.want(ROSTER, key("fixtures"), 1, priority=Priority.WHOLE, due=1.0)
    (fetch,) = queue.start(now=1.0)

    assert set(fetch.asked) == {key("fixtures")}

    queue.finished(fetch.number)
    queue.succeeded(fetch)

    assert queue.start(now=9.0) == []
    (later,) = queue.start(now=10.0)
    assert set(later.asked) == {key("scores")}


def test_the_most_important_goes_first_and_ties_in_order() -> None:
    queue = new_queue(concurrency=1)
    for number, priority in enumerate(map(Priority, [2, 1, 2, 0, 1])):
        queue.want(odds(str(number)), key("odds", str(number)), 0, priority=priority, due=0.0)
    order: list[str | None] = []
    for _ in range(5):
        (fetch,) = queue.start(now=0.0)
        order.append(fetch.source.entity)
        queue.finished(fetch.number)
        queue.succeeded(fetch)

    assert order == ["3", "1", "4", "0", "2"]


def test_a_spent_budget_names_the_moment_it_is_free() -> None:
    queue = new_queue(limit=3, concurrency=100)
    for number in range(5):
        queue.want(odds(str(number)), key("odds", str(number)), 0, priority=Priority.WHOLE, due=0.0)

    assert len(queue.start(now=0.0)) == 3
    assert queue.deadline() == 1.0
    assert queue.start(now=0.5) == []
    assert len(queue.start(now=1.0)) == 2


def test_a_spent_budget_of_one_class_does_not_hold_up_the_other() -> None:
    queue = new_queue(limit=1)
    for number in range(3):
        queue.want(odds(str(number)), key("odds", str(number)), 0, priority=Priority.WHOLE, due=0.0)
    queue.want(ROSTER, key(), 0, priority=Priority.VERIFICATION, due=0.0)

    assert {fetch.source.kind for fetch in queue.start(now=0.0)} == {"odds", "fixtures"}


def test_a_fetch_of_several_requests_pays_for_all() -> None:
    queue = new_queue(limit=4, cost=2)
    for number in range(3):
        queue.want(odds(str(number)), key("odds", str(number)), 0, priority=Priority.WHOLE, due=0.0)

    assert len(queue.start(now=0.0)) == 2


def test_classes_share_what_may_be_under_way() -> None:
    """A class whose queue is long keeps none of another waiting, whatever is more important."""
    queue = new_queue(concurrency=4)
    for number in range(9):
        name = str(number)
        queue.want(odds(name), key("odds", name), 0, priority=Priority.BUSY, due=0.0)
    first = queue.start(now=0.0)
    queue.want(ROSTER, key(), 0, priority=Priority.VERIFICATION, due=1.0)
    assert queue.start(now=1.0) == []
    queue.finished(first[0].number)
    queue.succeeded(first[0])

    assert [fetch.source for fetch in queue.start(now=1.0)] == [ROSTER]

    queue.finished(first[1].number)
    queue.succeeded(first[1])

    assert [fetch.source.kind for fetch in queue.start(now=1.0)] == ["odds"]


@pytest.mark.parametrize("ending", ["answers", "clear"])
def test_what_has_ended_does_not_count_as_under_way(ending: str) -> None:
    queue = new_queue(concurrency=4)
    for number in range(4):
        name = str(number)
        queue.want(odds(name), key("odds", name), 0, priority=Priority.QUIET, due=0.0)
    for fetch in queue.start(now=0.0):
        if ending == "answers":
            queue.finished(fetch.number)
            queue.succeeded(fetch)
    if ending == "clear":
        queue.clear()
    queue.concurrency = 1
    queue.want(ROSTER, key(), 0, priority=Priority.VERIFICATION, due=0.0)
    queue.want(odds("A"), key("odds", "A"), 0, priority=Priority.QUIET, due=0.0)

    assert taken(queue, 2) == ["A", None]


def test_what_is_hastened_goes_before_what_is_quiet_in_the_order_of_hastening() -> None:
    queue = new_queue(concurrency=1)
    for name in "ABCD":
        for channel in ("odds", "bookmakers"):
            queue.want(odds(name), key(channel, name), 0, priority=Priority.QUIET, due=0.0)
    order = taken(queue, 1)
    queue.hasten(odds("D"), key("odds", "D"))
    queue.hasten(odds("C"), key("odds", "C"))
    # Again, for another channel of the fixture: it keeps its place.
    queue.hasten(odds("D"), key("bookmakers", "D"))
    # Fetched already, and unknown.
    queue.hasten(odds("A"), key("odds", "A"))
    queue.hasten(odds("E"), key("odds", "E"))

    assert order + taken(queue, 4) == ["A", "D", "C", "B"]


def test_what_is_hastened_before_it_is_due_goes_first_once_it_is() -> None:
    queue = new_queue(concurrency=1)
    for name in "AB":
        queue.want(odds(name), key("odds", name), 0, priority=Priority.QUIET, due=1.0)
    queue.hasten(odds("B"), key("odds", "B"))

    assert queue.start(now=0.9) == []
    assert taken(queue, 2, now=1.0) == ["B", "A"]


@pytest.mark.parametrize("again", ["nothing", "hasten", "want"])
def test_what_failed_comes_after_what_has_not_been_tried(again: str) -> None:
    """HZ-C13: else an answer that puts everybody off would do so again and again."""
    queue = new_queue(concurrency=1)
    for name in "ABC":
        queue.want(odds(name), key("odds", name), 0, priority=Priority.QUIET, due=0.0)
    queue.hasten(odds("C"), key("odds", "C"))
    (fetch,) = queue.start(now=0.0)
    queue.finished(fetch.number)
    fail(queue, fetch, now=0.0, retry_after_s=2.0)
    assert queue.start(now=0.0) == []
    if again == "hasten":
        queue.hasten(odds("C"), key("odds", "C"))
    elif again == "want":
        queue.want(odds("C"), key("odds", "C"), 1, priority=Priority.BUSY, due=0.0)

    assert fetch.source == odds("C")
    assert taken(queue, 3, now=9.0) == ["A", "B", "C"]


def test_a_verification_that_failed_comes_after_every_first_base() -> None:
    """R11."""
    queue = new_queue(concurrency=1)
    queue.want(odds("A"), key("odds", "A"), 0, priority=Priority.VERIFICATION, due=0.0)
    (fetch,) = queue.start(now=0.0)
    queue.finished(fetch.number)
    delay = fail(queue, fetch, now=0.0)
    queue.want(odds("B"), key("odds", "B"), 0, priority=Priority.QUIET, due=delay + 1.0)

    assert taken(queue, 2, now=delay + 1.0) == ["B", "A"]


def taken(queue: SnapshotQueue, count: int, *, now: float = 0.0) -> list[str | None]:
    """The fixtures of the next fetches, each answered at once."""
    order: list[str | None] = []
    for _ in range(count):
        for fetch in queue.start(now=now):
            order.append(fetch.source.entity)
            queue.finished(fetch.number)
            queue.succeeded(fetch)
    return order


def test_failures_back_off_and_a_success_forgives() -> None:
    """HZ-C13."""
    queue = new_queue()
    queue.want(ROSTER, key(), 0, priority=Priority.WHOLE, due=0.0)
    now, delays = 0.0, list[float]()
    for _ in range(5):
        (fetch,) = queue.start(now=now)
        queue.finished(fetch.number)
        delay = fail(queue, fetch, now=now)
        delays.append(delay)
        assert queue.start(now=now + delay * 0.99) == []
        now += delay
    (fetch,) = queue.start(now=now)
    queue.finished(fetch.number)
    queue.succeeded(fetch)
    queue.want(ROSTER, key(), 1, priority=Priority.WHOLE, due=now)

    for failures, delay in enumerate(delays):
        assert 0.25 * 2**failures <= delay <= 0.5 * 2**failures
    assert len(queue.start(now=now)) == 1


def test_the_peer_says_when_to_come_back_for_the_whole_class() -> None:
    queue = new_queue()
    for entity in "AB":
        queue.want(odds(entity), key("odds", entity), 0, priority=Priority.WHOLE, due=0.0)
    first, second = queue.start(now=0.0)
    queue.want(odds("C"), key("odds", "C"), 0, priority=Priority.WHOLE, due=0.0)
    for fetch, seconds in ((first, 7.0), (second, 1.0)):
        queue.finished(fetch.number)
        fail(queue, fetch, now=0.0, retry_after_s=seconds)

    assert queue.start(now=6.9) == []
    assert len(queue.start(now=7.0)) == 3


def test_nobody_is_put_off_for_longer_than_a_minute_by_the_answer_to_another() -> None:
    """INV-L3: one fixture's answer is no reason to leave all the others without a base."""
    queue = new_queue()
    queue.want(odds("A"), key("odds", "A"), 0, priority=Priority.QUIET, due=0.0)
    (fetch,) = queue.start(now=0.0)
    queue.finished(fetch.number)
    fail(queue, fetch, now=0.0, retry_after_s=3600.0)
    queue.want(odds("B"), key("odds", "B"), 0, priority=Priority.QUIET, due=0.0)

    assert queue.start(now=59.9) == []
    assert taken(queue, 1, now=60.0) == ["B"]
    assert queue.start(now=3599.0) == []
    assert taken(queue, 1, now=3600.0) == ["A"]


def test_a_permanent_failure_is_tried_again_after_a_minute() -> None:
    """HZ-C14."""
    queue = new_queue()
    queue.want(ROSTER, key(), 0, priority=Priority.WHOLE, due=0.0)
    (fetch,) = queue.start(now=0.0)
    queue.finished(fetch.number)

    assert fail(queue, fetch, now=0.0, permanent=True) >= 60.0
    queue.want(ROSTER, key(), 1, priority=Priority.WHOLE, due=0.0)
    assert queue.start(now=59.0) == []


def test_what_is_forgotten_is_not_fetched() -> None:
    queue = new_queue()
    queue.want(odds("A"), key("odds", "A"), 0, priority=Priority.WHOLE, due=0.0)
    queue.forget(odds("A"), key("odds", "A"))
    queue.forget(odds("B"), key("odds", "B"))

    assert queue.start(now=0.0) == []


def test_a_cleared_queue_is_a_new_one() -> None:
    queue = new_queue()
    queue.want(odds("A"), key("odds", "A"), 0, priority=Priority.WHOLE, due=0.0)
    queue.want(odds("B"), key("odds", "B"), 0, priority=Priority.WHOLE, due=9.0)
    (fetch,) = queue.start(now=0.0)

    assert queue.clear() == [fetch.number]
    assert queue.finished(fetch.number) is None
    assert queue.deadline() is None
    assert queue.start(now=99.0) == []


def test_the_heaps_stay_bounded() -> None:
    """INV-S13: verifications ordered and overtaken by doubts, a thousand times a source."""
    queue, now = new_queue(), 0.0
    for _ in range(1000):
        for entity in "AB":
            one = key("odds", entity)
            queue.want(odds(entity), one, 0, priority=Priority.VERIFICATION, due=now + 10.0)
            queue.want(odds(entity), one, 0, priority=Priority.WHOLE, due=now)
            queue.want(odds(entity), one, 0, priority=Priority.WHOLE, due=now)
        for fetch in queue.start(now=now):
            queue.finished(fetch.number)
            queue.succeeded(fetch)
        now += 0.5

    # Private, because nothing else shows the sizes.
    later = len(queue._later)  # pyright: ignore[reportPrivateUsage]
    ready = sum(map(len, queue._ready.values()))  # pyright: ignore[reportPrivateUsage]
    waiting = later + ready
    assert waiting <= 2 * 2 * 25


steps = st.lists(
    st.tuples(
        st.sampled_from(["want", "hasten", "forget", "start", "good", "bad", "clear"]),
        st.integers(0, 4),
        st.floats(0, 2).map(lambda x: round(x, 2)),
    ),
    max_size=60,
)


@settings(max_examples=300)
@given(steps)
def test_every_want_is_fetched_in_the_end(plan: list[tuple[str, int, float]]) -> None:
    """INV-S15, INV-S20: no want is lost, one fetch a source, few at once, deadlines are kept."""
    queue = new_queue(concurrency=2, limit=3)
    wanted: dict[int, int] = {}
    open_: list[Fetch] = []
    now, fence = 0.0, 0

    def start() -> None:
        for fetch in queue.start(now=now):
            assert not any(other.source == fetch.source for other in open_)
            open_.append(fetch)
            for asked, with_fence in fetch.asked.items():
                if wanted.get(int(asked.entity or 0)) == with_fence:
                    del wanted[int(asked.entity or 0)]
        assert len(open_) <= 2

    for what, number, wait in plan:
        now += wait
        one = key("odds", str(number))
        if what == "want":
            fence += 1
            wanted[number] = fence
            queue.want(odds(str(number)), one, fence, priority=Priority(number), due=now + wait)
        elif what == "hasten":
            queue.hasten(odds(str(number)), one)
        elif what == "forget":
            wanted.pop(number, None)
            queue.forget(odds(str(number)), one)
        elif what == "clear":
            assert sorted(queue.clear()) == sorted(fetch.number for fetch in open_)
            wanted.clear()
            open_.clear()
        elif what == "start":
            start()
        elif open_:
            fetch = open_.pop(0)
            assert queue.finished(fetch.number) is fetch
            if what == "good":
                queue.succeeded(fetch)
            else:
                fail(queue, fetch, now=now)
                for asked, with_fence in fetch.asked.items():
                    wanted.setdefault(int(asked.entity or 0), with_fence)
    for _ in range(200):
        start()
        if not wanted and not open_:
            break
        if open_:
            fetch = open_.pop()
            queue.finished(fetch.number)
            queue.succeeded(fetch)
        else:
            deadline = queue.deadline()
            assert deadline is not None
            assert deadline >= now or queue.start(now=now) is not None
            now = max(now, deadline)
    assert not wanted
