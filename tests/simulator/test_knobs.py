"""Knobs as data: written down, read back, documented, and each with a test of its own."""

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import attrs
import pytest
from bench_play import published, quiet

import list_knobs
from lastseen_simulator.command._knobs import WIDTH, knob_lines
from lastseen_simulator.effects import Transmit
from lastseen_simulator.faults import KINDS, load_faults
from lastseen_simulator.gateway.options import GatewayOptions
from lastseen_simulator.knobs import KnobError, knob, knobs_in, parse_knobs

HERE = Path(__file__).parent
PAGE = list_knobs.PAGE.read_text()
KNOBS = {each.name: each for each in knobs_in(GatewayOptions)}

LOGIN, RESUME = "test_knobs_login", "test_knobs_resume"
STREAM, DATA = "test_knobs_stream", "test_knobs_data"

TESTS: Final[Mapping[str, str]] = {
    "channels": f"{DATA}::test_channels_decides_what_anybody_may_see",
    "fixtures": f"{STREAM}::test_fixtures_decides_how_many_there_are",
    "futures": f"{DATA}::test_futures_decides_how_many_there_are",
    "bookmakers": f"{STREAM}::test_bookmakers_decides_who_prices_them",
    "rate": f"{STREAM}::test_rate_decides_how_much_happens",
    "coalesce": f"{STREAM}::test_coalesce_decides_whether_odds_leave_holes_in_the_sequence",
    "omitted_members": f"{DATA}::test_omitted_members_decides_whether_they_are_null",
    "future_key_parts": f"{DATA}::test_future_key_parts_decides_what_rows_of_futures_are_called",
    "currencies_shape": f"{DATA}::test_currencies_shape_decides_how_rates_are_written",
    "region": f"{LOGIN}::test_region_is_what_login_ok_names",
    "empty_filter": f"{LOGIN}::test_empty_filter_decides_what_an_empty_list_asks_for",
    "denied": f"{LOGIN}::test_denied_decides_what_asking_for_too_much_costs",
    "bookmakers_required": (
        f"{LOGIN}::test_bookmakers_required_decides_about_gated_channels_without_them"
    ),
    "live_pregame": f"{LOGIN}::test_live_pregame_decides_whether_a_login_can_leave_a_class_out",
    "receive_types": f"{LOGIN}::test_receive_types_decides_what_can_be_had",
    "resume_block": f"{LOGIN}::test_resume_block_decides_whether_login_ok_has_one",
    "server_entry_ids": f"{LOGIN}::test_server_entry_ids_decides_whether_heads_are_told",
    "null_heads": f"{LOGIN}::test_null_heads_decides_whether_channels_without_entries_are_named",
    "heads": f"{LOGIN}::test_heads_decides_whether_the_filter_counts",
    "login_timeout_s": f"{LOGIN}::test_login_timeout_s_decides_how_long_silence_is_borne",
    "connection_limit": f"{LOGIN}::test_connection_limit_decides_which_login_is_one_too_many",
    "login_failed_close_code": (
        f"{LOGIN}::test_login_failed_close_code_decides_what_follows_the_error"
    ),
    "resume_window_ms": f"{RESUME}::test_resume_window_ms_decides_how_old_a_cursor_may_be",
    "journal_entries_max": (
        f"{RESUME}::test_journal_entries_max_decides_how_many_entries_can_be_asked_for"
    ),
    "replay_channels": f"{RESUME}::test_replay_channels_decides_which_cursors_are_of_use",
    "unreplayable_cursor": (
        f"{RESUME}::test_unreplayable_cursor_decides_what_a_cursor_too_many_costs"
    ),
    "uncovered_channels": (
        f"{RESUME}::test_uncovered_channels_decides_what_is_said_of_channels_without_a_cursor"
    ),
    "half_resume": f"{RESUME}::test_half_resume_decides_what_one_field_without_the_other_means",
    "bad_cursor": f"{RESUME}::test_bad_cursor_decides_what_nonsense_costs",
    "quiet_cursor": f"{RESUME}::test_quiet_cursor_decides_whether_a_quiet_channel_is_too_old",
    "replay_order": f"{RESUME}::test_replay_order_decides_whether_live_entries_wait",
    "replay_channel_order": f"{RESUME}::test_replay_channel_order_decides_how_channels_mix",
    "replay_gap_s": f"{RESUME}::test_replay_gap_s_decides_how_long_a_replay_takes",
    "inclusive_replay": (
        f"{RESUME}::test_inclusive_replay_decides_whether_the_entry_of_the_cursor_comes_again"
    ),
    "resume_complete": (
        f"{RESUME}::test_resume_complete_decides_whether_and_when_a_replay_is_said_to_be_over"
    ),
    "resume_complete_delay_s": f"{RESUME}::test_resume_complete_delay_s_decides_how_late_it_is",
    "empty_replay_completes": (
        f"{RESUME}::test_empty_replay_completes_decides_what_follows_a_replay_of_nothing"
    ),
    "snapshot_required_channels": (
        f"{RESUME}::test_snapshot_required_channels_decides_what_the_frame_names"
    ),
    "snapshot_required_heads": (
        f"{RESUME}::test_snapshot_required_heads_decides_whether_the_frame_has_them"
    ),
    "snapshot_required_repeats": (
        f"{RESUME}::test_snapshot_required_repeats_decides_how_often_it_is_said"
    ),
    "snapshot_required_place": (
        f"{RESUME}::test_snapshot_required_place_decides_on_which_side_of_the_replay_it_is"
    ),
    "epoch_change_verdict": (
        f"{RESUME}::test_epoch_change_verdict_decides_whether_old_cursors_are_answered"
    ),
    "restart_epoch": f"{RESUME}::test_restart_epoch_decides_whether_replay_covers_a_restart",
    "sequence_restarts": f"{RESUME}::test_sequence_restarts_decides_where_numbers_start_anew",
    "reconnect_grace_s": (
        f"{RESUME}::test_reconnect_grace_s_decides_how_long_the_old_connection_lives"
    ),
    "reconnect_close_code": f"{RESUME}::test_reconnect_close_code_decides_how_it_ends",
    "binary_channels": f"{STREAM}::test_binary_channels_decides_which_data_is_messagepack",
    "unnumbered_channels": f"{STREAM}::test_unnumbered_channels_decides_which_entries_have_no_id",
    "backlog_soft_bytes": f"{STREAM}::test_backlog_soft_bytes_decides_when_odds_are_skipped",
    "backlog_hard_bytes": f"{STREAM}::test_backlog_hard_bytes_decides_when_a_reader_is_too_slow",
    "snapshot_lag_s": f"{STREAM}::test_snapshot_lag_s_decides_how_old_an_answer_is",
    "as_of": f"{STREAM}::test_as_of_decides_whether_an_answer_says_what_it_covers",
    "inactive_rows": f"{DATA}::test_inactive_rows_decides_whether_plain_snapshots_have_them",
    "book_statuses_in_fixtures": (
        f"{DATA}::test_book_statuses_in_fixtures_decides_whether_lists_have_them"
    ),
    "main_fixtures_max": (
        f"{DATA}::test_main_fixtures_max_decides_how_many_fixtures_the_main_lines_have"
    ),
    "entitlement_gap": (
        f"{DATA}::test_entitlement_gap_decides_what_a_key_hears_that_may_not_see_it"
    ),
    "rate_limiter_down": f"{DATA}::test_rate_limiter_down_decides_whether_anybody_is_answered",
    "missing_bookmaker": f"{STREAM}::test_missing_bookmaker_decides_whether_odds_need_one",
    "odds_limit": f"{STREAM}::test_odds_limit_decides_which_request_is_one_too_many",
    "odds_window_s": f"{STREAM}::test_odds_window_s_decides_when_odds_may_be_asked_for_again",
    "other_limit": f"{STREAM}::test_other_limit_decides_which_other_request_is_one_too_many",
    "other_window_s": f"{STREAM}::test_other_window_s_decides_when_one_may_ask_again",
    "truth_records_max": (f"{STREAM}::test_truth_records_max_decides_how_far_back_the_log_reaches"),
}
"""The test of each knob in which it alone explains the outcome: file and function."""


