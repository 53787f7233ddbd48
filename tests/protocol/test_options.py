"""Options and subscriptions that could not work are refused when they are made."""

from typing import Any

import pytest

from lastseen import ConfigurationError, SessionOptions, Subscription

SWITCHES = ("report_discarded", "report_commits")
NAMES = [name for name in SessionOptions.__struct_fields__ if name not in SWITCHES]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, -1, float("nan"), False, None])
def test_every_figure_is_above_zero(name: str, value: float) -> None:
    changed: dict[str, Any] = {name: value}
    with pytest.raises(ConfigurationError, match=name):
        SessionOptions(**changed)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"channels": ()}, "at least one channel"),
        ({"sport_ids": ()}, "sport_ids, tournament_ids or fixture_ids"),
        ({"receive_type": "zstd"}, "json, binary"),
        ({"lang": "xx"}, "lang"),
        ({"channels": ("a", "a")}, "channels"),
        ({"bookmakers": ["a"]}, "bookmakers"),
        ({"fixture_ids": "abc"}, "fixture_ids"),
    ],
)
def test_a_subscription_that_cannot_work_is_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Subscription(**changed)


def test_a_subscription_by_fixtures_alone_works() -> None:
    assert Subscription(sport_ids=(), fixture_ids=("A",)).fixture_ids == ("A",)
