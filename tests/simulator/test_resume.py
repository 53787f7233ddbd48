from typing import Any

import pytest
from bench_play import kinds, published, quiet, resumed

from lastseen_simulator.effects import Abort, CloseConnection

CURSORS: dict[str, Any] = {
    "in the window": 0,
    "at the head": -1,
    "too old": "1789999000000-1",
    "above the head": "1790000099999-999",
    "malformed": "1790000000010",
    "no text at all": 7.5,
}
"""By name: an index into the published ids, or the cursor itself."""

SAME_EPOCH = {
    "in the window": "replayed",
    "at the head": "complete",
    "too old": "resume_window_exceeded",
    "above the head": "resume_window_exceeded",
    "malformed": "resume_window_exceeded",
    "no text at all": "resume_window_exceeded",
}


@pytest.mark.parametrize("cursor", CURSORS)
@pytest.mark.parametrize("epoch", ["same", "other", "absent"])
def test_the_resume_decision(epoch: str, cursor: str) -> None:
    bench = quiet()
    ids = published(bench, "scores", 3)
    name = {"same": bench.gateway.epoch, "other": "0" * 32, "absent": None}[epoch]

    value = CURSORS[cursor]

    connection = resumed(
        bench, {"scores": ids[value] if isinstance(value, int) else value}, serverEpoch=name
    )

    outcome = {"same": SAME_EPOCH[cursor], "other": "server_restarted", "absent": "silence"}[epoch]
    after = bench.frames[connection][1:]
    match outcome:
        case "replayed":
            assert kinds(bench, connection) == [ids[1], ids[2], "resume_complete"]
        case "complete":
            assert kinds(bench, connection) == ["resume_complete"]
        case "silence":
            assert after == []
        case reason:
            (frame,) = after
            assert frame["type"] == "snapshot_required"
            assert frame["reason"] == reason
            assert frame["channels"] == ["scores"]
            assert frame["serverEpoch"] == bench.gateway.epoch
            assert frame["serverEntryIds"] == {"scores": ids[-1]}


def test_each_channel_is_judged_by_its_own_cursor() -> None:
    bench = quiet()
    scores = published(bench, "scores", 2)
    fixtures = published(bench, "fixtures", 2)

    connection = resumed(bench, {"scores": "1-1", "fixtures": fixtures[0]})

    assert kinds(bench, connection) == ["snapshot_required", fixtures[1], "resume_complete"]
    assert bench.controls(connection)[1]["channels"] == ["scores"]
    assert scores[1] not in bench.ids(connection)


def test_the_age_of_the_cursor_decides_and_not_the_pause() -> None:
    bench = quiet(resume_window_ms=3000)
    (cursor,) = published(bench, "scores", 1)
    bench.login()
    bench.advance(3.0)
    in_time = resumed(bench, {"scores": cursor})
    bench.advance(0.002)

    too_late = resumed(bench, {"scores": cursor})

    assert kinds(bench, in_time) == ["resume_complete"]
    assert kinds(bench, too_late) == ["snapshot_required"]


def test_a_cursor_of_a_channel_that_is_not_replayed_is_refused() -> None:
    bench = quiet()
    ids = published(bench, "odds", 2)

    connection = resumed(bench, {"odds": ids[0]})

    assert kinds(bench, connection) == ["snapshot_required"]
    replaying = quiet(replay_channels=("odds",))
    ids = published(replaying, "odds", 2)
    assert kinds(replaying, resumed(replaying, {"odds": ids[0]})) == [ids[1], "resume_complete"]


def test_cursors_of_channels_outside_the_subscription_are_passed_over() -> None:
    bench = quiet()
    ids = published(bench, "scores", 2)

    connection = resumed(bench, {"scores": ids[0], "weather": "1-1"}, channels=["fixtures"])

    assert kinds(bench, connection) == []


def test_replay_is_narrowed_like_everything_else() -> None:
    bench = quiet()
    cursor = bench.publish("scores")
    wanted = bench.gateway.truth.entries()[0]["payload"]["fixtureId"]
    ids = published(bench, "scores", 20)
    entries = {each["entryId"]: each["payload"] for each in bench.gateway.truth.entries()}

    connection = resumed(bench, {"scores": cursor}, fixtureIds=[wanted])

    expected = [each for each in ids if entries[each]["fixtureId"] == wanted]
    assert 0 < len(expected) < 20
    assert bench.ids(connection) == expected


def test_a_buffer_that_has_lost_entries_refuses_cursors_before_them() -> None:
    bench = quiet(journal_entries_max=3)
    ids = published(bench, "scores", 6)

    before, within = resumed(bench, {"scores": ids[0]}), resumed(bench, {"scores": ids[3]})

    assert kinds(bench, before) == ["snapshot_required"]
    assert kinds(bench, within) == [ids[4], ids[5], "resume_complete"]


# How a replay goes.


def test_replay_comes_before_live_entries_by_default() -> None:
    bench = quiet(replay_gap_s=1.0)
    ids = published(bench, "scores", 600)
    connection = resumed(bench, {"scores": ids[0]})
    live = bench.publish("scores")
    assert live not in bench.ids(connection)

    bench.advance(5)

    assert kinds(bench, connection) == [*ids[1:], "resume_complete", live]


def test_live_entries_may_come_between_replayed_ones() -> None:
    bench = quiet(replay_order="interleaved", replay_gap_s=1.0)
    ids = published(bench, "scores", 3)
    connection = resumed(bench, {"scores": ids[0]})
    early = bench.publish("scores")
    bench.advance(1)
    between = bench.publish("scores")

    bench.advance(5)

    assert kinds(bench, connection) == [early, ids[1], between, ids[2], "resume_complete"]
    assert bench.frames[connection][0]["resume"]["serverEntryIds"]["scores"] == ids[-1]