def test_every_option_but_the_keys_is_a_knob_with_a_test() -> None:
    fields = [field.name for field in attrs.fields(GatewayOptions)]

    assert list(KNOBS) == [name for name in fields if name != "keys"]
    assert TESTS.keys() == KNOBS.keys()


@pytest.mark.parametrize("name", TESTS)
def test_the_test_of_a_knob_exists_and_turns_it(name: str) -> None:
    file, _, function = TESTS[name].partition("::")
    source = (HERE / f"{file}.py").read_text()
    found = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name == function
    ]

    assert len(found) == 1
    start = min([found[0].lineno, *(each.lineno for each in found[0].decorator_list)])
    body = "\n".join(source.splitlines()[start - 1 : found[0].end_lineno])
    assert re.search(rf"\b{name}\b", body.replace(function, ""))


def test_every_knob_says_what_it_is_for_in_a_line() -> None:
    for each in KNOBS.values():
        assert each.meaning
        assert not each.meaning.endswith(".")
        assert re.fullmatch(r"(OP-A\d+|R\d+|§\d(\.\d)?|, )*", each.source), each.name


def test_the_groups_are_each_in_one_piece() -> None:
    groups = [each.group for each in KNOBS.values()]

    assert len(set(groups)) == sum(
        here != before for before, here in zip(["", *groups], groups, strict=False)
    )


