"""Closes, errors and refusals, row by row; what each does to the next attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lastseen import (
    Disconnected,
    End,
    Failure,
    LocalProtocolError,
    OddsPapi,
    Secret,
    SessionOptions,
    Stopped,
)
from lastseen.dialects.oddspapi.dialect import CLOSES

if TYPE_CHECKING:
    from tests.protocol.conftest import Stage

DIALECT = OddsPapi(key=Secret("k"))
F = Failure

CLOSE_TABLE = {
    4000: F.REJECTED, 4001: F.FATAL, 4002: F.BACKPRESSURE, 4003: F.LIMIT, 1006: F.TRANSIENT,
    1009: F.TRANSIENT, 1011: F.TRANSIENT, 1000: F.TRANSIENT, 1001: F.TRANSIENT, 1005: F.TRANSIENT,
    1012: F.TRANSIENT, 1013: F.TRANSIENT,
}  # fmt: skip
"""Facts 3, written down a second time."""

UPGRADE_TABLE = {
    200: F.NOT_A_FEED, 301: F.NOT_A_FEED, 302: F.NOT_A_FEED, 400: F.NOT_A_FEED, 401: F.REJECTED,
    403: F.REJECTED, 404: F.NOT_A_FEED, 426: F.NOT_A_FEED, 408: F.TRANSIENT, 425: F.TRANSIENT,
    429: F.LIMIT, 500: F.TRANSIENT, 502: F.TRANSIENT, 503: F.TRANSIENT, 504: F.TRANSIENT,
}  # fmt: skip

ERRORS = {
    "login_failed": F.FATAL, "first message must be login": F.FATAL, "api_key_revoked": F.FATAL,
    "too_many_connections": F.LIMIT, "something_else": F.UNKNOWN, "": F.UNKNOWN,
}  # fmt: skip


def last_end(s: Stage) -> Disconnected:
    return [event for event in s.events if isinstance(event, Disconnected)][-1]


@pytest.mark.parametrize(("code", "failure"), CLOSE_TABLE.items())
def test_each_close_code_means_what_the_table_says(
    stage: type[Stage], code: int, failure: Failure
) -> None:
    s = stage()
    s.drop(s.log_in(), code)

    assert last_end(s).failure is failure
    assert last_end(s).code == code
    assert (s.stopped is not None) == (failure is F.FATAL)


def test_the_table_of_close_codes_is_whole() -> None:
    assert dict(CLOSES) == CLOSE_TABLE


@pytest.mark.parametrize(
    "code", [1002, 1003, 1007, 1008, 1010, 1015, 3000, 4004, 4999, 0, -1, 70_000]
)
def test_an_unknown_close_code_is_retried(stage: type[Stage], code: int) -> None:
    s = stage()
    for _ in range(4):
        s.drop(s.log_in(), code)
        assert last_end(s).failure is F.UNKNOWN

    assert s.stopped is None
    assert last_end(s).retry_in_s is not None


@pytest.mark.parametrize("code", [*CLOSE_TABLE, 4999])
def test_after_a_notice_only_last_words_are_not_planned(code: int) -> None:
    """OP-A16."""
    told = CLOSE_TABLE.get(code)
    expected = told if told in (F.FATAL, F.REJECTED) else F.PLANNED

    assert DIALECT.classify(End(code=code), noticed=True) is expected


@pytest.mark.parametrize(("status", "failure"), UPGRADE_TABLE.items())
def test_each_refusal_of_the_upgrade_means_what_the_table_says(
    status: int, failure: Failure
) -> None:
    for noticed in (False, True):
        assert DIALECT.classify(End(http_status=status), noticed=noticed) is failure


def test_no_close_and_no_answer_is_transient() -> None:
    assert DIALECT.classify(End(), noticed=False) is F.TRANSIENT


@pytest.mark.parametrize(("words", "failure"), ERRORS.items())
@pytest.mark.parametrize("place", ["code", "message"])
def test_each_error_before_the_login_means_what_the_table_says(
    stage: type[Stage], words: str, failure: Failure, place: str
) -> None:
    """OP-A32: we close when the gateway does not, and a close that follows changes nothing."""
    s = stage()
    number = s.open()
    s.hear(number, s.error(words) if place == "code" else s.error("x", words))
    s.drop(number, 4000)

    assert len([event for event in s.events if isinstance(event, Disconnected)]) == 1
    assert last_end(s).failure is failure
    assert [close.connection for close in s.closes] == [number]
    assert (s.stopped is not None) == (failure is F.FATAL)


@pytest.mark.parametrize("words", ERRORS)
def test_an_error_after_the_login_is_told_and_changes_nothing(
    stage: type[Stage], words: str
) -> None:
    """OP-A33."""
    s = stage()
    number = s.sync()
    s.hear(number, s.error(words), s.update("100-1"))

    assert s.applied == ["100-1"]
    assert not s.closes
    assert s.stopped is None


def test_closing_ends_every_socket_and_says_so_once(stage: type[Stage]) -> None:
    s = stage(polite=False)
    first = s.sync()
    s.hear(first, s.move())
    s.open()
    s.session.handle_close(now=s.now)
    s.session.handle_close(now=s.now)
    s.drain()

    assert [close.code for close in s.closes] == [1001, 1001]
    assert s.stopped is not None
    assert s.stopped.failure is None
    assert not s.is_over()

    for number in list(s.sockets):
        s.drop(number, 1000)

    assert s.session.finished
    assert s.session.poll_deadline() is None


def test_a_closed_session_asks_for_nothing_more(stage: type[Stage]) -> None:
    s = stage()
    first = s.sync()
    s.session.handle_close(now=s.now)
    s.drain()
    s.hear(first, s.update("100-1"), s.move(), s.sr())
    s.session.handle_resync(now=s.now)
    s.wait(100.0)

    assert len(s.connects) == 1
    assert not s.fetches
    with pytest.raises(LocalProtocolError, match="after the end"):
        s.session.handle_resubscribe(s.dialect(), now=s.now)
    with pytest.raises(LocalProtocolError, match="not subscribed"):
        s.session.handle_resync("futures", now=s.now)


def test_a_close_while_connecting_cancels_the_attempt(stage: type[Stage]) -> None:
    s = stage(polite=False)
    number = s.dialling
    assert number is not None
    s.session.handle_close(now=s.now)
    s.drain()

    assert [close.connection for close in s.closes] == [number]

    s.session.handle_opened(number, now=s.now)
    s.drain()

    assert not s.logins

    s.wait(5.1)

    assert s.session.finished


def test_a_second_login_ok_changes_nothing(stage: type[Stage]) -> None:
    """INV-S15: one login per socket."""
    s = stage()
    number = s.sync()
    s.hear(number, s.update("100-1"), s.login_ok("E2"))

    assert s.session.position.epoch == "E1"
    assert s.cursor() == "100-1"


def test_a_deadline_kept_early_late_or_twice_changes_nothing(stage: type[Stage]) -> None:
    """INV-S20."""
    s = stage()
    s.sync()
    deadline = s.session.poll_deadline()
    assert deadline is not None
    before = s.session.status()
    for moment in (s.now, s.now, (s.now + deadline.at) / 2):
        s.step(moment)
        assert s.session.poll_deadline() == deadline
        assert s.session.status() == before


def test_the_same_inputs_give_the_same_outputs(stage: type[Stage]) -> None:
    """INV-S18."""

    def play(seed: int) -> str:
        s = stage(channels=("scores", "odds"), scores={"A": 1}, odds={"A": 1, "B": 1}, seed=seed)
        for epoch in ("E1", "E1", "E2"):
            number = s.log_in(epoch, heads={"scores": "100-3"})
            s.hear(number, s.update("100-2"), "x", s.update("100-3", "odds"))
            s.settle(15.0)
            s.drop(number)
        return repr((s.connects, s.logins, s.fetched_at, s.session.status(), s.session.counters()))

    assert play(1) == play(1)
    assert play(1) != play(2)


def test_two_slots_are_enough_to_move(stage: type[Stage]) -> None:
    s = stage(options=SessionOptions(connection_limit=2), polite=False)
    first = s.sync()
    s.hear(first, s.move())
    s.log_in()

    assert s.sockets == {1, 2}
    assert [close.connection for close in s.closes] == [first]


def refuse(s: Stage, status: int) -> None:
    """The next connection's upgrade is answered with a status."""
    s.dial()
    assert s.dialling is not None
    s.drop(s.dialling, None, http_status=status)


