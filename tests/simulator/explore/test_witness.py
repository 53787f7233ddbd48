"""The witness reads frames by itself, and knows when an attempt to connect comes too soon."""

from lastseen_simulator.explore.witness import Witness

LOGIN_OK = '{"type":"login_ok","resume":{"serverEpoch":"e1","serverEntryIds":{"scores":"100-5"}}}'
ENTRY = '{"channel":"scores","type":"UPDATE","entryId":"100-7","payload":{}}'


def witness() -> Witness:
    return Witness(base_s=1.0, cap_s=30.0, stable_after_s=10.0)


def test_only_the_connection_that_counts_discloses() -> None:
    seen = witness()
    seen.saw_connect(1, now=0.0)
    seen.saw_frame(1, LOGIN_OK, now=0.0)
    seen.saw_frame(2, ENTRY, now=0.0)
    assert seen.disclosed == {("scores", "e1"): (100, 5)}
    seen.saw_frame(1, ENTRY, now=0.0)
    assert seen.disclosed == {("scores", "e1"): (100, 7)}


def after_breaks(*waits: float, good_s: float = 0.0) -> list[str]:
    """Logs in and breaks as often as there are waits, each of which the client waits."""
    seen, now = witness(), 0.0
    seen.saw_connect(1, now=now)
    for number, wait in enumerate(waits, 2):
        seen.saw_frame(number - 1, LOGIN_OK, now=now)
        now += good_s
        seen.saw_end(number - 1, now=now)
        now += wait
        seen.saw_connect(number, now=now)
    return seen.problems


def test_each_attempt_waits_longer_until_a_connection_was_good() -> None:
    assert not after_breaks(0.5, 1.0, 2.0)
    assert after_breaks(0.5, 0.5)
    assert after_breaks(0.4)
    assert not after_breaks(0.5, 0.5, good_s=10.0)


def test_a_snapshot_before_a_login_is_wrong() -> None:
    seen = witness()
    seen.saw_fetch()
    assert seen.problems
