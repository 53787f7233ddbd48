"""Each knob of resuming and restarting alone explains an outcome."""

from typing import Any

from bench_play import kinds, outcomes, published, resumed, told

from lastseen_simulator.effects import Abort, CloseConnection
from lastseen_simulator.gateway.bench import Bench

TOO_OLD = "1789999000000-1"
REFUSED = "resume_window_exceeded"


def named(bench: Bench, connection: int, ids: list[str]) -> list[Any]:
    """What came after `login_ok`: entries by their index, control frames by type."""
    return [ids.index(each) if each in ids else each for each in kinds(bench, connection)]


def verdicts(bench: Bench, connection: int) -> Any:
    """The error of the login, or reason and channels of each snapshot that is asked for."""
    first, *rest = bench.controls(connection)
    if first["type"] == "error":
        return first["message"]
    return [
        (frame["reason"], frame["channels"])
        for frame in rest
        if frame["type"] == "snapshot_required"
    ]


def told_to_move(bench: Bench) -> int:
    connection = bench.login()
    bench.gateway.restart(announce=True, now=bench.now)
    bench.settle()
    return connection


# What can be replayed.


def test_resume_window_ms_decides_how_old_a_cursor_may_be() -> None:
    def play(bench: Bench) -> Any:
        (cursor,) = published(bench, "scores", 1)
        bench.advance(3.0)
        in_time = resumed(bench, {"scores": cursor})
        bench.advance(0.001)
        late = resumed(bench, {"scores": cursor})
        window_ms = told(bench, late)["resume"]["resumeWindowMs"]
        return window_ms, kinds(bench, in_time), kinds(bench, late)

    done, refused = ["resume_complete"], ["snapshot_required"]
    assert outcomes(play, "resume_window_ms", 3000, 0) == {
        60_000: (60_000, done, done),
        3000: (3000, done, refused),
        0: (0, refused, refused),
    }


def test_journal_entries_max_decides_how_many_entries_can_be_asked_for() -> None:
    def play(bench: Bench) -> Any:
        ids = published(bench, "scores", 6)
        return [named(bench, resumed(bench, {"scores": ids[n]}), ids) for n in (1, 2)]

    whole = [[2, 3, 4, 5, "resume_complete"], [3, 4, 5, "resume_complete"]]
    assert outcomes(play, "journal_entries_max", 3) == {
        100_000: whole,
        3: [["snapshot_required"], whole[1]],
    }


def test_replay_channels_decides_which_cursors_are_of_use() -> None:
    def play(bench: Bench) -> Any:
        ids = [*published(bench, "odds", 2), *published(bench, "scores", 2)]
        connection = resumed(bench, {"odds": ids[0], "scores": ids[2]})
        channels = told(bench, connection)["resume"]["replayChannels"]
        return channels, verdicts(bench, connection), named(bench, connection, ids)

    assert outcomes(play, "replay_channels", ("odds",), ()) == {
        ("fixtures", "scores"): (
            ["fixtures", "scores"],
            [(REFUSED, ["odds"])],
            ["snapshot_required", 3, "resume_complete"],
        ),
        ("odds",): (
            ["odds"],
            [(REFUSED, ["scores"])],
            ["snapshot_required", 1, "resume_complete"],
        ),
        (): ([], [(REFUSED, ["odds", "scores"])], ["snapshot_required"]),
    }


def test_unreplayable_cursor_decides_what_a_cursor_too_many_costs() -> None:
    def play(bench: Bench) -> Any:
        (cursor,) = published(bench, "odds", 1)
        return verdicts(bench, resumed(bench, {"odds": cursor}))

    assert outcomes(play, "unreplayable_cursor", "ignored") == {
        "window_exceeded": [(REFUSED, ["odds"])],
        "ignored": [],
    }


