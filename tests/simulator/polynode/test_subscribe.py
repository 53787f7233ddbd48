"""Subscribing: answers, presets and filters that are really applied."""

from typing import Any

import pytest
from polynode_play import names, quiet

from lastseen_simulator.polynode.bench import Bench
from lastseen_simulator.polynode.options import PolyNodeOptions

WALLET = "0x" + "AB" * 20
TYPES = (
    "settlement", "trade", "block", "status_update", "position_change", "deposit",
    "position_split", "position_merge", "positions_converted", "redemption", "oracle",
    "weather_report", "combo_execution", "combo_status_update",
)  # fmt: skip


def publish_all(bench: Bench) -> None:
    for event_type in TYPES:
        given: dict[str, Any] = {}
        if event_type == "settlement":
            given = {"taker_size": 5000.0, "taker_price": 0.5}
        elif event_type == "trade":
            given = {"size": 5000.0, "price": 0.5}
        elif event_type.startswith(("combo", "weather")):
            given = {"tx_hash": f"0x{event_type}"}
        bench.publish(event_type, **given)


def error_of(bench: Bench, connection: int) -> dict[str, Any]:
    (error,) = bench.controls(connection, "error")
    return error


# Answers.


def test_a_subscribe_is_answered_by_ack_and_snapshot() -> None:
    bench = quiet()
    bench.publish("settlement", tx_hash="0x1")

    connection = bench.subscribe("settlements")

    ack, snapshot = bench.frames[connection]
    assert ack == {
        "type": "subscribed",
        "subscriber_id": "conn-1",
        "subscription_id": "conn-1:0",
        "subscription_type": "settlements",
        "warnings": [],
    }
    assert (snapshot["type"], snapshot["count"]) == ("snapshot", 1)
    assert snapshot["events"][0]["data"]["tx_hash"] == "0x1"


def test_nothing_but_the_action_is_needed() -> None:
    bench = quiet()
    connection = bench.subscribe()

    publish_all(bench)

    assert bench.controls(connection, "subscribed")[0]["subscription_type"] == "settlements"
    assert {each["type"] for each in bench.events(connection)} == {"settlement", "status_update"}


def test_subscriptions_stack_and_an_event_is_sent_once() -> None:
    bench = quiet()
    connection = bench.subscribe("settlements")
    bench.subscribe("trades", on=connection)
    bench.subscribe("blocks", on=connection)

    publish_all(bench)

    acks = bench.controls(connection, "subscribed")
    assert [ack["subscription_id"] for ack in acks] == ["conn-1:0", "conn-1:1", "conn-1:2"]
    kinds = [each["type"] for each in bench.events(connection)]
    assert kinds == ["settlement", "trade", "block", "status_update"]


