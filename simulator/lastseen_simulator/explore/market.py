"""A market in which every unit has a version: what an entry says, and what anybody knows of it."""

from collections.abc import Mapping
from typing import Any, Final

from lastseen_simulator.sports import iso_from_ms

__all__ = ["WALL_MS", "payload_of", "version_of", "versions_in"]

WALL_MS: Final = 1_790_000_000_000
"""The gateway's clock. It stands still, or ids would hold absolute time."""


def payload_of(
    channel: str, unit: str, version: int, tables: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What is published to bring a unit to a version: a period of scores, or a whole fixture."""
    fixture_id, fixture = next(iter(tables["fixtures"].items()))
    if channel == "fixtures":
        return {**fixture, "venue": {"venueId": version, "venueName": None, "venueLocation": None}}
    score = {
        "period": unit,
        "participant1Score": version,
        "participant2Score": 0,
        "updatedAt": iso_from_ms(WALL_MS + version),
    }
    return {"fixtureId": fixture_id, "scores": {unit: score}}


def versions_in(channel: str, payload: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The units of a published payload, with their versions."""
    if channel == "fixtures":
        return [("", version_of(payload))]
    return [(unit, version_of(value)) for unit, value in payload["scores"].items()]


def version_of(value: Any) -> int:
    """The version of a unit's value; 0 before anything was published of it.

    >>> version_of({"participant1Score": 3}), version_of({"venue": {"venueId": None}})
    (3, 0)
    """
    if "venue" in value:
        return int(value["venue"]["venueId"] or 0)
    return int(value["participant1Score"])
