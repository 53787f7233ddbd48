"""Streams from their request to their end: what each begins with, what follows, what is told."""

import base64
from typing import Any

import pytest
from polymarket_us_play import busy, executions, outcomes, quiet, shape

from lastseen_simulator.effects import Abort, CloseConnection, HttpResponse
from lastseen_simulator.polymarket_us.bench import WALL_MS, Bench
from lastseen_simulator.polymarket_us.channels import CHANNELS
from lastseen_simulator.polymarket_us.market import moment


def rows(bench: Bench, connection: int, items: str) -> list[dict[str, Any]]:
    snapshots = bench.results(connection, "snapshot")
    return [row for each in snapshots for row in each["snapshot"][items]]


# How it begins.


def test_orders_begin_with_a_snapshot_of_open_orders_and_go_on_with_executions() -> None:
    bench = quiet()
    done = bench.publish("orders", type="CANCELED", order={"id": "o-1"})
    connection = bench.open(accountId="acct-demo")

    name = bench.publish("orders", type="FILL", order={"id": "o-2", "account": "acct-demo"})

    assert shape(bench, connection) == ["snapshot", "update"]
    orders = rows(bench, connection, "orders")
    assert {order["account"] for order in orders} == {"acct-demo"}
    assert done
    assert "o-1" not in {order["id"] for order in orders}
    assert executions(bench, connection) == [name]


def test_positions_begin_with_a_snapshot() -> None:
    bench = quiet()
    bench.publish("positions", account="acct-two", symbol="demo-aaa", netPosition=-3, cost=-12)
    connection = bench.open("positions")

    bench.publish("positions", account="acct-two", symbol="demo-aaa", netPosition=4)

    assert shape(bench, connection) == ["snapshot", "update"]
    (held,) = rows(bench, connection, "positions")
    assert (held["netPosition"], held["cost"]) == ("-3", "-12")
    (update,) = bench.results(connection, "update")
    assert update["update"]["positions"][0]["netPosition"] == "4"


@pytest.mark.parametrize(
    ("channel", "member"), [("market_data", "update"), ("instruments", "instruments")]
)
def test_units_come_whole_one_by_one(channel: str, member: str) -> None:
    bench = quiet(symbols=3)
    connection = bench.open(channel)

    assert shape(bench, connection) == [member] * 3
    bench.publish(channel, symbol="demo-bbb")
    assert shape(bench, connection)[3:] == [member]


@pytest.mark.parametrize("channel", ["drop_copy", "trade_capture", "position_changes"])
def test_events_begin_with_nothing(channel: str) -> None:
    bench = quiet()
    bench.publish("orders", type="FILL")
    connection = bench.open(channel)

    assert bench.records(connection) == []
    bench.publish("orders", type="FILL")
    (result,) = bench.results(connection, CHANNELS[channel].items)
    assert "resumeToken" in result


def test_every_record_tells_the_session_and_its_time() -> None:
    bench = quiet()
    first, second = bench.open(), bench.open("positions")
    bench.advance(31)

    (snapshot, heartbeat) = bench.results(first)
    assert snapshot["processedSentTime"] == moment(WALL_MS)
    assert heartbeat["processedSentTime"] == moment(WALL_MS + 30_000)
    assert snapshot["sessionId"] == heartbeat["sessionId"]
    assert bench.results(second)[0]["sessionId"] != snapshot["sessionId"]


def test_snapshot_only_ends_well_after_the_snapshot() -> None:
    bench = quiet()
    connection = bench.open("positions", snapshotOnly=True)

    assert shape(bench, connection) == ["snapshot"]
    assert isinstance(bench.endings[connection], CloseConnection)
    assert bench.gateway.connections() == ()


def test_filters_narrow_what_is_told() -> None:
    bench = quiet(symbols=3)
    books = bench.open("market_data", instruments=["demo-bbb"], dataType="orderbook", depth=1)
    orders = bench.open("orders", symbols=["demo-ccc"], accounts=["acct-two"])
    nobody = bench.open("drop_copy", firms=["firm-other"])
    whole = bench.open("market_data", symbols=["demo-bbb"], unaggregated=True)

    for symbol in ("demo-aaa", "demo-bbb"):
        bench.publish("market_data", symbol=symbol)
    wanted = bench.publish("orders", order={"symbol": "demo-ccc", "account": "acct-two"})
    bench.publish("orders", order={"symbol": "demo-ccc", "account": "acct-demo"})
    bench.publish("orders", order={"symbol": "demo-aaa", "account": "acct-two"})

    updates = [each["update"] for each in bench.results(books, "update")]
    assert {each["symbol"] for each in updates} == {"demo-bbb"}
    assert {len(each["bids"]) for each in updates} <= {0, 1}
    assert executions(bench, orders) == [wanted]
    assert bench.records(nobody) == []
    sums = bench.gateway.truth.state(channels=["market_data"])["market_data/demo-bbb"]
    single = bench.results(whole, "update")[-1]["update"]
    for side in ("bids", "offers"):
        by_price: dict[int, int] = {}
        for level in single[side]:
            by_price[int(level["px"])] = by_price.get(int(level["px"]), 0) + int(level["qty"])
        assert by_price == {level["px"]: level["qty"] for level in sums[side]}


