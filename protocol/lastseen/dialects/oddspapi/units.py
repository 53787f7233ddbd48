"""What an update replaces, and what a snapshot brings back: units by key (`facts` §6.0).

Down to the unit, updates merge; the unit itself is replaced whole. A unit's key says its channel
and where it sits: `fixtures/<fixture>`, `scores/<fixture>/<period>`,
`odds/<fixture>/<bookmaker>/<oddsId>`, `bookmakers/<fixture>/<bookmaker>`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from lastseen.errors import PayloadError
from lastseen.shapes import as_object, member

__all__ = ["is_finished", "read_units", "stamp_of", "view"]

_FINISHED = (2, 3)
"""`statusId` of finished and cancelled fixtures (`facts` §6.1)."""

_OWN_CHANNELS = ("scores", "clock", "bookmakers")
"""Members of a fixture that have channels of their own; a fixture must not overwrite them."""

Units = dict[str, Any]


def read_units(channel: str, payload: Mapping[str, Any]) -> Units:
    """The units of one update or of one snapshot row; raises `PayloadError` for a wrong shape."""
    reader = _READERS.get(channel)
    if reader is None:
        return {}
    fixture = payload.get("fixtureId")
    if type(fixture) is not str or not fixture:
        raise PayloadError(f"{channel} without a fixtureId")
    return reader(fixture, payload)


def _fixture_units(fixture: str, payload: Mapping[str, Any]) -> Units:
    own = {name: value for name, value in payload.items() if name not in _OWN_CHANNELS}
    return {f"fixtures/{fixture}": own}


def _score_units(fixture: str, payload: Mapping[str, Any]) -> Units:
    periods = _objects(payload.get("scores"), "scores")
    return {f"scores/{fixture}/{period}": value for period, value in periods.items()}


def _odds_units(fixture: str, payload: Mapping[str, Any]) -> Units:
    books = _objects(payload.get("odds"), "odds")
    return {
        f"odds/{fixture}/{book}/{odds_id}": row
        for book, rows in books.items()
        for odds_id, row in _objects(rows, "odds of a bookmaker").items()
    }


def _bookmaker_units(fixture: str, payload: Mapping[str, Any]) -> Units:
    books = _objects(payload.get("bookmakers"), "bookmakers")
    return {f"bookmakers/{fixture}/{book}": value for book, value in books.items()}


_READERS: Mapping[str, Callable[[str, Mapping[str, Any]], Units]] = {
    "fixtures": _fixture_units,
    "scores": _score_units,
    "odds": _odds_units,
    "bookmakers": _bookmaker_units,
}


def _objects(value: Any, what: str) -> Mapping[str, Mapping[str, Any]]:
    members = as_object(value)
    if members is None or not all(type(item) is dict for item in members.values()):
        raise PayloadError(f"{what} is not an object of objects")
    return members


def stamp_of(channel: str, value: Any) -> Any:
    """A unit's own time: `changedAt` of odds, `updatedAt` of scores and bookmakers (OP-A6).

    None when there is none, or when it cannot be compared; then the stream wins.
    """
    if channel == "odds":
        stamp = value.get("changedAt")
        return stamp if type(stamp) is int else None
    stamp = value.get("updatedAt")
    return _comparable(stamp) if type(stamp) is str else None


def _comparable(text: str) -> str | None:
    """A UTC ISO 8601 time in a form that sorts as text; None for any other form."""
    for zone in ("+00:00", "Z"):
        if text.endswith(zone):
            seconds, _, fraction = text.removesuffix(zone).partition(".")
            return (
                f"{seconds}.{fraction:0<9}" if len(seconds) == len("0000-00-00T00:00:00") else None
            )
    return None


def is_finished(fixture: Any) -> bool:
    """Whether a fixture is over; a status of another shape says nothing."""
    status = member(fixture, "status", "statusId")
    return type(status) is int and status in _FINISHED


def view(units: Mapping[str, Any]) -> Units:
    """What a reader should see: no inactive rows, and no odds of finished fixtures.

    The vendor's snapshots leave out both (OP-A27, `facts` §5), so only this view can be compared.
    """
    over = {
        key.partition("/")[2]
        for key, value in units.items()
        if key.startswith("fixtures/") and is_finished(value)
    }
    return {key: value for key, value in units.items() if _is_shown(key, value, over)}


def _is_shown(key: str, value: Any, over: set[str]) -> bool:
    channel, _, rest = key.partition("/")
    if channel not in ("odds", "bookmakers"):
        return True
    if rest.partition("/")[0] in over:
        return False
    return channel != "odds" or value.get("active") is not False
