"""The client under test as a process group: its lines, its end, and what it must not do to us."""

import os
import signal
import subprocess
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Final, final

import attrs
import trio

__all__ = ["ClientProcess", "StartError", "leftovers"]

OUTPUT_BYTES_MAX: Final = 64 << 20
"""What a client may print in one case; a report of a case is a few hundred kilobytes."""

LINE_BYTES_MAX: Final = 8 << 20
"""A longer line is no line: a state is printed in one, and ours are small."""

TAIL_BYTES: Final = 4096
"""What is kept of its standard error, for people."""

READ_BYTES: Final = 64 * 1024
LAST_WORDS_S: Final = 0.3
"""How long output is awaited after the process has ended; a child may hold the pipe for ever."""

STOP_PATIENCE_S: Final = 5.0


class StartError(Exception):
    """The command cannot be started at all."""


@final
@attrs.define(eq=False)
class ClientProcess:
    """One life of a client. It leads a process group of its own, which is killed whole."""

    popen: trio.Process
    secret: bytes = attrs.field(repr=False)
    on_line: Callable[[bytes], None]
    leaked: str | None = None
    """Which of its outputs the key was seen in."""
    flooded: bool = False
    left_behind: bool = False
    """Processes of its group outlived it."""
    _tail: bytearray = attrs.field(init=False, factory=bytearray)
    _read: int = attrs.field(init=False, default=0)

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        secret: str,
        on_line: Callable[[bytes], None],
    ) -> "ClientProcess":
        """Starts a client; raises `StartError`."""
        try:
            process = await trio.lowlevel.open_process(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(environment),
                start_new_session=True,
            )
        except OSError as error:
            name = command[0]
            raise StartError(f"{name} cannot be started: {error.strerror or error}") from None
        return cls(popen=process, secret=secret.encode(), on_line=on_line)

    async def run(self) -> int:
        """Reads its output until it has ended; returns its exit code, negative for a signal."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read_lines)
            nursery.start_soon(self._read_errors)
            code = await self.popen.wait()
            # What it printed last is still in the pipe; what a child prints is not waited for.
            nursery.cancel_scope.deadline = trio.current_time() + LAST_WORDS_S
        self._bury()
        return code

    async def tell(self, command: str) -> None:
        """Says one line; a client that does not read is left alone."""
        if self.popen.stdin is None:
            return
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
            with trio.move_on_after(1.0):
                await self.popen.stdin.send_all(command.encode() + b"\n")

    async def stop(self) -> bool:
        """Asks it to end; True when it did by itself."""
        await self.tell("stop")
        if self.popen.stdin is not None:
            with suppress(trio.BrokenResourceError):
                await self.popen.stdin.aclose()
        with trio.move_on_after(STOP_PATIENCE_S):
            await self.popen.wait()
            return True
        self.kill()
        return False

    def kill(self) -> None:
        """Kills the whole group, at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)

    def flood(self) -> None:
        """It prints more than anybody can read: nothing more is read, and it is killed."""
        self.flooded = True
        self.kill()

    @property
    def tail(self) -> str:
        """The last of what it wrote to standard error, without the key."""
        text = bytes(self._tail).replace(self.secret, b"***").decode("utf-8", "replace")
        return "".join(c if c.isprintable() or c == "\n" else "�" for c in text).strip()

    def _bury(self) -> None:
        try:
            os.killpg(self.popen.pid, 0)
        except (ProcessLookupError, PermissionError):
            return
        self.left_behind = True
        self.kill()

    async def _read_lines(self) -> None:
        rest = bytearray()
        async with aclosing(self._pieces(self.popen.stdout, "standard output")) as pieces:
            async for data in pieces:
                rest += data
                *lines, last = rest.split(b"\n")
                for line in lines:
                    if self.flooded:
                        return
                    self.on_line(bytes(line))
                rest = bytearray(last)
                if len(rest) > LINE_BYTES_MAX:
                    self.flood()
        if rest:
            self.on_line(bytes(rest))

    async def _read_errors(self) -> None:
        async with aclosing(self._pieces(self.popen.stderr, "standard error")) as pieces:
            async for data in pieces:
                self._tail = (self._tail + data)[-TAIL_BYTES:]

    async def _pieces(
        self, stream: trio.abc.ReceiveStream | None, name: str
    ) -> AsyncGenerator[bytes]:
        assert stream is not None
        before = b""
        while True:
            try:
                data = bytes(await stream.receive_some(READ_BYTES))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            if not data:
                return
            if self.leaked is None and self.secret in before + data:
                self.leaked = name
            before = data[-len(self.secret) :]
            self._read += len(data)
            if self._read > OUTPUT_BYTES_MAX:
                self.flood()
            if self.flooded:
                continue
            yield data


def leftovers(mark: str) -> list[int]:
    """Processes that carry a mark in their environment: children that left their group."""
    found: list[int] = []
    wanted = mark.encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return [pid for pid in found if pid != os.getpid()]
