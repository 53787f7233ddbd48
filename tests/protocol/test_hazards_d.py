"""`reconnect` frames and overlapping sockets: the minimal schedule of each hazard D1 to D14."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lastseen import Disconnected, Failure, ScopeState, SessionOptions, Why

if TYPE_CHECKING:
    from tests.protocol.conftest import Stage


def test_a_notice_is_acted_on_before_the_close(stage: type[Stage]) -> None:
    """HZ-D1, HZ-D9: within a second of jitter, while the old connection goes on."""
    s = stage()
    first = s.sync()
    at = s.now
    s.hear(first, s.move())
    s.dial()

    assert s.now - at <= 1.0
    assert s.sockets == {first, first + 1}
    assert not s.closes


def test_planned_moves_are_spread(stage: type[Stage]) -> None:
    """HZ-D9: a hundred clients, one notice."""
    delays: list[float] = []
    for seed in range(100):
        s = stage(seed=seed)
        first = s.sync()
        at = s.now
        s.hear(first, s.move())
        s.dial()
        delays.append(s.now - at)

    assert all(0.0 <= delay <= 1.0 for delay in delays)
    assert max(delays) - min(delays) > 0.8
    assert len({round(delay, 1) for delay in delays}) >= 9


@pytest.mark.parametrize(
    "notice", ['{"type":"reconnect"}', '{"type":"reconnect","reason":null}',
               '{"type":"reconnect","reason":7}', '{"type":"reconnect","reason":"lunch"}'],
)  # fmt: skip
def test_any_reason_or_none_moves(stage: type[Stage], notice: str) -> None:
    """HZ-D2."""
    s = stage()
    first = s.sync()
    s.hear(first, notice)
    s.dial(within=1.0)

    assert len(s.connects) == 2


def test_a_peer_that_always_says_reconnect_is_not_followed_at_wire_speed(
    stage: type[Stage],
) -> None:
    """HZ-D3: the first move is quick, the next ones pass the backoff."""
    s = stage()
    number = s.sync()
    start = s.now
    while s.now - start < 60.0:
        s.hear(number, s.move())
        number = s.log_in()
    gaps = [b - a for (a, _), (b, _) in zip(s.connects[1:], s.connects[2:], strict=False)]

    assert gaps[0] >= 1.0
    assert max(gaps) >= 8.0
    assert len(gaps) <= 8


def test_nothing_of_the_old_socket_counts_once_the_new_one_is_logged_in(
    stage: type[Stage],
) -> None:
    """HZ-D4, R10."""
    s = stage(polite=False)
    first = s.sync()
    s.hear(first, s.update("100-1"), s.move())
    second = s.log_in("E2")
    s.hear(second, s.sr(epoch="E2", reason="server_restarted"))
    s.hear(first, s.update("100-2"))
    s.scores["A"] = 3
    s.settle(2.0)

    assert s.discarded(Why.FENCED) == ["100-2"]
    assert s.score() == 3
    assert s.cursor() is None


def test_the_old_socket_feeds_us_until_the_new_login(stage: type[Stage]) -> None:
    """HZ-D13: make before break loses nothing and repeats nothing."""
    s = stage()
    first = s.sync()
    s.hear(first, s.update("100-1"), s.move())
    second = s.open()
    s.hear(first, s.update("100-2"))

    assert s.state() is ScopeState.SYNCED
    assert s.sent() == {"scores": "100-1"}

    s.hear(second, s.login_ok(heads={"scores": "100-2"}), s.update("100-2"), s.rc())

    assert s.applied == ["100-1", "100-2"]
    assert s.cursor() == "100-2"
    assert [close.connection for close in s.closes] == [first]


def test_at_the_connection_limit_the_old_socket_is_closed_first(stage: type[Stage]) -> None:
    """HZ-D6: never more sockets than the limit."""
    s = stage(options=SessionOptions(connection_limit=1), polite=False)
    first = s.sync()
    s.hear(first, s.move())
    s.wait(1.1)

    assert [close.connection for close in s.closes] == [first]
    assert s.sockets == {first}
    assert len(s.connects) == 1

    s.drop(first, 1000)
    s.dial(within=1.0)

    assert s.sockets == {first + 1}


def test_at_the_limit_a_close_that_never_ends_frees_its_slot_in_the_end(
    stage: type[Stage],
) -> None:
    """HZ-D6, HZ-D10, INV-S20."""
    s = stage(options=SessionOptions(connection_limit=1), polite=False)
    first = s.sync()
    s.hear(first, s.move())
    s.dial(within=1.0 + 5.0 + 1.0)

    assert len(s.connects) == 2


@pytest.mark.parametrize("refusal", [{"http_status": 429}, {"http_status": 403}, {"code": 4003}])
def test_a_refused_replacement_leaves_the_old_socket_alone(
    stage: type[Stage], refusal: dict[str, int]
) -> None:
    """HZ-D6."""
    s = stage()
    first = s.sync()
    s.hear(first, s.move())
    s.dial()
    assert s.dialling is not None
    s.drop(s.dialling, **{"code": None, **refusal})
    s.hear(first, s.update("100-2"))

    assert s.applied == ["100-2"]
    assert s.state() is ScopeState.SYNCED
    assert not s.closes

    second = s.log_in(heads={"scores": "100-2"})
    s.hear(second, s.rc())

    assert s.state() is ScopeState.SYNCED


def test_notices_at_awkward_moments_lead_to_one_replacement(stage: type[Stage]) -> None:
    """HZ-D8: before login_ok, during a replay, during a fetch, twice, on the replacement."""
    s = stage()
    first = s.open()
    s.hear(first, s.move(), s.move())

    assert [close.connection for close in s.closes] == [first]

    second = s.log_in()
    s.wait(0.3)
    fetch = min(s.fetches)
    s.hear(second, s.move(), s.move())
    third = s.log_in()

    assert fetch not in s.fetches  # R4: the fetch of the dying session is given up.

    s.settle(20.0)
    s.hear(third, s.update("100-1"))
    s.drop(third)
    fourth = s.log_in(heads={"scores": "100-3"})
    s.hear(fourth, s.update("100-2"), s.move())
    fifth = s.open()
    s.hear(fourth, s.move())
    s.hear(fifth, s.move())
    sixth = s.log_in(heads={"scores": "100-3"})
    s.hear(sixth, s.update("100-3"), s.rc())

    assert s.sockets == {sixth}
    assert s.applied == ["100-1", "100-2", "100-3"]
    assert s.state() is ScopeState.SYNCED


def test_an_old_socket_that_never_closes_is_closed_by_us(stage: type[Stage]) -> None:
    """HZ-D10, INV-L7: asked at promotion, and forgotten when the driver loses it."""
    s = stage(polite=False)
    first = s.sync()
    s.hear(first, s.move())
    second = s.log_in()

    assert [close.connection for close in s.closes] == [first]
    assert s.session.status().connections == 2

    s.settle(6.0)

    assert s.session.status().connections == 1
    assert s.session.status().connected
    assert second != first


def test_several_requesters_open_one_socket(stage: type[Stage]) -> None:
    """HZ-D11, INV-S15: notice, silence and close within ten milliseconds."""
    s = stage(lively=False)
    first = s.sync()
    s.hear(first, s.update("100-1"))
    silence = s.now + 40.0
    s.wait(39.995)
    s.hear(first, s.move())
    s.now = silence
    s.session.handle_resubscribe(s.dialect(), now=s.now)
    s.drain()
    s.drop(first)
    s.session.handle_deadline(now=s.now)
    s.drain()
    s.dial()
    s.wait(5.0)

    assert len(s.connects) == 2
    assert s.sockets == {first + 1}


@pytest.mark.parametrize("code", [1006, 4002, 1000, 1011])
def test_a_close_after_a_notice_is_planned(stage: type[Stage], code: int) -> None:
    """HZ-D14, OP-A16."""
    s = stage()
    first = s.sync()
    s.hear(first, s.move())
    s.drop(first, code)
    at = s.now
    s.dial()

    (ended,) = [event for event in s.events if isinstance(event, Disconnected)]
    assert ended.failure is Failure.PLANNED
    assert s.now - at <= 1.0


def test_4002_without_a_notice_is_backpressure(stage: type[Stage]) -> None:
    """HZ-D14: at least the base delay, although the connection had been good."""
    for seed in range(20):
        s = stage(seed=seed)
        first = s.sync()
        s.drop(first, 4002)
        (ended,) = [event for event in s.events if isinstance(event, Disconnected)]

        assert ended.failure is Failure.BACKPRESSURE
        assert ended.retry_in_s is not None
        assert ended.retry_in_s >= 1.0


def test_a_planned_move_does_not_make_the_next_drop_dearer(stage: type[Stage]) -> None:
    """HZ-D14: the delay of the next but one connect, once the new connection is good."""
    s = stage()
    first = s.sync()
    s.hear(first, s.move())
    s.drop(first, 4002)
    second = s.sync()
    s.drop(second)
    (*_, ended) = [event for event in s.events if isinstance(event, Disconnected)]

    assert ended.retry_in_s is not None
    assert 0.5 <= ended.retry_in_s <= 1.0


def test_a_resubscription_made_while_logging_in_reaches_the_peer(stage: type[Stage]) -> None:
    """HZ-D8: the login under way asked for something else."""
    s = stage()
    first = s.open()
    s.session.handle_resubscribe(s.dialect(channels=("fixtures",)), now=s.now)
    s.drain()
    s.hear(first, s.login_ok(channels=["scores"]))
    s.wait(5.0)
    if s.dialling is not None:
        s.log_in(channels=["fixtures"])

    assert s.logins[-1]["channels"] == ["fixtures"]
    assert [row.channel for row in s.session.status().channels] == ["fixtures"]


def test_cursors_of_another_subscription_are_not_sent_by_a_second_attempt_either(
    stage: type[Stage],
) -> None:
    """R9: the first login after a resubscription dies; the next must be as cold."""
    s = stage()
    first = s.sync()
    s.hear(first, s.update("100-1"))
    s.session.handle_resubscribe(s.dialect(sport_ids=(11,)), now=s.now)
    s.drain()
    second = s.open()

    assert s.logins[-1]["sportIds"] == [11]
    assert s.sent() is None

    s.drop(second)
    s.open()

    assert s.sent() is None


def test_an_entry_still_with_the_application_is_conserved_when_its_channel_goes(
    stage: type[Stage],
) -> None:
    """INV-S21 over a resubscription, finished before and after the channel comes back."""
    s = stage(channels=("fixtures", "scores"), greedy=False)
    first = s.log_in()
    s.settle(20.0)
    s.consume()
    s.hear(first, s.update("100-1"), s.update("100-2"), s.update("100-3"))
    taken = s.take(2)
    s.session.handle_resubscribe(s.dialect(channels=("fixtures",)), now=s.now)
    s.drain()
    s.log_in(channels=["fixtures"])
    s.finish(taken[0])
    s.session.handle_resubscribe(s.dialect(), now=s.now)
    s.drain()
    s.log_in(channels=["fixtures", "scores"])
    s.finish(taken[1])

    assert sum(row.applied for row in s.session.counters().values()) == 2


def test_what_is_held_for_a_channel_that_goes_is_counted_as_discarded(stage: type[Stage]) -> None:
    """INV-S21: held for a snapshot, and held for a replay."""
    s = stage(channels=("fixtures", "scores"), greedy=False)
    first = s.log_in()
    s.hear(first, s.update("100-1"))

    assert s.session.counters()["scores"].held == 1

    s.session.handle_resubscribe(s.dialect(channels=("fixtures",)), now=s.now)
    s.drain()
    s.log_in(channels=["fixtures"])

    assert s.session.counters()["scores"].held == 0
    assert s.session.counters()["scores"].discarded == 1


def test_an_entry_of_an_earlier_subscription_does_not_become_a_cursor(stage: type[Stage]) -> None:
    """INV-S4: finished only after its channel went and came back, in another epoch."""
    s = stage(channels=("fixtures", "scores"), greedy=False)
    first = s.log_in()
    s.settle(20.0)
    s.consume()
    s.hear(first, s.update("100-1"))
    (old,) = s.take()
    s.session.handle_resubscribe(s.dialect(channels=("fixtures",)), now=s.now)
    s.drain()
    s.log_in("E2", channels=["fixtures"])
    s.session.handle_resubscribe(s.dialect(), now=s.now)
    s.drain()
    s.log_in("E2", channels=["fixtures", "scores"])
    s.finish(old)
    s.greedy = True
    s.consume()
    s.settle(20.0)

    assert s.state() is ScopeState.SYNCED
    assert s.cursor() is None


def test_a_hand_over_behind_a_long_queue_does_not_end_in_an_older_state(
    stage: type[Stage],
) -> None:
    """The application has part of the replay already, more of it than exact ids are remembered."""
    s = stage(greedy=False, options=SessionOptions(ring_items=8), scores={"A": 1, "B": 1})
    first = s.log_in(heads={"scores": "100-1"})
    s.consume()
    s.settle(20.0)
    s.consume()
    s.hear(first, s.update("100-2"))
    s.consume()
    frames = [s.update(f"100-{n}", fixture="B" if n in (4, 8) else "A") for n in range(3, 15)]
    s.hear(first, *frames)
    given = s.take(8)
    for event in given:
        s.replica.apply(event)
    s.drop(first)
    second = s.open()
    s.hear(second, s.login_ok(heads={"scores": "100-14"}), *frames, s.rc())
    s.finish(given[-1])
    s.consume()

    assert s.sent() == {"scores": "100-2"}
    assert s.state() is ScopeState.SYNCED
    assert (s.score("A"), s.score("B")) == (14, 8)
