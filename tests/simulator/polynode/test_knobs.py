"""Each knob has a test in which it alone explains the outcome: `test_<knob>_decides_…`."""

import ast
import re
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
from polynode_play import busy, fates, names, outcomes, quiet, status_of

import list_knobs
from lastseen_simulator.command._knobs import WIDTH, knob_lines
from lastseen_simulator.effects import Abort, HttpResponse
from lastseen_simulator.faults import KINDS
from lastseen_simulator.knobs import KnobError, knobs_in, parse_knobs
from lastseen_simulator.polynode.bench import Bench
from lastseen_simulator.polynode.options import DEMO_KEY, PolyNodeOptions

PAGE = list_knobs.POLYNODE_PAGE.read_text(encoding="utf-8")
KNOBS = {each.name: each for each in knobs_in(PolyNodeOptions)}
SOURCE = Path(__file__).read_text(encoding="utf-8")


def ran(bench: Bench) -> tuple[Bench, int]:
    """Lets a market run for half a minute in front of somebody who hears everything."""
    connection = bench.subscribe("global")
    bench.advance(30)
    return bench, connection


def count(bench: Bench, event_type: str | None = None) -> int:
    return sum(each["channel"] == event_type for each in bench.gateway.truth.entries())


# The market.


def test_rate_decides_how_much_is_traded() -> None:
    counts = outcomes(lambda bench: count(ran(bench)[0], "settlement"), "rate", 4.0, 40.0)

    assert counts[0.0] == 0
    assert 90 < counts[4.0] < 150
    assert 900 < counts[40.0] < 1500


def test_markets_decides_how_many_there_are() -> None:
    def play(bench: Bench) -> int:
        ran(bench)
        entries = bench.gateway.truth.entries()
        return len({each["payload"].get("condition_id") for each in entries} - {None})

    found = outcomes(play, "markets", 2, 12, rate=8.0)

    assert found == {5: 5, 2: 2, 12: 12}


def test_wallets_decides_how_many_trade() -> None:
    def play(bench: Bench) -> int:
        ran(bench)
        entries = bench.gateway.truth.entries()
        return len({each["payload"].get("taker_wallet") for each in entries} - {None})

    found = outcomes(play, "wallets", 1, 3, rate=8.0)

    assert found == {24: 24, 1: 1, 3: 3}


def test_block_s_decides_how_often_there_is_a_block() -> None:
    assert outcomes(lambda bench: count(ran(bench)[0], "block"), "block_s", 1.0, 5.0, rate=1.0) == {
        2.0: 15, 1.0: 30, 5.0: 6,
    }  # fmt: skip


def test_price_feed_s_decides_how_often_there_are_prices() -> None:
    found = outcomes(
        lambda bench: count(ran(bench)[0], "price_feed"), "price_feed_s", 0.0, 10.0, rate=1.0
    )

    assert found == {5.0: 36, 0.0: 0, 10.0: 18}


def test_extras_decides_how_often_a_block_has_something_else() -> None:
    def play(bench: Bench) -> int:
        ran(bench)
        return sum(count(bench, each) for each in ("deposit", "oracle", "position_split"))

    found = outcomes(play, "extras", 0.0, 1.0, rate=20.0)

    assert found[0.0] == 0
    assert 0 < found[0.15] < found[1.0]


def test_unknown_decides_how_often_there_is_a_type_nobody_knows() -> None:
    found = outcomes(
        lambda bench: count(ran(bench)[0], "weather_report"), "unknown", 0.0, 1.0, rate=20.0
    )

    assert found[0.0] == 0
    assert 0 < found[0.02] < found[1.0] / 10


# What becomes of settlements.


def waits(bench: Bench) -> list[float]:
    """From each settlement to what confirmed it, in seconds."""
    told = fates(*ran(bench)).values()
    return [second[2] - first[2] for first, second in (t[:2] for t in told if len(t) > 1)]


def test_confirm_min_s_decides_how_soon_a_confirmation_may_come() -> None:
    soonest = outcomes(lambda bench: min(waits(bench)), "confirm_min_s", 0.0, 4.5, rate=8.0)

    assert soonest[0.0] < 0.5
    assert 2.0 <= soonest[2.0] < 2.5
    assert soonest[4.5] >= 4.5


def test_confirm_max_s_decides_how_late_it_usually_is() -> None:
    latest = outcomes(lambda bench: max(waits(bench)), "confirm_max_s", 2.0, 12.0, rate=8.0)

    assert 4.5 < latest[5.0] <= 5.01
    assert latest[2.0] <= 4.01
    assert 8 < latest[12.0] <= 12.01


