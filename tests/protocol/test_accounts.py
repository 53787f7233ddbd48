"""What streams of one account share: slots and messages in order, and one token for all."""

import random
from typing import Any

import attrs
import pytest
from toy_stream import Stage, Toy, heartbeat, snapshot

from lastseen.accounts import PROFILE_2026_09, STRICT, Account, AccountLimits
from lastseen.dialect import End
from lastseen.errors import ConfigurationError
from lastseen.events import Queued
from lastseen.options import StreamOptions


@attrs.define(eq=False)
class Crowd:
    """Many sessions of one account in one virtual time; each wakes when it asked to be."""

    account: Account
    count: int
    seed: int = 1
    now: float = 0.0
    stages: list[Stage] = attrs.field(init=False)
    rng: random.Random = attrs.field(init=False)
    messages: list[tuple[float, int]] = attrs.field(init=False, factory=list)
    """When each request left, and whose it was."""
    most_open: int = 0
    served: list[int] = attrs.field(init=False, factory=list)
    _heard: list[int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.stages = [
            Stage(Toy(), account=self.account, seed=100 * self.seed + n) for n in range(self.count)
        ]
        self._heard = [0] * self.count
        for stage in self.stages:
            stage.begin()
        self._look()

    def run(self, seconds: float, each: Any) -> None:
        """Until then; `each(n, stage)` may act on a stage whenever time has moved."""
        until = self.now + seconds
        for _ in range(200_000):
            moments = [stage.session.poll_deadline() for stage in self.stages]
            at = min((deadline.at for deadline in moments if deadline), default=until)
            self.now = min(max(self.now, min(at, self.now + 0.25)), until)
            for n, stage in enumerate(self.stages):
                stage.now = self.now
                deadline = stage.session.poll_deadline()
                if deadline is not None and deadline.at <= self.now:
                    stage.session.handle_deadline(now=self.now)
                    stage.settle()
                each(n, stage)
                self._look()
            if self.now >= until:
                return
        raise AssertionError("time does not pass")

    def _look(self) -> None:
        alive = sum(len(stage.sockets) for stage in self.stages)
        self.most_open = max(self.most_open, alive)
        assert alive <= self.account.limits.streams
        assert alive == self.account.open_streams
        for n, stage in enumerate(self.stages):
            for _ in stage.requests[self._heard[n] :]:
                self.messages.append((stage.now, n))
            self._heard[n] = len(stage.requests)


def most_in_a_second(moments: list[float]) -> int:
    return max(sum(1 for b in moments if a <= b < a + 1.0) for a in moments)


def test_25_streams_under_the_strict_profile_are_all_served_and_never_too_many(
    tell: Any,
) -> None:
    crowd = Crowd(Account(STRICT), 25)
    served: set[int] = set()
    ends: dict[tuple[int, int], float] = {}

    def each(n: int, stage: Stage) -> None:
        for number in sorted(stage.closing):
            stage.drop(number)
        asked = {number for number, *_ in stage.requests}
        for number in sorted(stage.sockets - asked):
            stage.session.handle_opened(number, now=stage.now)
            stage.settle()
        asked = {number for number, *_ in stage.requests}
        for number in sorted(stage.sockets & asked):
            if (n, number) not in ends:
                stage.answer(number)
                stage.send(number, snapshot({f"o-{n}": 0}))
                served.add(n)
                ends[n, number] = stage.now + crowd.rng.uniform(0.1, 3.0)
            elif stage.now >= ends[n, number]:
                stage.drop(number, End(reason="the body ended"))

    crowd.run(120.0, each)
    assert served == set(range(25))
    moments = [at for at, _ in crowd.messages]
    assert most_in_a_second(moments) <= 20
    assert crowd.most_open == 10
    queued = [stage for stage in crowd.stages if stage.told(Queued)]
    assert len(queued) >= 15
    tell(
        f"25 streams, strict: {len(moments)} requests in 120 s, at most {crowd.most_open} open "
        f"and {most_in_a_second(moments)} messages in a second; first round served by "
        f"{max(min(at for at, m in crowd.messages if m == n) for n in range(25)):.1f} s"
    )


def test_those_who_wait_are_served_in_order() -> None:
    account = Account(AccountLimits(streams=2, messages=20))
    stages = [Stage(account=account).begin() for _ in range(6)]
    assert [bool(stage.sockets) for stage in stages] == [True, True, False, False, False, False]
    assert [stage.session.status().ahead for stage in stages[2:]] == [0, 1, 2, 3]
    assert [stage.session.status().queued for stage in stages] == [None, None, *["streams"] * 4]
    assert [event.ahead for stage in stages[2:] for event in stage.told(Queued)] == [0, 1, 2, 3]
    woken: list[int] = []
    for n, stage in enumerate(stages):
        stage.session.place.wake = lambda n=n: woken.append(n)
    stages[0].drop(1)
    assert woken[-1] == 2
    for stage in stages[2:]:
        stage.advance(0.0)
    assert [bool(stage.sockets) for stage in stages[2:]] == [True, False, False, False]
    # The one that lost its place comes back behind all others.
    stages[0].advance(5.0)
    assert stages[0].session.status().ahead == 3


def test_a_slot_is_held_until_the_socket_is_really_gone() -> None:
    account = Account(AccountLimits(streams=1))
    one, two = Stage(account=account).begin(), Stage(account=account).begin()
    n = one.serve(snapshot({}))
    one.session.handle_close(now=one.now)
    one.settle()
    assert one.closing == {n}
    # The session gives the socket up long before the driver says that it is gone.
    one.advance(60.0), two.advance(60.0)
    assert not two.sockets
    one.drop(n)
    two.advance(0.0)
    assert two.sockets


def test_a_session_whose_driver_died_leaves_its_place() -> None:
    account = Account(AccountLimits(streams=1))
    one, two, three = (Stage(account=account).begin() for _ in range(3))
    two.session.leave(now=0.0)
    one.session.leave(now=0.0)
    three.advance(0.0)
    assert three.sockets
    assert account.open_streams == 1


def test_messages_wait_in_order_and_the_wait_is_not_the_peers() -> None:
    account = Account(AccountLimits(streams=10, messages=2, window_s=30.0))
    stages = [Stage(account=account).begin() for _ in range(4)]
    for stage in stages:
        stage.open()
    assert [len(stage.requests) for stage in stages] == [1, 1, 0, 0]
    assert [stage.session.status().queued for stage in stages[2:]] == ["messages"] * 2
    # What is on its way counts from when it has arrived.
    for stage in stages[:2]:
        stage.now = 5.0
        stage.answer(1)
    for stage in stages[2:]:
        stage.advance(5.0)
    for stage in stages[2:]:
        stage.advance(31.4)
        assert not stage.requests
        assert not stage.closing
    for stage in stages[2:]:
        stage.advance(0.2)
    assert [len(stage.requests) for stage in stages[2:]] == [1, 1]
    # From here on the peer has its time.
    stages[2].advance(9.0)
    assert not stages[2].closing
    stages[2].advance(2.0)
    assert stages[2].closing


def test_messages_that_never_arrive_give_way_when_their_socket_is_gone() -> None:
    account = Account(AccountLimits(messages=1))
    one, two = Stage(account=account).begin(), Stage(account=account).begin()
    n = one.open()
    two.open()
    two.advance(5.0)
    assert not two.requests
    one.advance(5.0).drop(n)
    two.advance(1.0)
    assert not two.requests
    two.advance(0.1)
    assert two.requests


def test_no_delay_on_the_way_puts_too_many_into_a_window_of_the_peer() -> None:
    rng = random.Random(3)
    account = Account(AccountLimits(messages=5))
    places = [account.join() for _ in range(12)]
    arrivals: list[float] = []
    answers: list[tuple[float, int]] = []
    now = 0.0
    for _ in range(4000):
        now += 0.02
        for at, n in [answer for answer in answers if answer[0] <= now]:
            answers.remove((at, n))
            places[n].message_arrived(now=now)
        for n, place in enumerate(places):
            if not place.messages and place.take_message(now=now):
                answered = now + rng.choice([0.01, 0.3, 1.5])
                arrivals.append(rng.uniform(now, answered))
                answers.append((answered, n))
    arrivals.sort()
    assert len(arrivals) > 100
    assert most_in_a_second(arrivals) == 5


def test_one_refusal_for_too_much_quiets_the_whole_account() -> None:
    account = Account()
    one = Stage(account=account).begin()
    n = one.open()
    one.drop(n, End(http_status=429, reason="HTTP 429", retry_after_s=7.0))
    two = Stage(account=account).begin()
    two.advance(6.9)
    assert not two.sockets
    two.advance(0.2)
    assert two.sockets


def test_the_newer_profile_allows_bursts_and_twenty_streams() -> None:
    account = Account(PROFILE_2026_09)
    stages = [Stage(account=account).begin() for _ in range(25)]
    for stage in stages[:20]:
        stage.open()
    assert sum(len(stage.requests) for stage in stages) == 20
    assert not any(stage.sockets for stage in stages[20:])
    for stage in stages[:20]:
        stage.answer(1)
    assert account.messages.earliest(5980, now=0.0) == 0.0
    assert account.messages.earliest(5981, now=0.0) >= 60.0


def test_a_stream_that_stops_waits_no_more() -> None:
    account = Account(AccountLimits(streams=1))
    one, two, three = (Stage(account=account).begin() for _ in range(3))
    two.session.handle_close(now=0.0)
    two.settle()
    assert two.session.finished
    assert three.session.status().ahead == 0
    n = one.serve(snapshot({}), heartbeat())
    one.drop(n)
    three.advance(0.0)
    assert three.sockets


@pytest.mark.parametrize("wrong", [{"streams": 0}, {"messages": 0}, {"window_s": 0.0}])
def test_limits_must_allow_something(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        AccountLimits(**wrong)


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigurationError):
        StreamOptions(silence_limit_s=0.0)