def test_unsubscribing_takes_one_or_all() -> None:
    bench = quiet()
    connection = bench.subscribe("settlements")
    bench.subscribe("blocks", on=connection)
    bench.subscribe("deposits", on=connection)

    bench.send(connection, {"action": "unsubscribe", "subscription_id": "conn-1:0"})
    publish_all(bench)
    bench.send(connection, {"action": "unsubscribe"})
    publish_all(bench)

    told = bench.controls(connection, "unsubscribed")
    assert told == [
        {"type": "unsubscribed", "subscriber_id": "conn-1", "subscription_id": "conn-1:0"},
        {"type": "unsubscribed", "subscriber_id": "conn-1"},
    ]
    assert [each["type"] for each in bench.events(connection)] == ["block", "deposit"]
    bench.subscribe("blocks", on=connection)
    assert bench.controls(connection, "subscribed")[-1]["subscription_id"] == "conn-1:3"


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{not json", "invalid_json"),
        (b'{"action":"ping"}', "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ('"\ud800"', "invalid_json"),
        ("[]", "invalid_message"),
        ("null", "invalid_message"),
        ("{}", "invalid_message"),
        ('{"action":"login"}', "invalid_message"),
        ('{"action":"subscribe","type":"weather"}', "invalid_message"),
        ('{"action":"subscribe","type":7}', "invalid_message"),
        ('{"action":"subscribe","filters":[]}', "invalid_message"),
        ('{"action":"subscribe","filters":{"wallets":"0x1"}}', "invalid_message"),
        ('{"action":"subscribe","filters":{"wallets":[1]}}', "invalid_message"),
        ('{"action":"subscribe","filters":{"side":"buy"}}', "invalid_message"),
        ('{"action":"subscribe","filters":{"status":["pending"]}}', "invalid_message"),
        ('{"action":"subscribe","filters":{"min_size":"1"}}', "invalid_message"),
        ('{"action":"subscribe","filters":{"min_size":true}}', "invalid_message"),
        ('{"action":"subscribe","filters":{"since":1.5}}', "invalid_message"),
        ('{"action":"subscribe","filters":{"snapshot_count":-1}}', "invalid_message"),
        ('{"action":"subscribe","filters":{"twap_windows":[45]}}', "invalid_message"),
        ('{"action":"subscribe","filters":{"module_ids":["1"]}}', "invalid_message"),
        ('{"action":"subscribe","filters":{"direction":1}}', "invalid_message"),
        ('{"action":"subscribe","type":"chainlink"}', "invalid_message"),
        ('{"action":"subscribe","filters":{"slugs":["nowhere"]}}', "unresolved_slugs"),
        ('{"action":"subscribe","filters":{"condition_ids":["0x1"]}}', "unresolved_condition_ids"),
        ('{"action":"unsubscribe","subscription_id":"conn-1:9"}', "invalid_message"),
        ('{"action":"unsubscribe","subscription_id":[]}', "invalid_message"),
    ],
)
def test_a_wrong_frame_is_an_error_and_the_socket_stays(frame: str | bytes, code: str) -> None:
    bench = quiet()
    connection = bench.connect()

    bench.send(connection, frame)

    error = error_of(bench, connection)
    assert list(error) == ["type", "code", "message"]
    assert error["code"] == code
    bench.send(connection, {"action": "ping"})
    assert bench.kinds(connection) == ["error", "pong"]


def test_null_is_as_good_as_nothing() -> None:
    bench = quiet()
    connection = bench.connect()

    bench.send(connection, {"action": "subscribe", "type": "blocks", "filters": None})
    bench.send(connection, '{"action":"subscribe","filters":{"wallets":null,"tokens":[]}}')
    publish_all(bench)

    assert bench.controls(connection, "error") == []
    kinds = [each["type"] for each in bench.events(connection)]
    assert kinds == ["settlement", "block", "status_update"]


def test_an_unknown_filter_is_warned_about() -> None:
    bench = quiet()

    connection = bench.subscribe("blocks", colour="red")

    assert bench.controls(connection, "subscribed")[0]["warnings"] == ["unknown filter: colour"]
    (record,) = (each for each in bench.gateway.truth.records if each["kind"] == "subscribe")
    assert record["filters"] == {}


# Presets.


POSITIONS = "position_change position_split position_merge positions_converted redemption"


@pytest.mark.parametrize(
    ("preset", "types"),
    [
        ("settlements", "settlement status_update"),
        ("trades", "settlement trade status_update"),
        ("prices", "settlement trade"),
        ("blocks", "block"),
        ("wallets", f"settlement trade status_update deposit {POSITIONS}"),
        ("markets", f"settlement trade status_update {POSITIONS}"),
        ("large_trades", "settlement trade"),
        ("oracle", "oracle"),
        ("chainlink", "price_feed"),
        ("fills", "event"),
        ("dome", "event"),
        ("combos", "combo_execution combo_status_update"),
        ("redemptions", "redemption"),
        ("redemption", "redemption"),
        ("deposits", "deposit"),
        ("global", " ".join(each for each in TYPES if each not in POSITIONS.split()[1:3])),
    ],
)
def test_a_preset_has_its_types_and_no_others(preset: str, types: str) -> None:
    bench = quiet()
    feeds: dict[str, Any] = {"feeds": ["BTC/USD"]} if preset == "chainlink" else {}
    connection = bench.subscribe(preset, **feeds)

    publish_all(bench)
    bench.publish("price_feed", feed="BTC/USD")

    assert {each["type"] for each in bench.events(connection)} == set(types.split())


def test_event_types_replace_the_preset() -> None:
    bench = quiet()
    connection = bench.subscribe("settlements", event_types=["position_split", "weather_report"])

    publish_all(bench)

    kinds = [each["type"] for each in bench.events(connection)]
    assert kinds == ["position_split", "weather_report"]


