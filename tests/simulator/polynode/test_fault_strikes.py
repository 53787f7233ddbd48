"""Every kind of fault this gateway knows, at its place, with its receipt."""

import pathlib
import zlib
from typing import Any

import msgspec
import pytest
from polynode_play import names, quiet, status_of

from lastseen_simulator.effects import (
    Abort,
    CloseConnection,
    HttpRequest,
    HttpResponse,
    RefuseConnections,
    Stall,
    Transmit,
    TransmitRaw,
)
from lastseen_simulator.faults import KINDS, VIOLATIONS, FaultError
from lastseen_simulator.polynode.bench import Bench
from lastseen_simulator.polynode.options import DEMO_KEY, PolyNodeOptions
from lastseen_simulator.profiles import POLYNODE_PROFILES, profile


def settle(bench: Bench, count: int) -> list[str]:
    hashes = [f"0x{number}" for number in range(1, count + 1)]
    for tx_hash in hashes:
        bench.advance(0.01)
        bench.publish("settlement", tx_hash=tx_hash)
    return hashes


def why(bench: Bench) -> list[str]:
    return [each["why"] for each in bench.gateway.truth.records if each["kind"] == "withheld"]


# Frames.


def test_duplicate_sends_an_event_twice() -> None:
    bench = quiet()
    bench.place("duplicate", "after live 2")
    connection = bench.subscribe("settlements")

    settle(bench, 3)

    assert names(bench.events(connection)) == ["0x1", "0x2", "0x2", "0x3"]
    assert bench.receipt().fired == 1


def test_gap_withholds_an_event_that_snapshots_still_have() -> None:
    bench = quiet()
    bench.place("gap", "before live 1 of status_update")
    connection = bench.subscribe("settlements")
    settle(bench, 2)

    bench.publish("status_update", tx_hash="0x1")
    bench.publish("status_update", tx_hash="0x2")

    assert names(bench.events(connection)) == ["0x1", "0x2", "0x2"]
    assert names(bench.snapshot(bench.subscribe("settlements"))) == ["0x1", "0x2", "0x1", "0x2"]
    assert status_of(bench) == {"0x1": "confirmed", "0x2": "confirmed"}
    assert "withheld status_update" in bench.receipt().detail


def test_reorder_lets_a_confirmation_pass_its_settlement() -> None:
    bench = quiet()
    bench.place("reorder", "before live 1 of settlement")
    connection = bench.subscribe("settlements")

    settle(bench, 1)
    assert bench.events(connection) == []
    bench.publish("status_update", tx_hash="0x1")

    kinds = [each["type"] for each in bench.events(connection)]
    assert kinds == ["status_update", "settlement"]
    assert bench.receipt().fired == 1


def test_drip_slows_an_event_down() -> None:
    bench = quiet()
    bench.place("drip", "before live 1", bytes_per_s=8.0)
    bench.subscribe("settlements")

    settle(bench, 2)

    paces = [each.drip_bytes_per_s for each in bench.effects if isinstance(each, Transmit)]
    assert paces == [None, None, 8.0, None]


@pytest.mark.parametrize("compress", [False, True])
def test_malformed_sends_an_event_cut_in_its_text(compress: bool) -> None:
    bench = quiet()
    bench.place("malformed", "before live 2")
    connection = bench.connect(compress=compress)
    bench.subscribe("settlements", on=connection)

    settle(bench, 3)

    data = bench.raw[connection][3]
    text = data if isinstance(data, str) else zlib.decompress(data, wbits=-15).decode()
    assert text.startswith('{"type":"settlement","timestamp":')
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(text)
    assert isinstance(data, bytes) is compress
    assert names([f for f in bench.events(connection) if "data" in f]) == ["0x1", "0x3"]
    assert why(bench) == ["malformed"]


@pytest.mark.parametrize("compress", [False, True])
def test_zlib_wrapped_has_a_header_and_a_checksum(compress: bool) -> None:
    bench = quiet()
    bench.place("zlib_wrapped", "after live 1")
    connection = bench.connect(compress=compress)
    bench.subscribe("settlements", on=connection)

    settle(bench, 2)

    data = bench.raw[connection][3]
    assert isinstance(data, bytes)
    assert msgspec.json.decode(zlib.decompress(data))["data"]["tx_hash"] == "0x2"
    with pytest.raises(zlib.error):
        zlib.decompress(data, wbits=-15)
    assert bench.receipt().fired == 1


