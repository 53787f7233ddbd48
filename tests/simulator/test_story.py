from typing import Any

import pytest

from lastseen_simulator.faults import Receipt
from lastseen_simulator.gateway.options import GatewayOptions, KeyGrant
from lastseen_simulator.story import fault_line, option_words, record_lines

KEYS = ("feedfacefeedfacefeedfacefeedface", 'odd "key" \\ of 1998')
OPTIONS = GatewayOptions(rate=0.0, keys=tuple(KeyGrant(key=key) for key in KEYS))


def line(**members: Any) -> str:
    (told,) = record_lines([{"n": 7, "at": 1.25, "kind": "entry", **members}], OPTIONS)
    return told


def test_only_knobs_that_were_turned_are_told_and_never_a_key() -> None:
    assert option_words(GatewayOptions()) == ""
    assert option_words(OPTIONS) == "rate=0.0"
    assert option_words(GatewayOptions(replay_order="interleaved", as_of=True)) == (
        "replay_order='interleaved' as_of=True"
    )


def test_a_record_is_a_line_with_a_short_epoch() -> None:
    told = line(epoch="0123456789abcdef", channel="scores", payload={"a": [1, None]})

    assert told == '    7     1.250  entry    epoch=01234567 channel=scores payload={"a":[1,null]}'


def test_a_line_is_no_longer_than_a_screen_is_wide() -> None:
    told = line(payload="x" * 1000)

    assert len(told) == 160
    assert told.endswith("x…")


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_in_no_line_whole_or_cut_or_quoted(key: str) -> None:
    assert line(note=key) == "    7     1.250  entry    note=***"
    assert line(payload={"note": key}).endswith('payload={"note":"***"}')
    for length in range(100, 160):
        assert key[:8] not in line(note="x" * length + key)


@pytest.mark.parametrize(
    ("fired", "said"), [(0, "never fired"), (1, "fired"), (12, "fired 12 times")]
)
def test_a_fault_says_what_has_become_of_it(fired: int, said: str) -> None:
    receipt = Receipt(
        fault_id=3, kind="drop", at="after data 7", fired=fired, fired_at=(), detail="so it goes"
    )

    assert fault_line(receipt) == f"fault 3: drop 'after data 7': {said} (so it goes)"
