import pathlib
from typing import Any

import msgspec
import pytest

from lastseen_simulator.effects import (
    Abort,
    CloseConnection,
    HttpRequest,
    RefuseConnections,
    Respond,
    Stall,
    Transmit,
    TransmitRaw,
)
from lastseen_simulator.faults import KINDS, VIOLATIONS, Fault
from lastseen_simulator.gateway.bench import WALL_MS, Bench
from lastseen_simulator.gateway.core import DEMO_KEY, GatewayOptions
from lastseen_simulator.profiles import PROFILES, profile


def quiet(**knobs: Any) -> Bench:
    return Bench(GatewayOptions(rate=0, **knobs))


def publish_many(bench: Bench, count: int, channel: str = "scores") -> list[str]:
    ids: list[str] = []
    for _ in range(count):
        bench.advance(0.01)
        ids.append(bench.publish(channel))
    return ids


def fired(bench: Bench, number: int = 1) -> int:
    return bench.receipt(number).fired


# Frames.


@pytest.mark.parametrize("at", ["after data 2", "before data 2", "every 2 data"])
def test_duplicate_sends_the_frame_of_its_position_twice(at: str) -> None:
    bench = quiet()
    bench.place("duplicate", at)
    connection = bench.login()

    ids = publish_many(bench, 3)

    assert bench.ids(connection) == [ids[0], ids[1], ids[1], ids[2]]
    assert fired(bench) == 1
    how = [each["how"] for each in bench.gateway.truth.records if each["kind"] == "sent"]
    assert how == ["live", "live", "duplicate", "live"]


def test_a_coalesced_gap_is_followed_by_newer_values_of_the_same_units() -> None:
    bench = quiet()
    bench.place("gap", "before data 2")
    connection = bench.login()

    ids = publish_many(bench, 3, "odds")

    received = bench.ids(connection)
    assert ids[1] not in received
    assert len(received) == 3
    entries = {each["entryId"]: each["payload"] for each in bench.gateway.truth.entries()}
    withheld, newer = entries[ids[1]], entries[received[1]]
    assert {slug: set(rows) for slug, rows in withheld["odds"].items()} == {
        slug: set(rows) for slug, rows in newer["odds"].items()
    }
    assert "withheld odds" in bench.receipt(1).detail


@pytest.mark.parametrize("channel", ["fixtures", "scores", "bookmakers", "odds"])
def test_a_coalesced_gap_leaves_the_client_with_the_truth(channel: str) -> None:
    bench = quiet()
    bench.place("gap", "every 3 data", times=0)
    connection = bench.login()
    publish_many(bench, 20, channel)

    state: dict[str, Any] = {}
    for frame in bench.updates(connection, channel):
        if channel == "fixtures":
            state[frame["payload"]["fixtureId"]] = frame["payload"]
            continue
        for name, part in frame["payload"][channel].items():
            for row in part if channel == "odds" else [name]:
                unit = f"{channel}/{frame['payload']['fixtureId']}/{name}"
                key = f"{unit}/{row}" if channel == "odds" else unit
                state[key] = part[row] if channel == "odds" else part

    assert fired(bench) > 2
    truth = bench.gateway.truth.state(channels=[channel])
    for key, value in state.items():
        if channel == "fixtures":
            assert truth[f"fixtures/{key}"].items() <= value.items()
        elif channel != "odds" or value["active"]:
            assert truth[key] == value
        else:
            assert key not in truth


def test_a_lost_entry_is_owned_up_to() -> None:
    bench = quiet()
    bench.place("gap", "after data 1", loss="lost")
    connection = bench.login()

    ids = publish_many(bench, 3)

    assert bench.ids(connection) == [ids[0], ids[2]]
    required = bench.controls(connection)[-1]
    assert (required["reason"], required["channels"]) == ("client_backpressure", ["scores"])


@pytest.mark.parametrize("receive_type", ["json", "binary"])
def test_malformed_sends_half_of_the_frame_as_a_whole_message(receive_type: str) -> None:
    bench = quiet()
    bench.place("malformed", "before data 2")
    connection = bench.login(receiveType=receive_type)

    ids = publish_many(bench, 3)

    first, spoilt, third = bench.frames[connection][1:]
    assert [first["entryId"], third["entryId"]] == [ids[0], ids[2]]
    assert 0 < len(spoilt["undecodable"]) < 400
    assert fired(bench) == 1
    why = [each["why"] for each in bench.gateway.truth.records if each["kind"] == "withheld"]
    assert why == ["malformed"]