def test_uncovered_channels_decides_what_is_said_of_channels_without_a_cursor() -> None:
    def play(bench: Bench) -> Any:
        (cursor,) = published(bench, "scores", 1)
        channels = ["fixtures", "odds", "scores"]
        resuming = resumed(bench, {"scores": cursor}, channels=channels)
        old = bench.login(channels=channels, serverEpoch="0" * 32, lastSeenId={"scores": cursor})
        cold = bench.login(channels=channels)
        assert verdicts(bench, cold) == []
        return verdicts(bench, resuming), verdicts(bench, old)

    assert outcomes(play, "uncovered_channels", "snapshot_required") == {
        "silent": ([], [("server_restarted", ["scores"])]),
        "snapshot_required": (
            [(REFUSED, ["fixtures", "odds"])],
            [("server_restarted", ["fixtures", "odds", "scores"])],
        ),
    }


def test_half_resume_decides_what_one_field_without_the_other_means() -> None:
    def play(bench: Bench) -> Any:
        (cursor,) = published(bench, "scores", 1)
        no_epoch = bench.login(lastSeenId={"scores": cursor, "weather": "1-1"})
        no_cursors = bench.login(serverEpoch=bench.gateway.epoch)
        neither = bench.login()
        assert verdicts(bench, neither) == []
        return verdicts(bench, no_epoch), verdicts(bench, no_cursors)

    failure = "serverEpoch and lastSeenId go together"
    assert outcomes(play, "half_resume", "window_exceeded", "login_failed") == {
        "ignored": ([], []),
        "window_exceeded": ([(REFUSED, ["scores"])], [(REFUSED, ["fixtures", "scores"])]),
        "login_failed": (failure, failure),
    }


def test_bad_cursor_decides_what_nonsense_costs() -> None:
    def play(bench: Bench) -> Any:
        published(bench, "scores", 1)
        return [
            verdicts(bench, resumed(bench, {"scores": cursor}))
            for cursor in ("x", "1790000099999-999")
        ]

    assert outcomes(play, "bad_cursor", "ignored", "login_failed") == {
        "window_exceeded": [[(REFUSED, ["scores"])]] * 2,
        "ignored": [[], []],
        "login_failed": ["lastSeenId not accepted"] * 2,
    }


def test_quiet_cursor_decides_whether_a_quiet_channel_is_too_old() -> None:
    def play(bench: Bench) -> Any:
        ids = published(bench, "scores", 2)
        bench.advance(61.0)
        return [kinds(bench, resumed(bench, {"scores": each})) for each in (ids[1], ids[0])]

    assert outcomes(play, "quiet_cursor", "accepted") == {
        "window_exceeded": [["snapshot_required"], ["snapshot_required"]],
        "accepted": [["resume_complete"], ["snapshot_required"]],
    }


# How it is replayed.


def test_replay_order_decides_whether_live_entries_wait() -> None:
    def play(bench: Bench) -> Any:
        ids = published(bench, "scores", 300)
        connection = resumed(bench, {"scores": ids[1]})
        ids.append(bench.publish("scores"))
        bench.advance(5)
        assert set(bench.ids(connection)) == set(ids[2:])
        return named(bench, connection, ids)

    replay, live = list(range(2, 300)), 300
    assert outcomes(play, "replay_order", "interleaved") == {
        "before_live": [*replay, "resume_complete", live],
        "interleaved": [live, *replay, "resume_complete"],
    }


def test_replay_gap_s_decides_how_long_a_replay_takes() -> None:
    def play(bench: Bench) -> Any:
        ids = published(bench, "scores", 600)
        connection = resumed(bench, {"scores": ids[0]})
        sizes = [len(bench.ids(connection))]
        for _ in range(2):
            bench.advance(1.0)
            sizes.append(len(bench.ids(connection)))
        assert kinds(bench, connection) == [*ids[1:], "resume_complete"]
        return sizes

    assert outcomes(play, "replay_gap_s", 1.0) == {0.0: [599, 599, 599], 1.0: [256, 512, 599]}


