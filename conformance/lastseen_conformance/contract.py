"""The two contracts of a client under test: its environment, and what it prints.

The JSON Schemas in `schemas/` are made from this (`python -m lastseen_conformance.contract`).
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from lastseen_conformance.timers import TIMERS, as_environment

__all__ = [
    "ENVIRONMENT",
    "REPORT_SCHEMA",
    "SCHEMAS",
    "Line",
    "check_line",
    "main",
    "read_line",
]

REPORT_SCHEMA: Final = "lastseen.report/1"
ENVIRONMENT_SCHEMA: Final = "lastseen.environment/1"
SCHEMAS: Final = Path(__file__).parent / "schemas"

State = Literal["cold", "syncing", "resuming", "synced", "stale", "live_only"]


class Line(msgspec.Struct, tag_field="event", kw_only=True):
    """A line of the report: one JSON object. Members that are not listed are passed over."""


class Applied(Line, tag="applied"):
    """An entry changed the client's state; `id` is null for one that had none."""

    channel: str
    id: str | None
    epoch: str | None = None
    src: Literal["live", "replay", "history"] | None = None


class Duplicate(Line, tag="duplicate"):
    """An entry was known already."""

    channel: str
    id: str | None


class Discarded(Line, tag="discarded"):
    """An entry was not applied, and `why`."""

    channel: str
    id: str | None
    why: str


class Status(Line, tag="status"):
    """What the client claims of a channel from here on."""

    channel: str
    state: State
    proof: Literal["proven", "unproven"] | None = None


class SnapshotApplied(Line, tag="snapshot_applied"):
    """A snapshot replaced the state of a channel, or of one entity of it."""

    channel: str
    entity: str | None = None
    rows: int | None = None
    proof: Literal["proven", "unproven"] | None = None


class Item(Line, tag="item"):
    """An item moved: of feeds whose items are pending first."""

    key: str | list[str]
    state: Literal["unknown", "pending", "timed_out", "confirmed"]


class Gap(Line, tag="gap"):
    """Something may be missing, and the client says so."""

    reason: str | None = None


class Anomaly(Line, tag="anomaly"):
    """Something odd was noticed."""

    code: str
    channel: str | None = None


class Restored(Line, tag="restored"):
    """What the client brought back from an earlier life."""

    epoch: str | None = None
    cursors: dict[str, str] = {}


class Committed(Line, tag="committed"):
    """A position is durable, with its state."""

    epoch: str | None
    cursors: dict[str, str]


class StateTold(Line, tag="state"):
    """The answer to `state`: unit key to value."""

    state: dict[str, Any]


class Opening(msgspec.Struct, kw_only=True):
    """The first line."""

    schema: Literal["lastseen.report/1"]
    client: str | None = None


AnyLine = (
    Applied
    | Duplicate
    | Discarded
    | Status
    | SnapshotApplied
    | Item
    | Gap
    | Anomaly
    | Restored
    | Committed
    | StateTold
)

_EVENTS: Final = frozenset(kind.__struct_config__.tag for kind in AnyLine.__args__)

ENVIRONMENT: Final[Mapping[str, str]] = {
    "LASTSEEN_DIALECT": "What the gateway speaks.",
    "LASTSEEN_WS_URL": "Where to connect, as it is.",
    "LASTSEEN_HTTP_URL": "What paths of REST requests are appended to; it has no slash at its end.",
    "LASTSEEN_API_KEY": "The key to log in with.",
    "LASTSEEN_CHANNELS": "What to subscribe to, with commas in between; or the name of one stream.",
    "LASTSEEN_STATE_DIR": "A folder for state that is to survive a restart; it survives one.",
    "LASTSEEN_CASE": "The case that is being played, for logs.",
    "LASTSEEN_RUN": "A mark of this run, for children to inherit.",
}

SOMETIMES: Final[Mapping[str, str]] = {
    "LASTSEEN_ACCOUNT": "Whose orders and positions to ask for, of feeds that have accounts.",
}
"""What is there for some dialects only."""


def read_line(text: str | bytes) -> dict[str, Any] | None:
    """A line as an object, None when it is none."""
    try:
        value: Any = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return value if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType]


def check_line(line: Mapping[str, Any]) -> str | None:
    """What is wrong with a line, in words; None for a good one, also of an event nobody knows.

    >>> check_line({"event": "status", "channel": "odds", "state": "fine"})
    "Invalid enum value 'fine' - at `$.state`"
    """
    kind: Any = Opening if "schema" in line else AnyLine
    if kind is AnyLine and "event" not in line:
        return "it has no 'event'"
    if kind is AnyLine and line["event"] not in _EVENTS:
        return None
    try:
        msgspec.convert(line, kind)
    except msgspec.ValidationError as error:
        return str(error)
    return None


def schemas() -> dict[str, str]:
    """Every schema file and its text."""
    kinds = [Opening, *AnyLine.__args__]
    refs, parts = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    report = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": REPORT_SCHEMA,
        "title": "One line of a client's report",
        "anyOf": [
            *refs,
            {
                "type": "object",
                "required": ["event"],
                "properties": {"event": {"not": {"enum": sorted(_EVENTS)}}},
            },
        ],
        "$defs": parts,
    }
    said_of = {**ENVIRONMENT, **SOMETIMES}
    texts = {name: {"type": "string", "description": said} for name, said in said_of.items()}
    environment = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ENVIRONMENT_SCHEMA,
        "title": "The environment of a client under test",
        "type": "object",
        "required": sorted(ENVIRONMENT),
        "properties": {
            **texts,
            **{
                name: {
                    "type": "string",
                    "pattern": "^[0-9.]+$",
                    "description": "A timer, in seconds. A client may ignore it and be slower.",
                }
                for name in as_environment(TIMERS)
            },
        },
    }
    return {
        "report-1.json": _text(report),
        "environment-1.json": _text(environment),
    }


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2) + "\n"


def main(arguments: list[str]) -> int:
    """Writes the schemas; with `--check` says whether they are in step."""
    late = [
        name
        for name, text in schemas().items()
        if not (SCHEMAS / name).exists() or (SCHEMAS / name).read_text(encoding="utf-8") != text
    ]
    if "--check" in arguments:
        for name in late:
            sys.stderr.write(f"{name} is not what the contract says\n")
        return 1 if late else 0
    SCHEMAS.mkdir(exist_ok=True)
    for name, text in schemas().items():
        (SCHEMAS / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
