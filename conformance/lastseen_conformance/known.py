"""Lists of cases that are known to fail, or to be flaky: with a reason and an expiry each."""

import tomllib
from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path
from typing import Any, cast, final

import attrs

__all__ = ["Known", "KnownFileError", "load_known", "stale_entries"]


class KnownFileError(ValueError):
    """A list is wrong; the text says where and how."""


@final
@attrs.frozen(kw_only=True)
class Known:
    """One entry."""

    id: str
    reason: str
    until: date


def load_known(path: Path) -> Mapping[str, Known]:
    """Reads `[[case]]` tables with `id`, `reason` and `until`; raises `KnownFileError`."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise KnownFileError(f"{path}: {error}") from None
    known: dict[str, Known] = {}
    extra = sorted(set(document) - {"case"})
    if extra:
        raise KnownFileError(f"{path}: unknown key: {extra[0]}")
    tables = cast("list[dict[str, Any]]", document.get("case", []))
    for number, table in enumerate(tables, start=1):
        where = f"{path}: entry {number}"
        if set(table) != {"id", "reason", "until"}:
            raise KnownFileError(f"{where} needs id, reason and until, and nothing else")
        name, reason, until = table["id"], table["reason"], table["until"]
        if type(until) is not date:
            raise KnownFileError(f"{where}: until must be a date, as in 2027-01-31")
        if not isinstance(name, str) or not isinstance(reason, str) or not reason.strip():
            raise KnownFileError(f"{where}: an id and a reason, as texts")
        entry = Known(id=name, reason=reason, until=until)
        if entry.id in known:
            raise KnownFileError(f"{where}: {entry.id} is there twice")
        known[entry.id] = entry
    return known


def stale_entries(
    known: Mapping[str, Known], *, cases: Collection[str], passed: Collection[str], today: date
) -> list[str]:
    """What is wrong with the entries by now: expired, of no case, or passing."""
    found: list[str] = []
    for name, entry in sorted(known.items()):
        if name not in cases:
            found.append(f"{name} is no case")
        elif entry.until < today:
            found.append(f"{name} expired on {entry.until}")
        elif name in passed:
            found.append(f"{name} is listed as failing, and passes")
    return found
