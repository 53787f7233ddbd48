"""Each knob has a test in which it alone explains the outcome: `test_<knob>_decides_…`."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import attrs
import pytest
from polymarket_us_play import executions, outcomes, quiet, shape

import list_knobs
from lastseen_simulator.command._knobs import WIDTH, knob_lines
from lastseen_simulator.effects import Abort, HttpResponse
from lastseen_simulator.knobs import KnobError, knobs_in, parse_knobs
from lastseen_simulator.polymarket_us.bench import Bench
from lastseen_simulator.polymarket_us.options import PolymarketUSOptions

PAGE = list_knobs.POLYMARKET_US_PAGE.read_text(encoding="utf-8")
KNOBS = {each.name: each for each in knobs_in(PolymarketUSOptions)}
SOURCE = Path(__file__).read_text(encoding="utf-8")

CONNECT = ("Accept", "application/connect+json")


def counted(bench: Bench, channel: str | None = None) -> int:
    return len(bench.told("entry", **({} if channel is None else {"channel": channel})))


def order_in(bench: Bench, connection: int) -> dict[str, Any]:
    """The order of the newest execution of a stream."""
    order: dict[str, Any] = bench.results(connection)[-1]["update"]["executions"][0]["order"]
    return order


def opened(bench: Bench, count: int, channel: str = "orders", **body: Any) -> list[bool]:
    path = f"/v1/{channel}/subscribe"
    return [isinstance(bench.ask(path, body), int) for _ in range(count)]


# The market.


def test_rate_decides_how_much_happens() -> None:
    def play(bench: Bench) -> int:
        bench.advance(30)
        return counted(bench)

    found = outcomes(play, "rate", 4.0, 40.0)

    assert found[0.0] == 0
    assert 100 < found[4.0] < 1000 < found[40.0]


def test_symbols_decides_how_many_instruments_there_are() -> None:
    found = outcomes(lambda b: len(b.results(b.open("instruments"))), "symbols", 1, 30)

    assert found == {4: 4, 1: 1, 30: 30}


def test_orders_decides_how_many_are_open_at_the_beginning() -> None:
    def play(bench: Bench) -> int:
        return len(bench.results(bench.open())[0]["snapshot"]["orders"])

    assert outcomes(play, "orders", 0, 25) == {6: 6, 0: 0, 25: 25}


def test_busts_decides_how_many_trades_are_busted() -> None:
    def play(bench: Bench) -> float:
        for _ in range(100):
            bench.publish("orders", type="FILL")
            bench.publish("trade_capture")
        states = [each["item"]["state"] for each in bench.told("entry", channel="trade_capture")]
        return states.count("BUSTED") / 100

    found = outcomes(play, "busts", 0.0, 1.0)

    assert 0.02 < found.pop(0.1) < 0.25
    assert found == {0.0: 0.0, 1.0: 1.0}


# Limits and pages.


def test_page_decides_the_limits_and_whether_orders_have_tokens() -> None:
    def play(bench: Bench) -> tuple[int, bool]:
        connection = bench.open()
        tokens = "resumeToken" in bench.results(connection)[0]
        return 1 + sum(opened(bench, 30)), tokens

    assert outcomes(play, "page", "b", "c") == {"a": (10, True), "b": (20, True), "c": (20, False)}


def test_messages_decides_how_many_requests_a_window_has() -> None:
    def play(bench: Bench) -> int:
        answers = [bench.ask("/v1/orders/subscribe", b"{") for _ in range(30)]
        return sum(isinstance(each, HttpResponse) and each.status == 400 for each in answers)

    assert outcomes(play, "messages", 3) == {None: 20, 3: 3}


def test_window_s_decides_how_long_a_window_is() -> None:
    def play(bench: Bench) -> int:
        for _ in range(20):
            bench.ask("/v1/orders/subscribe", b"{")
        bench.advance(2)
        answer = bench.ask("/v1/orders/subscribe", b"{")
        assert isinstance(answer, HttpResponse)
        return answer.status

    assert outcomes(play, "window_s", 3.0) == {None: 400, 3.0: 429}


def test_streams_decides_how_many_there_may_be_at_once() -> None:
    found = outcomes(lambda bench: sum(opened(bench, 15)), "streams", 1, 12)

    assert found == {None: 10, 1: 1, 12: 12}


def test_full_decides_how_a_stream_too_many_is_refused() -> None:
    def play(bench: Bench) -> Any:
        opened(bench, 10)
        answer = bench.ask("/v1/orders/subscribe")
        if isinstance(answer, HttpResponse):
            return answer.status
        # A stream that was refused takes no place.
        assert opened(bench, 1) == [True]
        return bench.records(answer)

    error = {"error": {"code": 8, "message": "too many concurrent streams", "details": []}}
    assert outcomes(play, "full", "error") == {"status": 429, "error": [error]}


def test_symbols_max_decides_how_many_a_stream_of_books_may_name() -> None:
    names = [f"demo-{number}" for number in range(20)]

    found = outcomes(lambda b: opened(b, 1, "marketdata", symbols=names), "symbols_max", 19, 20)

    assert found == {1000: [True], 19: [False], 20: [True]}


def test_body_bytes_decides_how_large_a_request_may_be() -> None:
    found = outcomes(lambda b: opened(b, 1, symbols=["x" * 100]), "body_bytes", 100)

    assert found == {65_536: [True], 100: [False]}


# Access.


def test_auth_decides_whether_everybody_has_to_say_who_they_are() -> None:
    found = outcomes(lambda bench: opened(bench, 1), "auth", "required")

    assert found == {"optional": [True], "required": [False]}


def test_token_lives_s_decides_how_long_a_bearer_token_opens_streams() -> None:
    def play(bench: Bench) -> bool:
        header = bench.bearer()
        bench.advance(100)
        return isinstance(bench.ask("/v1/orders/subscribe", b"", header), int)

    assert outcomes(play, "token_lives_s", 60.0) == {180.0: True, 60.0: False}


def test_participant_decides_whether_streams_of_an_account_need_one() -> None:
    def play(bench: Bench) -> list[bool]:
        return opened(bench, 1) + opened(bench, 1, "marketdata")

    found = outcomes(play, "participant", "required")

    assert found == {"optional": [True, True], "required": [False, True]}


# Streams.


def test_order_tokens_decides_whether_orders_can_be_resumed() -> None:
    found = outcomes(lambda b: "resumeToken" in b.results(b.open())[0], "order_tokens", False, True)

    assert found == {None: True, False: False, True: True}


def test_resume_snapshot_decides_whether_a_resumed_stream_begins_with_one() -> None:
    def play(bench: Bench) -> list[str]:
        token = bench.results(bench.open())[0]["resumeToken"]
        bench.publish("orders")
        return shape(bench, bench.open(resumeToken=token))

    found = outcomes(play, "resume_snapshot", True)

    assert found == {False: ["update"], True: ["snapshot", "update"]}


def test_refused_token_decides_where_a_token_is_refused() -> None:
    def play(bench: Bench) -> Any:
        answer = bench.ask("/v1/orders/subscribe", {"resumeToken": "eA=="})
        if isinstance(answer, HttpResponse):
            return answer.status, json.loads(answer.body)["code"]
        return bench.records(answer)[0]["error"]["code"]

    assert outcomes(play, "refused_token", "status") == {"error": 3, "status": (400, 3)}


def test_journal_decides_how_much_can_be_resumed_over() -> None:
    def play(bench: Bench) -> list[str]:
        token = bench.results(bench.open())[0]["resumeToken"]
        for _ in range(5):
            bench.publish("orders")
        return shape(bench, bench.open(resumeToken=token))

    found = outcomes(play, "journal", 5, 4, 0)

    assert found == {1000: ["update"] * 5, 5: ["update"] * 5, 4: ["error"], 0: ["error"]}


def test_resume_lives_s_decides_how_old_a_token_may_be() -> None:
    def play(bench: Bench) -> list[Any]:
        token = bench.results(bench.open())[0]["resumeToken"]
        bench.advance(10)
        records = bench.records(bench.open(resumeToken=token))
        return [each["error"]["code"] for each in records]

    assert outcomes(play, "resume_lives_s", 9.0, 10.0) == {None: [], 9.0: [11], 10.0: []}


def test_resume_inclusive_decides_whether_the_named_change_comes_again() -> None:
    def play(bench: Bench) -> list[str]:
        connection = bench.open()
        bench.publish("orders")
        token = bench.results(connection)[1]["resumeToken"]
        bench.publish("orders")
        return executions(bench, bench.open(resumeToken=token))

    found = outcomes(play, "resume_inclusive", True)

    assert len(found[False]) == 1
    assert found[True][1:] == found[False]


def test_token_bytes_decides_how_long_a_token_is() -> None:
    def play(bench: Bench) -> int:
        token = bench.results(bench.open())[0]["resumeToken"]
        bench.publish("orders")
        assert shape(bench, bench.open(resumeToken=token)) == ["update"]
        return len(token)

    assert outcomes(play, "token_bytes", 60, 3000) == {46: 64, 60: 80, 3000: 4000}


def test_replay_batch_decides_how_many_executions_a_message_has() -> None:
    def play(bench: Bench) -> list[int]:
        first = bench.open("drop_copy")
        bench.publish("orders")
        token = bench.results(first)[0]["resumeToken"]
        for _ in range(5):
            bench.publish("orders")
        second = bench.open("drop_copy", resumeToken=token)
        assert len(bench.sent(second, "replayed")) == 5
        return [len(each["executions"]) for each in bench.results(second)]

    assert outcomes(play, "replay_batch", 2) == {1: [1] * 5, 2: [2, 2, 1]}


def test_events_snapshot_decides_whether_events_begin_with_one() -> None:
    def play(bench: Bench) -> list[int]:
        bench.publish("orders", type="FILL")
        found: list[int] = []
        for channel, items in (
            ("drop_copy", "executions"),
            ("trade_capture", "tradeCaptureReports"),
            ("position_changes", "positionChanges"),
        ):
            results = bench.results(bench.open(channel), "snapshot")
            found += [len(each["snapshot"][items]) for each in results]
        return found

    assert outcomes(play, "events_snapshot", True) == {False: [], True: [1, 1, 1]}


def test_lifetime_s_decides_when_a_stream_has_lasted_long_enough() -> None:
    def play(bench: Bench) -> list[int]:
        connection = bench.open("drop_copy")
        bench.advance(25)
        return [each["error"]["code"] for each in bench.records(connection)]

    assert outcomes(play, "lifetime_s", 20.0) == {None: [], 20.0: [14]}


def test_restart_forgets_decides_whether_tokens_survive_a_restart() -> None:
    def play(bench: Bench) -> list[str]:
        token = bench.results(bench.open())[0]["resumeToken"]
        bench.publish("orders")
        bench.gateway.restart(announce=True, now=bench.now)
        bench.settle()
        return shape(bench, bench.open(resumeToken=token))

    assert outcomes(play, "restart_forgets", False) == {True: ["error"], False: ["update"]}


def test_snapshot_s_decides_how_often_snapshots_come() -> None:
    def play(bench: Bench) -> int:
        connection = bench.open()
        bench.advance(400)
        return shape(bench, connection).count("snapshot")

    assert outcomes(play, "snapshot_s", 60.0, None) == {180.0: 3, 60.0: 7, None: 1}


def test_resend_s_decides_how_often_books_come_again() -> None:
    def play(bench: Bench) -> int:
        connection = bench.open("market_data", symbols=["demo-aaa"])
        bench.advance(130)
        return shape(bench, connection).count("update")

    assert outcomes(play, "resend_s", 10.0, None) == {60.0: 3, 10.0: 14, None: 1}


def test_page_items_decides_how_a_snapshot_is_cut() -> None:
    def play(bench: Bench) -> list[tuple[int, Any]]:
        snapshots = [each["snapshot"] for each in bench.results(bench.open(), "snapshot")]
        return [(len(each["orders"]), each.get("eof")) for each in snapshots]

    found = outcomes(play, "page_items", 4, 100)

    assert found == {None: [(6, None)], 4: [(4, False), (2, True)], 100: [(6, True)]}


def test_heartbeat_first_decides_what_comes_before_the_snapshot() -> None:
    found = outcomes(lambda bench: shape(bench, bench.open()), "heartbeat_first", True)

    assert found == {False: ["snapshot"], True: ["heartbeat", "snapshot"]}


# Spelling.


def test_framing_decides_what_a_body_is_without_a_word_in_accept() -> None:
    def play(bench: Bench) -> bytes:
        return bench.bodies[bench.open()][:6]

    found = outcomes(play, "framing", "connect", "sse")

    assert found["lines"] == b'{"resu'
    assert found["connect"][:2] == b"\0\0"
    assert found["sse"] == b"data: "


def test_wrapped_decides_whether_records_are_results() -> None:
    found = outcomes(lambda b: [*b.records(b.open())[0]], "wrapped", False)

    assert found[True] == ["result"]
    assert found[False][0] == "snapshot"


def test_style_decides_what_a_change_of_an_order_looks_like() -> None:
    def play(bench: Bench) -> list[Any]:
        connection = bench.open()
        bench.publish("orders", type="CANCELED", order={"id": "o-1"})
        snapshot, change = (each.get("result", each) for each in bench.records(connection))
        return [snapshot.get("type"), sorted(change), change.get("status")]

    found = outcomes(play, "style", "guide")

    beside = ["processedSentTime", "resumeToken", "sessionId"]
    assert found["streams"] == [None, sorted([*beside, "update"]), None]
    delta = [*beside, "execId", "id", "orderId", "status", "type"]
    assert found["guide"] == ["snapshot", sorted(delta), "CANCELED"]


def test_case_decides_how_members_are_spelled() -> None:
    def play(bench: Bench) -> list[bool]:
        paths = ("/v1/orders/subscribe", "/api/v1beta1/create_order_subscription")
        found: list[bool] = []
        for path in paths:
            connection = bench.ask(path)
            assert isinstance(connection, int)
            found.append(b'"leaves_qty"' in bench.bodies[connection])
        return found

    found = outcomes(play, "case", "snake", "path")

    assert found == {"camel": [False, False], "snake": [True, True], "path": [False, True]}


def test_numbers_decides_how_whole_numbers_are_written() -> None:
    def play(bench: Bench) -> type:
        return type(bench.results(bench.open())[0]["snapshot"]["orders"][0]["orderQty"])

    assert outcomes(play, "numbers", "number") == {"text": str, "number": int}


def test_state_names_decides_what_the_state_of_an_order_is_called() -> None:
    def play(bench: Bench) -> tuple[Any, Any]:
        order = bench.results(bench.open())[0]["snapshot"]["orders"][0]
        return order.get("state"), order.get("orderStatus")

    assert outcomes(play, "state_names", "status", "bare") == {
        "state": ("ORDER_STATE_NEW", None),
        "status": (None, "ORDER_STATUS_NEW"),
        "bare": ("NEW", None),
    }


def test_enums_decides_the_numbers_of_states() -> None:
    def play(bench: Bench) -> list[Any]:
        connection = bench.open()
        states: list[Any] = []
        for kind in ("NEW", "REJECTED", "EXPIRED"):
            bench.publish("orders", type=kind)
            states.append(order_in(bench, connection)["state"])
        return states

    assert outcomes(play, "enums", "order_page", "proto_page") == {
        "names": ["ORDER_STATE_NEW", "ORDER_STATE_REJECTED", "ORDER_STATE_EXPIRED"],
        "order_page": [0, 5, 6],
        "proto_page": [1, 7, 9],
    }


def test_connect_codes_decides_how_an_end_of_stream_names_its_error() -> None:
    def play(bench: Bench) -> Any:
        body = bench.bodies[bench.open("orders", CONNECT, resumeToken="eA==")]
        return json.loads(body[5:])["error"]["code"]

    assert outcomes(play, "connect_codes", "numbers") == {"names": "invalid_argument", "numbers": 3}


def test_line_end_decides_what_is_between_records() -> None:
    def play(bench: Bench) -> bytes:
        connection = bench.open()
        assert shape(bench, connection) == ["snapshot"]
        return bench.bodies[connection].rpartition(b"}")[2]

    found = outcomes(play, "line_end", "crlf", "blank")

    assert found == {"lf": b"\n", "crlf": b"\r\n", "blank": b"\n\n"}


def test_omit_zeroes_decides_whether_zeroes_are_written() -> None:
    def play(bench: Bench) -> list[bool]:
        connection = bench.open("orders")
        bench.publish("orders", type="NEW", aggressor=False)
        order = order_in(bench, connection)
        book = bench.open("market_data", symbols=["demo-aaa"])
        bench.publish("instruments", symbol="demo-aaa", state="CLOSED")
        shown = bench.results(book)[-1]["update"]
        execution = bench.results(connection)[-1]["update"]["executions"][0]
        return ["state" in order, "cumQty" in order, "aggressor" in execution, "state" in shown]

    assert outcomes(play, "omit_zeroes", True) == {False: [True] * 4, True: [False] * 4}


def test_chunk_bytes_decides_how_large_a_chunk_is() -> None:
    found = outcomes(lambda bench: bench.heads[bench.open()].chunk_bytes, "chunk_bytes", 1)

    assert found == {None: None, 1: 1}


def test_held_bytes_decides_how_much_waits_for_the_next_record() -> None:
    found = outcomes(lambda bench: bench.heads[bench.open()].held_bytes, "held_bytes", 9)

    assert found == {0: 0, 9: 9}


# Keepalive and ends.


def test_heartbeat_s_decides_how_often_they_come() -> None:
    def play(bench: Bench) -> int:
        connection = bench.open("drop_copy")
        bench.advance(100)
        return len(bench.records(connection))

    assert outcomes(play, "heartbeat_s", 10.0, None) == {30.0: 3, 10.0: 10, None: 0}


def test_idle_close_s_decides_how_long_a_stream_may_say_nothing() -> None:
    def play(bench: Bench) -> bool:
        connection = bench.open("drop_copy")
        bench.advance(6)
        bench.publish("orders")
        bench.advance(6)
        assert connection not in bench.endings
        bench.advance(6)
        return connection in bench.endings

    found = outcomes(play, "idle_close_s", 10.0, 29.0, heartbeat_s=None)

    assert found == {None: False, 10.0: True, 29.0: False}


def test_backlog_bytes_decides_who_is_too_slow() -> None:
    def play(bench: Bench) -> bool:
        connection = bench.open()
        bench.backlog(connection, 1_000_000)
        return isinstance(bench.endings.get(connection), Abort)

    assert outcomes(play, "backlog_bytes", 999_999) == {4 << 20: False, 999_999: True}


def test_truth_records_max_decides_how_far_back_the_log_reaches() -> None:
    def play(bench: Bench) -> int:
        for _ in range(20):
            bench.publish("orders")
        return len(bench.gateway.truth.records)

    assert outcomes(play, "truth_records_max", 5)[5] == 5


# All of them.


def test_every_option_but_the_keys_is_a_knob_with_a_test() -> None:
    fields = [field.name for field in attrs.fields(PolymarketUSOptions)]
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


def test_the_page_is_in_step_with_the_options() -> None:
    assert list_knobs.tables(PolymarketUSOptions) in PAGE


def test_every_knob_says_what_it_is_for_in_a_line() -> None:
    for each in KNOBS.values():
        assert each.meaning
        assert not each.meaning.endswith(".")
        assert re.fullmatch(r"(PM-7\.\d+|§\d(\.\d)?|, )*", each.source), each.name


def test_the_groups_are_each_in_one_piece() -> None:
    groups = [each.group for each in KNOBS.values()]

    assert len(set(groups)) == sum(
        here != before for before, here in zip(["", *groups], groups, strict=False)
    )


def test_every_default_reads_back_as_itself() -> None:
    defaults = PolymarketUSOptions()

    for name, each in KNOBS.items():
        settings = (f"{name}={each.default}",)
        assert parse_knobs(PolymarketUSOptions, settings) == {name: getattr(defaults, name)}


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
        ("symbols", 0),
        ("busts", 1.5),
        ("window_s", 0.0),
        ("streams", 0),
        ("token_bytes", 0),
        ("replay_batch", 0),
        ("held_bytes", -1),
        ("chunk_bytes", 0),
    ],
)
def test_a_value_out_of_range_is_refused_by_the_name_of_its_knob(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        quiet(**{name: value})


def test_a_choice_that_is_none_is_refused_in_a_line() -> None:
    with pytest.raises(KnobError, match=r"page takes a \| b \| c"):
        parse_knobs(PolymarketUSOptions, ("page=z",))