@pytest.mark.parametrize("path", [each for one in CHANNELS.values() for each in one.aliases])
def test_the_older_paths_and_those_of_connect_are_the_same_streams(path: str) -> None:
    bench = quiet()

    assert isinstance(bench.ask(path, {"symbols": []}), int)


def test_both_spellings_of_a_body_are_taken_and_an_envelope_too() -> None:
    bench = quiet()
    token = bench.results(bench.open())[0]["resumeToken"]
    missed = bench.publish("orders")
    body = f'{{"account_id":"","resume_token":"{token}"}}'.encode()
    envelope = b"\0" + len(body).to_bytes(4, "big") + body

    plain = bench.ask("/api/v1beta1/create_order_subscription", body)
    wrapped = bench.ask(
        "/polymarket.v1.OrderEntryAPI/CreateOrderSubscription",
        envelope,
        ("Content-Type", "application/connect+json"),
    )

    for connection in (plain, wrapped):
        assert isinstance(connection, int)
        assert executions(bench, connection) == [missed]


# How it goes on after a drop.


@pytest.mark.parametrize("channel", [name for name, each in CHANNELS.items() if each.tokens])
def test_a_token_continues_with_what_came_after(channel: str) -> None:
    bench = quiet()
    first = bench.open(channel)
    published = "trade_capture" if channel == "trade_capture" else channel
    bench.publish(published)
    token = bench.results(first)[-1]["resumeToken"]
    bench.leave(first)
    before = len(bench.told("entry", channel=channel))
    for _ in range(3):
        bench.publish(published)
    missed = [each["entryId"] for each in bench.told("entry", channel=channel)[before:]]

    second = bench.open(channel, resumeToken=token)

    assert bench.sent(second, "replayed") == missed
    bench.publish(published)
    assert len(bench.sent(second, "live")) == 1
    assert bench.told("asked")[-1]["resumes"] is True


def test_the_tokens_of_a_replay_resume_inside_it() -> None:
    bench = quiet()
    token = bench.results(bench.open("drop_copy")) or bench.publish("orders")
    connection = bench.open("drop_copy")
    names = [bench.publish("drop_copy") for _ in range(4)]
    token = bench.results(connection)[1]["resumeToken"]

    assert executions(bench, bench.open("drop_copy", resumeToken=token)) == names[2:]
    token = bench.results(bench.open("drop_copy", resumeToken=token))[0]["resumeToken"]
    assert executions(bench, bench.open("drop_copy", resumeToken=token)) == names[3:]


@pytest.mark.parametrize("channel", ["market_data", "positions"])
def test_streams_without_tokens_have_none_and_pay_no_heed_to_one(channel: str) -> None:
    bench = quiet()
    connection = bench.open(channel, resumeToken="dG9rMTI=")

    assert all("resumeToken" not in each for each in bench.results(connection))
    assert shape(bench, connection) == shape(bench, bench.open(channel))


def test_a_time_resumes_from_that_moment_on() -> None:
    bench = quiet()
    bench.publish("drop_copy")
    bench.advance(10)
    names = [bench.publish("drop_copy") for _ in range(2)]

    connection = bench.open("drop_copy", resumeTime=moment(WALL_MS + 10_000))

    assert executions(bench, connection) == names


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token[:-4],
        lambda token: token.rstrip("="),
        lambda token: token + " ",
        lambda token: "A" + token[1:],
        lambda _: "dG9rMTI=",
        lambda _: "ü",
        lambda _: "=" * 5000,
    ],
)
def test_a_token_is_good_only_as_it_came(spoil: Any) -> None:
    bench = quiet()
    token = bench.results(bench.open())[0]["resumeToken"]
    assert base64.b64encode(base64.b64decode(token)).decode() == token

    connection = bench.open(resumeToken=spoil(token))

    assert [each["error"]["code"] for each in bench.records(connection)] == [3]
    assert isinstance(bench.endings[connection], CloseConnection)


def test_a_token_of_another_stream_is_not_known() -> None:
    bench = quiet()
    token = bench.results(bench.open())[0]["resumeToken"]

    connection = bench.open("drop_copy", resumeToken=token)

    assert bench.records(connection)[0]["error"]["code"] == 3


