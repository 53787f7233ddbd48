"""Every kind of fault this gateway knows, at its place, with its receipt."""

import gzip
import json
import pathlib
from typing import Any

import pytest
from polymarket_us_play import ORDERS, executions, quiet, shape

from lastseen_simulator.effects import (
    Abort,
    CloseConnection,
    HttpResponse,
    RefuseConnections,
    Stall,
    Transmit,
    TransmitRaw,
)
from lastseen_simulator.faults import CHUNK_VIOLATIONS, KINDS, FaultError
from lastseen_simulator.polymarket_us.bench import Bench
from lastseen_simulator.polymarket_us.options import PolymarketUSOptions
from lastseen_simulator.profiles import POLYMARKET_US_PROFILES, profile

FRAMINGS = {
    "lines": "*/*",
    "connect": "application/connect+json",
    "sse": "text/event-stream",
}


def fill(bench: Bench, count: int) -> list[str]:
    return [bench.publish("orders") for _ in range(count)]


def transmits(bench: Bench, connection: int) -> list[Transmit]:
    return [
        each for each in bench.effects
        if isinstance(each, Transmit) and each.connection == connection
    ]  # fmt: skip


def why(bench: Bench) -> list[str]:
    return [each["why"] for each in bench.told("withheld")]


# Records.


def test_duplicate_sends_an_execution_twice_word_for_word() -> None:
    bench = quiet()
    bench.place("duplicate", "after live 2")
    connection = bench.open()

    one, two, three = fill(bench, 3)

    assert executions(bench, connection) == [one, two, two, three]
    records = bench.records(connection)
    assert records[2] == records[3]
    assert bench.sent(connection, "duplicate") == [two]
    assert bench.receipt().fired == 1


def test_gap_withholds_a_change_that_only_a_token_or_a_snapshot_brings_back() -> None:
    bench = quiet()
    bench.place("gap", "before live 2")
    connection = bench.open()
    token = bench.results(connection)[0]["resumeToken"]

    one, two, three = fill(bench, 3)

    assert executions(bench, connection) == [one, three]
    assert why(bench) == ["coalesced"]
    assert executions(bench, bench.open(resumeToken=token)) == [one, two, three]


def test_a_replayed_batch_is_withheld_as_a_whole_and_told_one_by_one() -> None:
    bench = quiet(replay_batch=10)
    connection = bench.open("drop_copy")
    fill(bench, 1)
    token = bench.results(connection)[0]["resumeToken"]
    missed = fill(bench, 3)
    bench.place("gap", "before replayed 1")

    second = bench.open("drop_copy", resumeToken=token)

    assert bench.records(second) == []
    assert [each["entryId"] for each in bench.told("withheld")] == missed
    third = bench.open("drop_copy", resumeToken=token)
    assert executions(bench, third) == missed
    assert bench.sent(third) == missed


@pytest.mark.parametrize("framing", FRAMINGS)
def test_malformed_cuts_a_record_in_a_frame_that_is_whole(framing: str) -> None:
    bench = quiet()
    bench.place("malformed", "after live 1")
    connection = bench.open("orders", ("Accept", FRAMINGS[framing]))

    one, _, three = fill(bench, 3)

    assert executions(bench, connection) == [one, three]
    assert shape(bench, connection) == ["snapshot", "update", "undecodable", "update"]
    assert bench.receipt().fired == 1


@pytest.mark.parametrize("framing", FRAMINGS)
def test_compressed_is_told_by_the_flag_of_an_envelope_and_by_nothing_else(framing: str) -> None:
    bench = quiet()
    bench.place("compressed", "before live 1")
    connection = bench.open("orders", ("Accept", FRAMINGS[framing]))
    before = len(bench.bodies[connection])

    (name,) = fill(bench, 1)

    frame = bench.bodies[connection][before:]
    if framing == "connect":
        assert frame[0] == 1
        assert executions(bench, connection) == [name]
    else:
        record = frame.removeprefix(b"data: ").rstrip(b"\n")
        assert name.encode() in gzip.decompress(record)