def test_replay_channel_order_decides_how_channels_mix() -> None:
    def play(bench: Bench) -> Any:
        cursors = {channel: bench.publish(channel) for channel in ("scores", "fixtures")}
        for channel in ("scores", "fixtures", "scores"):
            published(bench, channel, 1)
        return [frame["channel"] for frame in bench.updates(resumed(bench, cursors))]

    assert outcomes(play, "replay_channel_order", "by_time") == {
        "channel_by_channel": ["fixtures", "scores", "scores"],
        "by_time": ["scores", "fixtures", "scores"],
    }


def test_inclusive_replay_decides_whether_the_entry_of_the_cursor_comes_again() -> None:
    def play(bench: Bench) -> Any:
        ids = published(bench, "scores", 2)
        return named(bench, resumed(bench, {"scores": ids[0]}), ids)

    assert outcomes(play, "inclusive_replay", True) == {
        False: [1, "resume_complete"],
        True: [0, 1, "resume_complete"],
    }


def test_resume_complete_decides_whether_and_when_a_replay_is_said_to_be_over() -> None:
    def play(bench: Bench) -> Any:
        ids = published(bench, "scores", 2)
        connection = resumed(bench, {"scores": ids[0]})
        ids.append(bench.publish("scores"))
        bench.advance(60)
        return named(bench, connection, ids)

    assert outcomes(play, "resume_complete", "late", "never") == {
        "sent": [1, "resume_complete", 2],
        "late": [1, 2, "resume_complete"],
        "never": [1, 2],
    }


def test_resume_complete_delay_s_decides_how_late_it_is() -> None:
    def play(bench: Bench) -> Any:
        (cursor,) = published(bench, "scores", 1)
        connection = resumed(bench, {"scores": cursor})
        seen: list[bool] = []
        for seconds in (1.9, 0.2, 5.8, 0.2):
            bench.advance(seconds)
            seen.append(kinds(bench, connection) == ["resume_complete"])
        return seen

    assert outcomes(play, "resume_complete_delay_s", 2.0, resume_complete="late") == {
        8.0: [False, False, False, True],
        2.0: [False, True, True, True],
    }


def test_empty_replay_completes_decides_what_follows_a_replay_of_nothing() -> None:
    def play(bench: Bench) -> Any:
        ids = published(bench, "scores", 2)
        return [named(bench, resumed(bench, {"scores": each}), ids) for each in ids]

    assert outcomes(play, "empty_replay_completes", False) == {
        True: [[1, "resume_complete"], ["resume_complete"]],
        False: [[1, "resume_complete"], []],
    }


# What snapshot_required looks like.


def test_snapshot_required_channels_decides_what_the_frame_names() -> None:
    def play(bench: Bench) -> Any:
        some = resumed(bench, {"scores": TOO_OLD}, channels=["fixtures", "scores"])
        every = resumed(bench, {"scores": TOO_OLD})
        return [bench.controls(each)[1].get("channels") for each in (some, every)]

    values = ("missing", "empty", "extra")
    assert outcomes(play, "snapshot_required_channels", *values) == {
        "named": [["scores"], ["scores"]],
        "missing": [None, None],
        "empty": [[], []],
        "extra": [["scores", "bookmakers"], ["scores", "weather"]],
    }


def test_a_frame_without_channels_still_says_the_rest() -> None:
    def play(bench: Bench) -> Any:
        published(bench, "scores", 1)
        frame = bench.controls(resumed(bench, {"scores": TOO_OLD}))[1]
        return {name: value for name, value in frame.items() if name != "channels"}

    frames = outcomes(play, "snapshot_required_channels", "missing")

    assert frames["missing"] == frames["named"]
    assert len(frames["named"]) == 5


def test_snapshot_required_heads_decides_whether_the_frame_has_them() -> None:
    def play(bench: Bench) -> Any:
        published(bench, "scores", 1)
        login_ok, required = bench.controls(resumed(bench, {"scores": TOO_OLD}))
        return "serverEntryIds" in login_ok["resume"], "serverEntryIds" in required

    assert outcomes(play, "snapshot_required_heads", False) == {
        True: (True, True),
        False: (True, False),
    }