def test_truncated_deflate_ends_in_the_middle_of_the_stream() -> None:
    bench = quiet()
    bench.place("truncated_deflate", "before live 1")
    connection = bench.connect(compress=True)
    bench.subscribe("settlements", on=connection)

    settle(bench, 1)

    data = bench.raw[connection][2]
    assert isinstance(data, bytes)
    unpacker = zlib.decompressobj(wbits=-15)
    unpacker.decompress(data)
    assert not unpacker.eof
    assert "compressed bytes" in bench.receipt().detail


@pytest.mark.parametrize(("given", "size"), [({}, 16 << 20), ({"size_bytes": 300_000}, 300_000)])
def test_a_bomb_is_an_event_with_very_many_blanks(given: dict[str, int], size: int) -> None:
    bench = quiet()
    bench.place("bomb", "before live 1", **given)
    connection = bench.connect(compress=True)
    bench.subscribe("settlements", on=connection)

    settle(bench, 1)

    data = bench.raw[connection][2]
    assert isinstance(data, bytes)
    assert len(data) < size / 100
    text = zlib.decompress(data, wbits=-15)
    assert len(text) == size
    assert msgspec.json.decode(text)["data"]["tx_hash"] == "0x1"
    assert str(size) in bench.receipt().detail


@pytest.mark.parametrize(("kind", "reset"), [("drop", False), ("reset", True)])
def test_a_connection_may_end_inside_a_snapshot(kind: str, reset: bool) -> None:
    bench = quiet()
    bench.place(kind, "inside snapshot byte 40")
    settle(bench, 2)

    connection = bench.subscribe("settlements")

    assert bench.kinds(connection) == ["subscribed"]
    cut = [each for each in bench.effects if isinstance(each, Transmit) and each.cut_at == 40]
    assert len(cut) == 1
    assert bench.endings[connection] == Abort(connection=connection, reset=reset)


def test_half_open_falls_silent_and_keeps_the_socket() -> None:
    bench = quiet()
    bench.place("half_open", "after live 1")
    connection = bench.subscribe("settlements")

    settle(bench, 3)
    bench.send(connection, {"action": "ping"})

    assert names(bench.events(connection)) == ["0x1"]
    assert Stall(connection=connection, stalled=True) in bench.effects
    (view,) = bench.gateway.connections()
    assert view.half_open
    bench.deaf.add(connection)
    bench.advance(90)
    assert bench.endings[connection] == Abort(connection=connection, reset=False)


def test_stall_stops_a_connection_for_a_while() -> None:
    bench = quiet()
    bench.place("stall", "after subscribed", seconds=3)
    connection = bench.subscribe("settlements")

    bench.advance(3)

    stalls = [each for each in bench.effects if isinstance(each, Stall)]
    assert [each.stalled for each in stalls] == [True, False]
    assert connection not in bench.endings


@pytest.mark.parametrize("code", [4401, 4429, 1001, 1011, 1013])
def test_close_takes_any_code(code: int) -> None:
    bench = quiet()
    bench.place("close", "after snapshot", code=code, reason="so")

    connection = bench.subscribe("settlements")

    ending = CloseConnection(connection=connection, code=code, reason="so")
    assert bench.endings == {connection: ending}


def test_send_oversize_and_raw_put_anything_on_the_wire() -> None:
    bench = quiet()
    bench.place("send", "after snapshot", text='{"type":"settlement","data":7}')
    bench.place("send", "after snapshot", data_hex="0300")
    bench.place("oversize", "after snapshot", size_bytes=5000)
    bench.place("raw", "after snapshot", violation="masked")

    connection = bench.subscribe("settlements")

    _, _, text, data, large = bench.raw[connection]
    assert text == '{"type":"settlement","data":7}'
    assert data == b"\x03\x00"
    assert len(large) == 5000
    assert bench.effects[-1] == TransmitRaw(connection=connection, data=VIOLATIONS["masked"])
    assert [each.fired for each in bench.gateway.receipts()] == [1, 1, 1, 1]


# Subscribes.


def test_no_ack_lets_a_subscribe_come_to_nothing() -> None:
    bench = quiet()
    bench.place("no_ack", "on subscribe 2")
    connection = bench.subscribe("settlements")

    bench.subscribe("blocks", on=connection)
    bench.publish("block")
    bench.subscribe("blocks", on=connection)
    bench.publish("block")

    acks = bench.controls(connection, "subscribed")
    assert [each["subscription_id"] for each in acks] == ["conn-1:0", "conn-1:1"]
    assert len(bench.events(connection)) == 1
    verdicts = [r["verdict"] for r in bench.gateway.truth.records if r["kind"] == "subscribe"]
    assert verdicts == ["subscribed", "unanswered", "subscribed"]
    assert bench.receipt().fired == 1