def test_drip_writes_a_record_byte_by_byte() -> None:
    bench = quiet()
    bench.place("drip", "before live 1", bytes_per_s=50)
    connection = bench.open()

    fill(bench, 1)

    assert [each.drip_bytes_per_s for each in transmits(bench, connection)] == [None, 50]


@pytest.mark.parametrize("place", ["before live 1", "before snapshot", "before heartbeat"])
def test_split_ends_a_chunk_inside_a_record(place: str) -> None:
    bench = quiet()
    bench.place("split", place, cut_at=7)
    connection = bench.open()
    fill(bench, 1)
    bench.advance(30)

    assert [each.split_at for each in transmits(bench, connection)].count(7) == 1
    assert shape(bench, connection) == ["snapshot", "update", "heartbeat"]
    assert bench.receipt().detail == "connection 1: split after 7 bytes"


def test_split_without_a_place_is_in_the_middle() -> None:
    bench = quiet()
    bench.place("split", "before snapshot")
    connection = bench.open()

    (snapshot,) = transmits(bench, connection)
    assert snapshot.split_at == len(snapshot.data) // 2


# The end of a body.


@pytest.mark.parametrize(
    ("kind", "ending"),
    [("drop", Abort(connection=1, reset=False)), ("reset", Abort(connection=1, reset=True))],
)
def test_a_body_is_cut_inside_a_chunk(kind: str, ending: Abort) -> None:
    bench = quiet()
    bench.place(kind, "inside live 2 byte 9")
    connection = bench.open()

    one, _ = fill(bench, 2)

    assert executions(bench, connection) == [one]
    assert transmits(bench, connection)[-1].cut_at == 9
    assert bench.endings[connection] == ending
    assert why(bench) == ["cut after 9 bytes"]


def test_a_body_is_cut_inside_a_record_and_ends_in_good_order() -> None:
    bench = quiet()
    bench.place("end", "inside live 2 byte 9")
    connection = bench.open()

    one, _ = fill(bench, 2)

    assert executions(bench, connection) == [one]
    last = transmits(bench, connection)[-1]
    assert (len(last.data), last.cut_at) == (9, None)
    assert isinstance(bench.endings[connection], CloseConnection)


@pytest.mark.parametrize(("how", "says"), [("well", True), ("bare", False), (None, True)])
def test_end_says_so_in_connect_unless_it_is_bare(how: str | None, says: bool) -> None:
    bench = quiet()
    bench.place("end", "after live 1", **({} if how is None else {"how": how}))
    connection = bench.open("orders", ("Accept", FRAMINGS["connect"]))

    fill(bench, 2)

    assert bench.bodies[connection].endswith(b"\x02\0\0\0\x02{}") is says
    assert isinstance(bench.endings[connection], CloseConnection)
    assert bench.receipt().fired == 1


@pytest.mark.parametrize(
    ("given", "garbage"),
    [
        ({}, b"<html>502 Bad Gateway</html>\r\n"),
        ({"text": "{}"}, b"{}"),
        ({"data_hex": "00ff"}, b"\x00\xff"),
    ],
)
def test_garbage_comes_after_the_end_of_the_body(given: dict[str, str], garbage: bytes) -> None:
    bench = quiet()
    bench.place("garbage", "after live 1", **given)
    connection = bench.open()

    fill(bench, 1)

    raw, ending = bench.effects[-2:]
    assert raw == TransmitRaw(connection=connection, data=b"0\r\n\r\n" + garbage)
    assert ending == Abort(connection=connection, reset=False)


@pytest.mark.parametrize("place", ["on open", "after snapshot", "after live 1", "before heartbeat"])
def test_error_is_a_record_inside_an_answer_that_began_well(place: str) -> None:
    bench = quiet()
    bench.place("error", place, code=8, message="slow down")
    connection = bench.open()
    if connection not in bench.endings:
        fill(bench, 1)
        bench.advance(30)

    assert dict(bench.heads[connection].headers)["Content-Type"] == "application/json"
    error = {"error": {"code": 8, "message": "slow down", "details": []}}
    assert bench.records(connection)[-1] == error
    assert (place == "on open") is (len(bench.records(connection)) == 1)
    assert isinstance(bench.endings[connection], CloseConnection)