def test_a_token_whose_changes_are_forgotten_has_expired() -> None:
    bench = quiet(journal=2)
    token = bench.results(bench.open())[0]["resumeToken"]
    names = [bench.publish("orders") for _ in range(2)]
    assert executions(bench, bench.open(resumeToken=token)) == names

    bench.publish("orders")

    assert bench.records(bench.open(resumeToken=token))[0]["error"]["code"] == 11


# How it stays alive, and ends.


def test_heartbeats_come_every_thirty_seconds_and_snapshots_every_three_minutes() -> None:
    bench = quiet()
    connection = bench.open()

    bench.advance(181)

    assert shape(bench, connection)[:6] == ["snapshot", *["heartbeat"] * 5]
    assert sorted(shape(bench, connection)[6:]) == ["heartbeat", "snapshot"]


def test_books_are_sent_again_every_minute_and_have_no_snapshots() -> None:
    bench = quiet(symbols=1, heartbeat_s=None)
    connection = bench.open("market_data")

    bench.advance(125)

    first, *others = bench.results(connection)
    assert [each["update"] for each in others] == [first["update"]] * 2


def test_a_reader_that_is_too_slow_is_reset() -> None:
    bench = quiet(backlog_bytes=1000)
    connection = bench.open()

    bench.backlog(connection, 1000)
    assert connection not in bench.endings
    bench.backlog(connection, 1001)

    assert bench.endings[connection] == Abort(connection=connection, reset=True)


def test_whoever_leaves_is_forgotten_and_its_place_is_free() -> None:
    bench = quiet(streams=1)
    connection = bench.open()
    assert bench.refused()["status"] == 429

    bench.leave(connection)

    assert bench.told("closed")[-1]["by"] == "client"
    bench.open()


@pytest.mark.parametrize(
    ("announce", "ending"), [(True, CloseConnection), (False, Abort)], ids=["notice", "crash"]
)
def test_a_restart_begins_another_session_and_ends_every_stream(
    announce: bool, ending: type
) -> None:
    bench = quiet()
    connection = bench.open()
    before = bench.results(connection)[0]["sessionId"]

    bench.gateway.restart(announce=announce, now=bench.now)
    bench.settle()

    assert isinstance(bench.endings[connection], ending)
    assert bench.results(bench.open())[0]["sessionId"].split("-")[1] != before.split("-")[1]


@pytest.mark.parametrize("framing", ["application/connect+json", "text/event-stream", "*/*"])
def test_an_announced_end_is_said_in_connect_only(framing: str) -> None:
    bench = quiet()
    connection = bench.open("positions", ("Accept", framing))
    bench.gateway.restart(announce=True, now=bench.now)
    bench.settle()

    said = bench.bodies[connection].endswith(b"\x02\0\0\0\x02{}")
    assert said is (framing == "application/connect+json")


def test_an_error_in_connect_is_an_end_of_stream_with_its_name() -> None:
    bench = quiet()
    connection = bench.open("orders", ("Accept", "application/connect+json"), resumeToken="eA==")

    body = bench.bodies[connection]
    assert body[0] == 2
    assert b'"code":"invalid_argument"' in body


# The market behind it.


def test_the_same_seed_is_the_same_venue_byte_for_byte() -> None:
    def played() -> tuple[bytes, str]:
        bench = Bench(seed=7)
        connection = bench.open("orders")
        bench.open("market_data")
        bench.advance(60)
        return bench.bodies[connection], bench.gateway.truth.to_jsonl()

    assert played() == played()


def test_nothing_moves_while_the_venue_rests() -> None:
    bench = Bench(seed=3)
    bench.gateway.pause(now=bench.now)
    before = len(bench.told("entry"))
    bench.advance(30)
    assert len(bench.told("entry")) == before

    bench.gateway.resume(now=bench.now)
    bench.advance(30)

    assert len(bench.told("entry")) > before + 20


def test_the_venue_offers_everything_that_streams_are_about() -> None:
    bench = busy(120)
    entries = bench.told("entry")
    types = {each["item"].get("type") for each in entries if each["channel"] == "orders"}
    trades = {each["item"]["state"] for each in entries if each["channel"] == "trade_capture"}
    states = {each["item"]["state"] for each in entries if each["channel"] == "instruments"}

    assert types == {
        "NEW", "PARTIAL_FILL", "FILL", "CANCELED", "REPLACE", "REJECTED", "EXPIRED", None,
    }  # fmt: skip
    assert trades == {"NEW", "CLEARED", "BUSTED"}
    assert states == {"OPEN", "HALTED", "CLOSED"}
    assert {each["channel"] for each in entries} == set(CHANNELS)


