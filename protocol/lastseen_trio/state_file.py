"""A replica and its position in one SQLite file, from start to start (R6, R9).

A state file is opened once: locked, verified to the last row, and bound to one dialect, endpoint,
account and subscription. What is there and is not that is renamed, with a note, never deleted and
never written to (HZ-E8). What the disk does not let us write leaves the file as it was, and the
next write tries again (HZ-E9).
"""

import hmac
import os
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import final
from urllib.parse import quote

import attrs

from lastseen.position import Position
from lastseen.replica import ReplicaChanges, ScopeImage, ScopeName
from lastseen.secret import Secret
from lastseen_trio.set_aside import SUFFIXES, identity, require_place, set_aside, shown, size_of
from lastseen_trio.state_database import FOREIGN, Database, UnfitError, primary_code, unfit_reason
from lastseen_trio.state_rows import Meta
from lastseen_trio.store import Binding, CommitError, StoreError

__all__ = ["Loaded", "StateFile"]

_IN_USE = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_UNWRITABLE = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
}
"""What lets us run, with writes that fail until it is mended."""

_TRIES = 4
"""To begin with: as found, after a move, and the same again if somebody else moves things too."""

_NOTHING = 1
"""A file of one byte is an empty one to SQLite, and its log a stray one, which it deletes."""

_FINGERPRINT_BYTES = 3

_Images = dict[ScopeName, ScopeImage]
_Judge = Callable[[Meta], None]


@final
@attrs.frozen(kw_only=True)
class Loaded:
    """What a state file held: a position, and the state of the channels that have a cursor in it.

    A channel without a cursor starts cold, whatever is kept of it. Snapshots of its scopes would
    replace that, but the scopes that ended meanwhile get none and would stay for good. So nothing
    of such a channel is loaded, and the next write forgets it.
    """

    position: Position
    scopes: Mapping[ScopeName, ScopeImage]
    note: str | None
    """What was set aside, or why nothing can be written, in one line."""


@final
@attrs.frozen
class _Mark:
    """The write that a file was last seen after."""

    writer: bytes
    generation: int

    @classmethod
    def of(cls, meta: Meta) -> "_Mark":
        return cls(meta.writer, meta.generation)