# What else a peer can put into a body.


@pytest.mark.parametrize("framing", FRAMINGS)
def test_send_puts_a_record_of_its_own_into_the_body(framing: str) -> None:
    bench = quiet()
    bench.place("send", "after live 1", text='{"type":"surprise"}')
    connection = bench.open("orders", ("Accept", FRAMINGS[framing]))

    fill(bench, 2)

    assert bench.records(connection)[2] == {"type": "surprise"}
    assert shape(bench, connection) == ["snapshot", "update", "type", "update"]


def test_send_puts_bytes_into_the_body_as_they_are() -> None:
    bench = quiet()
    bench.place("send", "after snapshot", data_hex="7b7b")
    connection = bench.open()

    assert bench.bodies[connection].endswith(b"\n{{")


@pytest.mark.parametrize("framing", FRAMINGS)
def test_oversize_is_one_record_of_so_many_bytes(framing: str) -> None:
    bench = quiet()
    bench.place("oversize", "after snapshot", size_bytes=100_000)
    connection = bench.open("orders", ("Accept", FRAMINGS[framing]))

    padding = bench.records(connection)[1]
    assert len(json.dumps(padding, separators=(",", ":"))) == 100_000
    assert bench.receipt().fired == 1


@pytest.mark.parametrize("violation", CHUNK_VIOLATIONS)
def test_raw_bytes_break_the_chunks(violation: str) -> None:
    bench = quiet()
    bench.place("raw", "after snapshot", violation=violation)
    connection = bench.open()

    raw = TransmitRaw(connection=connection, data=CHUNK_VIOLATIONS[violation])
    assert bench.effects[-1] == raw


# Snapshots.


def test_snapshot_comes_when_nobody_waits_for_it() -> None:
    bench = quiet()
    bench.place("snapshot", "after live 1")
    connection = bench.open("positions")
    bench.publish("positions", netPosition=7, symbol="demo-aaa")

    assert shape(bench, connection) == ["snapshot", "update", "snapshot"]
    assert "7" in str(bench.results(connection)[-1])


def test_old_snapshot_is_the_one_before_the_last_once_more() -> None:
    bench = quiet()
    bench.place("snapshot", "after live 1")
    bench.place("old_snapshot", "after live 2")
    connection = bench.open()

    fill(bench, 2)

    assert shape(bench, connection) == ["snapshot", "update", "snapshot", "update", "snapshot"]
    records = bench.records(connection)
    assert records[4] == records[0] != records[2]
    assert bench.told("control", frame={"odd": "old snapshot"})


def test_old_snapshot_misses_where_there_was_none() -> None:
    bench = quiet()
    bench.place("old_snapshot", "after live 1")
    bench.open("drop_copy")

    fill(bench, 1)

    assert (bench.receipt().fired, bench.receipt().detail) == (0, "no connection to strike")


def test_delta_first_keeps_the_snapshot_until_something_has_changed() -> None:
    bench = quiet()
    bench.place("delta_first", f"on request {ORDERS}")
    connection = bench.open()
    bench.advance(200)
    assert set(shape(bench, connection)) == {"heartbeat"}
    assert bench.receipt().detail == "no change has come yet"

    (name,) = fill(bench, 1)

    assert shape(bench, connection)[-2:] == ["update", "snapshot"]
    assert executions(bench, connection) == [name]
    assert bench.receipt().fired == 1


def test_no_snapshot_begins_without_one_and_has_the_next() -> None:
    bench = quiet()
    bench.place("no_snapshot", f"on request {ORDERS}")
    connection = bench.open()
    fill(bench, 1)
    assert shape(bench, connection) == ["update"]
    assert bench.receipt().detail == "connection 1: kept the snapshot"

    bench.advance(180)

    assert "snapshot" in shape(bench, connection)


# Requests.