def test_a_fault_of_another_dialect_is_refused() -> None:
    bench = quiet()

    with pytest.raises(ValueError, match="bomb is no fault of oddspapi"):
        bench.place("bomb", "after data 1")
    with pytest.raises(ValueError, match="oddspapi has no such position: 'after snapshot'"):
        bench.place("drop", "after snapshot")
    assert bench.gateway.receipts() == ()


def test_reorder_lets_another_channel_pass_but_not_the_same_one() -> None:
    bench = quiet()
    bench.place("reorder", "before data 1")
    connection = bench.login()

    first, second = publish_many(bench, 2)
    assert bench.ids(connection) == []
    (passing,) = publish_many(bench, 1, "fixtures")

    assert bench.ids(connection) == [passing, first, second]
    assert fired(bench) == 1


def test_a_duplicate_passes_nothing_of_its_own_channel_that_waits_to_be_overtaken() -> None:
    bench = quiet()
    bench.place("reorder", "before data 1")
    bench.place("duplicate", "after data 2")
    connection = bench.login()

    first, second = publish_many(bench, 2)
    (passing,) = publish_many(bench, 1, "fixtures")

    assert bench.ids(connection) == [passing, first, second, second]
    how = [each["how"] for each in bench.gateway.truth.records if each["kind"] == "sent"]
    assert how == ["live", "live", "live", "duplicate"]
    assert fired(bench, 2) == 1


def test_what_waits_to_be_overtaken_is_not_passed_by_its_own_when_all_faults_end() -> None:
    bench = quiet()
    bench.place("reorder", "before data 1")
    connection = bench.login()

    (first,) = publish_many(bench, 1)
    bench.gateway.heal()
    (second,) = publish_many(bench, 1)
    (passing,) = publish_many(bench, 1, "fixtures")

    assert bench.ids(connection) == [passing, first, second]


def test_reorder_gives_up_when_nothing_comes_past() -> None:
    bench = quiet()
    bench.place("reorder", "before data 1")
    connection = bench.login()

    (entry,) = publish_many(bench, 1)
    bench.advance(2)

    assert bench.ids(connection) == [entry]
    assert fired(bench) == 0
    assert bench.receipt(1).detail == "no frame of another channel came past"


def test_nothing_slips_behind_a_control_frame_by_reordering() -> None:
    bench = quiet()
    cursor = bench.publish("scores")
    ids = publish_many(bench, 1)
    bench.place("reorder", "before replayed 1")

    connection = bench.login(serverEpoch=bench.gateway.epoch, lastSeenId={"scores": cursor})

    assert bench.frames[connection][1]["entryId"] == ids[0]
    assert bench.frames[connection][2]["type"] == "resume_complete"


def test_drip_spreads_one_frame_over_time() -> None:
    bench = quiet()
    bench.place("drip", "before data 2", bytes_per_s=10.0)
    bench.login()

    publish_many(bench, 3)

    paces = [each.drip_bytes_per_s for each in bench.effects if isinstance(each, Transmit)]
    assert paces == [None, None, 10.0, None]
    assert fired(bench) == 1


# Positions.


POSITIONS = {
    "on open": 0,
    "on login": 0,
    "before login_ok": 0,
    "after login_ok": 1,
    "before replayed 1": 1,
    "after replayed 1": 2,
    "before resume_complete": 3,
    "after resume_complete": 4,
    "before live 1": 4,
    "after data 3": 5,
    "after frame 5": 5,
    "after live 1 of scores": 5,
}


@pytest.mark.parametrize("at", POSITIONS)
def test_a_drop_strikes_exactly_at_its_position(at: str) -> None:
    bench = quiet()
    cursor = bench.publish("scores")
    publish_many(bench, 2)
    bench.place("drop", at, connection=2)
    resume = {"serverEpoch": bench.gateway.epoch, "lastSeenId": {"scores": cursor}}
    first, second = bench.login(**resume), bench.login(**resume)

    publish_many(bench, 2)

    assert len(bench.frames[first]) == 6
    assert len(bench.frames[second]) == POSITIONS[at]
    assert bench.endings == {second: Abort(connection=second, reset=False)}
    assert fired(bench) == 1


