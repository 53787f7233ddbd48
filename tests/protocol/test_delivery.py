"""The way to the application: order, acknowledgement, caps and withdrawal."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lastseen import Anomaly, AnomalyCode, Entry, Event, ScopeState, StateSnapshot, Stopped
from lastseen.delivery import Delivery, Finished, Notice
from lastseen.events import ItemCause, ItemChanged, Proof, StatusChanged
from lastseen.lifecycle import ItemState


def entry(channel: str = "scores", entity: str | None = None, size: int = 1) -> Entry:
    return Entry(channel=channel, entity=entity, id="1-1", raw=b"x" * size)


def anomaly(count: int = 1) -> Anomaly:
    return Anomaly(code=AnomalyCode.FENCED, channel=None, detail="", count=count)


def fall() -> StatusChanged:
    return StatusChanged(
        channel="scores", entity=None, state=ScopeState.STALE, proof=Proof.UNPROVEN
    )


def finished_into(done: list[Entry]) -> Finished:
    def finished(channel: str, era: int, entries: list[Entry]) -> None:
        assert all(one.channel == channel for one in entries)
        done.extend(entries)

    return finished


def test_finishing_an_event_finishes_all_before_it() -> None:
    delivery, done = Delivery(100, 100), list[Entry]()
    entries = [entry() for _ in range(4)]
    for one in entries:
        delivery.put_entry(one, 0)
    taken = delivery.take(10)
    delivery.finish(taken[2], finished_into(done))

    assert done == entries[:3]
    assert delivery.load("scores") == 1
    assert not delivery.holds(taken[1])
    assert delivery.holds(taken[3])


def test_an_entry_says_the_era_it_was_queued_in() -> None:
    delivery, eras = Delivery(100, 100), list[int]()
    for era, count in ((1, 2), (2, 3)):
        for _ in range(count):
            delivery.put_entry(entry(), era)
    events = delivery.take(10)
    delivery.finish(events[-1], lambda _, era, entries: eras.extend([era] * len(entries)))

    assert eras == [1, 1, 2, 2, 2]


def test_a_fall_overtakes_what_waits() -> None:
    """INV-S10."""
    delivery = Delivery(100, 100)
    delivery.put_entry(entry(), 0)
    delivery.put(fall(), first=True)

    assert isinstance(delivery.take(1)[0], StatusChanged)


def test_a_marker_acts_when_all_before_it_is_finished() -> None:
    reached: list[int] = []
    delivery = Delivery(100, 100)
    delivery.put(Notice("scores", reached=lambda: reached.append(0)))

    assert reached == [0]

    delivery.put_entry(entry(), 0)
    delivery.put(Notice("scores", reached=lambda: reached.append(1)))
    delivery.put_entry(entry(), 0)
    first, _ = delivery.take(10)

    assert reached == [0]

    delivery.finish(first, finished_into([]))

    assert reached == [0, 1]


@pytest.mark.parametrize("entity", [None, "A"])
def test_what_waits_for_a_scope_can_be_taken_back_except_for_its_fall(entity: str | None) -> None:
    delivery = Delivery(100, 100)
    mine, other = entry("odds", "A"), entry("odds", "B")
    delivery.put(Notice("odds", "A", say=fall, lasting=True))
    delivery.put(Notice("odds", "A", say=fall))
    delivery.put(StateSnapshot(channel="odds", entity="A", rows={}))
    for one in (mine, other, entry("scores")):
        delivery.put_entry(one, 0)
    withdrawn = delivery.withdraw("odds", entity)

    assert withdrawn == ([mine] if entity else [mine, other])
    kinds = [type(event) for event in delivery.take(10)]
    assert kinds == [StatusChanged, *[Entry] * (2 if entity else 1)]


def test_a_rejected_entry_is_not_finished() -> None:
    delivery, done = Delivery(100, 100), list[Entry]()
    entries = [entry() for _ in range(3)]
    for one in entries:
        delivery.put_entry(one, 0)
    delivery.take(10)
    delivery.finish_before(entries[1], finished_into(done))

    assert done == entries[:1]
    assert delivery.load("scores") == 1


@pytest.mark.parametrize(("items", "size", "fits"), [(3, 1, 3), (100, 10, 5)])
def test_each_channel_has_its_own_caps(items: int, size: int, fits: int) -> None:
    """HZ-I6, HZ-I8."""
    delivery = Delivery(items, 50)
    answers = [delivery.put_entry(entry(size=size), 0) for _ in range(fits + 1)]

    assert answers == [True] * fits + [False]
    assert delivery.put_entry(entry("fixtures", size=size), 0)


def test_a_run_that_would_cross_a_cap_is_not_queued_at_all() -> None:
    delivery = Delivery(3, 50)

    assert not delivery.put_run("scores", [entry() for _ in range(4)], 4, 0)
    assert delivery.put_run("scores", [entry() for _ in range(3)], 3, 0)
    assert delivery.load("scores") == 3


def test_notices_are_bounded_and_the_end_is_told_all_the_same() -> None:
    """INV-S13."""
    delivery = Delivery(100, 100)
    for count in range(100_500):
        delivery.put(anomaly(count))
    delivery.put(Stopped(failure=None, reason="x"))
    events = delivery.take(1_000_000)

    assert delivery.lost_notices == 500
    assert isinstance(events[-1], Stopped)


class DeliveryMachine(RuleBasedStateMachine):
    """Against two plain lists."""

    def __init__(self) -> None:
        super().__init__()
        self.ours = Delivery(10_000, 10_000)
        self.queue: deque[Event] = deque()
        self.taken: list[Event] = []
        self.done: list[Entry] = []
        self.expected: list[Entry] = []

    @rule(channel=st.sampled_from("ab"), entity=st.sampled_from([None, "X"]))
    def put_entry(self, channel: str, entity: str | None) -> None:
        one = entry(channel, entity)
        self.ours.put_entry(one, 0)
        self.queue.append(one)

    @rule(channel=st.sampled_from("ab"), count=st.integers(1, 3))
    def put_run(self, channel: str, count: int) -> None:
        run = [entry(channel) for _ in range(count)]
        assert self.ours.put_run(channel, run, count, 0)
        self.queue.extend(run)

    @rule(first=st.booleans())
    def put_other(self, first: bool) -> None:
        other = anomaly()
        self.ours.put(other, first=first)
        if first:
            self.queue.appendleft(other)
        else:
            self.queue.append(other)

    @rule(limit=st.integers(1, 5))
    def take(self, limit: int) -> None:
        expected = [self.queue.popleft() for _ in range(min(limit, len(self.queue)))]
        got = self.ours.take(limit)
        assert all(one is other for one, other in zip(got, expected, strict=True))
        self.taken += expected

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.taken) - 1))
        self.ours.finish(self.taken[index], finished_into(self.done))
        self.expected += [e for e in self.taken[: index + 1] if isinstance(e, Entry)]
        del self.taken[: index + 1]

    @precondition(lambda self: any(isinstance(event, Entry) for event in self.taken))
    @rule(data=st.data())
    def reject(self, data: st.DataObject) -> None:
        places = [i for i, event in enumerate(self.taken) if isinstance(event, Entry)]
        index = data.draw(st.sampled_from(places))
        self.ours.finish_before(self.taken[index], finished_into(self.done))  # type: ignore[arg-type]
        self.expected += [e for e in self.taken[:index] if isinstance(e, Entry)]
        del self.taken[: index + 1]

    @rule(channel=st.sampled_from("ab"), entity=st.sampled_from([None, "X"]))
    def withdraw(self, channel: str, entity: str | None) -> None:
        mine = [
            event for event in self.queue
            if isinstance(event, Entry) and event.channel == channel
            and (entity is None or event.entity == entity)
        ]  # fmt: skip
        got = self.ours.withdraw(channel, entity)
        assert all(one is other for one, other in zip(got, mine, strict=True))
        self.queue = deque(event for event in self.queue if not any(event is m for m in mine))

    @invariant()
    def loads_and_order_agree(self) -> None:
        assert self.ours.waiting == len(self.queue)
        for channel in "ab":
            held = [*self.queue, *self.taken]
            count = sum(isinstance(e, Entry) and e.channel == channel for e in held)
            assert self.ours.load(channel) == count
            assert [e for e in self.done if e.channel == channel] == [
                e for e in self.expected if e.channel == channel
            ]
            load = self.ours._loads.get(channel)  # pyright: ignore[reportPrivateUsage]
            assert load is None or (load.bytes >= 0 and (load.items or not load.bytes))


DeliveryMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestDelivery = DeliveryMachine.TestCase


def test_a_second_withdrawal_finds_what_came_since_the_first() -> None:
    delivery = Delivery(items_max=100, bytes_max=10_000)
    one, two, three, other = entry(), entry(), entry(), entry("odds")
    delivery.put_entry(one, 0)
    delivery.put_entry(other, 0)
    assert delivery.withdraw("scores") == [one]
    delivery.put_entry(two, 0)
    delivery.put_run("scores", [three], 1, 0)

    assert delivery.withdraw("scores") == [two, three]
    assert delivery.withdraw("scores") == []
    assert delivery.take(10) == [other]


def change(name: str, state: ItemState = ItemState.PENDING) -> ItemChanged:
    return ItemChanged(
        key=(name,), state=state, before=None, cause=ItemCause.LIVE, entry=None, waited_s=0.0,
        detected_at_ms=None, latency_ms=None,
    )  # fmt: skip


def test_news_of_items_are_replaced_in_place_of_what_waits_and_once() -> None:
    delivery = Delivery(items_max=100, bytes_max=10_000)
    one, two, three, four, other = entry(), change("a"), change("b"), change("c"), anomaly()
    offered: list[list[ItemChanged]] = []

    def keep_last(changes: list[ItemChanged]) -> list[ItemChanged]:
        offered.append(changes)
        return changes[-1:]

    delivery.put(two)
    delivery.put_entry(one, 0)
    delivery.put(three)
    delivery.put(other)
    delivery.replace_items(keep_last)
    delivery.put(four)
    delivery.replace_items(keep_last)
    events = delivery.take(10)
    delivery.finish(events[-1], finished_into([]))

    assert offered == [[two, three], [four]]
    assert [event for event in events if event is not other] == [one, three, four]
    assert delivery.waiting == 0
    delivery.put_entry(one, 0)
    assert delivery.take(10) == [one]


def test_news_of_items_are_not_lost_to_the_cap_of_other_news() -> None:
    delivery = Delivery(100, 100)
    for count in range(100_500):
        delivery.put(anomaly(count))
    delivery.put(change("a"))

    assert delivery.lost_notices == 500
    assert isinstance(delivery.take(1_000_000)[-1], ItemChanged)
    delivery.put(anomaly())
    assert delivery.lost_notices == 500
