"""The market: what is traded, what confirms it, and what can be scripted."""

import random
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polynode_play import busy, fates, names, quiet

from lastseen_simulator.polynode.bench import WALL_MS, Bench
from lastseen_simulator.polynode.core import PolyNodeGateway
from lastseen_simulator.polynode.makers import MADE_TYPES
from lastseen_simulator.polynode.options import DEMO_KEY, PolyNodeOptions
from lastseen_simulator.profiles import POLYNODE_PROFILES, profile

WILD = PolyNodeOptions(
    rate=8.0,
    never=0.1,
    late=0.1,
    first=0.1,
    born_confirmed=0.1,
    duplicated=0.1,
    amended=0.1,
    settlements_per_tx=3,
    extras=0.5,
    unknown=0.2,
)


def a_run(seed: int) -> tuple[list[Any], str]:
    bench = Bench(WILD, seed=seed)
    for name in POLYNODE_PROFILES:
        for fault in profile(name, "polynode"):
            bench.gateway.place(fault)
    for number in range(6):
        compressed = (("compress", "zlib"),) if number % 2 else ()
        connection = bench.upgrade(("key", DEMO_KEY), *compressed)
        preset = ("global", "settlements", "fills", "wallets")[number % 4]
        if isinstance(connection, int):
            bench.subscribe(preset, on=connection, snapshot_count=20)
        bench.advance(3)
    return bench.effects, bench.gateway.truth.to_jsonl()


def test_the_same_seed_gives_the_same_run_byte_for_byte() -> None:
    first, second, other = a_run(7), a_run(7), a_run(8)

    assert first == second
    assert first[1] != other[1]


def test_a_settlement_looks_like_one() -> None:
    bench, connection = busy(10)

    for frame in bench.events(connection, "settlement"):
        data = frame["data"]
        assert list(frame) == ["type", "timestamp", "data"]
        assert data["event_type"] == "settlement"
        assert (data["status"], data["block_number"]) == ("pending", None)
        assert len(data["tx_hash"]) == 66
        assert 1 <= len(data["taker_token"]) <= 78
        assert data["taker_token"].isdecimal()
        assert data["taker_side"] in ("BUY", "SELL")
        assert 0 < data["taker_price"] < 1
        assert 20 <= frame["timestamp"] - data["detected_at"] <= 120
        assert round(sum(row["size"] for row in data["trades"]), 2) == data["taker_size"]
        for row in data["trades"]:
            assert row["taker"] == data["taker_wallet"] != row["maker"]
            assert row["side"] != data["taker_side"]
            amounts = sorted((int(row["maker_amount"]), int(row["taker_amount"])))
            assert amounts[1] == round(row["size"] * 1_000_000)


def test_a_confirmation_follows_in_two_to_five_seconds() -> None:
    bench, connection = busy(60)

    told = fates(bench, connection)

    confirmed = [each for each in told.values() if len(each) == 2]
    assert len(confirmed) > 300
    for (first, status, began), (second, _, ended) in confirmed:
        assert (first, status, second) == ("settlement", "pending", "status_update")
        assert 2.0 <= ended - began <= 5.01
    for frame in bench.events(connection, "status_update"):
        data = frame["data"]
        assert data["confirmed_at"] % 1000 == 0
        assert data["latency_ms"] == data["confirmed_at"] - data["pending_detected_at"] > 0
        assert sum(fill["fee"] for fill in data["confirmed_fills"]) > 0


def test_a_block_comes_after_its_events_in_the_order_of_their_log_index() -> None:
    bench, connection = busy(30, extras=1.0)

    places: list[tuple[int, int]] = []
    for frame in bench.events(connection):
        if "log_index" in frame["data"]:
            places.append((frame["data"]["block_number"], frame["data"]["log_index"]))
        elif frame["type"] == "block":
            places.append((frame["data"]["block_number"], 1 << 30))

    assert places == sorted(set(places))
    blocks = [each["data"] for each in bench.events(connection, "block")]
    numbers = [each["block_number"] for each in blocks]
    assert numbers == list(range(numbers[0], numbers[0] + 15))
    assert sum(each["settlement_count"] for each in blocks) == len(
        bench.events(connection, "status_update")
    )