def test_large_trades_are_large_unless_told_otherwise() -> None:
    bench = quiet()
    usual, modest = bench.subscribe("large_trades"), bench.subscribe("large_trades", min_size=10)

    for number, size in enumerate((1999.0, 2000.0, 10.0)):
        bench.publish("settlement", tx_hash=f"0x{number}", taker_size=size, taker_price=0.5)

    assert names(bench.events(usual)) == ["0x1"]
    assert names(bench.events(modest)) == ["0x0", "0x1"]


def test_fills_change_the_form_of_settlements_on_their_connection() -> None:
    bench = quiet()
    both = bench.subscribe("settlements")
    bench.subscribe("fills", on=both)

    bench.publish("settlement", tx_hash="0x1", taker_side="BUY")
    bench.publish("status_update", tx_hash="0x1")
    late = bench.subscribe("dome")

    *fills, update = bench.events(both)
    assert update["type"] == "status_update"
    assert fills
    assert fills == bench.snapshot(late)
    for fill in fills:
        assert list(fill) == ["type", "data"]
        data = fill["data"]
        assert (fill["type"], data["event_type"], data["side"]) == ("event", "event", "SELL")
        assert data["shares"] == round(data["shares_normalized"] * 1_000_000)
        assert data["timestamp"] == bench.wall_ms // 1000
        assert data["token_label"] in ("Yes", "No")


def test_prices_are_a_matter_of_the_connection() -> None:
    bench = Bench(PolyNodeOptions(rate=0.001))
    spot = bench.subscribe("chainlink", feeds=["ETH/USD"])
    averaged = bench.subscribe("chainlink", twap_windows=[60, 30])
    bench.subscribe("chainlink", feeds=["BTC/USD"], on=spot)

    bench.advance(5)

    assert error_of(bench, spot)["code"] == "invalid_message"
    acks = [bench.controls(each, "subscribed")[0] for each in (spot, averaged)]
    assert [ack["price_source"] for ack in acks] == ["follow_main", "both"]
    assert [ack["twap_windows"] for ack in acks] == [[], [30, 60]]
    assert "snapshot" not in bench.kinds(spot)
    (price,) = bench.events(spot)
    assert (price["feed"], price["data"]["feed"]) == ("ETH/USD", "ETH/USD")
    assert price["timestamp"] == price["data"]["timestamp"] == bench.wall_ms // 1000
    windows = [each["data"]["twap_window_seconds"] for each in bench.events(averaged)]
    assert windows == [30, 60, 30, 60]


# Filters.


def test_wallets_of_every_role_are_found_whatever_their_case() -> None:
    bench = quiet()
    connection = bench.subscribe("global", wallets=[WALLET.lower(), "0xnobody"])

    bench.publish("settlement", tx_hash="0xtaker", taker_wallet=WALLET)
    bench.publish("settlement", tx_hash="0xother")
    bench.publish("trade", tx_hash="0xmaker", maker=WALLET)
    bench.publish("position_change", tx_hash="0xto", to=WALLET)
    bench.publish("redemption", tx_hash="0xredeemer", redeemer=WALLET)
    bench.publish("status_update", tx_hash="0xtaker")
    bench.publish("status_update", tx_hash="0xother")
    bench.publish("block")

    found = ["0xtaker", "0xmaker", "0xto", "0xredeemer", "0xtaker"]
    assert names(bench.events(connection)) == found


def test_tokens_markets_slugs_and_condition_ids_find_what_is_traded() -> None:
    bench = quiet()
    first, second = bench.gateway.trading.markets.listed[:2]
    by: dict[str, Any] = {
        "tokens": [first.tokens[0]],
        "markets": [first.condition_id.upper(), "other"],
        "slugs": [first.slug],
        "condition_ids": [first.condition_id.upper().replace("0X", "0x")],
    }
    connections = [bench.subscribe("trades", **{name: given}) for name, given in by.items()]
    event_wide = bench.subscribe("trades", slugs=[first.event_slug])

    for number, token in enumerate((first.tokens[0], first.tokens[1], second.tokens[0])):
        bench.publish("settlement", tx_hash=f"0x{number}", taker_token=token)
        bench.publish("status_update", tx_hash=f"0x{number}")

    found = [names(bench.events(each)) for each in connections]
    assert found == [["0x0"] * 2, *[["0x0", "0x0", "0x1", "0x1"]] * 3]
    assert names(bench.events(event_wide)) == ["0x0", "0x0", "0x1", "0x1"]


