"""What a state file would bring back, read with nothing but sqlite3 and json."""

import json
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
from truth_file import plain

__all__ = ["StateCopy", "copy_state", "read_state"]


@attrs.frozen(kw_only=True)
class StateCopy:
    """Position and units of a state file; an empty one where there is none, or half of one."""

    epoch: str | None = None
    cursors: Mapping[str, str] = attrs.field(factory=dict[str, str])
    units: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    undated: frozenset[tuple[str, str | None]] = frozenset()
    """Channel and entity of bases whose source did not say how old they were (R11)."""

    @property
    def position(self) -> tuple[str | None, Mapping[str, str]]:
        return self.epoch, self.cursors

    def is_undated(self, key: str) -> bool:
        """Whether the base of a unit could not be dated, or the list that says there is one."""
        channel, _, rest = key.partition("/")
        return not self.undated.isdisjoint({(channel, None), (channel, rest.partition("/")[0])})


def copy_state(path: Path, folder: Path) -> Path:
    """Copies a database and whatever lies beside it; nobody may have it open."""
    folder.mkdir(parents=True)
    for each in path.parent.glob(f"{path.name}*"):
        shutil.copyfile(each, folder / each.name)
    return folder / path.name


def read_state(path: Path) -> StateCopy:
    """Reads a copy, recovering what its write-ahead log holds; the copy may change by that."""
    if not path.exists():
        return StateCopy()
    with closing(sqlite3.connect(path)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if "meta" not in tables:
            return StateCopy()
        ((text,),) = database.execute("SELECT position FROM meta")
        scopes = database.execute("SELECT channel, entity, unproven FROM scopes").fetchall()
        rows = database.execute("SELECT key, value FROM units").fetchall()
    position = json.loads(text)
    return StateCopy(
        epoch=position["epoch"],
        cursors=position["cursors"],
        units={key: plain(json.loads(value, parse_float=Decimal)) for key, value in rows},
        undated=frozenset((channel, entity) for channel, entity, undated in scopes if undated),
    )