@pytest.mark.parametrize(("status", "code"), [(401, 16), (403, 7), (429, 8), (503, 14), (464, 3)])
def test_status_refuses_a_stream(status: int, code: int) -> None:
    bench = quiet()
    bench.place("status", f"on request {ORDERS}", status=status, retry_after_s=7)

    answer = bench.ask("/api/v1beta1/create_order_subscription")

    assert isinstance(answer, HttpResponse)
    assert (answer.status, json.loads(answer.body)["code"]) == (status, code)
    assert dict(answer.headers)["Retry-After"] == "7"
    bench.open()
    assert bench.receipt().fired == 1


def test_status_has_the_code_and_the_words_it_is_given() -> None:
    bench = quiet()
    bench.place("status", "on request *", status=400, code=9, message="not now")

    assert bench.refused() == {"status": 400, "code": 9, "message": "not now", "details": []}


def test_a_page_of_html_and_no_answer_at_all() -> None:
    bench = quiet()
    bench.place("html", f"on request {ORDERS} 1")
    bench.place("stall", f"on request {ORDERS} 2")

    page, nothing = bench.ask(ORDERS), bench.ask(ORDERS)

    assert isinstance(page, HttpResponse)
    assert page.body.startswith(b"<!doctype html>")
    assert isinstance(nothing, HttpResponse)
    assert nothing.silent


def test_content_type_lies_about_the_framing() -> None:
    bench = quiet()
    bench.place("content_type", f"on request {ORDERS}", text="text/event-stream")
    connection = bench.open()

    assert dict(bench.heads[connection].headers)["Content-Type"] == "text/event-stream"
    assert bench.bodies[connection].startswith(b'{"result":')
    assert bench.receipt().fired == 1


@pytest.mark.parametrize("refused_token", ["error", "status"])
def test_refuse_token_waits_for_a_token(refused_token: str) -> None:
    bench = quiet(refused_token=refused_token)
    bench.place("refuse_token", f"on request {ORDERS}")
    connection = bench.open()
    assert bench.receipt().fired == 0
    token = bench.results(connection)[0]["resumeToken"]

    if refused_token == "status":
        assert bench.refused(resumeToken=token)["code"] == 3
    else:
        refused = bench.open(resumeToken=token)
        assert bench.records(refused)[0]["error"]["code"] == 3

    assert bench.receipt().fired == 1
    bench.open(resumeToken=token)


@pytest.mark.parametrize("kind", ["content_type", "refuse_token", "delta_first", "no_snapshot"])
def test_a_fault_that_could_change_nothing_waits_for_a_stream_that_it_can_change(kind: str) -> None:
    bench = quiet()
    bench.place(kind, "on request *")
    bench.ask("/v1/health", method="GET")
    assert bench.receipt().detail == "no stream was asked for"
    bench.refused("orders", ("Authorization", "Bearer nope"))
    assert (bench.receipt().fired, bench.receipt().detail) == (0, "the request was refused")
    bench.open("drop_copy")
    token = bench.results(bench.open())[-1:] or [{}]

    bench.open(**({"resumeToken": token[0]["resumeToken"]} if kind == "refuse_token" else {}))
    fill(bench, 1)

    assert bench.receipt().fired == 1


# Connections, the service, the clock.


def test_half_open_and_stall_stop_the_socket() -> None:
    bench = quiet()
    bench.place("half_open", "after live 1", connection=1)
    bench.place("stall", "after live 1", connection=2, seconds=3)
    silent, slow = bench.open(), bench.open()

    fill(bench, 2)
    bench.advance(31)

    stalls = [each for each in bench.effects if isinstance(each, Stall)]
    assert stalls == [
        Stall(connection=silent, stalled=True),
        Stall(connection=slow, stalled=True),
        Stall(connection=slow, stalled=False),
    ]
    assert shape(bench, silent) == ["snapshot", "update"]
    assert shape(bench, slow) == ["snapshot", "update", "update", "heartbeat"]


def test_silence_keeps_heartbeats_and_snapshots_but_no_change() -> None:
    bench = quiet()
    bench.place("silence_heartbeat", "on open", seconds=200)
    connection = bench.open()

    bench.advance(190)
    assert shape(bench, connection) == ["snapshot"]
    fill(bench, 1)
    bench.advance(30)

    assert shape(bench, connection) == ["snapshot", "update", "heartbeat"]