@pytest.mark.parametrize(("kind", "reset"), [("drop", False), ("reset", True)])
def test_a_frame_can_be_cut_at_any_byte(kind: str, reset: bool) -> None:
    bench = quiet()
    bench.place(kind, "inside data 2 byte 3")
    connection = bench.login()

    ids = publish_many(bench, 3)

    assert bench.ids(connection) == [ids[0]]
    cut, end = bench.effects[-2:]
    assert isinstance(cut, Transmit)
    assert cut.cut_at == 3
    assert end == Abort(connection=connection, reset=reset)
    sent = [each["entryId"] for each in bench.gateway.truth.records if each["kind"] == "sent"]
    assert sent == [ids[0]]


def test_a_control_frame_can_be_cut_as_well() -> None:
    bench = quiet()
    bench.place("half_open", "inside login_ok byte 0")
    connection = bench.login()

    assert bench.frames[connection] == []
    assert bench.effects[-1] == Stall(connection=connection, stalled=True)


@pytest.mark.parametrize(
    ("at", "entries"), [("after entry 2", 2), ("every 2 entries", 2), ("at 12.5", 3)]
)
def test_a_position_without_a_connection_strikes_all_that_are_logged_in(
    at: str, entries: int
) -> None:
    bench = quiet()
    bench.place("drop", at)
    first, second, mute = bench.login(), bench.login(), bench.connect()
    publish_many(bench, 3)

    bench.advance(12.5 - bench.now)

    assert set(bench.endings) - {mute} == {first, second}
    assert len(bench.ids(first)) == entries
    assert fired(bench) == 1
    expected_at = 12.5 if at.startswith("at") else 0.02
    assert list(bench.receipt(1).fired_at) == pytest.approx([expected_at])


def test_a_timed_fault_repeats_as_long_as_times_allows() -> None:
    bench = quiet()
    bench.place("backpressure", "every 2 s", times=2)
    connection = bench.login()

    bench.advance(10)

    assert len(bench.controls(connection)) == 3
    assert bench.receipt(1).fired_at == (2.0, 4.0)


def test_a_fault_that_is_never_reached_says_so() -> None:
    bench = quiet()
    bench.place("drop", "after data 7")
    bench.place("drop", "at 1")
    bench.advance(2)
    bench.login()
    publish_many(bench, 6)

    missed, nobody = bench.gateway.receipts()

    assert (missed.fired, missed.fired_at, missed.detail) == (0, (), "not reached")
    assert (nobody.fired, nobody.detail) == (0, "no connection to strike")


def test_times_counts_connections_for_positions_in_a_stream() -> None:
    bench = quiet()
    bench.place("close", "after login_ok", times=2, code=1000)

    connections = [bench.login() for _ in range(3)]

    assert set(bench.endings) == set(connections[:2])
    assert fired(bench) == 2


# Sessions.


@pytest.mark.parametrize("code", [1000, 1011, 4001, 4002, 4003])
def test_close_sends_any_code(code: int) -> None:
    bench = quiet()
    bench.place("close", "after data 1", code=code, reason="because")
    connection = bench.login()

    publish_many(bench, 1)

    assert bench.endings[connection] == CloseConnection(
        connection=connection, code=code, reason="because"
    )


def test_restart_as_a_crash_drops_everybody_in_a_new_epoch() -> None:
    bench = quiet()
    before = bench.gateway.epoch
    bench.place("restart", "after data 1", how="crash")
    first, second = bench.login(), bench.login()

    publish_many(bench, 1)

    assert set(bench.endings) == {first, second}
    assert bench.gateway.epoch != before


def test_restart_with_notice_lets_everybody_stream_on_for_the_grace() -> None:
    bench = quiet()
    bench.place("restart", "after data 1", how="notice", grace_s=1.0)
    connection = bench.login()

    publish_many(bench, 2)
    assert len(bench.ids(connection)) == 2
    bench.advance(1)

    assert bench.controls(connection)[-1]["type"] == "reconnect"
    assert connection in bench.endings


def test_a_silent_restart_shows_at_the_next_login_only() -> None:
    bench = quiet()
    old = bench.login()
    bench.place("restart", "after data 1", how="silent")

    publish_many(bench, 2)

    assert len(bench.updates(old)) == 2
    assert [each["type"] for each in bench.controls(old)] == ["login_ok"]
    new = bench.login()
    epochs = [bench.controls(each)[0]["resume"]["serverEpoch"] for each in (old, new)]
    assert epochs[0] != epochs[1]


