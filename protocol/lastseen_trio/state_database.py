"""One connection to a state file: locked, verified, and written in whole transactions.

The settings are these. A write-ahead log, so that a commit is one append and one fsync;
`synchronous=FULL`, so that the fsync is there (HZ-E6); exclusive locking from before the first
read, so that no second process gets in (HZ-E7) and no shared-memory file is needed. There is only
ever this one connection, which also keeps clear of the log-reset defect of SQLite 3.7.0 to 3.51.2,
for which it takes two (HZ-E11).
"""

import errno
import os
import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, final
from urllib.parse import quote

import attrs

from lastseen.errors import ConfigurationError, PayloadError
from lastseen.payload import decode_json
from lastseen.position import Position
from lastseen.replica import ReplicaChanges, ScopeImage, ScopeName, Unit
from lastseen_trio.set_aside import identity, sync_folder
from lastseen_trio.state_draft import Draft
from lastseen_trio.state_rows import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    TABLES,
    Meta,
    StoredScope,
    UnstorableError,
    scope_crc,
    unit_crc,
)

__all__ = ["FOREIGN", "Database", "UnfitError", "primary_code", "unfit_reason"]

_LOG_PAGES = 256
"""So long may the log get before a commit moves it into the database; one commit may be longer."""

_PRAGMAS = (
    "locking_mode = EXCLUSIVE",
    "synchronous = FULL",
    f"wal_autocheckpoint = {_LOG_PAGES}",
    f"journal_size_limit = {_LOG_PAGES * 4096}",
)

FOREIGN = "is not a state file"
"""A sound database of something else."""

_DAMAGE = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_FORMAT,
        sqlite3.SQLITE_SCHEMA,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_TOOBIG,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_INTERNAL,
    }
)
"""What SQLite says about contents, not about the disk or the lock."""


class UnfitError(Exception):
    """There is a file, and it is not one to go on from; the text continues the file's name."""


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; what the module raises by itself counts as an error."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF


def unfit_reason(error: BaseException) -> str | None:
    """Why a file is to be set aside; None when it is the disk or the lock that is in the way."""
    if isinstance(error, UnfitError):
        return str(error)
    if isinstance(error, UnicodeDecodeError):
        # The message quotes what is in the file.
        return "is damaged"
    if not isinstance(error, sqlite3.Error):
        return None
    if primary_code(error) == sqlite3.SQLITE_NOTADB:
        return "is damaged, or not a state file"
    return "is damaged" if primary_code(error) in _DAMAGE else None


