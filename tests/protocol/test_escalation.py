"""Three failures at one position (R13)."""

from lastseen.escalation import Escalation
from lastseen.position import Position

HERE = Position("e1", (("scores", "1-1"),))
THERE = Position("e1", (("scores", "1-2"),))


def test_the_third_failure_at_one_position_escalates() -> None:
    escalation = Escalation()

    assert [escalation.failed(HERE) for _ in range(3)] == [False, False, True]


def test_another_position_counts_anew() -> None:
    escalation = Escalation()
    where = [HERE, HERE, THERE, THERE, HERE]

    assert not any(escalation.failed(position) for position in where)


def test_a_success_counts_anew() -> None:
    escalation = Escalation(2)
    escalation.failed(HERE)
    escalation.succeeded()

    assert [escalation.failed(HERE), escalation.failed(HERE)] == [False, True]
