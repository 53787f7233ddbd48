"""History snapshots: the recent events as they were, and what nobody can have any more."""

from typing import Any

import pytest
from polynode_play import names, quiet

from lastseen_simulator.polynode.bench import Bench


def published(bench: Bench, count: int, gap_s: float = 1.0) -> list[str]:
    """Publishes settlements some time apart; the last is as old as the gap."""
    hashes = [f"0x{number}" for number in range(count)]
    for tx_hash in hashes:
        bench.publish("settlement", tx_hash=tx_hash)
        bench.advance(gap_s)
    return hashes


def warnings_of(bench: Bench, connection: int) -> list[str]:
    warnings: list[str] = bench.controls(connection, "subscribed")[0]["warnings"]
    return warnings


def test_a_settlement_stays_pending_in_it_although_confirmed_since() -> None:
    bench = quiet()
    bench.publish("settlement", tx_hash="0x1")
    bench.publish("status_update", tx_hash="0x1")

    settlement, update = bench.snapshot(bench.subscribe("settlements"))

    assert (settlement["type"], settlement["data"]["status"]) == ("settlement", "pending")
    assert settlement["data"]["block_number"] is None
    assert (update["type"], update["data"]["tx_hash"]) == ("status_update", "0x1")
    assert "status" not in update["data"]


def test_it_has_the_last_events_that_match_and_not_the_last_events() -> None:
    bench = quiet()
    hashes = published(bench, 5)
    for _ in range(30):
        bench.publish("block")

    connection = bench.subscribe("settlements", snapshot_count=3)

    assert names(bench.snapshot(connection)) == hashes[2:]
    assert bench.sent(connection, "snapshot") == [
        f"settlement/{each['data']['tx_hash']}/{each['data']['taker_wallet']}/"
        f"{each['data']['taker_token']}/{each['data']['taker_side']}"
        for each in bench.snapshot(connection)
    ]


def test_since_has_what_came_after_it_and_wins_over_the_count() -> None:
    bench = quiet()
    hashes = published(bench, 6)
    third_ms = bench.wall_ms - 4000

    connection = bench.subscribe("settlements", since=third_ms, snapshot_count=1)
    a_bit_before = bench.subscribe("settlements", since=third_ms - 1)

    assert names(bench.snapshot(connection)) == hashes[3:]
    assert names(bench.snapshot(a_bit_before)) == hashes[2:]
    assert warnings_of(bench, connection) == []


def test_since_beyond_the_lookback_is_cut_short_with_a_warning() -> None:
    bench = quiet(plan="free")
    hashes = published(bench, 5, gap_s=10.0)

    connection = bench.subscribe("settlements", since=bench.wall_ms - 60_000)

    assert names(bench.snapshot(connection)) == hashes[3:]
    assert warnings_of(bench, connection) == [
        "since reaches further back than 30 s; events may be missing"
    ]


def test_since_beyond_the_buffer_is_warned_about() -> None:
    bench = quiet(buffer_events=3)
    hashes = published(bench, 5)

    far = bench.subscribe("settlements", since=bench.wall_ms - 4500)
    bench.leave(far)
    near = bench.subscribe("settlements", since=bench.wall_ms - 4000)

    assert names(bench.snapshot(far)) == hashes[2:]
    assert warnings_of(bench, far) == [
        "since reaches further back than what is kept; events may be missing"
    ]
    assert warnings_of(bench, near) == []


@pytest.mark.parametrize(
    ("plan", "allowed"), [("free", 20), ("starter", 100), ("growth", 200), ("enterprise", 500)]
)
def test_a_plan_bounds_the_count(plan: str, allowed: int) -> None:
    bench = quiet(plan=plan)
    published(bench, 600, gap_s=0.0)

    connection = bench.subscribe("settlements", snapshot_count=1000)

    assert len(bench.snapshot(connection)) == allowed
    assert warnings_of(bench, connection) == [f"snapshot_count is limited to {allowed}"]


def test_a_count_of_nothing_is_an_empty_snapshot() -> None:
    bench = quiet()
    published(bench, 3)

    connection = bench.subscribe("settlements", snapshot_count=0)

    assert bench.controls(connection, "snapshot") == [
        {"type": "snapshot", "count": 0, "events": []}
    ]


def test_prices_have_no_past() -> None:
    bench = quiet()
    bench.publish("price_feed")

    connection = bench.subscribe("global", event_types=["price_feed"])

    assert bench.snapshot(connection) == []


def test_a_restart_forgets_the_past_and_says_so_to_whoever_asks_for_it() -> None:
    bench = quiet()
    published(bench, 3)
    before_ms = bench.wall_ms - 5000
    bench.gateway.restart(announce=False, now=bench.now)

    connection = bench.subscribe("settlements", since=before_ms)

    assert bench.snapshot(connection) == []
    assert len(warnings_of(bench, connection)) == 1


def test_a_wrapped_snapshot_is_byte_for_byte_what_came_live() -> None:
    bench = quiet()
    live = bench.subscribe("trades")
    published(bench, 3)
    bench.publish("trade")

    late = bench.subscribe("trades")

    texts: list[Any] = bench.raw[live][2:]
    assert bench.raw[late][1] == f'{{"type":"snapshot","count":4,"events":[{",".join(texts)}]}}'
