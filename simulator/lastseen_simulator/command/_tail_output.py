"""Lines out and commands in, without ever holding up the feed."""

import os
from collections.abc import AsyncGenerator
from typing import Final, final

import attrs
import trio

__all__ = ["Output", "read_commands"]

_PENDING_BYTES_MAX: Final = 1 << 20
_STDIN: Final = 0
_STDOUT: Final = 1
_READ_BYTES: Final = 4096


@final
@attrs.define(eq=False)
class Output:
    """Standard output, written by a thread: a reader that stalls stalls only the application.

    Raises BrokenPipeError out of `run` when nobody reads any more.
    """

    encoding: str = "utf-8"
    fd: int = _STDOUT
    _pending: bytearray = attrs.field(init=False, factory=bytearray)
    _changed: trio.Event = attrs.field(init=False, factory=trio.Event)
    _writing: bool = attrs.field(init=False, default=False)

    def put(self, lines: list[str]) -> None:
        """Queues lines, in order."""
        for line in lines:
            self._pending += line.encode(self.encoding, "replace") + b"\n"
        if lines:
            self._notify()

    async def room(self) -> None:
        """Waits until what is pending is bounded again."""
        while len(self._pending) > _PENDING_BYTES_MAX:
            await self._changed.wait()

    async def drained(self) -> None:
        """Waits until everything has been written."""
        while self._pending or self._writing:
            await self._changed.wait()

    async def run(self) -> None:
        """Writes until cancelled."""
        while True:
            while not self._pending:
                await self._changed.wait()
            data, self._pending = bytes(self._pending), bytearray()
            self._writing = True
            try:
                # Not through sys.stdout: a thread that is left behind would hold its lock.
                await trio.to_thread.run_sync(_write, self.fd, data, abandon_on_cancel=True)
            finally:
                self._writing = False
            self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


async def read_commands(fd: int = _STDIN) -> AsyncGenerator[str]:
    """Lines of standard input, as they come; ends with it."""
    rest = b""
    while data := await trio.to_thread.run_sync(os.read, fd, _READ_BYTES, abandon_on_cancel=True):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace").strip()
        # A line longer than any command is none.
        rest = rest[-_READ_BYTES:]


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
