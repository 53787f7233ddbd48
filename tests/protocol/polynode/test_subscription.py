"""Presets and filters: what may be asked for, and how the wire says it."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from lastseen.coverage import HistoryRequest
from lastseen.dialects.polynode import Preset, Subscription
from lastseen.dialects.polynode.events import PRESETS
from lastseen.dialects.polynode.wire import Filters, encode_text
from lastseen.errors import ConfigurationError

CHAINLINK = {"preset": Preset.CHAINLINK, "feeds": ("BTC/USD",)}
TOKEN = "7" * 78


def frame(history: HistoryRequest | None = None, **asked: Any) -> dict[str, Any]:
    made = Subscription(**asked).frame(history or HistoryRequest())
    decoded: dict[str, Any] = msgspec.json.decode(encode_text(made))
    return decoded


def test_nothing_but_the_preset_is_asked_for_by_default() -> None:
    assert frame() == {"action": "subscribe", "type": "settlements"}


@pytest.mark.parametrize("preset", Preset)
def test_every_preset_can_be_asked_for_and_says_what_it_delivers(preset: Preset) -> None:
    asked: dict[str, Any] = CHAINLINK if preset is Preset.CHAINLINK else {"preset": preset}

    assert frame(**asked)["type"] == preset.value
    assert Subscription(**asked).delivers == PRESETS[preset]
    assert PRESETS[preset]


FILTERS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"wallets": ("0xa1", "0xa2")}, {"wallets": ["0xa1", "0xa2"]}),
    ({"tokens": (TOKEN, "0")}, {"tokens": [TOKEN, "0"]}),
    ({"markets": ("m",)}, {"markets": ["m"]}),
    ({"slugs": ("demo-market",)}, {"slugs": ["demo-market"]}),
    ({"condition_ids": ("0xcc",)}, {"condition_ids": ["0xcc"]}),
    ({"side": "BUY"}, {"side": "BUY"}),
    ({"status": "all"}, {"status": "all"}),
    ({"min_size": 25}, {"min_size": 25}),
    ({"min_size": 0}, {"min_size": 0}),
    ({"min_size": 2.5, "max_size": Decimal("1000.25")}, {"min_size": 2.5, "max_size": 1000.25}),
    ({"event_types": ("settlement", "nova")}, {"event_types": ["settlement", "nova"]}),
    ({"snapshot_count": 0}, {"snapshot_count": 0}),
    ({"snapshot_count": 500}, {"snapshot_count": 500}),
    ({"since_ms": 1790000000000}, {"since": 1790000000000}),
    ({"since_ms": 5, "snapshot_count": 40}, {"since": 5}),
    (CHAINLINK, {"feeds": ["BTC/USD"]}),
    ({"preset": Preset.CHAINLINK, "twap_windows": (30, 60)}, {"twap_windows": [30, 60]}),
    ({"combo_condition_ids": ("c",)}, {"combo_condition_ids": ["c"]}),
    ({"leg_position_ids": ("l",)}, {"leg_position_ids": ["l"]}),
    ({"event_ids": ("e",)}, {"event_ids": ["e"]}),
    ({"module_ids": (0, 3)}, {"module_ids": [0, 3]}),
    ({"action": "create"}, {"action": "create"}),
    ({"direction": "deposit"}, {"direction": "deposit"}),
]


@pytest.mark.parametrize(("asked", "filters"), FILTERS)
def test_every_filter_is_said_as_the_wire_spells_it(
    asked: dict[str, Any], filters: dict[str, Any]
) -> None:
    assert frame(**asked)["filters"] == filters


def test_no_filter_is_left_out_of_the_table() -> None:
    """Facts 2.1."""
    said = {name for _, filters in FILTERS for name in filters}

    assert said == {field.name for field in msgspec.structs.fields(Filters)}
    assert len(said) == 20


def test_the_shape_of_the_guides_own_example() -> None:
    assert frame(snapshot_count=100) == {
        "action": "subscribe", "type": "settlements", "filters": {"snapshot_count": 100},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "history", "said"),
    [
        ({}, HistoryRequest(since_ms=7), {"since": 7}),
        ({}, HistoryRequest(count=9), {"snapshot_count": 9}),
        ({"snapshot_count": 40}, HistoryRequest(since_ms=7), {"since": 7}),
        ({"since_ms": 5}, HistoryRequest(count=9), {"snapshot_count": 9}),
        ({"since_ms": 5}, HistoryRequest(since_ms=7), {"since": 7}),
        (CHAINLINK, HistoryRequest(since_ms=7), {"feeds": ["BTC/USD"]}),
        ({**CHAINLINK, "snapshot_count": 3}, HistoryRequest(), {"feeds": ["BTC/USD"]}),
    ],
)
def test_what_was_missed_goes_before_what_was_asked_for_at_first(
    asked: Any, history: HistoryRequest, said: Any
) -> None:
    """`since` wins on the wire, so that only one of both is ever sent; prices have no history."""
    assert frame(history, **asked)["filters"] == said


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"preset": "settlements"}, "preset must be a Preset"),
        ({"wallets": ["0xa1"]}, "wallets must be a tuple of printable text"),
        ({"wallets": "0xa1"}, "wallets must be a tuple of printable text"),
        ({"wallets": ("0xa1", "0xa1")}, "wallets must be without repeats"),
        ({"wallets": ("",)}, "wallets must be a tuple of printable text"),
        ({"wallets": (" 0xa1",)}, "wallets must be"),
        ({"wallets": ("x" * 257,)}, "wallets must be"),
        ({"wallets": ("a\n",)}, "wallets must be"),
        ({"wallets": ([],)}, "wallets must be"),
        ({"markets": (7,)}, "markets must be"),
        ({"slugs": (None,)}, "slugs must be"),
        ({"condition_ids": ("\ud800",)}, "condition_ids must be"),
        ({"tokens": (7,)}, "tokens must be a tuple of texts of at most 78 decimal digits"),
        ({"tokens": ("7" * 79,)}, "tokens must be"),
        ({"tokens": ("0x7",)}, "tokens must be"),
        ({"tokens": ("",)}, "tokens must be"),
        ({"tokens": ("\u0667",)}, "tokens must be"),
        ({"side": "buy"}, "side must be one of BUY, SELL"),
        ({"side": ["BUY"]}, "side must be one of"),
        ({"status": "open"}, "status must be one of pending, confirmed, all"),
        ({"min_size": -1}, "min_size must be a number, 0 or above"),
        ({"min_size": "5"}, "min_size must be a number"),
        ({"min_size": True}, "min_size must be a number"),
        ({"max_size": float("inf")}, "max_size must be a number"),
        ({"max_size": float("nan")}, "max_size must be a number"),
        ({"max_size": Decimal("NaN")}, "max_size must be a number"),
        ({"min_size": 2, "max_size": Decimal(1)}, "min_size must not be above max_size"),
        ({"event_types": ("",)}, "event_types must be"),
        ({"snapshot_count": -1}, "snapshot_count must be an integer from 0 to 500"),
        ({"snapshot_count": 501}, "snapshot_count must be"),
        ({"snapshot_count": True}, "snapshot_count must be"),
        ({"snapshot_count": 1.0}, "snapshot_count must be"),
        ({"since_ms": -1}, "since_ms must be epoch milliseconds"),
        ({"since_ms": 1.5}, "since_ms must be"),
        ({"module_ids": ("1",)}, "module_ids must be a tuple of integers"),
        ({"module_ids": (-1,)}, "module_ids must be"),
        ({"module_ids": (True,)}, "module_ids must be"),
        ({"action": ""}, "action must be printable text"),
        ({"direction": 7}, "direction must be printable text"),
        ({"feeds": ("BTC/USD",)}, "go with chainlink, and with no other"),
        ({"twap_windows": (30,)}, "go with chainlink"),
        ({"preset": Preset.CHAINLINK}, "go with chainlink"),
        ({"preset": Preset.CHAINLINK, "twap_windows": (45,)}, "twap_windows must be a tuple of 30"),
        ({"preset": Preset.CHAINLINK, "twap_windows": (30, 30)}, "without repeats"),
        ({"wallets": tuple(map(str, range(6000))), "markets": tuple(map(str, range(4001)))},
         "more than 10000 filter items"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Subscription(**asked)


def test_what_is_just_allowed_is_allowed() -> None:
    made = Subscription(
        min_size=2.0,
        max_size=Decimal(2),
        wallets=("x" * 256,),
        tokens=("7" * 78,),
        action="x" * 256,
    )

    assert made.max_size == made.min_size


def test_as_many_filter_items_as_allowed_are_allowed() -> None:
    wallets = tuple(map(str, range(6000)))
    markets = tuple(map(str, range(4000)))

    assert Subscription(wallets=wallets, markets=markets).markets == markets


@pytest.mark.parametrize(
    ("asked", "brings"),
    [
        ({}, True),
        ({"preset": Preset.TRADES}, True),
        ({"preset": Preset.PRICES}, False),
        ({"preset": Preset.LARGE_TRADES}, False),
        ({"preset": Preset.BLOCKS}, True),
        ({"status": "pending"}, False),
        ({"status": "confirmed"}, True),
        ({"event_types": ("settlement",)}, False),
        ({"preset": Preset.PRICES, "event_types": ("settlement", "status_update")}, True),
        ({"preset": Preset.PRICES, "event_types": ("trade",)}, True),
    ],
)
def test_who_makes_items_pending_should_also_hear_of_their_end(asked: Any, brings: bool) -> None:
    """HZ-G17, facts 9.4."""
    assert Subscription(**asked).brings_confirmations == brings


def test_only_prices_have_no_history() -> None:
    assert [preset for preset in Preset if preset is not Preset.CHAINLINK
            and not Subscription(preset=preset).has_history] == []  # fmt: skip
    assert not Subscription(preset=Preset.CHAINLINK, feeds=("x",)).has_history


def test_a_subscription_is_a_value() -> None:
    one, other = Subscription(wallets=("0xa1",)), Subscription(wallets=("0xa1",))

    assert one == other
    assert len({one, other}) == 1