@final
@attrs.define(eq=False)
class StateFile:
    """Made by `open`; for one thread at a time. It knows no clock and no event loop."""

    _path: Path
    _name: str
    _database: Database | None = attrs.field(init=False, default=None)
    _known: _Mark | None = attrs.field(init=False, default=None)
    """The last write that is known to be in the file; None while there is no file of ours."""
    _writer: bytes = attrs.field(init=False, factory=lambda: os.urandom(16))
    _stale: set[ScopeName] = attrs.field(init=False, factory=set[ScopeName])
    """In the file, and to be forgotten by the next write."""
    _unstorable: set[ScopeName] = attrs.field(init=False, factory=set[ScopeName])
    _notes: list[str] = attrs.field(init=False, factory=list[str])

    @classmethod
    def open(cls, path: str | os.PathLike[str], binding: Binding) -> tuple["StateFile", Loaded]:
        """Opens or makes the file at `path`, following links.

        A disk that cannot be written keeps nobody from running: what can be read is read, and
        writes fail for as long as that lasts. Raises `StoreError` where there is nothing to begin
        with: no folder, no permission to read, a file that another process has open, or an unfit
        one that cannot be moved.
        """
        name = shown(path)
        try:
            file = cls(Path(os.path.realpath(path)), name)
        except ValueError as error:
            raise StoreError(f"{name} cannot be opened: {error}") from None
        try:
            require_place(file._path, name)
            return file, file._start(binding)
        except sqlite3.Error as error:
            raise StoreError(f"{name} {file._reason(error)}") from error
        except OSError as error:
            raise StoreError(f"{name} cannot be opened: {error.strerror}") from error

    def write(self, changes: ReplicaChanges, position: Position, binding: Binding) -> None:
        """Makes both durable in one transaction; raises `CommitError` when neither is."""
        try:
            database = self._ready(binding)
            meta = attrs.evolve(
                database.meta,
                writer=self._writer,
                dialect=_text(binding.name),
                endpoint=_text(binding.endpoint),
                subscription=_text(binding.subscription),
            )
            database.write(changes, position, meta, stale=self._stale, unstorable=self._unstorable)
        except sqlite3.Error as error:
            self._recover(error)
            raise CommitError(f"{self._name} {self._reason(error)}") from error
        except OSError as error:
            self.close()
            raise CommitError(f"{self._name} cannot be written: {error.strerror}") from error
        self._known = _Mark.of(database.meta)
        self._stale.clear()

    def close(self) -> None:
        """Empties the write-ahead log if the disk allows it, and lets go; never raises."""
        database, self._database = self._database, None
        if database is not None:
            database.close()

    # At the start.

    def _start(self, binding: Binding) -> Loaded:
        for _ in range(_TRIES):
            with suppress(_MovedError):
                return self._try_to_start(binding)
        raise StoreError(f"{self._name} cannot be opened: it keeps changing")

    def _try_to_start(self, binding: Binding) -> Loaded:
        judge = partial(_judge, binding)
        trouble: list[str] = []
        foreign = self._foreign()
        if foreign is not None:
            seen = identity(self._path)
            if size_of(self._path) > _NOTHING:
                _require_unlocked(self._path)
            self._set_aside(foreign, seen)
        try:
            database, images = self._begin(self._path, judge, partial(self._make, binding))
            self._database = database
        except sqlite3.Error as error:
            if primary_code(error) not in _UNWRITABLE:
                raise
            trouble = [f"{self._name} {self._reason(error)}; nothing is kept until that changes"]
            if not size_of(self._path):
                return Loaded(position=Position(), scopes={}, note="; ".join(self._notes + trouble))
            database, images = self._read_copy(judge)
        self._known = _Mark.of(database.meta)
        self._stale = database.scopes.keys() - images.keys()
        position = Position.from_json(database.meta.position)
        return Loaded(
            position=position, scopes=images, note="; ".join(self._notes + trouble) or None
        )

    def _begin(
        self, path: Path, judge: _Judge, make: Callable[[], Meta] | None
    ) -> tuple[Database, _Images]:
        database = Database.connect(path)
        seen = identity(self._path)
        try:
            return database, database.begin(judge, make)
        except BaseException as error:
            try:
                reason = unfit_reason(error)
                if reason is not None:
                    # While it is locked; and closing what was renamed leaves it untouched.
                    self._set_aside(reason, seen)
                raise
            finally:
                database.close()

    def _read_copy(self, judge: _Judge) -> tuple[Database, _Images]:
        """Without leave to write there can be no lock, and no log can be read where it is.

        Nobody else has the file open: that would have come up before.
        """
        with TemporaryDirectory(prefix="lastseen-") as folder:
            copy = Path(folder, "copy")
            for suffix in SUFFIXES:
                with suppress(FileNotFoundError):
                    shutil.copyfile(f"{self._path}{suffix}", f"{copy}{suffix}")
            database, images = self._begin(copy, judge, None)
            database.close()
        return database, images

    def _set_aside(self, reason: str, seen: tuple[int, int] | None) -> None:
        """Moves what was seen, unless it has gone already; either way it is worth another try."""
        if identity(self._path) == seen:
            try:
                moved = set_aside(self._path)
            except OSError as error:
                raise StoreError(
                    f"{self._name} {reason} and cannot be moved: {error.strerror}"
                ) from error
            target = shown(Path(self._name).with_name(moved.name))
            self._notes.append(f"{self._name} {reason}: moved to {target}, starting cold")
        raise _MovedError

    def _make(self, binding: Binding) -> Meta:
        salt = os.urandom(16)
        return Meta(
            dialect=_text(binding.name),
            endpoint=_text(binding.endpoint),
            subscription=_text(binding.subscription),
            salt=salt,
            account=_fingerprint(binding.account, salt),
            writer=self._writer,
            position=Position().to_json(),
        )

    # Later.

    def _ready(self, binding: Binding) -> Database:
        """The open file, or that same file opened again: after an error, or for the first time."""
        database = self._database
        if database is not None:
            if identity(self._path) == database.identity:
                return database
            self.close()
        untouched = self._known is None or self._known.generation == 0
        if not untouched and not size_of(self._path):
            raise CommitError(f"{self._name} was moved or deleted while in use")
        foreign = self._foreign()
        if foreign is not None:
            raise CommitError(f"{self._name} {foreign}; what is there stays untouched")
        database = Database.connect(self._path)
        try:
            database.begin(self._judge_again, partial(self._make, binding) if untouched else None)
        except UnfitError as error:
            database.close()
            raise CommitError(f"{self._name} {error}; what is there stays untouched") from error
        except BaseException:
            database.close()
            raise
        self._database = database
        self._known = _Mark.of(database.meta)
        return database

    def _judge_again(self, meta: Meta) -> None:
        """Only what we know: there are never two writers.

        Our own last attempt may be in the file although it failed: its sync did, its pages did not.
        """
        found, known = _Mark.of(meta), self._known
        attempt = _Mark(self._writer, 0 if known is None else known.generation + 1)
        if found not in (known, attempt):
            raise UnfitError("was written by somebody else meanwhile")

    def _recover(self, error: sqlite3.Error) -> None:
        """Prepares for the next try."""
        try:
            if self._database is not None and primary_code(error) == sqlite3.SQLITE_FULL:
                # The log may have taken the last of the space.
                self._database.shrink_log()
        except sqlite3.Error as another:
            error = another
        if primary_code(error) != sqlite3.SQLITE_FULL:
            # A sync that is tried again on the same descriptor proves nothing (HZ-E9).
            self.close()

    def _foreign(self) -> str | None:
        """Why SQLite must not get to see what is there: it would delete or write something."""
        has_log = size_of(f"{self._path}-wal") > 0
        size = size_of(self._path)
        if has_log and size <= _NOTHING:
            return "is gone, but not its write-ahead log"
        if not size:
            return None
        reason = Database.peek(self._path)
        half_made = not has_log and size_of(f"{self._path}-journal") > 0
        # With a journal it may have been in the making when the power went; that gets undone.
        return None if half_made and reason != FOREIGN else reason

    def _reason(self, error: sqlite3.Error) -> str:
        """What people are told; continues the file's name."""
        code = primary_code(error)
        if code in _IN_USE:
            return "is in use by another process"
        unfit = unfit_reason(error)
        if unfit is not None:
            return unfit
        reason = _UNWRITABLE.get(code, str(error))
        if code != sqlite3.SQLITE_FULL:
            # SQLite says the same about these as about worse.
            if not os.access(self._path.parent, os.W_OK):
                reason = "its folder is read-only"
            elif os.path.lexists(self._path) and not os.access(self._path, os.W_OK):
                reason = "it is read-only"
        detail = getattr(error, "sqlite_errorname", type(error).__name__)
        return f"cannot be written: {reason} ({detail})"