@final
@attrs.define(eq=False)
class Database:
    """An open state file. After any error but a full disk, close it and open another."""

    path: Path
    connection: sqlite3.Connection
    identity: tuple[int, int] | None = attrs.field(init=False, default=None)
    """Of the file that is open, whatever the path leads to by now."""
    meta: Meta = attrs.field(init=False)
    scopes: dict[ScopeName, StoredScope] = attrs.field(
        init=False, factory=dict[ScopeName, StoredScope]
    )
    _log_is_proven: bool = attrs.field(init=False, default=False)

    @staticmethod
    def peek(path: Path) -> str | None:
        """Why a file is no state file, by its header alone; None when that is no reason.

        Neither the lock is taken nor a log looked at, so nothing can be written: a log that was
        left beside a file is taken for its own, and soon is part of it.
        """
        address = f"file:{quote(os.fspath(path))}?immutable=1"
        try:
            with closing(sqlite3.connect(address, uri=True)) as connection:
                ((found,),) = connection.execute("PRAGMA application_id")
        except sqlite3.Error as error:
            # Without its log, even a sound database may look cut short.
            damaged = primary_code(error) == sqlite3.SQLITE_NOTADB
            return unfit_reason(error) if damaged else None
        return None if found == APPLICATION_ID else FOREIGN

    @classmethod
    def connect(cls, path: Path) -> "Database":
        """Opens, and reads nothing yet; raises `sqlite3.Error`."""
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        return cls(path, connection)

    def begin(
        self, judge: Callable[[Meta], None], make: Callable[[], Meta] | None
    ) -> dict[ScopeName, ScopeImage]:
        """Takes the lock for good, verifies every row and returns the state of resumable channels.

        `judge` raises `UnfitError` for a file of somebody else. An empty file is filled with what
        `make` gives. Raises `UnfitError` and `sqlite3.Error`; nothing has been changed then.
        """
        for pragma in _PRAGMAS:
            self.connection.execute(f"PRAGMA {pragma}")
        self.connection.execute("BEGIN EXCLUSIVE")
        self.identity = identity(self.path)
        # Asked under the lock, and after what a crash left half made was rolled back.
        images: dict[ScopeName, ScopeImage] = {}
        if os.path.getsize(self.path) == 0:
            if make is None:
                raise UnfitError("is gone")
            self._create(make())
            self.connection.execute("COMMIT")
        else:
            images = self._verify(judge)
            self._require_writable()
            self.connection.execute("ROLLBACK")
        ((mode,),) = self.connection.execute("PRAGMA main.journal_mode = WAL")
        if mode != "wal":
            raise OSError(errno.ENOTSUP, "no write-ahead log can be kept there")
        return images

    def write(
        self,
        changes: ReplicaChanges,
        position: Position,
        meta: Meta,
        *,
        stale: Collection[ScopeName],
        unstorable: set[ScopeName],
    ) -> None:
        """Makes changes and position durable, or raises and leaves everything as it was.

        `meta` gives what the file belongs to and who writes; its tallies are made here.
        `unstorable` is brought up to date.
        """
        self._prove_log()
        draft = Draft(
            connection=self.connection,
            scopes=dict(self.scopes),
            unstorable=set(unstorable),
            row_count=self.meta.row_count,
            crc_sum=self.meta.crc_sum,
        )
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            draft.apply(changes, stale)
            meta = attrs.evolve(
                meta,
                generation=self.meta.generation + 1,
                row_count=draft.row_count,
                crc_sum=draft.crc_sum,
                position=_text(draft.storable(position)),
            )
            self._put(meta)
            self.connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            # A failed attempt may turn out to be in the file all the same.
            unstorable.update(draft.unstorable)
            raise
        self.meta, self.scopes = meta, draft.scopes
        unstorable.clear()
        unstorable.update(draft.unstorable)

    def shrink_log(self) -> None:
        """Moves what the log holds into the database and empties it; raises `sqlite3.Error`."""
        self.connection.execute("PRAGMA main.wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Lets go of the file; never raises.

        SQLite empties the log on the way, but not when the file has been renamed since.
        """
        with suppress(sqlite3.Error):
            self.connection.close()

    def _prove_log(self) -> None:
        """Before the first write: what an earlier descriptor failed to sync may be in the log.

        The pages that it read from there are the cache's, and no later fsync would write them
        again (HZ-E9); emptying the log does.
        """
        if not self._log_is_proven:
            self.shrink_log()
            self._log_is_proven = True

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def _create(self, meta: Meta) -> None:
        self.connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self.connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        for table in TABLES:
            self.connection.execute(table)
        self._put(meta)
        sync_folder(self.path.parent)
        self.meta = meta

    def _put(self, meta: Meta) -> None:
        columns = meta.columns()
        marks = ", ".join("?" * len(columns))
        self.connection.execute(f"INSERT OR REPLACE INTO meta VALUES ({marks})", columns)

    def _verify(self, judge: Callable[[Meta], None]) -> dict[ScopeName, ScopeImage]:
        if self._number("application_id") != APPLICATION_ID:
            raise UnfitError(FOREIGN)
        version = self._number("user_version")
        if version > SCHEMA_VERSION:
            raise UnfitError(f"is of a newer version ({version})")
        if 0 < version < SCHEMA_VERSION:
            raise UnfitError(f"is of an older version ({version})")
        found = self.connection.execute("SELECT sql FROM sqlite_master").fetchall()
        tables = sorted(str(text) for (text,) in found)
        if not version or tables != sorted(TABLES):
            raise UnfitError("is damaged (tables)")
        self.meta = self._read_meta()
        judge(self.meta)
        if self.connection.execute("PRAGMA main.quick_check(1)").fetchall() != [("ok",)]:
            raise UnfitError("is damaged (pages)")
        return self._read_rows()

    def _require_writable(self) -> None:
        """Tries, in a transaction that is to be rolled back: a bit in the header may forbid it."""
        try:
            self.connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        except sqlite3.Error as error:
            readonly = primary_code(error) == sqlite3.SQLITE_READONLY
            if readonly and os.access(self.path, os.W_OK):
                raise UnfitError("is damaged (header)") from None
            raise

    def _number(self, pragma: str) -> int:
        ((number,),) = self.connection.execute(f"PRAGMA {pragma}")
        return int(number)

    def _read_meta(self) -> Meta:
        rows = self.connection.execute("SELECT * FROM meta").fetchall()
        meta = Meta.from_columns(rows[0]) if len(rows) == 1 else None
        if meta is None:
            raise UnfitError("is damaged (meta)")
        return meta

    def _read_rows(self) -> dict[ScopeName, ScopeImage]:
        try:
            position = Position.from_json(self.meta.position)
        except ConfigurationError:
            raise UnfitError("is damaged (position)") from None
        resumable = position.channels
        units: dict[int, dict[str, Unit] | None] = {}
        images: dict[ScopeName, ScopeImage] = {}
        row_count, crc_sum = 0, 0
        for number, channel, entity, unproven, crc in self.connection.execute(
            "SELECT id, channel, entity, unproven, crc FROM scopes"
        ):
            if not _is_scope_whole(number, channel, entity, unproven, crc):
                raise UnfitError("is damaged (scope checksum)")
            row_count, crc_sum = row_count + 1, crc_sum + crc
            name = (channel, entity)
            self.scopes[name] = StoredScope(number, bool(unproven), crc)
            units[number] = None
            if channel in resumable:
                kept = units[number] = {}
                images[name] = ScopeImage(unproven=bool(unproven), units=kept)
        for scope, key, value, streamed, crc in self.connection.execute(
            "SELECT scope, key, value, streamed, crc FROM units"
        ):
            if scope not in units or not _is_unit_whole(scope, key, value, streamed, crc):
                raise UnfitError("is damaged (row checksum)")
            row_count, crc_sum = row_count + 1, crc_sum + crc
            into = units[scope]
            if into is not None:
                into[key] = Unit(_value(value), bool(streamed))
        if (row_count, crc_sum) != (self.meta.row_count, self.meta.crc_sum):
            raise UnfitError("is damaged (rows)")
        return images


def _text(position: Position) -> str:
    try:
        return position.to_json()
    except UnicodeEncodeError:
        # Nothing a decoder gives out; without a position the next start is cold.
        return Position().to_json()


def _value(data: bytes) -> Any:
    try:
        return decode_json(data)
    except PayloadError:
        raise UnfitError("is damaged (value)") from None


def _is_scope_whole(number: Any, channel: Any, entity: Any, unproven: Any, crc: Any) -> bool:
    if type(channel) is not str or type(entity) not in (str, type(None)):
        return False
    try:
        return bool(crc == scope_crc(number, channel, entity, unproven))
    except (UnstorableError, TypeError, ValueError):
        return False


def _is_unit_whole(scope: Any, key: Any, value: Any, streamed: Any, crc: Any) -> bool:
    if type(key) is not str or type(value) is not bytes or type(streamed) is not int:
        return False
    return bool(crc == unit_crc(scope, key, value, streamed))