def test_a_paused_market_rests_and_its_chain_too() -> None:
    bench, connection = busy(3)
    bench.gateway.pause(now=bench.now)
    told = len(bench.events(connection))
    bench.advance(60)
    assert len(bench.events(connection)) == told
    bench.publish("deposit")
    assert len(bench.events(connection)) == told + 1

    bench.gateway.resume(now=bench.now)
    bench.gateway.resume(now=bench.now)
    bench.advance(5)

    assert told + 20 < len(bench.events(connection)) < told + 250


def test_a_driver_that_was_away_for_long_is_not_drowned() -> None:
    bench = Bench(PolyNodeOptions(rate=10.0))

    bench.gateway.handle_deadline(now=36_000.0)

    assert bench.gateway.truth.written < 10_000
    deadline = bench.gateway.poll_deadline()
    assert deadline is not None
    assert 36_000 < deadline[0] < 36_003


def test_an_early_or_repeated_deadline_does_nothing() -> None:
    bench = Bench()
    written = bench.gateway.truth.written
    deadline = bench.gateway.poll_deadline()
    assert deadline is not None

    bench.gateway.handle_deadline(now=deadline[0] - 0.001)
    bench.gateway.handle_deadline(now=deadline[0] - 0.001)

    assert bench.gateway.truth.written == written
    assert bench.gateway.poll_deadline() == deadline


def test_a_gateway_wants_to_be_woken_before_anything_has_happened() -> None:
    gateway = PolyNodeGateway(PolyNodeOptions(), rng=random.Random(1), wall_ms_at_zero=WALL_MS)

    assert gateway.poll_deadline() == (0.0, "opening")


# Scripted events.


@pytest.mark.parametrize("event_type", MADE_TYPES)
def test_every_known_type_can_be_made_from_nothing(event_type: str) -> None:
    bench = quiet()
    connection = bench.subscribe("global", event_types=[event_type])

    entry_id = bench.publish(event_type)

    (frame,) = bench.events(connection)
    assert frame["type"] == event_type
    assert entry_id.startswith(f"{event_type}/")
    if event_type != "price_feed":
        assert frame["data"]["event_type"] == event_type


def test_a_type_nobody_knows_needs_a_payload() -> None:
    bench = quiet()
    connection = bench.subscribe("global")

    with pytest.raises(ValueError, match="weather_report needs a payload"):
        bench.publish("weather_report")
    first, second = (bench.publish("weather_report", level=level) for level in (1, 1))

    assert first != second
    assert bench.events(connection)[0]["data"] == {"event_type": "weather_report", "level": 1}


def test_given_members_stand_and_the_others_fit() -> None:
    bench = quiet()
    connection = bench.subscribe("settlements")
    token = bench.gateway.trading.markets.listed[0].tokens[1]

    bench.publish(
        "settlement",
        tx_hash="0x1",
        taker_token=token,
        taker_side="SELL",
        taker_size=10,
        taker_price=0.25,
        tick_size=0.5,
        mood="fine",
    )
    bench.publish("status_update", tx_hash="0x1")

    settlement, update = (each["data"] for each in bench.events(connection))
    assert (settlement["mood"], settlement["tick_size"], settlement["outcome"]) == (
        "fine",
        0.5,
        "No",
    )
    assert {row["side"] for row in settlement["trades"]} == {"BUY"}
    assert {row["token_id"] for row in settlement["trades"]} == {token}
    assert round(sum(row["size"] for row in settlement["trades"]), 2) == 10
    assert (update["tx_hash"], update["token_id"]) == ("0x1", token)
    assert update["pending_detected_at"] == settlement["detected_at"]
    assert [fill["maker"] for fill in update["confirmed_fills"]] == [
        row["maker"] for row in settlement["trades"]
    ]


def test_what_is_scripted_may_come_again_although_nothing_is_traded() -> None:
    bench = quiet(duplicated=1.0)
    connection = bench.subscribe("settlements")
    bench.publish("settlement", tx_hash="0x1")
    bench.gateway.pause(now=bench.now)
    bench.advance(10)
    assert names(bench.events(connection)) == ["0x1"]

    bench.gateway.resume(now=bench.now)
    bench.advance(10)

    first, second = bench.events(connection)
    assert first["data"] == second["data"]
    assert second["timestamp"] == first["timestamp"] + 10_000