def test_reconnect_tells_one_connection() -> None:
    bench = quiet()
    bench.place("reconnect", "after data 1", connection=1, reason="rebalance", grace_s=0.5)
    told, other = bench.login(), bench.login()
    publish_many(bench, 1)
    bench.advance(1)

    assert bench.controls(told)[-1] == {"type": "reconnect", "reason": "rebalance"}
    assert set(bench.endings) == {told}
    assert len(bench.controls(other)) == 1


@pytest.mark.parametrize("kind", ["clean_close_after_login", "reconnect_after_login"])
def test_logins_can_be_ended_at_once_for_a_while(kind: str) -> None:
    bench = quiet()
    bench.place(kind, "after login_ok", seconds=5)
    for _ in range(3):
        bench.login()
        bench.advance(1)
    bench.advance(6)

    bench.login()
    bench.advance(10)

    assert set(bench.endings) == {1, 2, 3}
    assert fired(bench) == 3


def test_backpressure_names_the_subscribed_channels_unless_told_otherwise() -> None:
    bench = quiet()
    bench.place("backpressure", "after data 1")
    bench.place("backpressure", "after data 2", channels=("odds",))
    connection = bench.login(channels=["fixtures", "scores"])

    publish_many(bench, 2)

    assert [each["channels"] for each in bench.controls(connection)[1:]] == [
        ["fixtures", "scores"],
        ["odds"],
    ]


def test_snapshot_required_can_be_as_odd_as_one_likes() -> None:
    bench = quiet()
    bench.place("snapshot_required", "after data 1", reason="sunspots", channels=())
    bench.place("snapshot_required", "after data 2", text='{"type":"snapshot_required"}')
    connection = bench.login()

    publish_many(bench, 2)

    plain, odd = bench.controls(connection)[1:]
    assert (plain["reason"], plain["channels"]) == ("sunspots", [])
    assert odd == {"type": "snapshot_required"}


# Paths.


def test_half_open_swallows_everything_in_both_directions() -> None:
    bench = quiet()
    bench.place("half_open", "after data 1")
    connection = bench.login()
    publish_many(bench, 3)
    bench.send(connection, "{}")
    bench.backlog(connection, 10**9)

    assert len(bench.ids(connection)) == 1
    assert connection not in bench.endings
    assert bench.effects[-1] == Stall(connection=connection, stalled=True)


def test_a_stall_ends_after_its_time() -> None:
    bench = quiet()
    bench.place("stall", "after data 1", seconds=3)
    connection = bench.login()
    publish_many(bench, 2)

    bench.advance(2.9)
    stalls = [each for each in bench.effects if isinstance(each, Stall)]
    assert stalls == [Stall(connection=connection, stalled=True)]
    bench.advance(0.2)

    assert bench.effects[-1] == Stall(connection=connection, stalled=False)
    assert len(bench.ids(connection)) == 2


@pytest.mark.parametrize("kind", ["refuse", "accept_then_close"])
def test_the_listener_comes_back(kind: Any) -> None:
    bench = quiet()
    bench.place(kind, "at 1", seconds=2)

    bench.advance(2.9)
    assert bench.effects == [RefuseConnections(mode=kind)]
    bench.advance(0.2)

    assert bench.effects[-1] == RefuseConnections(mode="accept")


def test_overlapping_refusals_end_with_the_last() -> None:
    bench = quiet()
    bench.place("refuse", "at 1", seconds=5)
    bench.place("refuse", "at 2", seconds=1)

    bench.advance(4)
    assert RefuseConnections(mode="accept") not in bench.effects
    bench.advance(3)

    assert bench.effects.count(RefuseConnections(mode="accept")) == 1


# Things nobody should send.


def test_any_text_and_any_bytes_can_be_sent() -> None:
    bench = quiet()
    bench.place("send", "after data 1", text="{not json")
    bench.place("send", "before data 2", data_hex="c1 ff")
    bench.login()

    publish_many(bench, 2)

    data = [each.data for each in bench.effects if isinstance(each, Transmit)]
    assert (data[2], data[3]) == ("{not json", b"\xc1\xff")
    assert [bench.receipt(number).fired for number in (1, 2)] == [1, 1]


