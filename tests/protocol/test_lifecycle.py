"""The lattice of items, against a naive model that looks at everything every time."""

import gc
import sys
import tracemalloc
from collections.abc import Callable
from itertools import permutations, product
from types import FrameType
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lastseen.errors import ConfigurationError
from lastseen.lifecycle import Cause, Change, Counts, ItemKey, ItemState, Lifecycle

PENDING, TIMED_OUT, CONFIRMED = ItemState

KEY: ItemKey = ("0xaa01", "0xa1", "123", "BUY")
SIBLING: ItemKey = ("0xaa01", "0xa2", "456", "SELL")

Told = list[tuple[ItemKey, ItemState]]


def told(changes: Any) -> Told:
    return [(change.key, change.state) for change in changes]


# The lattice -------------------------------------------------------------------------------------


def test_the_states_are_ordered_and_merging_takes_the_higher() -> None:
    assert [state.rank for state in (PENDING, TIMED_OUT, CONFIRMED)] == [1, 2, 3]
    for one, other in product(ItemState, repeat=2):
        assert one.merge(other) is other.merge(one)
        assert one.merge(other).rank == max(one.rank, other.rank)


STEPS: dict[str, Callable[[Lifecycle, float], Any]] = {
    "settlement": lambda life, now: life.pending(KEY, now=now),
    "duplicate": lambda life, now: life.pending(KEY, now=now),
    "update": lambda life, now: life.update(KEY[0], now=now),
    "timeout": lambda life, now: life.expire(now=now),
}


def play(order: tuple[str, ...]) -> tuple[Told, Lifecycle]:
    """Plays a schedule, in which `timeout` lets the pending time pass, and says what was told."""
    life, now = Lifecycle(timeout_s=15.0), 100.0
    heard: Told = []
    for step in (*order, "timeout"):
        now += 16.0 if step == "timeout" else 1.0
        heard += told(STEPS[step](life, now))
    return heard, life


@pytest.mark.parametrize("order", list(permutations(STEPS)))
def test_every_order_ends_confirmed_and_tells_each_outcome_once(order: tuple[str, ...]) -> None:
    """R15, INV-S5, INV-S12, HZ-G2, HZ-G5, HZ-G13; all 24 orders."""
    heard, life = play(order)

    assert life.state(KEY) is CONFIRMED
    assert life.deadline() is None
    assert life.counts() == Counts(pending=0, tombstones=1, confirmations=1)
    assert len(heard) == len(set(heard))
    assert heard[-1] == (KEY, CONFIRMED)
    assert [state.rank for _, state in heard] == sorted(state.rank for _, state in heard)


@pytest.mark.parametrize("order", list(permutations(("settlement", "duplicate", "timeout"))))
def test_without_a_confirmation_every_order_ends_timed_out(order: tuple[str, ...]) -> None:
    """HZ-G6, HZ-G10, INV-L2."""
    heard, life = play(order)

    assert heard == [(KEY, PENDING), (KEY, TIMED_OUT)]
    assert life.state(KEY) is TIMED_OUT


@pytest.mark.parametrize("order", list(permutations((KEY, SIBLING, "update"))))
def test_items_of_one_transaction_are_separate_and_confirmed_by_one_update(order: Any) -> None:
    life = Lifecycle()
    heard: Told = []
    for step in order:
        changes = life.update(KEY[0], now=1.0) if step == "update" else life.pending(step, now=1.0)
        heard += told(changes)

    assert {key for key, state in heard if state is CONFIRMED} == {KEY, SIBLING}
    assert len(heard) == len(set(heard))
    assert life.deadline() is None


def test_what_a_change_says() -> None:
    life = Lifecycle(timeout_s=15.0)
    (first,) = life.pending(KEY, now=3.0)
    (second,) = life.expire(now=18.0)
    (third,) = life.update(KEY[0], now=20.0)

    assert first == Change(KEY, PENDING, Cause.EVENT, None, 3.0)
    assert second == Change(KEY, TIMED_OUT, Cause.DEADLINE, PENDING, 3.0)
    assert third == Change(KEY, CONFIRMED, Cause.EVENT, TIMED_OUT, 3.0)
    assert (life.timed_out_total, life.confirmed_total) == (1, 1)