def test_never_decides_how_many_are_never_confirmed() -> None:
    def play(bench: Bench) -> float:
        ran(bench)
        bench.advance(10)
        states = list(status_of(bench).values())[:200]
        return states.count("pending") / len(states)

    found = outcomes(play, "never", 0.5, 1.0, rate=8.0)

    assert found[0.0] == 0
    assert 0.35 < found[0.5] < 0.65
    assert found[1.0] == 1


def test_late_decides_how_many_are_confirmed_late() -> None:
    found = outcomes(
        lambda bench: sum(each > 6 for each in waits(bench)), "late", 0.5, rate=8.0, late_s=10.0
    )

    assert found[0.0] == 0
    assert found[0.5] > 20


def test_late_s_decides_how_much_later_that_is() -> None:
    found = outcomes(lambda bench: min(waits(bench)), "late_s", 0.0, 8.0, rate=8.0, late=1.0)

    assert found[20.0] >= 22
    assert 2 <= found[0.0] < 3
    assert 10 <= found[8.0] < 11


def test_first_decides_how_many_confirmations_come_before_their_settlement() -> None:
    def play(bench: Bench) -> float:
        told = [each for each in fates(*ran(bench)).values() if len(each) > 1]
        return sum(each[0][0] == "status_update" for each in told) / len(told)

    found = outcomes(play, "first", 0.5, 1.0, rate=8.0)

    assert found[0.0] == 0
    assert 0.3 < found[0.5] < 0.7
    assert found[1.0] == 1


def test_born_confirmed_decides_how_many_are_never_pending() -> None:
    def play(bench: Bench) -> tuple[set[str], bool]:
        bench, connection = ran(bench)
        settled = [each["data"] for each in bench.events(connection, "settlement")]
        placed = {each["block_number"] is not None for each in settled}
        updated = bool(bench.events(connection, "status_update"))
        return {each["status"] for each in settled if placed}, updated

    found = outcomes(play, "born_confirmed", 1.0, rate=8.0)

    assert found == {0.0: ({"pending"}, True), 1.0: ({"confirmed"}, False)}


def test_duplicated_decides_how_many_come_twice() -> None:
    def play(bench: Bench) -> tuple[int, int]:
        bench, connection = ran(bench)
        texts = [t for t, f in zip(bench.raw[connection], bench.frames[connection], strict=True)
                 if f["type"] in ("settlement", "status_update")]  # fmt: skip
        bodies = [msgspec.json.encode(msgspec.json.decode(t)["data"]) for t in texts]
        return len(bodies) - len(set(bodies)), len(bodies)

    found = outcomes(play, "duplicated", 0.5, rate=8.0)

    assert found[0.0][0] == 0
    assert 0.2 < found[0.5][0] / found[0.5][1] < 0.45


def test_amended_decides_how_many_settlements_come_again_with_another_body() -> None:
    def play(bench: Bench) -> int:
        bench, connection = ran(bench)
        images = [each["data"]["market_image"] for each in bench.events(connection, "settlement")]
        return sum(each is not None for each in images)

    found = outcomes(play, "amended", 0.5, rate=8.0)

    assert found[0.0] == 0
    assert 80 < found[0.5] < 160


def test_settlements_per_tx_decides_how_many_a_transaction_may_have() -> None:
    def play(bench: Bench) -> set[int]:
        ran(bench)
        items = bench.gateway.truth.state(types=["settlement"]).values()
        hashes = [each["tx_hash"] for each in items]
        return {hashes.count(each) for each in hashes}

    found = outcomes(play, "settlements_per_tx", 3, rate=4.0)

    assert found == {1: {1}, 3: {1, 2, 3}}


def test_update_token_decides_which_token_a_confirmation_names() -> None:
    def play(bench: Bench) -> tuple[bool, str]:
        market = bench.gateway.trading.markets.listed[0]
        bench.publish("settlement", tx_hash="0x1", taker_token=market.tokens[0])
        entry_id = bench.publish("status_update", tx_hash="0x1")
        return entry_id.endswith(market.tokens[0]), status_of(bench)["0x1"]

    found = outcomes(play, "update_token", "maker")

    assert found == {"taker": (True, "confirmed"), "maker": (False, "confirmed")}


