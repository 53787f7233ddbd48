"""Where a state file can be, and how what is not usable gets out of its way: never deleted."""

import os
import stat
from itertools import count
from pathlib import Path

from lastseen_trio.store import StoreError

__all__ = [
    "SUFFIXES",
    "identity",
    "require_place",
    "set_aside",
    "shown",
    "size_of",
    "sync_folder",
]

SUFFIXES = ("-wal", "-journal", "-shm", "")
"""What SQLite keeps beside a database, and last the database itself."""


def shown(path: str | os.PathLike[str]) -> str:
    """A path for people, in one line."""
    text = os.fspath(path)
    return text if text.isprintable() else ascii(text)


def require_place(path: Path, name: str) -> None:
    """Raises `StoreError` where there can be no state file, whatever becomes of the disk."""
    try:
        folder = _mode(path.parent)
        if folder is None:
            raise StoreError(f"{name} cannot be opened: there is no {shown(path.parent)}")
        if not stat.S_ISDIR(folder):
            raise StoreError(f"{name} cannot be opened: {shown(path.parent)} is not a folder")
        mode = _mode(path)
    except OSError as error:
        raise StoreError(f"{name} cannot be opened: {error.strerror}") from None
    if mode is not None and not stat.S_ISREG(mode):
        # Opening a pipe would wait for its other end.
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise StoreError(f"{name} cannot be opened: it is {kind}")


def size_of(path: Path | str) -> int:
    """In bytes; 0 where there is nothing. Raises OSError."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def identity(path: Path) -> tuple[int, int] | None:
    """Which file a path leads to; None when to none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def set_aside(path: Path) -> Path:
    """Renames a database, and what belongs to it, to the first free `….set-aside-N`.

    The write-ahead log goes first, so that no crash leaves a new database beside an old log.
    Raises OSError; what was renamed until then stays renamed.
    """
    targets = (f"{path}.set-aside-{number}" for number in count(1))
    target = next(name for name in targets if not any(map(os.path.lexists, _files(name))))
    for old, new in zip(_files(path), _files(target), strict=True):
        if os.path.lexists(old):
            os.rename(old, new)
    sync_folder(path.parent)
    return Path(target)


def sync_folder(folder: Path) -> None:
    """Makes new names in a folder durable; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _files(path: Path | str) -> list[str]:
    return [f"{path}{suffix}" for suffix in SUFFIXES]
