"""One request at a time, and answers by order alone."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lastseen.asks import Asks, Expired
from lastseen.budget import Budget
from lastseen.errors import ConfigurationError, LocalProtocolError


def make(*asks: str, **options: Any) -> Asks[str]:
    made = Asks[str](Budget(options.pop("limit", 100), 1.0), **{"timeout_s": 10.0, **options})
    for ask in asks:
        made.put(ask, lasting=True)
    return made


def test_the_second_request_waits_for_the_answer_to_the_first() -> None:
    """Facts 9.7: answers carry no name."""
    asks = make("a", "b")

    assert asks.next(now=0.0) == "a"
    assert asks.next(now=0.0) is None
    assert asks.in_flight == "a"
    assert asks.answered() == "a"
    assert asks.standing == ("a",)
    assert asks.next(now=0.0) == "b"
    assert asks.answered() == "b"
    assert asks.next(now=0.0) is None


def test_it_is_settled_when_nothing_waits_and_nothing_is_in_flight() -> None:
    asks = make()
    settled = [asks.settled]
    asks.put("a", lasting=True)
    settled.append(asks.settled)
    asks.next(now=0.0)
    settled.append(asks.settled)
    asks.answered()
    settled.append(asks.settled)

    assert settled == [True, False, False, True]


def test_an_error_belongs_to_the_request_in_flight_which_is_not_asked_again() -> None:
    asks = make("a", "b")
    asks.next(now=0.0)

    assert asks.refused() == "a"
    assert asks.next(now=0.0) == "b"
    asks.answered()
    asks.reset()
    assert asks.next(now=1.0) == "b"
    asks.answered()
    assert asks.next(now=1.0) is None


def test_an_answer_that_nothing_awaits_is_nobodys() -> None:
    asks = make("a")

    assert asks.answered() is None
    assert asks.refused() is None
    asks.next(now=0.0)
    asks.answered("conn-1:0")
    assert asks.answered("conn-1:0") is None
    assert asks.refused() is None


def test_an_answer_that_comes_twice_is_not_taken_for_the_next_ones() -> None:
    asks = make("a", "b")
    asks.next(now=0.0)
    asks.answered("conn-1:0")
    asks.next(now=0.0)

    assert asks.answered("conn-1:0") is None
    assert asks.in_flight == "b"
    assert asks.answered("conn-1:1") == "b"


def test_another_connection_may_give_out_the_same_names() -> None:
    asks = make("a")
    asks.next(now=0.0)
    asks.answered("0")
    asks.reset()
    asks.next(now=0.0)

    assert asks.answered("0") == "a"


def test_what_was_granted_or_in_flight_is_asked_again_on_the_next_connection() -> None:
    asks = make("a", "b", "c")
    asks.next(now=0.0)
    asks.answered()
    asks.next(now=0.0)
    asks.reset()

    assert asks.standing == ()
    again: list[str | None] = []
    for _ in range(3):
        again.append(asks.next(now=1.0))
        asks.answered()
    assert again == ["a", "b", "c"]


def test_a_request_that_does_not_last_goes_with_its_connection() -> None:
    asks = make("a")
    asks.next(now=0.0)
    asks.answered()
    asks.put("end a", lasting=False)
    asks.next(now=0.0)
    asks.put("end b", lasting=False)
    asks.reset()

    assert asks.next(now=1.0) == "a"
    asks.answered()
    assert asks.next(now=1.0) is None


def test_a_request_that_does_not_last_does_not_stand_once_it_is_answered() -> None:
    asks = make()
    asks.put("end all", lasting=False)
    asks.next(now=0.0)

    assert asks.answered() == "end all"
    assert asks.standing == ()


def test_after_a_request_without_an_answer_nothing_more_is_asked_on_the_connection() -> None:
    asks = make("a", "b")
    asks.next(now=1.0)

    assert asks.deadline(now=1.0) == 11.0
    assert asks.expire(now=10.999) is None
    assert asks.expire(now=11.0) == Expired("a", given_up=False)
    assert asks.spent
    assert asks.next(now=12.0) is None
    assert asks.deadline(now=12.0) is None
    assert asks.answered() is None
    assert asks.expire(now=99.0) is None


def test_what_is_never_answered_comes_last_and_is_given_up_in_the_end() -> None:
    """INV-L3, R13."""
    asks = make("dead", "a", "b", attempts_max=3)
    heard: list[Any] = []
    for turn in range(3):
        now = turn * 100.0
        while (ask := asks.next(now=now)) is not None:
            heard.append(ask)
            if ask != "dead":
                asks.answered()
        heard.append(asks.expire(now=now + 10.0))
        asks.reset()

    assert heard == [
        "dead", Expired("dead", given_up=False),
        "a", "b", "dead", Expired("dead", given_up=False),
        "a", "b", "dead", Expired("dead", given_up=True),
    ]  # fmt: skip
    assert [asks.next(now=999.0), asks.answered(), asks.next(now=999.0)] == ["a", "a", "b"]


def test_what_is_asked_for_later_still_goes_before_what_was_not_answered() -> None:
    asks = make("dead")
    asks.next(now=0.0)
    asks.expire(now=10.0)
    asks.put("a", lasting=True)
    asks.reset()

    assert asks.next(now=20.0) == "a"


@pytest.mark.parametrize("end", ["dropped", "refused", "given up"])
def test_one_that_is_asked_for_anew_starts_anew(end: str) -> None:
    asks = make("a", attempts_max=2)
    asks.next(now=0.0)
    asks.expire(now=10.0)
    asks.reset()
    asks.next(now=20.0)
    if end == "dropped":
        asks.drop("a")
        asks.answered()
    elif end == "refused":
        asks.refused()
    else:
        assert asks.expire(now=30.0) == Expired("a", given_up=True)
    asks.reset()
    assert asks.settled

    asks.put("a", lasting=False)
    asks.next(now=40.0)
    asks.answered()
    assert asks.standing == ()
    asks.put("a", lasting=True)
    asks.next(now=40.0)
    assert asks.expire(now=50.0) == Expired("a", given_up=False)


def test_a_late_one_that_is_dropped_while_it_waits_starts_anew() -> None:
    asks = make("a", attempts_max=2)
    asks.next(now=0.0)
    asks.expire(now=10.0)
    asks.drop("a")
    asks.reset()
    asks.put("a", lasting=True)
    asks.next(now=20.0)

    assert asks.expire(now=30.0) == Expired("a", given_up=False)


def test_an_answer_ends_the_count_of_those_that_did_not_come() -> None:
    asks = make("a", attempts_max=2)
    for _ in range(3):
        asks.next(now=0.0)
        assert asks.expire(now=10.0) == Expired("a", given_up=False)
        asks.reset()
        asks.next(now=20.0)
        asks.answered()
        asks.reset()


def test_one_that_does_not_last_is_given_up_at_once() -> None:
    asks = make()
    asks.put("end", lasting=False)
    asks.next(now=0.0)

    assert asks.expire(now=10.0) == Expired("end", given_up=True)
    asks.reset()
    assert asks.settled


def test_a_dropped_request_is_not_asked_again() -> None:
    asks = make("a", "b", "c")
    asks.next(now=0.0)
    asks.answered()
    asks.next(now=0.0)
    for ask in ("a", "b", "c", "never"):
        asks.drop(ask)

    assert asks.in_flight == "b"
    assert asks.answered() == "b"
    assert asks.standing == ()
    asks.reset()
    assert asks.settled


def test_a_request_that_is_dropped_and_wanted_again_in_flight_is_asked_once() -> None:
    asks = make("a")
    asks.next(now=0.0)
    asks.drop("a")
    asks.put("a", lasting=True)

    assert asks.answered() == "a"
    assert asks.standing == ("a",)
    assert asks.next(now=0.0) is None


def test_requests_are_paid_from_the_budget() -> None:
    """INV-S14."""
    asks = make("a", "b", limit=1)

    assert asks.next(now=0.0) == "a"
    asks.answered()
    assert asks.next(now=0.5) is None
    assert asks.deadline(now=0.5) == 1.0
    assert asks.next(now=1.0) == "b"


def test_there_is_no_deadline_when_there_is_nothing_to_do() -> None:
    assert make().deadline(now=0.0) is None


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_the_same_request_cannot_be_there_twice(steps: int) -> None:
    asks = make("a")
    if steps:
        asks.next(now=0.0)
    if steps == 2:
        asks.answered()
    with pytest.raises(LocalProtocolError, match="already"):
        asks.put("a", lasting=True)


def test_there_is_a_limit_to_requests() -> None:
    asks = make("a", "b", items_max=2)
    for _ in range(2):
        with pytest.raises(LocalProtocolError, match="more than 2"):
            asks.put("c", lasting=True)
        asks.next(now=0.0)
        asks.answered()


@pytest.mark.parametrize("name", ["timeout_s", "attempts_max", "items_max"])
def test_options_that_cannot_work_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be above 0"):
        make(**{name: 0})


NAMES = st.sampled_from("abcd")


class AgainstAPeer(RuleBasedStateMachine):
    """A peer that answers in order, or not at all: every answer reaches its own request."""

    @initialize()
    def begin(self) -> None:
        self.asks = make(attempts_max=2, timeout_s=5.0)
        self.now = 0.0
        self.wanted: list[str] = []
        """Asked for, and neither refused nor given up."""
        self.sent: str | None = None
        self.granted: list[str] = []

    @rule(name=NAMES)
    def put(self, name: str) -> None:
        if name in self.wanted:
            with pytest.raises(LocalProtocolError):
                self.asks.put(name, lasting=True)
        else:
            self.asks.put(name, lasting=True)
            self.wanted.append(name)

    @rule()
    def send(self) -> None:
        ask = self.asks.next(now=self.now)
        if ask is not None:
            assert self.sent is None
            assert ask in self.wanted
            assert ask not in self.granted
            self.sent = ask

    @rule(granted=st.booleans())
    def answer(self, granted: bool) -> None:
        answered = self.asks.answered() if granted else self.asks.refused()
        assert answered == self.sent
        if self.sent is not None and granted and self.sent in self.wanted:
            self.granted.append(self.sent)
        elif self.sent in self.wanted:
            self.wanted.remove(self.sent)
        self.sent = None

    @rule(name=NAMES)
    def drop(self, name: str) -> None:
        self.asks.drop(name)
        for names in (self.wanted, self.granted):
            if name in names:
                names.remove(name)

    @rule(by_s=st.sampled_from([1.0, 3.0, 5.0]))
    def wait(self, by_s: float) -> None:
        self.now += by_s
        expired = self.asks.expire(now=self.now)
        if expired is not None:
            assert expired.ask == self.sent
            self.sent = None
            if expired.given_up and expired.ask in self.wanted:
                self.wanted.remove(expired.ask)

    @rule()
    def lose_connection(self) -> None:
        self.asks.reset()
        self.sent = None
        self.granted.clear()

    @invariant()
    def agree(self) -> None:
        if hasattr(self, "asks"):
            assert self.asks.in_flight == self.sent
            assert sorted(self.asks.standing) == sorted(self.granted)
            unsent = [name for name in self.wanted if name not in (self.sent, *self.granted)]
            assert self.asks.settled == (self.sent is None and not unsent)


AgainstAPeer.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestAgainstAPeer = AgainstAPeer.TestCase
