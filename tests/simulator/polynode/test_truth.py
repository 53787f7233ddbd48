"""The truth of what became of every settlement, worked out from the events alone."""

import itertools
from typing import Any

import pytest
from polynode_play import busy, fates, quiet, status_of

from lastseen_simulator.polynode.bench import Bench

TOKENS = ("11", "22")


def settle(bench: Bench, token: str = "11", **members: Any) -> str:
    return bench.publish(
        "settlement",
        tx_hash="0x1",
        taker_wallet="0xw",
        taker_token=token,
        taker_side="BUY",
        taker_price=0.5,
        taker_size=8.0,
        **members,
    )


def item(bench: Bench, token: str = "11") -> dict[str, Any]:
    found: dict[str, Any] = bench.gateway.truth.state()[f"settlement/0x1/0xw/{token}/BUY"]
    return found


def test_an_item_has_its_fields_and_its_outcome() -> None:
    bench = quiet()
    began_ms = bench.wall_ms
    settle(bench, detected_at=began_ms - 40)

    assert item(bench) == {
        "state": "pending",
        "published_at": began_ms,
        "confirmed_at": None,
        "mined": None,
        "tx_hash": "0x1",
        "taker_wallet": "0xw",
        "taker_token": "11",
        "taker_side": "BUY",
        "taker_price": 0.5,
        "taker_size": 8.0,
        "detected_at": began_ms - 40,
    }

    bench.advance(3)
    bench.publish("status_update", tx_hash="0x1")

    confirmed_at = began_ms + 3000
    told = item(bench)
    assert (told["state"], told["confirmed_at"]) == ("confirmed", confirmed_at)
    assert told["mined"] == {"block_number": 91_000_000, "confirmed_at": confirmed_at}


@pytest.mark.parametrize("order", list(itertools.permutations(["settlement", "again", "update"])))
def test_the_order_of_the_events_does_not_matter(order: tuple[str, ...]) -> None:
    bench = quiet()

    for each in order:
        if each == "update":
            bench.publish("status_update", tx_hash="0x1", token_id="11")
        else:
            settle(bench)

    assert item(bench)["state"] == "confirmed"
    assert len(bench.gateway.truth.state(types=["settlement"])) == 1


@pytest.mark.parametrize("token", ["22", "33"])
def test_a_status_update_confirms_the_whole_transaction_whatever_token_it_names(token: str) -> None:
    bench = quiet()
    for each in TOKENS:
        settle(bench, each)

    bench.publish("status_update", tx_hash="0x1", token_id=token)

    assert [item(bench, each)["state"] for each in TOKENS] == ["confirmed", "confirmed"]


def test_a_settlement_may_be_born_confirmed_and_stays_so() -> None:
    bench = quiet()
    settle(bench, status="confirmed", block_number=5)
    settle(bench)

    assert item(bench)["state"] == "confirmed"
    assert item(bench)["confirmed_at"] is None


def test_other_events_are_there_by_their_identity_with_their_newest_body() -> None:
    bench = quiet()
    bench.publish("trade", tx_hash="0x1", log_index=4, price=0.5)
    entry_id = bench.publish("trade", tx_hash="0x1", log_index=4, price=0.6)
    bench.publish("block")

    state = bench.gateway.truth.state(types=["trade"])

    assert list(state) == [entry_id] == ["trade/0x1/4"]
    assert state[entry_id]["timestamp"] == bench.wall_ms
    assert state[entry_id]["data"]["price"] == 0.6
    assert len(bench.gateway.truth.state()) == 2


def test_an_event_id_comes_before_any_other_identity_but_items_keep_theirs() -> None:
    bench = quiet()

    trade = bench.publish("trade", tx_hash="0x1", log_index=4, event_id="e9")
    settlement = settle(bench, event_id="e10")

    assert (trade, settlement) == ("trade/e9", "settlement/e10")
    assert item(bench)["state"] == "pending"


def test_the_log_has_every_event_and_who_was_sent_it() -> None:
    bench = quiet()
    settlements, blocks = bench.subscribe("settlements"), bench.subscribe("blocks")
    entry_id = settle(bench)
    block = bench.publish("block")
    late = bench.subscribe("settlements")

    entries = bench.gateway.truth.entries()
    assert [(each["channel"], each["entryId"]) for each in entries] == [
        ("settlement", entry_id),
        ("block", block),
    ]
    assert all(each["live"] and each["kept"] for each in entries)
    assert entries[0]["payload"]["taker_wallet"] == "0xw"
    assert (bench.sent(settlements), bench.sent(blocks)) == ([entry_id], [block])
    assert bench.sent(late, "snapshot") == [entry_id]
    records = bench.gateway.truth.records
    assert bench.gateway.truth.records_after(records[3]["n"]) == records[4:]
    assert bench.gateway.truth.written == len(records)


def test_what_connections_were_sent_is_what_their_client_should_know() -> None:
    bench = quiet()
    first = bench.subscribe("settlements")
    settle(bench)
    bench.publish("block")
    bench.leave(first)
    bench.publish("status_update", tx_hash="0x1", token_id="11")
    settle(bench, "22")
    second = bench.subscribe("settlements", snapshot_count=2)

    def known(*connections: int) -> dict[str, str | None]:
        state = bench.gateway.truth.state(connections=connections)
        return {key.rpartition("/0xw/")[2] or key: each.get("state") for key, each in state.items()}

    assert known() == {}
    assert known(first) == {"11/BUY": "pending"}
    # It has heard of the confirmation of a settlement that it has never heard of.
    assert known(second) == {"22/BUY": "confirmed", "status_update/0x1/11": None}
    assert known(first, second) == {
        "11/BUY": "confirmed",
        "22/BUY": "confirmed",
        "status_update/0x1/11": None,
    }


def test_a_run_agrees_with_what_a_client_that_missed_nothing_was_told() -> None:
    bench, connection = busy(
        60, never=0.2, late=0.2, late_s=10.0, first=0.2, duplicated=0.2, amended=0.2,
        born_confirmed=0.2, settlements_per_tx=3, update_token="taker",
    )  # fmt: skip

    told = {
        tx_hash: "confirmed"
        if any(kind == "status_update" or status == "confirmed" for kind, status, _ in frames)
        else "pending"
        for tx_hash, frames in fates(bench, connection).items()
        if any(kind == "settlement" for kind, _, _ in frames)
    }

    assert status_of(bench) == told
    assert set(told.values()) == {"confirmed", "pending"}


def test_what_is_kept_is_bounded() -> None:
    bench = quiet(truth_items_max=10, truth_records_max=50)
    for number in range(200):
        bench.publish("settlement", tx_hash=f"0x{number}")
        bench.publish("status_update", tx_hash=f"0x{number}")
        bench.publish("status_update", tx_hash=f"0xorphan{number}")

    state = bench.gateway.truth.state()

    assert len(bench.gateway.truth.records) == 50
    kinds = [key.partition("/")[0] for key in state]
    assert kinds.count("settlement") == kinds.count("status_update") == 10
    assert {value["state"] for value in state.values() if "state" in value} == {"confirmed"}