def test_snapshot_required_repeats_decides_how_often_it_is_said() -> None:
    def play(bench: Bench) -> Any:
        connection = resumed(bench, {"scores": TOO_OLD})
        _, *frames = bench.controls(connection)
        assert all(frame == frames[0] for frame in frames)
        return kinds(bench, connection)

    assert outcomes(play, "snapshot_required_repeats", 3) == {
        1: ["snapshot_required"],
        3: ["snapshot_required"] * 3,
    }


def test_snapshot_required_place_decides_on_which_side_of_the_replay_it_is() -> None:
    def play(bench: Bench) -> Any:
        ids = published(bench, "fixtures", 2)
        mixed = resumed(bench, {"scores": TOO_OLD, "fixtures": ids[0]})
        alone = resumed(bench, {"scores": TOO_OLD})
        return [named(bench, each, ids) for each in (mixed, alone)]

    for complete, end in (("sent", ["resume_complete"]), ("never", [])):
        assert outcomes(play, "snapshot_required_place", "after", resume_complete=complete) == {
            "before": [["snapshot_required", 1, *end], ["snapshot_required"]],
            "after": [[1, *end, "snapshot_required"], ["snapshot_required"]],
        }


# Restart and reconnect.


def test_epoch_change_verdict_decides_whether_old_cursors_are_answered() -> None:
    def play(bench: Bench) -> Any:
        connection = bench.login(serverEpoch="0" * 32, lastSeenId={"scores": "1-1"})
        return verdicts(bench, connection)

    assert outcomes(play, "epoch_change_verdict", "silent") == {
        "sent": [("server_restarted", ["scores"])],
        "silent": [],
    }


def test_restart_epoch_decides_whether_replay_covers_a_restart() -> None:
    def play(bench: Bench) -> Any:
        before = bench.gateway.epoch
        (cursor,) = published(bench, "scores", 1)
        bench.gateway.restart(announce=False, now=bench.now)
        bench.settle()
        ids = published(bench, "scores", 1)
        connection = resumed(bench, {"scores": cursor}, serverEpoch=before)
        return bench.gateway.epoch == before, named(bench, connection, ids)

    assert outcomes(play, "restart_epoch", "kept") == {
        "new": (False, ["snapshot_required"]),
        "kept": (True, [0, "resume_complete"]),
    }


def test_sequence_restarts_decides_where_numbers_start_anew() -> None:
    def play(bench: Bench) -> Any:
        ids = [bench.publish("scores"), bench.publish("scores")]
        bench.gateway.restart(announce=False, now=bench.now)
        bench.advance(0.5)
        ids.append(bench.publish("scores"))
        return [int(each.partition("-")[2]) for each in ids]

    assert outcomes(play, "sequence_restarts", "never", "millisecond") == {
        "epoch": [1, 2, 1],
        "never": [1, 2, 3],
        "millisecond": [0, 1, 0],
    }


def test_reconnect_grace_s_decides_how_long_the_old_connection_lives() -> None:
    def play(bench: Bench) -> Any:
        connection = told_to_move(bench)
        open_after: list[bool] = []
        for seconds in (0.9, 0.2, 1.8, 0.2):
            bench.advance(seconds)
            open_after.append(connection not in bench.endings)
        return open_after

    assert outcomes(play, "reconnect_grace_s", 1.0) == {
        3.0: [True, True, True, False],
        1.0: [True, False, False, False],
    }


def test_reconnect_close_code_decides_how_it_ends() -> None:
    def play(bench: Bench) -> Any:
        connection = told_to_move(bench)
        bench.advance(3.0)
        return bench.endings[connection]

    assert outcomes(play, "reconnect_close_code", 4002) == {
        1006: Abort(connection=1, reset=False),
        4002: CloseConnection(connection=1, code=4002, reason="reconnect"),
    }