def test_first_seen_confirmed_arms_no_timer() -> None:
    """HZ-G11."""
    life = Lifecycle()

    assert life.confirmed(KEY, now=1.0) == (Change(KEY, CONFIRMED, Cause.EVENT, None, 1.0),)
    assert life.deadline() is None
    assert life.confirmed(KEY, now=2.0) == ()
    assert life.pending(KEY, now=2.0) == ()
    assert (life.timed_out_total, life.confirmed_total) == (0, 1)


@pytest.mark.parametrize("after_s", [1.0, 15.0])
def test_a_settlement_that_is_confirmed_later_says_nothing_of_its_siblings(after_s: float) -> None:
    life = Lifecycle(timeout_s=15.0)
    life.pending(KEY, now=0.0)
    life.pending(SIBLING, now=0.5)
    life.expire(now=after_s)

    assert told(life.confirmed(KEY, now=after_s)) == [(KEY, CONFIRMED)]
    assert life.state(SIBLING) is PENDING
    assert told(life.update(KEY[0], now=after_s)) == [(SIBLING, CONFIRMED)]


def test_the_deadline_is_exact_and_dated_from_first_sight() -> None:
    """HZ-G16."""
    life = Lifecycle(timeout_s=15.0)
    life.pending(KEY, now=1.0)
    life.pending(("0xbb",), now=2.5)
    life.pending(KEY, now=10.0)

    assert life.deadline() == 16.0
    assert life.expire(now=15.999) == []
    assert told(life.expire(now=16.0)) == [(KEY, TIMED_OUT)]
    assert life.deadline() == 17.5
    assert told(life.expire(now=99.0)) == [(("0xbb",), TIMED_OUT)]
    assert life.deadline() is None
    assert life.expire(now=99.0) == []


def test_an_update_for_an_unknown_transaction_costs_one_memory_however_often() -> None:
    life = Lifecycle()
    for number in range(1000):
        assert life.update("0xaa", now=float(number)) == ()

    assert life.counts() == Counts(pending=0, tombstones=0, confirmations=1)


# Caps --------------------------------------------------------------------------------------------


def key(number: int) -> ItemKey:
    return (f"0x{number:064x}", f"0x{number:040x}", f"{number:077d}", "BUY")


def test_the_oldest_pending_item_is_told_as_timed_out_before_it_goes() -> None:
    """HZ-G9: never silently."""
    life = Lifecycle(pending_max=2)
    for number in (1, 2):
        life.pending(key(number), now=float(number))
    changes = life.pending(key(3), now=3.0)

    assert changes == (
        Change(key(1), TIMED_OUT, Cause.LIMIT, PENDING, 1.0),
        Change(key(3), PENDING, Cause.EVENT, None, 3.0),
    )
    assert life.evicted_pending == 1
    assert life.counts().pending == 2
    assert life.deadline() == 17.0
    assert told(life.update(key(1)[0], now=4.0)) == [(key(1), CONFIRMED)]


def test_the_oldest_tombstone_goes_and_counts_when_it_was_young() -> None:
    life = Lifecycle(tombstones_max=2, timeout_s=15.0, remembered_s=100.0)
    for number in (1, 2, 3):
        life.confirmed(key(number), now=1000.0 + number)

    assert life.evicted_tombstones == 1
    assert life.state(key(1)) is None
    assert life.counts().tombstones == 2
    life.confirmed(key(4), now=1102.0)
    assert life.evicted_tombstones == 1


def test_a_timed_out_item_that_is_forgotten_leaves_nothing_behind() -> None:
    life = Lifecycle(tombstones_max=1, timeout_s=1.0, remembered_s=1.0)
    for item in (KEY, SIBLING, ("0xbb",)):
        life.pending(item, now=0.0)
    life.expire(now=1.0)

    assert life.counts() == Counts(pending=0, tombstones=1, confirmations=0)
    assert told(life.update(KEY[0], now=2.0)) == []
    assert told(life.update("0xbb", now=2.0)) == [(("0xbb",), CONFIRMED)]
    assert life._open == {}  # pyright: ignore[reportPrivateUsage]


