"""Anomalies: all counted, few told."""

from lastseen import Anomaly, AnomalyCode
from lastseen.anomalies import Anomalies
from lastseen.delivery import Delivery

CODE = AnomalyCode.UNKNOWN_TYPE


def test_repeats_are_counted_and_told_at_powers_of_two() -> None:
    anomalies = Anomalies(Delivery(1, 1))
    for _ in range(100):
        anomalies.note(CODE, "scores", "x")
    told = [e.count for e in anomalies.delivery.take(1000) if isinstance(e, Anomaly)]

    assert told == [1, 2, 4, 8, 16, 32, 64]
    assert sum(anomalies.counts.values()) == 100


def test_the_kinds_are_bounded_and_nothing_is_lost_from_the_total() -> None:
    """HZ-J17."""
    anomalies = Anomalies(Delivery(1, 1))
    for n in range(10_000):
        anomalies.note(CODE, f"c{n}", "x")

    assert len(anomalies.counts) <= 4097
    assert sum(anomalies.counts.values()) == 10_000


def test_a_detail_is_short_and_printable() -> None:
    """HZ-K12."""
    anomalies = Anomalies(Delivery(1, 1))
    anomalies.note(CODE, None, "\x1b]0;\n\x00\ud800" + "x" * 10_000)
    (told,) = anomalies.delivery.take(10)

    assert isinstance(told, Anomaly)
    assert told.detail.isprintable()
    assert len(told.detail) == 200
