"""The application's own ping: when it is due, and which errors are its answer."""

from lastseen.keepalive import Keepalive


def started() -> Keepalive:
    keepalive = Keepalive(interval_s=30.0, answer_timeout_s=10.0)
    keepalive.start(now=100.0)
    return keepalive


def test_it_is_due_after_every_interval() -> None:
    keepalive = started()
    assert keepalive.due_at == 130.0
    assert not keepalive.is_due(now=129.9)
    assert keepalive.is_due(now=130.0)
    keepalive.sent(now=131.0)

    assert not keepalive.is_due(now=160.9)
    assert keepalive.is_due(now=161.0)


def test_nothing_is_due_without_a_connection() -> None:
    keepalive = started()
    keepalive.stop()
    assert not keepalive.is_due(now=1000.0)
    keepalive.start(now=1000.0)

    assert keepalive.due_at == 1030.0


def test_an_error_is_its_answer_until_it_has_one_or_too_late() -> None:
    keepalive = started()
    assert not keepalive.refused(now=101.0)
    keepalive.sent(now=130.0)
    keepalive.answered()
    assert not keepalive.refused(now=131.0)
    keepalive.sent(now=160.0)
    assert not keepalive.refused(now=170.0)
    keepalive.sent(now=190.0)
    assert keepalive.refused(now=199.9)

    assert not keepalive.is_due(now=1000.0)
    assert not keepalive.refused(now=199.9)