def test_double_ack_answers_twice() -> None:
    bench = quiet()
    bench.place("double_ack", "on subscribe", connection=2)

    once, twice = bench.subscribe("settlements"), bench.subscribe("settlements")

    assert bench.kinds(once) == ["subscribed", "snapshot"]
    assert bench.kinds(twice) == ["subscribed", "subscribed", "snapshot"]
    assert bench.frames[twice][0] == bench.frames[twice][1]


def test_a_fault_of_a_subscribe_that_is_refused_has_not_fired() -> None:
    bench = quiet()
    bench.place("double_ack", "on subscribe")

    connection = bench.subscribe("weather")

    assert bench.kinds(connection) == ["error"]
    assert (bench.receipt().fired, bench.receipt().detail) == (0, "the subscribe was refused")


@pytest.mark.parametrize(
    ("order", "kinds"),
    [
        ("ack_first", ["subscribed", "snapshot", "settlement"]),
        ("snapshot_first", ["snapshot", "subscribed", "settlement"]),
        ("live_first", ["settlement", "subscribed", "snapshot"]),
    ],
)
def test_order_chooses_what_comes_first_for_one_subscribe(order: str, kinds: list[str]) -> None:
    bench = quiet()
    bench.place("order", "on subscribe", connection=1, order=order)

    connection, other = bench.subscribe("settlements"), bench.subscribe("settlements")
    settle(bench, 1)

    assert bench.kinds(connection) == kinds
    assert bench.kinds(other) == ["subscribed", "snapshot", "settlement"]
    assert bench.receipt().fired == 1


def test_every_second_subscribe_can_be_meant() -> None:
    bench = quiet()
    bench.place("drop", "every 2 subscribes", times=0)
    first = bench.subscribe("settlements")
    bench.subscribe("blocks", on=first)

    assert bench.kinds(first) == ["subscribed", "snapshot"]
    assert bench.endings == {first: Abort(connection=first, reset=False)}


# Confirmations.


def test_lose_confirmation_keeps_one_from_everybody_for_ever() -> None:
    bench = quiet()
    bench.place("lose_confirmation", "after entry 1")
    connection = bench.subscribe("settlements")
    settle(bench, 2)
    assert bench.receipt().detail == "no status_update came"

    bench.publish("status_update", tx_hash="0x1")
    bench.publish("status_update", tx_hash="0x2")

    assert names(bench.events(connection)) == ["0x1", "0x2", "0x2"]
    assert names(bench.snapshot(bench.subscribe("settlements"))) == ["0x1", "0x2", "0x2"]
    items = bench.gateway.truth.state(types=["settlement"]).values()
    assert [each["state"] for each in items] == ["pending", "confirmed"]
    assert all(each["mined"] for each in items)
    lost = bench.gateway.truth.entries()[2]
    assert (lost["live"], lost["kept"]) == (False, False)
    assert "kept back status_update/0x1/" in bench.receipt().detail


def test_a_confirmation_may_be_in_snapshots_only() -> None:
    bench = quiet()
    bench.place("confirmation_in_snapshot_only", "after live 1", times=0)
    connection = bench.subscribe("settlements")
    settle(bench, 1)

    bench.publish("status_update", tx_hash="0x1")
    bench.publish("status_update", tx_hash="0xother")

    assert names(bench.events(connection)) == ["0x1", "0xother"]
    assert names(bench.snapshot(bench.subscribe("settlements"))) == ["0x1", "0x1", "0xother"]
    assert status_of(bench) == {"0x1": "confirmed"}
    assert bench.receipt().fired == 1


# Time and the service as a whole.


def test_silence_heartbeat_stops_heartbeats_and_pings_for_a_while() -> None:
    bench = quiet()
    bench.place("silence_heartbeat", "on open", connection=1, seconds=50)
    silent, other = bench.connect(), bench.connect()
    bench.deaf.add(silent)

    bench.advance(60)
    bench.pong(silent)
    assert (bench.kinds(silent), bench.pings[silent]) == (["heartbeat"], 1)
    bench.advance(30)

    assert len(bench.kinds(silent)) == 2
    assert len(bench.kinds(other)) == bench.pings[other] == 3
    assert bench.receipt().detail == "connection 1: no heartbeat for 50 s"


def test_clock_step_moves_the_wall_clock() -> None:
    bench = quiet()
    bench.place("clock_step", "after entry 1", offset_ms=-5000)
    connection = bench.subscribe("settlements")

    settle(bench, 2)

    first, second = (each["timestamp"] for each in bench.events(connection))
    assert second - first == 10 - 5000