class _MovedError(Exception):
    """What was in the way is not there any more."""


def _judge(binding: Binding, meta: Meta) -> None:
    account = _fingerprint(binding.account, meta.salt)
    differs = {
        "dialect": meta.dialect != _text(binding.name),
        "endpoint": meta.endpoint != _text(binding.endpoint),
        "account": not hmac.compare_digest(meta.account, account),
        "subscription": meta.subscription != _text(binding.subscription),
    }
    names = [name for name, other in differs.items() if other]
    if names:
        raise UnfitError(f"belongs to another {' and another '.join(names)}")


def _fingerprint(account: Secret, salt: bytes) -> bytes:
    """Tells one account's key from another's, and no more than these few bits about it.

    However long somebody tries: of the keys that could be it, one in sixteen million is left over.
    """
    key = account.reveal().encode("utf-8", "surrogatepass")
    return hmac.digest(salt, key, "sha256")[:_FINGERPRINT_BYTES]


def _text(text: str) -> str:
    """As SQLite can hold it."""
    return text.encode("utf-8", "backslashreplace").decode()


def _require_unlocked(path: Path) -> None:
    """Raises `sqlite3.Error` when another process has the file open; to ask needs no permission."""
    address = f"file:{quote(os.fspath(path))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=0)) as connection:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("SELECT 1 FROM sqlite_master")
    except sqlite3.Error as error:
        if primary_code(error) in _IN_USE:
            raise
