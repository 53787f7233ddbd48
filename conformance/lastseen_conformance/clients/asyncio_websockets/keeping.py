"""Position and replica in one file, replaced whole: both are there, or both as they were (R6, R9).

Good for a small state; for a large one there is `lastseen_trio.SQLiteStore`.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import msgspec

from lastseen import (
    LastseenError,
    OddsPapi,
    Position,
    Replica,
    ScopeImage,
    ScopeKey,
    Unit,
)
from lastseen.payload import decode_json
from lastseen.replica import ScopeName

__all__ = ["StateFile"]

_encode = msgspec.json.Encoder(decimal_format="number").encode


@final
class StateFile:
    """The state of one subscription at one address; under another owner it means nothing."""

    def __init__(self, path: Path, owner: str, dialect: OddsPapi) -> None:
        """Reads what an earlier run left; `note` says why it is of no use."""
        self.path, self.owner = path, owner
        self.replica = Replica(dialect, tracked=True)
        self.position, self.note = Position(), "" or None
        self._scopes: dict[ScopeName, ScopeImage] = {}
        try:
            self._load(decode_json(path.read_bytes()))
        except FileNotFoundError:
            pass
        except (LastseenError, AttributeError, LookupError, TypeError, ValueError):
            self.note = f"{path.name} is not the state of this feed"
        self.replica.load(self._scopes)

    @property
    def bases(self) -> set[ScopeKey]:
        """The scopes whose state is there: what is in the file of every channel with a cursor."""
        channels = {ScopeKey(name, None) for name in self.position.channels}
        return channels | {ScopeKey(*name) for name in self._scopes}

    def stage(self, position: Position) -> Callable[[], None]:
        """Fixes the state of this moment with its position; returns what makes it durable."""
        changes = self.replica.take_changes()
        for name in changes.removed:
            del self._scopes[name]
        for name, image in changes.replaced.items():
            self._scopes[name] = image
        for name, units in changes.written.items():
            old = self._scopes[name]
            together = ScopeImage(unproven=old.unproven, units={**old.units, **units})
            self._scopes[name] = together
        rows = [(*name, image.unproven, image.units) for name, image in self._scopes.items()]
        data = _encode((self.owner, position.to_json(), rows))
        return lambda: _replace(self.path, data)

    def _load(self, kept: Any) -> None:
        owner, position, rows = kept
        if owner != self.owner:
            raise ValueError(owner)
        position = Position.from_json(position)
        self._scopes = {
            (channel, entity): ScopeImage(
                unproven=unproven, units={key: Unit(*unit) for key, unit in units.items()}
            )
            for channel, entity, unproven, units in rows
            if channel in position.channels
        }
        self.position = position


def _replace(path: Path, data: bytes) -> None:
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