@pytest.mark.parametrize(
    ("how", "ending"),
    [
        ("crash", Abort(connection=1, reset=False)),
        ("notice", CloseConnection(connection=1, code=1012, reason="restart")),
        ("silent", None),
    ],
)
def test_restart_forgets_the_past(how: str, ending: Any) -> None:
    bench = quiet()
    bench.place("restart", "after entry 2", how=how)
    connection = bench.subscribe("settlements")

    settle(bench, 2)

    assert bench.endings.get(connection) == ending
    assert bench.snapshot(bench.subscribe("settlements")) == []
    assert bench.receipt().fired == 1


@pytest.mark.parametrize("kind", ["refuse", "accept_then_close"])
def test_the_listener_is_switched_for_a_while(kind: str) -> None:
    bench = quiet()
    bench.place(kind, "at 1", seconds=2)

    bench.advance(4)

    modes = [each.mode for each in bench.effects if isinstance(each, RefuseConnections)]
    assert modes == [kind, "accept"]


# Upgrades.


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_status_refuses_an_upgrade(status: int) -> None:
    bench = quiet()
    bench.place("status", "on request /ws 2", status=status, retry_after_s=7)
    bench.connect()

    refusal = bench.upgrade(("key", DEMO_KEY))
    third = bench.connect()

    assert isinstance(refusal, HttpResponse)
    assert refusal.status == status
    text = msgspec.json.decode(refusal.body)["error"]
    assert (str(bench.wall_ms // 1000 + 7) in text) is (status == 429)
    assert bench.receipt().detail == f"/ws: answered {status}"
    assert bench.subscribe(on=third)
    assert bench.controls(third, "subscribed")[0]["subscriber_id"] == "conn-2"


def test_status_has_a_text_of_its_own_when_given() -> None:
    bench = quiet()
    bench.place("status", "on request *", status=429, message="come back at 1790000099 please")

    response = bench.request(HttpRequest(method="GET", path="/"))

    assert msgspec.json.decode(response.body) == {"error": "come back at 1790000099 please"}


def test_an_upgrade_may_be_answered_by_something_else_or_not_at_all() -> None:
    bench = quiet()
    bench.place("html", "on request /ws 1")
    bench.place("stall", "on request /ws 2")
    bench.place("drop", "on request /ws 3")

    page, nothing = bench.upgrade(("key", DEMO_KEY)), bench.upgrade(("key", DEMO_KEY))
    third = bench.connect()

    assert isinstance(page, HttpResponse)
    assert page.body.startswith(b"<!doctype html>")
    assert isinstance(nothing, HttpResponse)
    assert nothing.silent
    assert third not in bench.endings
    assert [each.fired for each in bench.gateway.receipts()] == [1, 1, 0]


# All of them.


def test_every_kind_is_in_some_test_of_this_module() -> None:
    source = pathlib.Path(__file__).read_text(encoding="utf-8")
    ours = {name for name, kind in KINDS.items() if "polynode" in kind.dialects}

    assert {kind for kind in ours if f'"{kind}"' not in source} == set()


@pytest.mark.parametrize(
    ("kind", "at", "parameters", "trouble"),
    [
        ("snapshot_required", "after live 1", {}, "snapshot_required is no fault of polynode"),
        ("drop", "after login_ok", {}, "polynode has no such position: 'after login_ok'"),
        ("drop", "on login", {}, "polynode has no such position"),
        ("drop", "before replayed 1", {}, "polynode has no such position"),
        ("gap", "before live 1", {"loss": "lost"}, "gap takes no loss on polynode"),
        ("no_ack", "on open", {}, "it needs on subscribe"),
        ("order", "on subscribe", {"order": "never"}, "order must be one of: ack_first, "),
        ("order", "on subscribe", {}, "order needs order"),
        ("zlib_wrapped", "after snapshot", {}, "it needs a data, replayed or live frame"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(
    kind: str, at: str, parameters: dict[str, Any], trouble: str
) -> None:
    bench = quiet()

    with pytest.raises(FaultError, match=trouble):
        bench.place(kind, at, **parameters)

    assert bench.gateway.receipts() == ()


@pytest.mark.parametrize("name", POLYNODE_PROFILES)
def test_a_profile_runs_and_the_gateway_survives_it(name: str) -> None:
    bench = Bench(PolyNodeOptions(rate=10), seed=3)
    for fault in profile(name, "polynode"):
        bench.gateway.place(fault)
    for number in range(25):
        compressed = (("compress", "zlib"),) if number % 2 else ()
        connection = bench.upgrade(("key", DEMO_KEY), *compressed)
        if isinstance(connection, int):
            bench.subscribe("settlements", on=connection, snapshot_count=20)
            bench.leave(connection - 4)
        bench.advance(3)

    unfired = [each for each in bench.gateway.receipts() if not each.fired]
    assert unfired == []