def test_block_order_decides_whether_a_block_is_in_order() -> None:
    def play(bench: Bench) -> bool:
        bench, connection = ran(bench)
        blocks = [
            (each["data"]["block_number"], each["data"].get("log_index", 1 << 30))
            for each in bench.events(connection)
            if each["type"] in ("trade", "block")
        ]
        return blocks == sorted(blocks)

    assert outcomes(play, "block_order", "shuffled", rate=8.0) == {
        "log_index": True,
        "shuffled": False,
    }


@pytest.mark.parametrize("knob", ["never", "late", "duplicated", "extras", "unknown"])
def test_turning_one_fate_changes_which_settlements_there_are_in_no_way(knob: str) -> None:
    plain, _ = busy(20)
    turned: dict[str, Any] = {knob: 0.6}
    fated, _ = busy(20, **turned)

    def items(bench: Bench) -> list[str]:
        return list(bench.gateway.truth.state(types=["settlement"]))

    assert items(plain) == items(fated)
    assert plain.gateway.truth.to_jsonl() != fated.gateway.truth.to_jsonl()


# Upgrades and plans.


def test_plan_decides_what_a_key_without_one_may_have() -> None:
    def play(bench: Bench) -> int:
        opened = [bench.upgrade(("key", DEMO_KEY)) for _ in range(60)]
        return sum(isinstance(each, int) for each in opened)

    found = outcomes(play, "plan", "free", "starter", "enterprise")

    assert found == {"growth": 50, "free": 1, "starter": 10, "enterprise": 60}


def test_snapshot_count_max_decides_how_many_may_be_asked_for() -> None:
    def play(bench: Bench) -> tuple[int, list[str]]:
        for _ in range(30):
            bench.publish("block")
        connection = bench.subscribe("blocks", snapshot_count=25)
        return len(bench.snapshot(connection)), bench.frames[connection][0]["warnings"]

    found = outcomes(play, "snapshot_count_max", 7, 0)

    limits: dict[Any, Any] = {
        7: (7, ["snapshot_count is limited to 7"]),
        0: (0, ["snapshot_count is limited to 0"]),
    }
    assert found == {None: (25, []), **limits}


def test_lookback_s_decides_how_far_since_reaches() -> None:
    def play(bench: Bench) -> int:
        for _ in range(10):
            bench.publish("block")
            bench.advance(1)
        return len(bench.snapshot(bench.subscribe("blocks", since=1)))

    assert outcomes(play, "lookback_s", 3.5, 0.0) == {None: 10, 3.5: 3, 0.0: 0}


def test_connection_limit_decides_which_upgrade_is_one_too_many() -> None:
    def play(bench: Bench) -> list[bool]:
        return [isinstance(bench.upgrade(("key", DEMO_KEY)), int) for _ in range(3)]

    found = outcomes(play, "connection_limit", 1, 2)

    assert found == {None: [True] * 3, 1: [True, False, False], 2: [True, True, False]}


def test_refusal_decides_whether_a_bad_key_is_told_by_http_or_by_closing() -> None:
    def play(bench: Bench) -> Any:
        answer = bench.upgrade(("key", "pn_live_nobody"))
        return answer.status if isinstance(answer, HttpResponse) else bench.endings[answer]

    found = outcomes(play, "refusal", "close")

    assert found["http"] == 403
    assert (found["close"].code, found["close"].reason) == (4401, "API key is invalid or inactive")


def test_retry_after_s_decides_which_second_a_429_names() -> None:
    def play(bench: Bench) -> int:
        bench.connect()
        answer = bench.upgrade(("key", DEMO_KEY))
        assert isinstance(answer, HttpResponse)
        found = re.search(r"[0-9]{10}", answer.body.decode())
        assert found is not None
        return int(found[0]) - bench.wall_ms // 1000

    assert outcomes(play, "retry_after_s", 0.0, 3600.0, connection_limit=1) == {
        30.0: 30,
        0.0: 0,
        3600.0: 3600,
    }


# Subscribing.


def test_order_decides_what_comes_first_after_a_subscribe() -> None:
    def play(bench: Bench) -> list[str]:
        connection = bench.subscribe("blocks")
        bench.advance(1)
        bench.publish("block")
        bench.publish("block")
        return bench.kinds(connection)

    assert outcomes(play, "order", "snapshot_first", "live_first") == {
        "ack_first": ["subscribed", "snapshot", "block", "block"],
        "snapshot_first": ["snapshot", "subscribed", "block", "block"],
        "live_first": ["block", "subscribed", "snapshot", "block"],
    }


