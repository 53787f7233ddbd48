"""What the payloads of OddsPapi mean: the units that the wire replaces whole, by key."""

from collections.abc import Mapping
from typing import Any

Units = dict[str, Any]

LIVE_ONLY = ("events", "stats", "injuries", "lineups")
BY_FIXTURE = ("odds", "bookmakers")
LISTS = {"fixtures": "/fixtures", "scores": "/fixtures", "clocks": "/fixtures"}


def fixture_of(payload: Any) -> str:
    """The fixture an entry is about; raises ValueError."""
    name = payload.get("fixtureId") if isinstance(payload, dict) else None
    if not isinstance(name, str):
        raise ValueError("no fixtureId")
    return name


def units(channel: str, payload: Mapping[str, Any]) -> Units:
    """The units of an entry; raises ValueError for a payload that is not what it should be."""
    fixture = fixture_of(payload)
    if channel == "fixtures":
        foreign = ("scores", "clock", "bookmakers")
        return {f"fixtures/{fixture}": {k: v for k, v in payload.items() if k not in foreign}}
    if channel == "clocks":
        clock = _mapping(payload.get("clock"))
        return {f"clocks/{fixture}": clock}
    if channel == "odds":
        return {
            f"odds/{fixture}/{book}/{key}": _mapping(row)
            for book, rows in _mapping(payload.get("odds")).items()
            for key, row in _mapping(rows).items()
        }
    return {
        f"{channel}/{fixture}/{name}": _mapping(value)
        for name, value in _mapping(payload.get(channel)).items()
    }


def rows_of_list(channel: str, fixtures: list[Any]) -> Units:
    """What a list of fixtures says of `fixtures`, `scores` or `clocks`."""
    found: Units = {}
    for fixture in fixtures:
        if channel == "clocks" and not any(
            value is not None for value in (fixture.get("clock") or {}).values()
        ):
            continue
        found |= units(channel, fixture)
    return found


def stamp(unit: Any) -> Any:
    """A unit's own time, when it carries one."""
    return unit.get("changedAt", unit.get("updatedAt"))


def visible(state: Units) -> Units:
    """Without what no snapshot can show: inactive rows, and odds of what is over."""
    over = {
        key.removeprefix("fixtures/")
        for key, value in state.items()
        if key.startswith("fixtures/") and (value.get("status") or {}).get("statusId") in (2, 3)
    }
    return {
        key: value
        for key, value in state.items()
        if not (
            key.startswith(("odds/", "bookmakers/"))
            and (key.split("/")[1] in over or value.get("active") is False)
        )
    }


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value
