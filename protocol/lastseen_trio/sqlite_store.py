"""State and position in one SQLite file: a restart goes on where the last one stopped (R6, R9)."""

import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import final

import attrs
import trio

from lastseen.errors import LocalProtocolError
from lastseen.events import Event
from lastseen.position import Position
from lastseen.replica import Replica, ReplicaChanges
from lastseen.snapshots import ScopeKey
from lastseen_trio.state_file import Loaded, StateFile
from lastseen_trio.store import Binding, Restored, apply_all

__all__ = ["SQLiteStore"]


@final
@attrs.define(eq=False)
class SQLiteStore:
    """Keeps a `Replica` of the feed, and the position it is at, in a file.

    Give it to `open_feed`; while the feed is open, `replica` is the state that the application has
    processed. One process at a time can have the file open. It is bound to the account, endpoint
    and subscription; of the key it holds a salted, slow digest. What cannot be used is renamed to
    `….set-aside-N`, and `Feed.restored` says so.

    Everything that touches the disk, and turning values into bytes, is done in a worker thread.
    With `keep_omitted` the replica keeps members that an update leaves out (OP-A26).
    """

    path: str | os.PathLike[str]
    keep_omitted: bool = attrs.field(default=False, kw_only=True)
    _file: StateFile | None = attrs.field(init=False, default=None)
    _replica: Replica | None = attrs.field(init=False, default=None)
    _binding: Binding = attrs.field(init=False, repr=False)
    _staged: ReplicaChanges | None = attrs.field(init=False, default=None, repr=False)
    """Out of the replica and not in the file."""
    _writing: bool = attrs.field(init=False, default=False)

    @property
    def replica(self) -> Replica:
        """What the application has processed; raises `LocalProtocolError` before `open`.

        It is for reading, and stays readable after `close`.
        """
        if self._replica is None:
            raise LocalProtocolError("the store has not been opened")
        return self._replica

    async def open(self, binding: Binding, /) -> Restored:
        """Opens or makes the file; raises `StoreError`, and `LocalProtocolError` when it is open.

        A disk that cannot be written is not an error: commits fail until it can.
        """
        if self._file is not None:
            raise LocalProtocolError("the store is open")
        self._file, loaded, self._replica = await trio.to_thread.run_sync(
            partial(_open, self.path, binding, self.keep_omitted)
        )
        self._binding = binding
        self._staged = None
        return Restored(position=loaded.position, bases=_bases(loaded), note=loaded.note)

    def rebind(self, binding: Binding, /) -> None:
        """The next commit binds the file to another subscription."""
        self._binding = binding

    def take(self, events: Sequence[Event], /) -> int:
        """Applies events to the replica; stops before an entry that cannot be read."""
        return apply_all(self.replica, events)

    def stage(self, position: Position, /) -> Callable[[], Awaitable[None]]:
        """Takes the replica's changes out at once; what it returns writes them and the position.

        Awaiting that raises `CommitError`, and the changes are then part of the next commit.
        """
        if self._writing:
            raise LocalProtocolError("a commit is under way")
        if self._staged is not None:
            # The commit before failed, or was never made.
            self.replica.put_back(self._staged)
        self._staged = self.replica.take_changes()
        return partial(self._write, self._staged, position, self._binding)

    async def close(self) -> None:
        """Lets go of the file, also when cancelled."""
        file, self._file = self._file, None
        if file is not None:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(file.close)

    async def _write(self, changes: ReplicaChanges, position: Position, binding: Binding) -> None:
        if self._file is None or self._staged is not changes:
            raise LocalProtocolError("this commit is not the one that was staged last")
        self._writing = True
        try:
            # Never abandoned: the thread is done with the file before anything else happens to it.
            await trio.to_thread.run_sync(self._file.write, changes, position, binding)
            self._staged = None
        finally:
            self._writing = False


def _open(
    path: str | os.PathLike[str], binding: Binding, keep_omitted: bool
) -> tuple[StateFile, Loaded, Replica]:
    file, loaded = StateFile.open(path, binding)
    replica = Replica(binding.dialect, keep_omitted=keep_omitted, tracked=True)
    replica.load(loaded.scopes)
    return file, loaded, replica


def _bases(loaded: Loaded) -> frozenset[ScopeKey]:
    """The scopes of every channel with a cursor, and the channel itself, which may be empty."""
    return frozenset(ScopeKey(channel, None) for channel in loaded.position.channels) | {
        ScopeKey(*name) for name in loaded.scopes
    }