def test_an_oversize_message_has_exactly_the_size_asked_for() -> None:
    bench = quiet()
    bench.place("oversize", "after login_ok", size_bytes=5_000_000)
    bench.login()

    (message,) = [each.data for each in bench.effects if isinstance(each, Transmit)][1:]
    assert len(message) == 5_000_000
    assert msgspec.json.decode(message)["type"] == "padding"


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_raw_bytes_go_on_the_stream_as_they_are(violation: str) -> None:
    bench = quiet()
    bench.place("raw", "after data 1", violation=violation)
    connection = bench.login()

    publish_many(bench, 1)

    assert bench.effects[-1] == TransmitRaw(connection=connection, data=VIOLATIONS[violation])


# Snapshots.


def test_an_error_status_answers_so_many_requests() -> None:
    bench = quiet()
    bench.place("status", "on request /fixtures 2", times=2, status=429, retry_after_s=7)

    answers = [bench.get("/fixtures", sportId=10) for _ in range(4)]

    assert [each.status for each in answers] == [200, 429, 429, 200]
    assert ("Retry-After", "7") in answers[1].headers
    body = msgspec.json.decode(answers[1].body)
    assert (body["code"], body["retryAfterSec"]) == ("rate_limited", 7)


@pytest.mark.parametrize(
    ("status", "code"), [(401, "invalid_api_key"), (404, "not_found"), (503, "rate_limiter_error")]
)
def test_each_status_has_its_code(status: int, code: str) -> None:
    bench = quiet()
    bench.place("status", "on request *", status=status)

    answer = bench.get("/fixtures", sportId=10)

    assert (answer.status, msgspec.json.decode(answer.body)["code"]) == (status, code)


def test_an_answer_can_break_in_many_ways() -> None:
    bench = quiet()
    bench.place("truncate", "on request /fixtures 1", cut_at=5)
    bench.place("stall", "on request /fixtures 2")
    bench.place("empty", "on request /fixtures 3")
    bench.place("html", "on request /fixtures 4")

    cut, stalled, empty, html, whole = [bench.get("/fixtures", sportId=10) for _ in range(5)]

    assert (cut.cut_at, cut.body) == (5, whole.body)
    assert stalled.stall
    assert (empty.status, empty.body) == (200, b"[]")
    assert html.body.startswith(b"<!doctype html>")
    assert (whole.cut_at, whole.stall) == (None, False)
    assert [each.fired for each in bench.gateway.receipts()] == [1, 1, 1, 1]


def test_an_empty_answer_names_no_position() -> None:
    bench = quiet(as_of=True)
    publish_many(bench, 1, "fixtures")
    bench.place("empty", "on request /fixtures 1")

    empty, whole = [bench.get("/fixtures", sportId=10) for _ in range(2)]

    assert "X-As-Of" not in dict(empty.headers)
    assert "X-As-Of" in dict(whole.headers)


def test_a_stale_snapshot_from_before_a_restart_is_of_the_epoch_before() -> None:
    bench = quiet(as_of=True)
    before = bench.gateway.epoch
    ids = publish_many(bench, 2, "fixtures")
    bench.gateway.restart(announce=False, now=bench.now)
    publish_many(bench, 1, "fixtures")
    bench.place("stale", "on request /fixtures 1", entries=2)
    bench.place("stale", "on request /fixtures 2", entries=1)

    older, newer = [bench.get("/fixtures", sportId=10) for _ in range(2)]

    assert dict(older.headers)["X-As-Of"] == f"{before}; fixtures={ids[0]}"
    assert dict(newer.headers)["X-As-Of"] == bench.gateway.epoch


def test_a_stale_snapshot_is_the_truth_of_some_entries_ago() -> None:
    bench = quiet(as_of=True)
    fixture = bench.gateway.truth.records[0]["state"]
    fixture_id = next(key for key in fixture if key.startswith("odds/")).split("/")[1]
    ids = publish_many(bench, 2, "fixtures")
    before = msgspec.json.decode(bench.get("/fixtures", fixtureIds=fixture_id).body)
    publish_many(bench, 3, "fixtures")
    bench.place("stale", "on request /fixtures 2", entries=3)

    stale = bench.get("/fixtures", fixtureIds=fixture_id)
    fresh = bench.get("/fixtures", fixtureIds=fixture_id)

    assert msgspec.json.decode(stale.body) == before
    assert ("X-As-Of", f"{bench.gateway.epoch}; fixtures={ids[1]}") in stale.headers
    assert dict(fresh.headers)["X-As-Of"] != dict(stale.headers)["X-As-Of"]