@pytest.mark.parametrize("how", ["crash", "notice", "silent"])
def test_a_restart_is_another_session(how: str) -> None:
    bench = quiet()
    bench.place("restart", "after live 1", how=how)
    connection = bench.open()
    token = bench.results(connection)[0]["resumeToken"]

    fill(bench, 1)

    sessions = [each["sessionId"] for each in bench.results(connection)]
    if how == "silent":
        assert connection not in bench.endings
        assert shape(bench, connection) == ["snapshot", "update", "snapshot"]
        assert sessions[0] == sessions[1] != sessions[2]
    else:
        ending = Abort if how == "crash" else CloseConnection
        assert isinstance(bench.endings[connection], ending)
    assert bench.told("restart")[0]["cause"] == how
    assert bench.records(bench.open(resumeToken=token))[0]["error"]["code"] == 3


def test_the_listener_is_shut_and_opens_again() -> None:
    bench = quiet()
    bench.place("refuse", "at 1", seconds=2)
    bench.place("accept_then_close", "at 5")

    bench.advance(10)

    modes = [each.mode for each in bench.effects if isinstance(each, RefuseConnections)]
    assert modes == ["refuse", "accept", "accept_then_close", "accept"]


def test_a_clock_step_shows_in_the_times_of_records() -> None:
    bench = quiet()
    bench.place("clock_step", "at 1", offset_ms=-5000)
    connection = bench.open("market_data", symbols=["demo-aaa"])
    bench.advance(1)

    bench.publish("market_data", symbol="demo-aaa")

    first, second = (each["update"]["transactTime"] for each in bench.results(connection))
    assert second < first


# All of them.


def test_every_kind_is_in_some_test_of_this_module() -> None:
    source = pathlib.Path(__file__).read_text(encoding="utf-8")
    ours = {name for name, kind in KINDS.items() if "polymarket-us" in kind.dialects}

    assert {kind for kind in ours if f'"{kind}"' not in source} == set()


@pytest.mark.parametrize(
    ("kind", "at", "parameters", "trouble"),
    [
        ("close", "after live 1", {"code": 1000}, "close is no fault of polymarket-us"),
        ("reorder", "before live 1", {}, "reorder is no fault of polymarket-us"),
        ("drop", "on subscribe", {}, "polymarket-us has no such position: 'on subscribe'"),
        ("end", "after live 1", {"how": "crash"}, "how must be one of: well, bare"),
        ("restart", "after live 1", {"how": "bare"}, "how must be one of: crash, "),
        ("split", "on open", {}, "it needs a frame"),
        ("split", "inside live 1 byte 2", {}, "only drop, reset, half_open, end go inside"),
        ("garbage", "at 1", {"text": "a", "data_hex": "00"}, "either text or data_hex"),
        ("raw", "at 1", {"violation": "masked"}, "violation must be one of: bad_chunk_size"),
        ("no_snapshot", "on open", {}, "it needs a request"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(
    kind: str, at: str, parameters: dict[str, Any], trouble: str
) -> None:
    with pytest.raises(FaultError, match=trouble):
        quiet().place(kind, at, **parameters)


@pytest.mark.parametrize("name", POLYMARKET_US_PROFILES)
def test_a_profile_runs_and_the_gateway_survives_it(name: str) -> None:
    # Only what has to strike in every place takes so long.
    everywhere = name == "hostile"
    rate = 40.0 if everywhere else 10.0
    bench = Bench(PolymarketUSOptions(rate=rate, streams=500, messages=5000), seed=3)
    for fault in profile(name, "polymarket-us"):
        bench.gateway.place(fault)
    token: str | None = None
    for _ in range(30 if everywhere else 8):
        answer = bench.ask(ORDERS, {} if token is None else {"resumeToken": token})
        bench.ask("/v1/positions/subscribe")
        bench.advance(3)
        if isinstance(answer, int) and (results := bench.results(answer)):
            token = results[-1].get("resumeToken", token)

    assert all(each.fired or not everywhere for each in bench.gateway.receipts()), (
        bench.gateway.receipts()
    )