def test_answer_gap_s_decides_whether_live_events_come_between_the_answers() -> None:
    def play(bench: Bench) -> tuple[list[str], int]:
        bench.publish("block")
        connection = bench.subscribe("blocks")
        bench.advance(0.5)
        bench.publish("block")
        bench.advance(0.5)
        return bench.kinds(connection), len(bench.snapshot(connection))

    found = outcomes(play, "answer_gap_s", 1.0)

    # The snapshot is of the moment of the subscribe, however late it comes.
    assert found == {
        0.0: (["subscribed", "snapshot", "block"], 1),
        1.0: (["subscribed", "block", "snapshot"], 1),
    }


def test_live_first_patience_s_decides_how_long_the_answers_wait_for_that() -> None:
    def play(bench: Bench) -> list[str]:
        connection = bench.subscribe("blocks")
        bench.advance(3)
        bench.publish("block")
        return bench.kinds(connection)

    found = outcomes(play, "live_first_patience_s", 2.0, order="live_first")

    assert found == {
        5.0: ["block", "subscribed", "snapshot"],
        2.0: ["subscribed", "snapshot", "block"],
    }


def test_size_unit_decides_what_sizes_are_compared_with() -> None:
    def play(bench: Bench) -> list[str]:
        connection = bench.subscribe("settlements", min_size=100, max_size=200)
        for tx_hash, size in (("0xshares", 150.0), ("0xusd", 300.0)):
            bench.publish("settlement", tx_hash=tx_hash, taker_size=size, taker_price=0.5)
        return names(bench.events(connection))

    assert outcomes(play, "size_unit", "shares") == {"usd": ["0xusd"], "shares": ["0xshares"]}


def test_status_filter_decides_whether_a_confirmation_is_pending() -> None:
    def play(bench: Bench) -> list[str]:
        connection = bench.subscribe("settlements", status="pending")
        bench.publish("settlement", tx_hash="0x1")
        bench.publish("status_update", tx_hash="0x1")
        return [each["type"] for each in bench.events(connection)]

    assert outcomes(play, "status_filter", "all_events") == {
        "settlements": ["settlement", "status_update"],
        "all_events": ["settlement"],
    }


def test_unresolved_decides_what_a_slug_too_many_costs() -> None:
    def play(bench: Bench) -> tuple[str, Any]:
        known = bench.gateway.trading.markets.listed[0].slug
        connection = bench.subscribe("settlements", slugs=[known, "nowhere"])
        first = bench.frames[connection][0]
        return first["type"], first.get("warnings", first.get("message"))

    assert outcomes(play, "unresolved", "warned") == {
        "refused": ("error", "unresolved slugs: nowhere"),
        "warned": ("subscribed", ["unresolved slugs: nowhere"]),
    }


def test_global_splits_decides_whether_the_firehose_has_them() -> None:
    def play(bench: Bench) -> int:
        connection = bench.subscribe("global")
        for event_type in ("position_split", "position_merge", "block"):
            bench.publish(event_type)
        return len(bench.events(connection))

    assert outcomes(play, "global_splits", True) == {False: 1, True: 3}


def test_subscriptions_max_decides_which_is_one_too_many() -> None:
    def play(bench: Bench) -> list[str]:
        connection = bench.connect()
        for _ in range(3):
            bench.subscribe("blocks", on=connection, snapshot_count=0)
        return [kind for kind in bench.kinds(connection) if kind != "snapshot"]

    assert outcomes(play, "subscriptions_max", 2) == {
        100: ["subscribed"] * 3,
        2: ["subscribed", "subscribed", "error"],
    }


def test_filter_items_max_decides_how_many_items_filters_may_have() -> None:
    def play(bench: Bench) -> str:
        connection = bench.subscribe("settlements", wallets=["0x1", "0x2"], tokens=["1"])
        return bench.kinds(connection)[0]

    assert outcomes(play, "filter_items_max", 2, 3) == {
        10_000: "subscribed",
        2: "error",
        3: "subscribed",
    }


# Snapshots.


def test_snapshot_default_decides_how_many_come_unasked() -> None:
    def play(bench: Bench) -> int:
        for _ in range(30):
            bench.publish("block")
        return len(bench.snapshot(bench.subscribe("blocks")))

    assert outcomes(play, "snapshot_default", 0, 7) == {20: 20, 0: 0, 7: 7}


def test_snapshot_order_decides_how_it_is_sorted() -> None:
    def play(bench: Bench) -> list[str]:
        for number in range(4):
            bench.publish("settlement", tx_hash=f"0x{number}")
        return names(bench.snapshot(bench.subscribe("settlements", snapshot_count=3)))

    assert outcomes(play, "snapshot_order", "newest_first") == {
        "oldest_first": ["0x1", "0x2", "0x3"],
        "newest_first": ["0x3", "0x2", "0x1"],
    }