def test_a_fault_at_a_request_can_hit_the_stream_instead() -> None:
    bench = quiet()
    bench.place("restart", "on request /fixtures 1", how="crash")
    connection = bench.login()
    before = bench.gateway.epoch

    answer = bench.get("/fixtures", sportId=10)

    assert answer.status == 200
    assert connection in bench.endings
    assert bench.gateway.epoch != before


def test_the_wall_clock_can_step_back() -> None:
    bench = quiet()
    bench.place("clock_step", "after entry 1", offset_ms=-1000)

    ids = publish_many(bench, 2)

    assert [int(each.partition("-")[0]) - WALL_MS for each in ids] == [10, -980]
    connection = bench.login(serverEpoch=bench.gateway.epoch, lastSeenId={"scores": ids[0]})
    assert bench.ids(connection) == [ids[1]]


# Together.


def test_two_faults_at_one_place_end_a_connection_once() -> None:
    bench = quiet()
    bench.place("close", "after data 1", code=1000)
    bench.place("drop", "after data 1")
    connection = bench.login()

    publish_many(bench, 2)

    endings = [each for each in bench.effects if isinstance(each, CloseConnection | Abort)]
    assert endings == [CloseConnection(connection=connection, code=1000, reason="")]
    assert [each.fired for each in bench.gateway.receipts()] == [1, 0]


def test_two_faults_of_one_kind_change_a_frame_once() -> None:
    bench = quiet()
    bench.place("gap", "before data 1", loss="lost")
    bench.place("gap", "before data 1", loss="lost")
    connection = bench.login()

    publish_many(bench, 2)

    assert len(bench.ids(connection)) == 1
    assert [each.fired for each in bench.gateway.receipts()] == [1, 0]
    assert "same frame" in bench.receipt(2).detail


def test_a_general_notice_spares_whoever_has_not_logged_in() -> None:
    bench = quiet()
    bench.place("restart", "at 1", how="notice", grace_s=1)
    waiting, member = bench.connect(), bench.login()

    bench.advance(3)

    assert set(bench.endings) == {member}
    assert bench.frames[waiting] == []


# All of them.


def test_every_kind_is_in_some_test_of_this_module() -> None:
    source = pathlib.Path(__file__).read_text(encoding="utf-8")

    ours = {name for name, kind in KINDS.items() if "oddspapi" in kind.dialects}
    assert {kind for kind in ours if f'"{kind}"' not in source} == set()


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_runs_and_the_gateway_survives_it(name: str) -> None:
    bench = Bench(GatewayOptions(rate=50), seed=3)
    for fault in profile(name):
        bench.gateway.place(fault)
    for _ in range(40):
        bench.login(serverEpoch=bench.gateway.epoch, lastSeenId={"scores": "1-1"})
        bench.get("/fixtures", sportId=10)
        bench.advance(1.5)

    assert all(each.fired or name != "hostile" for each in bench.gateway.receipts()), (
        bench.gateway.receipts()
    )


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(LookupError, match=r"no such profile: wild \(known: calm, flaky, hostile"):
        profile("wild")


def test_an_unlimited_fault_goes_on_striking() -> None:
    bench = quiet()
    bench.gateway.place(Fault(kind="duplicate", at="every 2 data", times=0))
    connection = bench.login()

    publish_many(bench, 10)

    assert len(bench.ids(connection)) == 15


def test_a_late_answer_shows_what_was_there_when_it_was_asked_for() -> None:
    bench = Bench(GatewayOptions(rate=0))
    bench.place("late", "on request /currencies 1", seconds=2)
    wanted = HttpRequest(method="GET", path="/en/currencies", query=(("apiKey", DEMO_KEY),))
    bench.gateway.handle_request(7, wanted, now=bench.now)
    bench.settle()
    told = bench.gateway.truth.state(channels=["currencies"])
    bench.publish("currencies")
    bench.advance(1.9)
    early = [each for each in bench.effects if isinstance(each, Respond)]
    bench.advance(0.2)

    answers = [each for each in bench.effects if isinstance(each, Respond)]
    assert early == []
    assert [each.request for each in answers] == [7]
    rates = msgspec.json.decode(answers[0].response.body)
    assert {f"currencies/{code}": rate for code, rate in rates.items()} == told
    assert bench.receipt(1).fired == 1