def test_a_place_that_never_was_a_feed_is_given_up_after_two_answers(stage: type[Stage]) -> None:
    s = stage()
    for _ in range(2):
        refuse(s, 404)

    assert s.stopped is not None
    assert s.stopped.failure is F.NOT_A_FEED


def test_a_feed_that_was_there_before_is_waited_for(stage: type[Stage]) -> None:
    """HZ-H4: a proxy that has lost its backend answers 404 for a while."""
    s = stage()
    s.drop(s.log_in(), 1006)
    for _ in range(4):
        refuse(s, 404)

    assert s.stopped is None
    assert last_end(s).retry_in_s is not None


def test_a_replacement_that_is_refused_does_not_end_what_still_works(stage: type[Stage]) -> None:
    s = stage()
    owner = s.log_in()
    s.hear(owner, s.move())
    for _ in range(3):
        refuse(s, 403)
    assert s.stopped is None

    s.drop(owner, 1006)
    refuse(s, 403)
    ends = [event for event in s.events if isinstance(event, Stopped)]

    assert [end.failure for end in ends] == [F.REJECTED]
    assert s.session.poll_deadline() is None


def test_a_socket_that_is_slow_to_close_leaves_no_room_for_a_third(stage: type[Stage]) -> None:
    """INV-S15: the owner and one other."""
    s = stage(polite=False)
    first = s.log_in()
    s.hear(first, s.move())
    second = s.log_in()
    assert s.sockets == {first, second}

    s.hear(second, s.move())
    s.wait(2.0)
    assert s.sockets == {first, second}

    s.drop(first, 1000)
    s.dial(within=1.0)
    assert len(s.sockets) == 2