def test_snapshot_shape_decides_whether_its_events_are_wrapped() -> None:
    def play(bench: Bench) -> tuple[Any, ...]:
        bench.publish("settlement", tx_hash="0x1")
        (event,) = bench.snapshot(bench.subscribe("settlements"))
        flat = event.get("tx_hash"), event.get("event_type")
        return (*flat, "data" in event, event["timestamp"] == bench.wall_ms)

    assert outcomes(play, "snapshot_shape", "flat") == {
        "wrapped": (None, None, True, True),
        "flat": ("0x1", "settlement", False, True),
    }


def test_empty_snapshot_decides_whether_nothing_is_sent() -> None:
    assert outcomes(lambda b: b.kinds(b.subscribe("blocks")), "empty_snapshot", "omitted") == {
        "sent": ["subscribed", "snapshot"],
        "omitted": ["subscribed"],
    }


def test_buffer_events_decides_how_many_are_kept() -> None:
    def play(bench: Bench) -> int:
        for _ in range(30):
            bench.publish("block")
        return len(bench.snapshot(bench.subscribe("blocks", snapshot_count=100)))

    assert outcomes(play, "buffer_events", 1, 12) == {1000: 30, 1: 1, 12: 12}


# Keepalive and closes.


def test_heartbeat_s_decides_how_often_there_is_one() -> None:
    def play(bench: Bench) -> tuple[int, int]:
        connection = bench.connect()
        bench.advance(60)
        return len(bench.kinds(connection)), bench.pings[connection]

    assert outcomes(play, "heartbeat_s", 5.0) == {30.0: (2, 2), 5.0: (12, 12)}


def test_heartbeats_decides_which_of_the_two_are_sent() -> None:
    def play(bench: Bench) -> tuple[list[str], int]:
        connection = bench.connect()
        bench.advance(30)
        return bench.kinds(connection), bench.pings.get(connection, 0)

    assert outcomes(play, "heartbeats", "text", "ping", "none") == {
        "both": (["heartbeat"], 1),
        "text": (["heartbeat"], 0),
        "ping": ([], 1),
        "none": ([], 0),
    }


def deafened(bench: Bench) -> tuple[float, Any]:
    """How long somebody may be without a pong, and how that ends."""
    connection = bench.connect()
    bench.deaf.add(connection)
    while connection not in bench.endings:
        bench.advance(1)
    ending = bench.endings[connection]
    return bench.now, None if isinstance(ending, Abort) else ending.code


def test_pong_timeout_s_decides_how_long_silence_is_borne() -> None:
    assert outcomes(deafened, "pong_timeout_s", 20.0, 200.0) == {
        90.0: (90, 1011),
        20.0: (30, 1011),
        200.0: (210, 1011),
    }


def test_pong_close_code_decides_how_silence_ends() -> None:
    assert outcomes(deafened, "pong_close_code", None, 4000) == {
        1011: (90, 1011),
        None: (90, None),
        4000: (90, 4000),
    }


def test_idle_close_s_decides_how_long_a_client_may_say_nothing() -> None:
    def play(bench: Bench) -> float | None:
        idle, busy = bench.connect(), bench.connect()
        for _ in range(50):
            bench.advance(10)
            bench.send(busy, {"action": "ping"})
            if idle in bench.endings:
                return bench.now
        assert busy not in bench.endings
        return None

    assert outcomes(play, "idle_close_s", 300.0, 20.0) == {None: None, 300.0: 300, 20.0: 20}


def test_backlog_bytes_decides_when_a_reader_is_too_slow() -> None:
    def play(bench: Bench) -> bool:
        connection = bench.connect()
        bench.backlog(connection, 5000)
        return connection in bench.endings

    assert outcomes(play, "backlog_bytes", 4999, 5000) == {1 << 20: False, 4999: True, 5000: False}


def test_slow_close_code_decides_how_a_slow_reader_ends() -> None:
    def play(bench: Bench) -> Any:
        connection = bench.connect()
        bench.backlog(connection, 1 << 30)
        return getattr(bench.endings[connection], "code", None)

    assert outcomes(play, "slow_close_code", None, 1013) == {1008: 1008, None: None, 1013: 1013}


