"""REST query parameters: reading them, and the errors they can cause (§5)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

__all__ = ["BOOKMAKERS_MAX", "FIXTURE_IDS_MAX", "ProblemError", "Query", "read_query"]

BOOKMAKERS_MAX: Final = 5
FIXTURE_IDS_MAX: Final = 50


class ProblemError(Exception):
    """A request that is answered with an error: `status` and the members of the body."""

    def __init__(self, status: int, code: str, message: str, **members: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"error": status, "message": message, "code": code, **members}


@attrs.frozen(kw_only=True)
class Query:
    """The parameters of all endpoints; `start_time_*` in epoch seconds, `since` in ms (OP-A30)."""

    sport_id: int | None = None
    tournament_id: int | None = None
    fixture_id: str | None = None
    fixture_ids: tuple[str, ...] | None = None
    future_id: str | None = None
    future_ids: tuple[str, ...] | None = None
    currency: tuple[str, ...] | None = None
    bookmakers: tuple[str, ...] | None = None
    start_time_from: int | None = None
    start_time_to: int | None = None
    since: int | None = None
    market_active: bool | None = None
    main_line: bool | None = None
    main_lines: bool | None = None
    include_future: bool | None = None


_FIELDS: Final[Mapping[str, tuple[str, str]]] = {
    "sportId": ("sport_id", "int"),
    "tournamentId": ("tournament_id", "int"),
    "fixtureId": ("fixture_id", "text"),
    "fixtureIds": ("fixture_ids", "list"),
    "futureId": ("future_id", "text"),
    "futureIds": ("future_ids", "list"),
    "currency": ("currency", "list"),
    "bookmakers": ("bookmakers", "list"),
    "startTimeFrom": ("start_time_from", "int"),
    "startTimeTo": ("start_time_to", "int"),
    "since": ("since", "int"),
    "marketActive": ("market_active", "bool"),
    "mainLine": ("main_line", "bool"),
    "mainLines": ("main_lines", "bool"),
    "includeFuture": ("include_future", "bool"),
}

_BOOLS: Final = {"true": True, "1": True, "false": False, "0": False}


def read_query(parameters: Sequence[tuple[str, str]], *, required: str | None = None) -> Query:
    """Reads the parameters an endpoint may use; unknown ones are passed over.

    Raises `ProblemError` 422 with one detail (`loc`, `msg`, `type`, `input`) for each wrong one.
    """
    values: dict[str, Any] = {}
    details: list[dict[str, Any]] = []
    for name, text in parameters:
        if name not in _FIELDS:
            continue
        field, kind = _FIELDS[name]
        value = _value(kind, text)
        if value is None:
            details.append(
                {
                    "loc": ["query", name],
                    "msg": f"not a valid {kind}",
                    "type": f"{kind}_parsing",
                    "input": text,
                }
            )
        else:
            values[field] = value
    if required is not None and required not in {name for name, _ in parameters}:
        details.append(
            {"loc": ["query", required], "msg": "is required", "type": "missing", "input": None}
        )
    if details:
        raise ProblemError(422, "validation_error", "invalid parameters", details=details)
    return Query(**values)


def _value(kind: str, text: str) -> Any:
    match kind:
        case "int":
            digits = text.removeprefix("-")
            plain = digits.isascii() and digits.isdigit() and len(digits) < 19
            return int(text) if plain else None
        case "bool":
            return _BOOLS.get(text.lower())
        case "list":
            return tuple(item for part in text.split(",") if (item := part.strip())) or None
        case _:
            return text or None
