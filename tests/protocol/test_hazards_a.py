"""Epochs and cursors: the minimal schedule of each hazard A1 to A21."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lastseen import AnomalyCode, LoggedIn, Position, ScopeKey, ScopeState, Why

if TYPE_CHECKING:
    from tests.protocol.conftest import Stage


def test_a_new_epoch_is_never_stored_beside_old_cursors(stage: type[Stage]) -> None:
    """HZ-A1."""
    s = stage()
    first = s.sync()
    s.hear(first, s.update("100-10"))
    s.drop(first)
    second = s.log_in("E2")
    s.drop(second)
    s.open()

    assert s.logins[1]["serverEpoch"] == "E1"
    assert s.sent(1) == {"scores": "100-10"}
    assert s.sent(2) is None
    assert "serverEpoch" not in s.logins[2]


def test_a_cursor_does_not_grow_back_while_its_base_is_missing(stage: type[Stage]) -> None:
    """HZ-A2."""
    s = stage()
    first = s.sync()
    s.hear(first, s.update("100-10"))
    s.hear(first, s.sr(), s.update("100-50"))

    assert s.cursor() is None
    assert s.applied == ["100-10"]

    s.drop(first)
    s.open()

    assert s.sent() is None


def test_a_cursor_waits_for_the_application_to_finish(stage: type[Stage]) -> None:
    """HZ-A3: advanced on completion, not on receipt."""
    s = stage()
    first = s.sync()
    s.hear(first, s.update("100-10"))
    s.greedy = False
    s.hear(first, s.update("100-11"))
    (event,) = s.take()

    assert s.cursor() == "100-10"
    assert {commit.position.cursor("scores") for commit in s.commits} <= {None, "100-10"}

    s.drop(first)
    s.open()

    assert s.sent() == {"scores": "100-10"}

    s.finish(event)

    assert s.cursor() == "100-11"


def test_a_rejected_entry_is_not_passed_by_the_cursor(stage: type[Stage]) -> None:
    """HZ-A3: a failing handler."""
    s = stage()
    first = s.sync()
    s.hear(first, s.update("100-10"))
    s.greedy = False
    s.hear(first, s.update("100-11"))
    (event,) = s.take()
    s.session.handle_rejected(event, now=s.now)  # type: ignore[arg-type] # it is an entry
    s.drain()

    assert s.cursor() is None
    assert s.state() is not ScopeState.SYNCED


def test_a_stored_cursor_without_its_state_is_not_sent(stage: type[Stage]) -> None:
    """HZ-A4."""
    s = stage(restored=Position("E1", (("scores", "100-10"),)))
    s.open()

    assert s.sent() is None
    assert "serverEpoch" not in s.logins[0]


def test_a_stored_cursor_with_its_state_resumes(stage: type[Stage]) -> None:
    """HZ-A4, the other way round."""
    s = stage(restored=Position("E1", (("scores", "100-10"),)), bases=(ScopeKey("scores", None),))
    first = s.log_in(heads={"scores": "100-11"})
    s.hear(first, s.update("100-11"), s.rc())

    assert s.sent() == {"scores": "100-10"}
    assert s.applied == ["100-11"]
    assert s.state() is ScopeState.SYNCED
    assert not s.fetches


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("1790000000962-198", "1790000000962-1000"),
        ("999-5", "1000-6"),
        ("1000-7", "990-8"),
        ("1000-7", "1001-0"),
    ],
)
def test_ids_are_ordered_as_pairs_of_numbers(stage: type[Stage], before: str, after: str) -> None:
    """HZ-A5 and, in the last two rows, HZ-A7: incomparable halves are applied as they come."""
    s = stage()
    first = s.sync()
    s.hear(first, s.update(before), s.update(after), s.update(before), s.update(after))

    assert s.applied == [before, after]
    assert s.discarded(Why.DUPLICATE) == [before, after]

    s.drop(first)
    s.open()

    assert s.sent() == {"scores": after}


@pytest.mark.parametrize(
    ("after", "told"), [("1000-8", 0), ("1001-8", 0), ("990-8", 1), ("1001-0", 1)]
)
@pytest.mark.parametrize("batched", [False, True])
def test_halves_that_disagree_are_told(
    stage: type[Stage], after: str, told: int, batched: bool
) -> None:
    """HZ-A7: applied, but not in silence."""
    s = stage()
    first = s.sync()
    frames = [s.update("1000-7"), s.update(after)]
    for batch in [frames] if batched else [[frame] for frame in frames]:
        s.hear(first, *batch)

    assert s.applied == ["1000-7", after]
    assert s.anomalies(AnomalyCode.ID_ORDER) == told


@pytest.mark.parametrize(
    "odd",
    [
        "\uff11-2",
        "1_0-2",
        "+1-2",
        "1-2\n",
        "1" * 400 + "-2",
        "-",
        "1-",
        "-2",
        "1-2-3",
        " 1-2",
        "",
        7,
        {},
        None,
        "\u0661-\u0662",
        "1\u00b2-2",
        "1-2\x00",
    ],
)
def test_an_id_of_another_form_is_applied_and_does_not_move_the_cursor(
    stage: type[Stage], odd: Any
) -> None:
    """HZ-A6, HZ-A16, OP-A24."""
    s = stage()
    first = s.sync()
    s.hear(first, s.update("100-10"), s.update(odd, value=77))

    assert s.score() == 77
    assert s.cursor() == "100-10"
    assert s.anomalies(AnomalyCode.BAD_ENTRY_ID) == 1
    assert s.state() is ScopeState.SYNCED


def test_the_third_bad_id_in_a_row_resyncs_the_scope(stage: type[Stage]) -> None:
    """HZ-A6: the channel is suspect by then (design 5a)."""
    s = stage()
    first = s.sync()
    s.hear(first, *[s.update(None, value=n) for n in (1, 2)], s.update("100-10"))
    s.hear(first, *[s.update(None, value=n) for n in (3, 4)])

    assert s.state() is ScopeState.SYNCED

    s.hear(first, s.update(None, value=5))
    s.wait(1.0)

    assert s.state() is not ScopeState.SYNCED
    assert len(s.fetches) == 1


def test_the_same_id_on_two_channels_is_two_entries(stage: type[Stage]) -> None:
    """HZ-A8."""
    s = stage(channels=("fixtures", "scores"))
    first = s.sync()
    s.hear(first, s.update("100-5"), s.update("100-5", "fixtures"))

    assert s.applied == ["100-5", "100-5"]


def test_the_same_id_in_another_epoch_is_another_entry(stage: type[Stage]) -> None:
    """HZ-A9."""
    s = stage()
    first = s.sync()
    s.hear(first, s.update("100-5", value=1))
    s.drop(first)
    second = s.sync("E2")
    s.hear(second, s.update("100-5", value=2))

    assert s.applied == ["100-5", "100-5"]
    assert s.score() == 2


def test_the_peers_head_is_a_barrier_and_never_our_cursor(stage: type[Stage]) -> None:
    """HZ-A10."""
    s = stage()
    first = s.log_in(heads={"scores": "100-220"})
    s.drop(first)
    s.log_in(heads={"scores": "100-220"})
    s.settle(20.0)
    s.drop(2)
    s.open()

    assert [s.sent(n) for n in range(3)] == [None, None, None]


def test_a_channel_that_cannot_be_replayed_takes_a_snapshot_at_each_login(
    stage: type[Stage],
) -> None:
    """HZ-A11."""
    s = stage(channels=("scores", "odds"), scores={"A": 1}, odds={"A": 1})
    first = s.sync()
    s.hear(first, s.update("100-1", "odds", value=2), s.update("100-1"))
    s.odds["A"] = 3
    s.drop(first)
    s.log_in("E1", heads={"scores": "100-1"})
    s.hear(2, s.rc())

    assert s.sent() == {"scores": "100-1"}
    assert s.state("scores") is ScopeState.SYNCED
    assert s.state("odds") is not ScopeState.SYNCED

    s.settle(5.0)

    assert s.price() == 3
    assert s.state("odds") is ScopeState.SYNCED


def test_resume_complete_covers_only_channels_whose_cursor_was_sent(stage: type[Stage]) -> None:
    """HZ-A12."""
    s = stage(channels=("fixtures", "scores"), scores={"A": 1})
    first = s.sync()
    s.hear(first, s.update("100-5"))
    s.drop(first)
    second = s.log_in(heads={"scores": "100-5", "fixtures": "100-9"})
    s.hear(second, s.rc())

    assert s.sent() == {"scores": "100-5"}
    assert s.state("scores") is ScopeState.SYNCED
    assert s.state("fixtures") is ScopeState.SYNCING


@pytest.mark.parametrize(
    ("replay", "sent"),
    [
        ([], None),
        (None, {"fixtures": "1-1", "scores": "1-1"}),
        ("scores", None),
        (7, None),
        ({}, None),
        (["scores", 5], {"scores": "1-1"}),
        (["fixtures"], {"fixtures": "1-1"}),
    ],
)
def test_only_cursors_of_replayable_channels_are_sent(
    stage: type[Stage], replay: Any, sent: Any
) -> None:
    """HZ-A13: empty sends none, absent keeps what was known (here nothing), nonsense is empty."""
    s = stage(channels=("fixtures", "scores"))
    first = s.sync(replay=replay)
    s.hear(first, s.update("1-1"), s.update("1-1", "fixtures"))
    s.drop(first)
    s.open()

    assert s.sent() == sent


def test_an_absent_list_of_replayable_channels_keeps_the_last_known_one(
    stage: type[Stage],
) -> None:
    """HZ-A13."""
    s = stage(channels=("fixtures", "scores"))
    first = s.sync(replay=["scores"])
    s.hear(first, s.update("1-1"), s.update("1-1", "fixtures"))
    s.drop(first)
    second = s.log_in(replay=None, heads={"scores": "1-1"})
    s.hear(second, s.rc())
    s.settle(20.0)
    s.hear(second, s.update("1-2"), s.update("1-2", "fixtures"))
    s.drop(second)
    s.open()

    assert s.sent() == {"scores": "1-2"}


def test_an_aged_cursor_is_neither_made_younger_nor_held_back(stage: type[Stage]) -> None:
    """HZ-A14, HZ-A15: the peer judges; the clock of this side has no say."""
    s = stage()
    first = s.sync()
    s.hear(first, s.update("100-5"))
    s.wait(86_400.0)
    s.drop(first)
    second = s.log_in(heads={"scores": "100-5"})
    s.hear(second, s.sr())

    assert s.sent() == {"scores": "100-5"}

    s.settle(20.0)

    assert s.state() is ScopeState.SYNCED
    assert s.cursor() is None


def test_blips_of_a_quiet_channel_stay_inside_the_snapshot_budget(stage: type[Stage]) -> None:
    """HZ-A14: ten drops a minute cost no more than one fetch each."""
    s = stage()
    number = s.sync()
    s.hear(number, s.update("100-5"))
    for _ in range(10):
        s.drop(number)
        number = s.log_in(heads={"scores": "100-5"})
        s.hear(number, s.sr() if s.sent() else s.rc())
        s.settle(6.0)

    assert len(s.fetched_at) <= 10


def test_a_resume_that_never_moves_the_cursor_is_given_up(stage: type[Stage]) -> None:
    """HZ-A16, R13: the same replay without ids, three times over."""
    s = stage()
    number = s.sync()
    s.hear(number, s.update("100-5"))
    for _ in range(3):
        s.drop(number)
        number = s.log_in(heads={"scores": "100-7"})
        s.hear(number, s.update(None, value=6), s.rc())
    s.drop(number)
    s.open()

    assert [s.sent(n) for n in range(1, 5)] == [{"scores": "100-5"}] * 3 + [None]
    assert s.anomalies(AnomalyCode.RESUME_ABANDONED) == 1


def test_a_cursor_never_moves_backwards(stage: type[Stage]) -> None:
    """HZ-A17."""
    s = stage()
    first = s.sync()
    s.hear(first, s.update("100-9"), s.update("100-11"), s.update("100-9"))

    assert s.cursor() == "100-11"
    assert s.applied == ["100-9", "100-11"]


@pytest.mark.parametrize(
    "login_ok",
    ['{"type":"login_ok"}', '{"type":"login_ok","resume":null}', '{"type":"login_ok","resume":[]}',
     '{"type":"login_ok","resume":{"serverEpoch":null}}',
     '{"type":"login_ok","resume":{"serverEpoch":7}}',
     '{"type":"login_ok","resume":{"serverEpoch":""}}'],
)  # fmt: skip
def test_a_login_without_an_epoch_keeps_no_cursors(stage: type[Stage], login_ok: str) -> None:
    """HZ-A18."""
    s = stage()
    first = s.sync()
    s.hear(first, s.update("100-9"))
    s.drop(first)
    second = s.open()
    s.hear(second, login_ok)
    s.settle(20.0)
    s.hear(second, s.update("100-10"))

    assert s.state() is ScopeState.SYNCED
    assert s.snapshots

    s.drop(second)
    s.open()

    assert "serverEpoch" not in s.logins[-1]
    assert s.sent() is None


@pytest.mark.parametrize("flip", ["rc", "sr"])
def test_an_epoch_that_flips_inside_a_connection_ends_every_claim(
    stage: type[Stage], flip: str
) -> None:
    """HZ-A19: all channels, not only the named one."""
    s = stage(channels=("fixtures", "scores"))
    first = s.sync()
    s.hear(first, s.update("1-1"), s.update("1-1", "fixtures"))
    s.hear(first, s.rc("E2") if flip == "rc" else s.sr(["scores"], epoch="E2"))

    assert s.session.position == Position("E2")
    assert ScopeState.SYNCED not in (s.state("scores"), s.state("fixtures"))

    s.settle(20.0)
    s.hear(first, s.update("1-1", value=8))
    s.drop(first)
    s.open()

    assert s.logins[-1]["serverEpoch"] == "E2"
    assert s.sent() == {"scores": "1-1"}
    assert s.score() == 8


def test_a_channel_that_is_no_longer_asked_for_loses_its_cursor(stage: type[Stage]) -> None:
    """HZ-A21: not sent, and cold when it comes back."""
    s = stage(channels=("fixtures", "scores"))
    first = s.sync()
    s.hear(first, s.update("1-1"), s.update("1-1", "fixtures"))
    s.session.handle_resubscribe(s.dialect(channels=("scores",)), now=s.now)
    s.drain()
    second = s.sync("E1", channels=["scores"])
    s.hear(second, s.update("1-2"))
    s.session.handle_resubscribe(s.dialect(), now=s.now)
    s.drain()
    third = s.open()

    assert s.logins[1]["channels"] == ["scores"]
    assert all("fixtures" not in (s.sent(n) or {}) for n in range(3))

    s.hear(third, s.login_ok(), s.rc())

    assert s.state("fixtures") is not ScopeState.SYNCED
    assert [e.resumed for e in s.events if isinstance(e, LoggedIn)][-1] == ()