def test_what_happens_hangs_together() -> None:
    """Orders, positions and trades are added up again from the executions alone."""
    bench = busy(200, busts=0.3)
    filled: dict[str, int] = {}
    net: dict[tuple[str, str], int] = {}
    of_trade: dict[str, tuple[tuple[str, str], int]] = {}
    for entry in bench.told("entry"):
        item = entry["item"]
        if entry["channel"] == "orders" and item.get("type") in ("FILL", "PARTIAL_FILL"):
            order = item["order"]
            filled[order["id"]] = filled.get(order["id"], order["cumQty"] - item["lastShares"])
            filled[order["id"]] += item["lastShares"]
            assert order["cumQty"] == filled[order["id"]] <= order["orderQty"]
            assert order["leavesQty"] == order["orderQty"] - order["cumQty"]
            assert (item["type"] == "FILL") == (order["state"] == "FILLED")
            signed = item["lastShares"] * (1 if order["side"] == "BUY" else -1)
            where = (order["account"], order["symbol"])
            net[where] = net.get(where, 0) + signed
            of_trade[item["tradeId"]] = (where, signed)
        if entry["channel"] == "trade_capture" and item["state"] == "BUSTED":
            where, signed = of_trade[item["id"]]
            net[where] -= signed

    held = bench.gateway.truth.state(channels=["positions"])
    assert len(filled) > 50
    assert {key: each["netPosition"] for key, each in held.items()} == {
        f"positions/{account}/{symbol}": amount for (account, symbol), amount in net.items()
    }


def test_books_never_cross_and_show_our_orders() -> None:
    bench = busy(60)
    for entry in bench.told("entry", channel="market_data"):
        bids = [level["px"] for level in entry["item"]["bids"]]
        offers = [level["px"] for level in entry["item"]["offers"]]
        assert bids == sorted(bids, reverse=True)
        assert offers == sorted(offers)
        assert not (bids and offers and bids[0] >= offers[0])
        assert all(level["qty"] > 0 for level in (*entry["item"]["bids"], *entry["item"]["offers"]))
    state = bench.gateway.truth.state()
    running = [
        value for key, value in state.items()
        if key.startswith("orders/") and value["state"] in ("NEW", "PARTIALLY_FILLED")
    ]  # fmt: skip
    shown = 0
    for order in running:
        book = state[f"market_data/{order['symbol']}"]
        levels = {level["px"]: level["qty"] for level in
                  book["bids" if order["side"] == "BUY" else "offers"]}  # fmt: skip
        if order["price"] in levels:
            assert levels[order["price"]] >= order["leavesQty"]
            shown += 1
    assert shown > len(running) / 2 > 0


@pytest.mark.parametrize(
    ("channel", "payload", "trouble"),
    [
        ("weather", {}, "no such channel: weather"),
        ("market_data", {"symbol": "nope"}, "no such symbol: nope"),
        ("orders", {"order": {"symbol": "nope"}}, "no such symbol: nope"),
        ("orders", {"order": 7}, "order must be an object"),
        ("orders", {"order": {"orderQty": "9"}}, "orderQty must be a whole number"),
        ("orders", {"order": {"side": "LEFT"}}, "side must be BUY or SELL"),
        ("orders", {"lastShares": 1.5}, "lastShares must be a whole number"),
        ("market_data", {"bids": {}}, "bids must be a list"),
        ("positions", {"account": ""}, "account must be a text"),
        ("orders", {"text": float("nan")}, None),
    ],
)
def test_what_cannot_be_is_refused_and_the_venue_goes_on(
    channel: str, payload: dict[str, Any], trouble: str | None
) -> None:
    bench = Bench(seed=2)
    if trouble is None:
        bench.publish(channel, **payload)
    else:
        with pytest.raises(ValueError, match=trouble):
            bench.publish(channel, **payload)

    bench.advance(30)

    assert len(bench.told("entry")) > 20


def test_health_needs_nobody_to_be_known() -> None:
    bench = quiet(auth="required")

    answer = bench.ask("/v1/health", method="GET")

    assert isinstance(answer, HttpResponse)
    assert (answer.status, answer.body) == (200, b'{"status":"ok"}\n')


def test_the_state_of_the_truth_is_narrowed() -> None:
    bench = quiet(symbols=2)
    bench.publish("orders", type="FILL", order={"symbol": "demo-aaa", "account": "acct-two"})
    heard = bench.open("trade_capture")
    bench.publish("orders", type="FILL", order={"symbol": "demo-bbb", "account": "acct-two"})
    state = bench.gateway.truth.state

    assert {key.split("/")[0] for key in state()} == set(CHANNELS)
    assert len(state(channels=["trade_capture"])) == 2
    assert len(state(channels=["trade_capture"], connections=[heard])) == 1
    assert len(state(channels=["positions"], symbols=["demo-aaa"])) == 1
    assert state(channels=["positions"], accounts=["acct-demo"]) == {}
    assert outcomes(lambda one: len(one.gateway.truth.state()), "symbols", 1) == {4: 14, 1: 8}