def test_filters_apply_together() -> None:
    bench = quiet()
    connection = bench.subscribe("settlements", wallets=[WALLET], side="BUY", max_size=100)

    for number, (wallet, side, size) in enumerate([
        (WALLET, "BUY", 50.0), (WALLET, "SELL", 50.0), ("0x1", "BUY", 50.0), (WALLET, "BUY", 5e4),
    ]):  # fmt: skip
        bench.publish(
            "settlement",
            tx_hash=f"0x{number}",
            taker_wallet=wallet,
            taker_side=side,
            taker_size=size,
            taker_price=0.5,
        )

    assert names(bench.events(connection)) == ["0x0"]


def test_a_confirmation_passes_for_the_sake_of_its_settlement() -> None:
    bench = quiet()
    connection = bench.subscribe("settlements", side="BUY", min_size=100)
    for tx_hash, side in (("0xbuy", "BUY"), ("0xsell", "SELL")):
        bench.publish(
            "settlement", tx_hash=tx_hash, taker_side=side, taker_size=500.0, taker_price=0.5
        )

    for tx_hash in ("0xsell", "0xbuy"):
        bench.publish("status_update", tx_hash=tx_hash)
    bench.publish("status_update", tx_hash="0xunheard", confirmed_fills=[])

    assert names(bench.events(connection)) == ["0xbuy", "0xbuy", "0xunheard"]


@pytest.mark.parametrize(
    ("status", "found"),
    [("pending", ["0x1", "0x1"]), ("confirmed", ["0x2", "0x1"]), ("all", ["0x1", "0x2", "0x1"])],
)
def test_the_status_filter_is_about_settlements(status: str, found: list[str]) -> None:
    bench = quiet()
    connection = bench.subscribe("settlements", status=status)

    bench.publish("settlement", tx_hash="0x1")
    bench.publish("settlement", tx_hash="0x2", status="confirmed", block_number=5)
    bench.publish("status_update", tx_hash="0x1")

    assert names(bench.events(connection)) == found


def test_an_event_without_a_side_or_a_size_does_not_pass_a_filter_on_it() -> None:
    bench = quiet()
    sided, sized = bench.subscribe("global", side="BUY"), bench.subscribe("global", min_size=0)

    bench.publish("block")
    bench.publish("deposit")
    bench.publish("trade", tx_hash="0x1", side="BUY")

    assert names(bench.events(sided)) == names(bench.events(sized)) == ["0x1"]


def test_filters_of_combos_compare_the_member_of_their_name() -> None:
    bench = quiet()
    wanted: dict[str, Any] = {
        "combo_condition_ids": ["0xc1"],
        "leg_position_ids": ["p1"],
        "event_ids": ["e1"],
        "module_ids": [3],
        "action": "open",
        "direction": "long",
    }
    members = {
        "combo_condition_id": "0xc1",
        "leg_position_ids": ["p0", "p1"],
        "event_id": "e1",
        "module_id": 3,
        "action": "open",
        "direction": "long",
    }
    connections = [bench.subscribe("combos", **{name: each}) for name, each in wanted.items()]

    bench.publish("combo_execution", **members)
    for name in members:
        bench.publish("combo_execution", **{**members, name: "other"})

    for number, connection in enumerate(connections):
        assert len(bench.events(connection)) == 1 + len(members) - 1, number


# Compression.


def test_a_compressed_connection_has_binary_events_and_text_for_the_rest() -> None:
    bench = quiet()
    plain, compressed = bench.connect(), bench.connect(compress=True)
    for connection in (plain, compressed):
        bench.subscribe("settlements", on=connection)
    bench.publish("settlement", tx_hash="0x1")
    bench.send(compressed, {"action": "ping"})
    bench.subscribe("blocks", on=compressed)
    bench.advance(30)

    assert bench.events(plain) == bench.events(compressed)
    for frame, data in zip(bench.frames[compressed], bench.raw[compressed], strict=True):
        assert isinstance(data, bytes) == (frame["type"] == "settlement")
    assert {"pong", "heartbeat", "snapshot"} <= set(bench.kinds(compressed))
    assert all(isinstance(data, str) for data in bench.raw[plain])
    live = [data for data in bench.raw[compressed] if isinstance(data, bytes)]
    assert live[0][0] & 0x0F != 0x08