def test_restart_close_code_decides_how_an_announced_restart_ends_connections() -> None:
    def play(bench: Bench) -> Any:
        connection = bench.connect()
        bench.gateway.restart(announce=True, now=bench.now)
        bench.settle()
        return getattr(bench.endings[connection], "code", None)

    assert outcomes(play, "restart_close_code", None, 1001) == {1012: 1012, None: None, 1001: 1001}


def test_pong_ts_decides_whether_a_pong_is_dated() -> None:
    def play(bench: Bench) -> bool:
        connection = bench.connect()
        bench.send(connection, {"action": "ping"})
        (pong,) = bench.frames[connection]
        return pong.get("ts") == bench.wall_ms

    assert outcomes(play, "pong_ts", True) == {False: False, True: True}


# The truth log.


def test_truth_records_max_decides_how_far_back_the_log_reaches() -> None:
    def play(bench: Bench) -> int:
        for _ in range(100):
            bench.publish("block")
        return len(bench.gateway.truth.records)

    assert outcomes(play, "truth_records_max", 40) == {200_000: 100, 40: 40}


def test_truth_items_max_decides_how_many_outcomes_are_kept() -> None:
    def play(bench: Bench) -> tuple[int, int]:
        for _ in range(100):
            bench.publish("settlement")
            bench.publish("block")
        state = bench.gateway.truth.state
        return len(state(types=["settlement"])), len(state(types=["block"]))

    assert outcomes(play, "truth_items_max", 10) == {200_000: (100, 100), 10: (10, 10)}


# All of them.


def test_every_option_but_the_keys_is_a_knob_with_a_test() -> None:
    fields = [field.name for field in attrs.fields(PolyNodeOptions)]
    tests = {
        node.name: ast.get_source_segment(SOURCE, node) or ""
        for node in ast.parse(SOURCE).body
        if isinstance(node, ast.FunctionDef)
    }

    assert list(KNOBS) == [name for name in fields if name != "keys"]
    for name in KNOBS:
        found = [text for test, text in tests.items() if test.startswith(f"test_{name}_decides_")]
        assert len(found) == 1, name
        assert f'"{name}"' in found[0]


def test_every_knob_says_what_it_is_for_in_a_line() -> None:
    for each in KNOBS.values():
        assert each.meaning
        assert not each.meaning.endswith(".")
        assert re.fullmatch(r"(PN-9\.\d+|§\d(\.\d)?|, )*", each.source), each.name


def test_the_rows_of_the_open_points_name_their_knobs() -> None:
    rows = dict(re.findall(r"^\| PN-(9\.\d+) \| .* \| (.*) \|$", PAGE, re.MULTILINE))

    assert list(rows) == [f"9.{number}" for number in range(1, 12)]
    for point, row in rows.items():
        named = set(re.findall(r"`(\w+)`", row))
        knobs = {name for name, each in KNOBS.items() if f"PN-{point}" in each.plays}
        assert knobs <= named <= KNOBS.keys() | KINDS.keys(), point
        assert knobs or row.startswith(("client only", "fixed")), point


def test_the_groups_are_each_in_one_piece() -> None:
    groups = [each.group for each in KNOBS.values()]

    assert len(set(groups)) == sum(
        here != before for before, here in zip(["", *groups], groups, strict=False)
    )


def test_every_default_reads_back_as_itself() -> None:
    defaults = PolyNodeOptions()

    for name, each in KNOBS.items():
        settings = (f"{name}={each.default}",)
        assert parse_knobs(PolyNodeOptions, settings) == {name: getattr(defaults, name)}


def test_the_list_of_the_command_has_every_knob_in_lines_that_fit() -> None:
    lines = list(knob_lines(tuple(KNOBS.values())))

    assert max(len(line) for line in lines) <= WIDTH
    text = " ".join(" ".join(lines).split())
    for each in KNOBS.values():
        assert f"{each.name} " in text
        assert each.meaning in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate", -1.0),
        ("block_s", 0.0),
        ("never", 1.5),
        ("settlements_per_tx", 0),
        ("connection_limit", 0),
        ("slow_close_code", 1006),
        ("confirm_max_s", 1.0),
    ],
)
def test_a_value_out_of_range_is_refused_by_the_name_of_its_knob(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        quiet(**{name: value}) if name != "rate" else PolyNodeOptions(rate=value)


def test_a_choice_that_is_none_is_refused_in_a_line() -> None:
    with pytest.raises(KnobError, match=r"order takes ack_first \| snapshot_first \| live_first"):
        parse_knobs(PolyNodeOptions, ("order=any",))
