"""What is played in the invented world, and how its numbers are written."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import attrs

__all__ = [
    "FINISHED",
    "LIVE",
    "NAMES",
    "PREGAME",
    "SPORTS",
    "SPORT_IDS",
    "Sport",
    "american_odds",
    "fractional_odds",
    "iso_from_ms",
    "new_score",
    "status_object",
]

PREGAME, LIVE, FINISHED = 0, 1, 2
_STATUS_NAMES: Final = {PREGAME: "Pre-Game", LIVE: "Live", FINISHED: "Finished"}


@attrs.frozen(kw_only=True)
class Sport:
    """One sport: `tournaments` as id and name, `markets` as id and outcome ids (§6.1)."""

    name: str
    tournaments: tuple[tuple[int, str], ...]
    markets: tuple[tuple[int, tuple[int, ...]], ...]
    periods: tuple[str, ...]
    period_minutes: int | None
    points: tuple[int, ...]


# Market and outcome ids of soccer and basketball are the vendor's (§6.1); tennis follows its rule
# that a market is named by its first outcome and starts with the sport's digits.
SPORTS: Final = {
    10: Sport(
        name="Soccer",
        tournaments=((420, "Harbour League"), (421, "Harbour Cup")),
        markets=((101, (101, 102, 103)), (104, (104, 105)), (1010, (1010, 1011))),
        periods=("p1", "p2"),
        period_minutes=45,
        points=(1,),
    ),
    11: Sport(
        name="Basketball",
        tournaments=((530, "Hill Conference"),),
        markets=((111, (111, 112)),),
        periods=("p1", "p2", "p3", "p4"),
        period_minutes=10,
        points=(1, 2, 3),
    ),
    12: Sport(
        name="Tennis",
        tournaments=((640, "Lakeside Open"),),
        markets=((121, (121, 122)),),
        periods=("p1", "p2", "p3"),
        period_minutes=None,
        points=(1,),
    ),
}
SPORT_IDS: Final = (10, 11, 10, 12)

NAMES: Final = ("Alder", "Birch", "Cedar", "Dune", "Ember", "Fjord", "Grove", "Heron", "Islet")


def iso_from_ms(wall_ms: int) -> str:
    """ISO 8601 in UTC with microseconds, the form of `updatedAt` (OP-A30)."""
    return datetime.fromtimestamp(wall_ms / 1000, UTC).isoformat(timespec="microseconds")


def status_object(status: int) -> dict[str, Any]:
    """The `status` member of a fixture (§6.4)."""
    return {
        "live": status == LIVE,
        "statusId": status,
        "statusName": _STATUS_NAMES[status],
    }


def new_score(period: str, wall_ms: int) -> dict[str, Any]:
    """A period nobody has scored in (§6.3)."""
    return {
        "period": period,
        "participant1Score": 0,
        "participant2Score": 0,
        "updatedAt": iso_from_ms(wall_ms),
    }


def fractional_odds(price: Decimal) -> str:
    """Decimal odds as a fraction.

    >>> fractional_odds(Decimal("1.87"))
    '87/100'
    """
    numerator, denominator = (price - 1).as_integer_ratio()
    return f"{numerator}/{denominator}"


def american_odds(price: Decimal) -> int:
    """Decimal odds as American ones.

    >>> american_odds(Decimal("1.87")), american_odds(Decimal("2.5"))
    (-115, 150)
    """
    profit = price - 1
    return round(profit * 100) if profit >= 1 else round(-100 / profit)