def test_a_status_update_without_a_hash_is_about_what_waits_longest() -> None:
    bench = quiet()
    connection = bench.subscribe("settlements", event_types=["status_update"])
    for tx_hash in ("0x1", "0x2"):
        bench.publish("settlement", tx_hash=tx_hash)

    for _ in range(3):
        bench.publish("status_update")

    first, second, orphan = names(bench.events(connection))
    assert [first, second] == ["0x1", "0x2"]
    assert orphan not in ("0x1", "0x2")


def test_several_settlements_of_a_transaction_are_confirmed_one_by_one_or_together() -> None:
    bench = quiet()
    tokens = [each.tokens[0] for each in bench.gateway.trading.markets.listed[:3]]
    connection = bench.subscribe("settlements", event_types=["status_update"])
    for token in tokens:
        bench.publish("settlement", tx_hash="0x1", taker_token=token)

    bench.publish("status_update", tx_hash="0x1", token_id=tokens[1])
    bench.publish("status_update", tx_hash="0x1", token_id="another")

    exact, whole = (each["data"] for each in bench.events(connection))
    assert {fill["token_id"] for fill in exact["confirmed_fills"]} == {tokens[1]}
    assert {fill["token_id"] for fill in whole["confirmed_fills"]} == {tokens[0], tokens[2]}
    assert whole["token_id"] == "another"


@pytest.mark.parametrize(
    "members",
    [
        {"tx_hash": 7},
        {"taker_wallet": None},
        {"taker_size": "many"},
        {"taker_price": True},
        {"detected_at": 1.5},
        {"taker_size": 10**18},
    ],
)
def test_what_nothing_can_be_built_around_is_refused(members: dict[str, Any]) -> None:
    bench = quiet()

    with pytest.raises(ValueError, match=f"{next(iter(members))} must be a"):
        bench.publish("settlement", **members)


@pytest.mark.parametrize(
    "payload",
    [{"size": object()}, {"size": "\ud800"}, {object(): 1}],
    ids=["object", "surrogate", "name"],
)
def test_what_is_no_json_is_refused(payload: dict[Any, Any]) -> None:
    bench = quiet()

    with pytest.raises(ValueError, match="the payload is no JSON"):
        bench.gateway.publish("trade", payload, now=0.0)
    with pytest.raises(ValueError, match="no type of an event: 'snapshot'"):
        bench.gateway.publish("snapshot", {"events": []}, now=0.0)
    with pytest.raises(ValueError, match="no type of an event"):
        bench.gateway.publish("\ud800", {"level": 1}, now=0.0)
    assert bench.gateway.truth.records == ()


def test_a_payload_that_changes_later_changes_nothing() -> None:
    bench = quiet()
    payload = {"tx_hash": "0x1", "tags": ["a"]}

    bench.gateway.publish("settlement", payload, now=0.0)
    payload["tags"].append("b")  # type: ignore[attr-defined]

    (event,) = bench.snapshot(bench.subscribe("settlements"))
    assert event["data"]["tags"] == ["a"]


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(deadline=None)
@given(
    event_type=st.sampled_from(MADE_TYPES),
    members=st.dictionaries(
        st.sampled_from([
            "tx_hash", "token_id", "trades", "confirmed_fills", "taker_size", "size", "price",
            "taker_token", "maker_wallets", "side", "status", "log_index", "event_id", "block_hash",
            "confirmed_at", "event_type",
        ]),
        ODD,
        max_size=4,
    ),
)  # fmt: skip
def test_any_payload_is_published_or_refused_and_the_market_goes_on(
    event_type: str, members: dict[str, Any]
) -> None:
    bench = Bench(PolyNodeOptions(rate=2.0))
    everything = [bench.subscribe(preset) for preset in ("global", "fills", "wallets")]
    bench.subscribe("global", side="BUY", min_size=5, wallets=["0x1"], slugs=["rain-day-1"])

    with suppress(ValueError):
        bench.gateway.publish(event_type, members, now=bench.now)
    bench.advance(8)
    bench.subscribe("global", snapshot_count=100)

    assert all(each not in bench.endings for each in everything)
    assert msgspec.json.decode(bench.gateway.truth.to_jsonl().splitlines()[-1])
    bench.gateway.truth.state()