def test_the_oldest_confirmation_goes_and_counts_when_it_was_young() -> None:
    """HZ-G9: a flood of updates for transactions that nobody knows."""
    life = Lifecycle(confirmations_max=2, remembered_s=100.0)
    for number in (1, 2, 3):
        life.update(key(number)[0], now=1000.0 + number)

    assert life.evicted_confirmations == 1
    assert told(life.pending(key(1), now=1004.0)) == [(key(1), PENDING)]
    assert told(life.pending(key(3), now=1004.0)) == [(key(3), CONFIRMED)]
    life.update("0xbb", now=1102.0)
    assert life.evicted_confirmations == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"timeout_s": 0.0}, "timeout_s must be above 0"),
        ({"timeout_s": float("nan")}, "timeout_s must be above 0"),
        ({"pending_max": 0}, "pending_max must be above 0"),
        ({"tombstones_max": -1}, "tombstones_max must be above 0"),
        ({"confirmations_max": 0}, "confirmations_max must be above 0"),
        ({"timeout_s": 15.0, "remembered_s": 14.0}, "remembered_s must not be below timeout_s"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Lifecycle(**options)


# Cost --------------------------------------------------------------------------------------------


def lines_run(work: Callable[[], None]) -> int:
    """How many lines of the lifecycle are run: work, whatever the machine."""
    path = Lifecycle.pending.__code__.co_filename
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        if frame.f_code.co_filename != path:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def filled(items: int) -> Lifecycle:
    life = Lifecycle()
    for number in range(items):
        life.pending(key(number), now=number / items)
    return life


def life_of(items: int, *, one_transaction: bool) -> None:
    """Every item comes; two thirds are confirmed, the latest first, the others time out."""
    life = Lifecycle(tombstones_max=items // 2)
    keys = [("0x1", str(n)) if one_transaction else key(n) for n in range(items)]
    for number, each in enumerate(keys):
        life.pending(each, now=number / items)
        life.deadline()
    for each in reversed(keys[: items // 3]):
        life.confirmed(each, now=2.0)
    if not one_transaction:
        for each in reversed(keys[items // 3 : items // 3 * 2]):
            life.update(each[0], now=2.0)
    life.expire(now=99.0)
    for each in keys:
        life.update(each[0], now=99.0)
        life.pending(each, now=99.0)


@pytest.mark.parametrize("one_transaction", [False, True])
def test_an_item_costs_the_same_among_few_and_among_many(one_transaction: bool) -> None:
    def per_item(items: int) -> float:
        return lines_run(lambda: life_of(items, one_transaction=one_transaction)) / items

    assert per_item(12_000) <= per_item(300) * 1.1


def test_confirmed_items_do_not_stay_in_the_queue_of_deadlines() -> None:
    life = filled(1000)
    for number in range(1, 1000):
        life.update(key(number)[0], now=2.0)

    assert len(life._due) < 100  # pyright: ignore[reportPrivateUsage]
    assert life.deadline() == 15.0


def bytes_per_item(items: int) -> float:
    gc.collect()
    tracemalloc.start()
    try:
        life = filled(items)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert life.counts().pending == items
    return used / items


def test_a_pending_item_takes_less_than_a_kibibyte() -> None:
    """The published bound, with keys of the usual length."""
    assert bytes_per_item(20_000) < 1024


@pytest.mark.soak
def test_a_million_pending_items_stay_below_a_gibibyte() -> None:
    life = Lifecycle(pending_max=1_000_000)
    gc.collect()
    tracemalloc.start()
    for number in range(1_000_000):
        life.pending(key(number), now=number / 1e6)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert used < 1 << 30
    assert len(life.expire(now=100.0)) == 1_000_000


# A naive model -----------------------------------------------------------------------------------


class Naive:
    """The rules as they are written: lists, and a look at all of it for every question."""

    def __init__(self, timeout_s: int, caps: tuple[int, int, int]) -> None:
        self.timeout_s = timeout_s
        self.pending_max, self.tombstones_max, self.confirmations_max = caps
        self.known: dict[ItemKey, list[Any]] = {}
        """By key: state, first seen, when it was over as a running number."""
        self.transactions: list[str] = []
        self.over = 0

    def say(self, item: ItemKey, state: ItemState, now: int) -> Told:
        there = self.known.get(item)
        if there is None and item[0] in self.transactions:
            state = CONFIRMED
        if there is None:
            heard = self.make_room() if state is PENDING else []
            self.known[item] = [state, now, None]
            if state is not PENDING:
                self.bury(item)
            return [*heard, (item, state)]
        if state.rank <= there[0].rank:
            return []
        self.raise_to(item, state)
        return [(item, state)]

    def update(self, transaction: str) -> Told:
        if transaction in self.transactions:
            return []
        self.transactions = [*self.transactions, transaction][-self.confirmations_max :]
        lower = [k for k, v in self.known.items() if k[0] == transaction and v[0] is not CONFIRMED]
        lower.sort(key=list(self.known).index)
        for item in lower:
            if item in self.known:
                self.raise_to(item, CONFIRMED)
        return [(item, CONFIRMED) for item in lower]

    def expire(self, now: int) -> Told:
        heard: Told = []
        while (oldest := self.oldest()) and self.known[oldest][1] + self.timeout_s <= now:
            self.raise_to(oldest, TIMED_OUT)
            heard.append((oldest, TIMED_OUT))
        return heard

    def make_room(self) -> Told:
        if len(self.in_state(PENDING)) < self.pending_max:
            return []
        oldest = self.oldest()
        assert oldest is not None
        self.raise_to(oldest, TIMED_OUT)
        return [(oldest, TIMED_OUT)]

    def raise_to(self, item: ItemKey, state: ItemState) -> None:
        before = self.known[item][0]
        self.known[item][0] = state
        if before is PENDING:
            self.bury(item)

    def bury(self, item: ItemKey) -> None:
        self.over += 1
        self.known[item][2] = self.over
        dead = sorted((v[2], k) for k, v in self.known.items() if v[2] is not None)
        if len(dead) > self.tombstones_max:
            del self.known[dead[0][1]]

    def oldest(self) -> ItemKey | None:
        waiting = self.in_state(PENDING)
        return min(waiting, key=lambda item: self.known[item][1]) if waiting else None

    def in_state(self, state: ItemState) -> list[ItemKey]:
        return [item for item, there in self.known.items() if there[0] is state]


TRANSACTIONS = st.sampled_from(["0x1", "0x2", "0x3", "0x4"])
ITEMS = st.tuples(TRANSACTIONS, st.sampled_from(["a", "b", "c"]))


class AgainstTheModel(RuleBasedStateMachine):
    @initialize(caps=st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 4)))
    def begin(self, caps: tuple[int, int, int]) -> None:
        pending, tombstones, confirmations = caps
        self.now = 0
        self.life = Lifecycle(
            timeout_s=3, pending_max=pending, tombstones_max=tombstones,
            confirmations_max=confirmations,
        )  # fmt: skip
        self.naive = Naive(3, caps)
        self.best: dict[ItemKey, ItemState] = {}

    def check(self, changes: Any, expected: Told) -> None:
        assert told(changes) == expected
        for change in changes:
            assert change.first_seen_at <= self.now

    @rule(item=ITEMS)
    def pending(self, item: ItemKey) -> None:
        expected = self.naive.say(item, PENDING, self.now)
        self.check(self.life.pending(item, now=self.now), expected)

    @rule(item=ITEMS)
    def confirmed(self, item: ItemKey) -> None:
        expected = self.naive.say(item, CONFIRMED, self.now)
        self.check(self.life.confirmed(item, now=self.now), expected)

    @rule(transaction=TRANSACTIONS)
    def update(self, transaction: str) -> None:
        expected = self.naive.update(transaction)
        self.check(self.life.update(transaction, now=self.now), expected)

    @rule(by_s=st.integers(0, 4))
    def wait(self, by_s: int) -> None:
        self.now += by_s
        self.check(self.life.expire(now=self.now), self.naive.expire(self.now))

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "life"):
            return
        for transaction, part in product(["0x1", "0x2", "0x3", "0x4"], ["a", "b", "c"]):
            item = (transaction, part)
            there = self.naive.known.get(item)
            assert self.life.state(item) is (there[0] if there else None)
        counts = self.life.counts()
        assert counts.pending == len(self.naive.in_state(PENDING)) <= self.life.pending_max
        assert counts.tombstones <= self.life.tombstones_max
        assert counts.confirmations == len(self.naive.transactions)
        oldest = self.naive.oldest()
        due = self.naive.known[oldest][1] + 3 if oldest else None
        assert self.life.deadline() == due


AgainstTheModel.TestCase.settings = settings(max_examples=200, stateful_step_count=40)
TestAgainstTheModel = AgainstTheModel.TestCase