def test_replay_goes_channel_by_channel_or_by_time() -> None:
    orders = {}
    for order in ("channel_by_channel", "by_time"):
        bench = quiet(replay_channel_order=order)
        (scores,) = published(bench, "scores", 1)
        (fixtures,) = published(bench, "fixtures", 1)
        first = published(bench, "scores", 1)
        second = published(bench, "fixtures", 1)
        third = published(bench, "scores", 1)
        connection = resumed(bench, {"scores": scores, "fixtures": fixtures})
        orders[order] = bench.ids(connection)
        assert set(orders[order]) == {*first, *second, *third}

    assert orders["channel_by_channel"] == [*second, *first, *third]
    assert orders["by_time"] == [*first, *second, *third]


# Restarts and moves.


def test_a_crash_drops_everybody_and_forgets_the_buffers() -> None:
    bench = quiet()
    ids = published(bench, "scores", 2)
    before = bench.gateway.epoch
    connection = bench.login()

    bench.gateway.restart(announce=False, now=bench.now)
    bench.settle()

    assert bench.endings[connection] == Abort(connection=connection, reset=False)
    assert bench.gateway.epoch != before
    again = resumed(bench, {"scores": ids[0]}, serverEpoch=before)
    assert bench.controls(again)[1]["reason"] == "server_restarted"
    assert bench.controls(again)[0]["resume"]["serverEntryIds"] == {}
    mixed = resumed(bench, {"scores": ids[0]})
    assert bench.controls(mixed)[1]["reason"] == "resume_window_exceeded"


def test_both_replicas_stream_the_same_market_until_the_grace_ends() -> None:
    bench = quiet()
    old = bench.login()
    bench.publish("scores")
    bench.gateway.notice_reconnect(
        connection=None, reason="server_upgrade", grace_s=2.0, now=bench.now
    )
    bench.settle()
    new = bench.login()
    published(bench, "scores", 2)

    assert bench.controls(old)[-1] == {"type": "reconnect", "reason": "server_upgrade"}
    assert bench.controls(new)[0]["resume"]["serverEpoch"] == bench.gateway.epoch
    assert [each.partition("-")[2] for each in bench.ids(old)] == ["1", "2", "3"]
    assert [each.partition("-")[2] for each in bench.ids(new)] == ["1", "2"]
    payloads = [frame["payload"] for frame in bench.updates(old)[1:]]
    assert payloads == [frame["payload"] for frame in bench.updates(new)]

    bench.advance(2.0)

    assert bench.endings == {old: Abort(connection=old, reset=False)}


def test_the_close_after_a_notice_may_be_4002() -> None:
    bench = quiet(reconnect_close_code=4002, reconnect_grace_s=1.0)
    connection = bench.login()

    bench.gateway.restart(announce=True, now=bench.now)
    bench.advance(1.0)

    assert bench.endings[connection] == CloseConnection(
        connection=connection, code=4002, reason="reconnect"
    )


def test_one_connection_can_be_told_to_move_alone() -> None:
    bench = quiet()
    told, other = bench.login(), bench.login()

    bench.gateway.notice_reconnect(connection=told, reason="rebalance", grace_s=0.5, now=bench.now)
    bench.advance(1)
    bench.publish("scores")

    assert set(bench.endings) == {told}
    assert len(bench.updates(other)) == 1


# Slow readers.


def test_odds_are_skipped_for_a_slow_reader_and_owned_up_to() -> None:
    bench = quiet(backlog_soft_bytes=1000)
    connection = bench.login()
    bench.backlog(connection, 1001)
    bench.publish("odds")
    score = bench.publish("scores")
    assert kinds(bench, connection) == [score]

    bench.backlog(connection, 0)
    odds = bench.publish("odds")

    assert kinds(bench, connection) == [score, "snapshot_required", odds]
    required = bench.controls(connection)[-1]
    assert (required["reason"], required["channels"]) == ("client_backpressure", ["odds"])


def test_a_slow_moment_in_which_nothing_was_skipped_costs_nothing() -> None:
    bench = quiet(backlog_soft_bytes=1000)
    connection = bench.login()

    bench.backlog(connection, 1001)
    bench.backlog(connection, 0)

    assert kinds(bench, connection) == []


def test_a_replay_that_is_not_taken_is_cut_short() -> None:
    bench = quiet(backlog_soft_bytes=1000, replay_gap_s=1.0)
    (fixtures,) = published(bench, "fixtures", 1)
    scores = published(bench, "scores", 600)
    connection = resumed(bench, {"fixtures": fixtures, "scores": scores[0]})

    bench.backlog(connection, 2000)
    bench.advance(10)

    sent = kinds(bench, connection)
    assert sent[:-2] == scores[1:257]
    assert sent[-2:] == ["snapshot_required", "resume_complete"]
    assert bench.controls(connection)[1]["channels"] == ["scores"]
    assert bench.controls(connection)[1]["reason"] == "client_backpressure"


def test_a_reader_that_is_far_too_slow_is_closed_with_4002() -> None:
    bench = quiet(backlog_hard_bytes=5000)
    connection = bench.login()

    bench.backlog(connection, 5001)

    ending = bench.endings[connection]
    assert isinstance(ending, CloseConnection)
    assert (ending.code, ending.reason) == (4002, "backpressure")


def test_a_reader_for_whom_too_much_is_held_back_is_closed_with_4002(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lastseen_simulator.gateway.sessions.HELD_MAX", 2)
    bench = quiet(replay_gap_s=60.0)
    ids = published(bench, "scores", 300)
    connection = resumed(bench, {"scores": ids[0]})

    published(bench, "scores", 3)

    ending = bench.endings[connection]
    assert isinstance(ending, CloseConnection)
    assert ending.code == 4002
