"""What may be asked for: every channel that can be restored must have something to select it by."""

from typing import Any

import attrs
import pytest

from lastseen import ConfigurationError, Subscription
from lastseen.dialects.oddspapi import DEFAULT_CHANNELS
from lastseen.dialects.oddspapi.subscription import DOCUMENTED_SPORTS

FUTURES = ("futures", "oddsFutures", "bookmakersFutures")
BOTH = (*DEFAULT_CHANNELS, *FUTURES)


@pytest.mark.parametrize(
    ("asked", "sports"),
    [
        ({}, DOCUMENTED_SPORTS),
        ({"fixture_ids": ("A",)}, ()),
        ({"tournament_ids": (4,)}, ()),
        ({"sport_ids": (10,)}, (10,)),
        ({"sport_ids": (10,), "fixture_ids": ("A",)}, (10,)),
        # No channel of futures is asked for, so that these select nothing.
        ({"future_ids": ("F",)}, DOCUMENTED_SPORTS),
        ({"channels": FUTURES}, DOCUMENTED_SPORTS),
        ({"channels": FUTURES, "future_ids": ("F",)}, ()),
        ({"channels": FUTURES, "tournament_ids": (4,)}, ()),
        ({"channels": FUTURES, "sport_ids": (10,)}, (10,)),
        ({"channels": BOTH}, DOCUMENTED_SPORTS),
        ({"channels": BOTH, "fixture_ids": ("A",), "future_ids": ("F",)}, ()),
        ({"channels": BOTH, "tournament_ids": (4,)}, ()),
        ({"channels": ("currencies",)}, ()),
        ({"channels": ("currencies", "scores")}, DOCUMENTED_SPORTS),
        ({"channels": ("currencies", "futures"), "future_ids": ("F",)}, ()),
        ({"channels": ("events",)}, DOCUMENTED_SPORTS),
        ({"channels": ("nope",)}, DOCUMENTED_SPORTS),
        ({"channels": ("events",), "fixture_ids": ("A",)}, ()),
        ({"channels": ("events", "currencies"), "sport_ids": ()}, ()),
    ],
)
def test_the_documented_sports_are_meant_where_nothing_else_selects(
    asked: dict[str, Any], sports: tuple[int, ...]
) -> None:
    made = Subscription(**asked)

    assert made.sport_ids == sports
    assert attrs.evolve(made, bookmakers=("x",)).sport_ids == sports


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"channels": FUTURES, "fixture_ids": ("A",)}, "futures, oddsFutures, .* or future_ids"),
        ({"channels": FUTURES, "sport_ids": ()}, "or future_ids"),
        ({"channels": BOTH, "fixture_ids": ("A",)}, "^futures, .* or future_ids"),
        ({"channels": BOTH, "future_ids": ("F",)}, "^fixtures, scores, .* or fixture_ids"),
        ({"channels": ("clocks",), "sport_ids": ()}, "^clocks .* or fixture_ids"),
        ({"channels": ("currencies", "odds"), "sport_ids": ()}, "^odds cannot be restored"),
        ({"channels": ("events", "futures"), "fixture_ids": ("A",)}, "^futures cannot"),
        ({"channels": None}, "channels must be a tuple"),
        ({"channels": "futures"}, "channels must be a tuple"),
        ({"future_ids": ["F"]}, "future_ids"),
        ({"future_ids": ("F", "F")}, "future_ids"),
    ],
)
def test_what_could_not_be_restored_is_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Subscription(**asked)