# Written down and read back.


def test_every_default_reads_back_as_itself() -> None:
    defaults = GatewayOptions()

    for name, each in KNOBS.items():
        assert parse_knobs(GatewayOptions, (f"{name}={each.default}",)) == {
            name: getattr(defaults, name)
        }


def test_every_choice_of_a_knob_can_be_set() -> None:
    for name, each in KNOBS.items():
        for choice in each.takes.split(" | ") if " | " in each.takes else ():
            if choice != "none" and " " in choice:
                continue
            GatewayOptions(**parse_knobs(GatewayOptions, (f"{name}={choice}",)))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("rate=2.5", 2.5),
        ("fixtures=12", 12),
        ("as_of=true", True),
        ("region=eu=west", "eu=west"),
        ("replay_channels=odds,scores", ("odds", "scores")),
        ("replay_channels=", ()),
        ("reconnect_close_code=4002", 4002),
        ("login_failed_close_code=none", None),
        ("login_failed_close_code=4001", 4001),
    ],
)
def test_a_setting_is_read_by_the_type_of_its_knob(setting: str, value: object) -> None:
    (read,) = parse_knobs(GatewayOptions, (setting,)).values()

    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("settings", "trouble"),
    [
        (["rate"], r"a knob is set as NAME=VALUE: rate$"),
        (["colour=red"], r"no such knob: colour \(knobs: as_of, .*, unreplayable_cursor\)$"),
        (["keys=mine"], r"no such knob: keys \("),
        (["rate=fast"], r"rate takes entries a second, not 'fast'$"),
        (["rate=nan"], r"rate takes"),
        (["rate=inf"], r"rate takes"),
        (["fixtures=2.5"], r"fixtures takes a whole number, not '2.5'$"),
        (["as_of=yes"], r"as_of takes true \| false, not 'yes'$"),
        (["heads=mine"], r"heads takes global \| delivered, not 'mine'$"),
        (["reconnect_close_code=1000"], r"takes 1006 \| 4002, not '1000'$"),
        (["login_failed_close_code="], r"takes a close code \| none, not ''$"),
        (["rate=1", "heads=global", "rate=1"], r"rate is set twice$"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_a_line(settings: list[str], trouble: str) -> None:
    with pytest.raises(KnobError, match=trouble):
        parse_knobs(GatewayOptions, tuple(settings))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("receive_types", ("binary",)),
        ("receive_types", ("json", "zstd")),
        ("login_failed_close_code", 1006),
        ("login_failed_close_code", 999),
        ("snapshot_required_repeats", 0),
        ("unnumbered_channels", ("weather",)),
    ],
)
def test_a_value_out_of_range_is_refused_by_the_name_of_its_knob(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        GatewayOptions(**{name: value})


@attrs.frozen(kw_only=True)
class Oddities:
    """Kinds that the gateway has no use for yet."""

    plain: int = 1
    numbers: tuple[int, ...] = knob((1, 2), "Odd", "numbers")
    either: Literal["a", "b"] | None = knob(None, "Odd", "one of two, or none")


def test_knobs_know_more_kinds_than_the_gateway_uses() -> None:
    numbers, either = knobs_in(Oddities)

    assert (numbers.default, numbers.takes) == ("1,2", "names, with commas")
    assert (either.default, either.takes) == ("none", "a | b | none")
    assert parse_knobs(Oddities, ("numbers=3,4", "either=b")) == {"numbers": (3, 4), "either": "b"}
    with pytest.raises(KnobError, match=r"either takes a \| b \| none, not 'c'"):
        parse_knobs(Oddities, ("either=c",))


# What people read.


def test_the_list_of_the_command_has_every_knob_in_lines_that_fit() -> None:
    lines = list(knob_lines(tuple(KNOBS.values())))
    heads = [line.split() for line in lines if re.match(r"  \w", line)]

    assert [head[:2] for head in heads] == [
        [name, each.default or "(empty)"] for name, each in KNOBS.items()
    ]
    assert {each.group for each in KNOBS.values()} <= set(lines)
    assert max(len(line) for line in lines if len(line.split()) > 2) <= WIDTH
    text = " ".join(" ".join(lines).split())
    for each in KNOBS.values():
        assert each.meaning in text


def test_the_page_is_in_step_with_the_options() -> None:
    assert list_knobs.main(["--check"]) == 0


def test_a_page_out_of_step_is_noticed_and_put_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "knobs.md"
    page.write_text(PAGE.replace("| `rate` |", "| `pace` |"))
    monkeypatch.setattr(list_knobs, "PAGE", page)

    assert list_knobs.main(["--check"]) == 1
    assert "knobs.md" in capsys.readouterr().err
    assert list_knobs.main([]) == 0
    assert page.read_text() == PAGE


def open_points() -> dict[str, str]:
    return dict(re.findall(r"^\| (OP-A\d+) \| .* \| (.*) \|$", PAGE, re.MULTILINE))


def test_every_open_point_has_a_row_in_order() -> None:
    assert list(open_points()) == [f"OP-A{number}" for number in range(1, 35)]


def test_the_row_of_an_open_point_names_exactly_its_knobs() -> None:
    for point, row in open_points().items():
        named = set(re.findall(r"`([\w-]+)`", row))
        knobs = {name for name, each in KNOBS.items() if point in each.plays}
        assert knobs <= named, point
        others = named - knobs
        assert "client only" in row or others <= KINDS.keys(), point
        assert row.startswith("client only") or knobs or others, point


def test_every_name_in_the_table_of_closes_is_a_knob_or_a_fault() -> None:
    section = PAGE.partition("## How a connection ends\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", section)) - {"reconnect", "KeyGrant", "revoked"}

    assert len(named) >= 8
    assert named <= KNOBS.keys() | KINDS.keys()


def test_the_faults_on_the_page_fire_and_the_stream_goes_on() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    bench = quiet()
    for fault in load_faults(block):
        bench.gateway.place(fault)
    connection = bench.login()
    published(bench, "scores", 35)

    sizes = [len(each.data) for each in bench.effects if isinstance(each, Transmit)]

    assert [receipt.fired for receipt in bench.gateway.receipts()] == [1] * 6
    assert len(bench.updates(connection)) == 35 + 2
    assert max(sizes) == 1_100_000
