"""Waiting for what the truth log will show, from any thread and from any event loop.

A goal is judged where the records are written, so nobody has to look again and again. Whoever waits
holds a future: a thread blocks on it, asyncio and trio await it.
"""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from typing import Final

import attrs
import sniffio
import trio

from lastseen_simulator.gateway.rest import split_path
from lastseen_simulator.server import GatewayServer
from lastseen_simulator.truth import Record

__all__ = ["KINDS", "Goal", "Watch", "finished"]

KINDS: Final = (
    "base", "epoch", "entry", "opened", "login", "control", "sent", "withheld", "ignored", "closed",
    "request", "fault", "upgrade", "subscribe", "unsubscribe", "restart", "asked",
)  # fmt: skip
"""The kinds of records there are (see `truth`, `polynode.truth` and `polymarket_us.truth`)."""

_ABSENT: Final = object()


@attrs.define(eq=False)
class Goal:
    """So many records that match: `matches` sees each record once, in order."""

    what: str
    matches: Callable[[Record], bool]
    count: int = 1
    seen: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"nothing to wait for: {self.count} times {self.what}")

    @classmethod
    def records(cls, what: str | Callable[[Record], bool], count: int, **members: object) -> "Goal":
        """Records of a kind, or those a predicate is true for, with these members.

        Raises ValueError for a kind that there is not.
        """
        if isinstance(what, str) and what not in KINDS:
            raise ValueError(f"no such kind of record: {what} (kinds: {', '.join(KINDS)})")

        def matches(record: Record) -> bool:
            if any(record.get(name, _ABSENT) != value for name, value in members.items()):
                return False
            return record["kind"] == what if isinstance(what, str) else what(record)

        shown = [f"{name}={value!r}" for name, value in members.items()]
        name = what if isinstance(what, str) else getattr(what, "__qualname__", repr(what))
        return cls(" ".join([name, *shown]), matches, count)

    @classmethod
    def sent(cls, channel: str, entry_ids: Iterable[str], connection: int | None) -> "Goal":
        """Each of the entries was sent, to that connection if one is given.

        Ids are unique in a channel only.
        """
        missing = set(entry_ids)
        wanted = len(missing)

        def matches(record: Record) -> bool:
            if record["kind"] != "sent" or connection not in (None, record["connection"]):
                return False
            if record["channel"] != channel or record["entryId"] not in missing:
                return False
            missing.discard(record["entryId"])
            return True

        whom = "" if connection is None else f" to connection {connection}"
        return cls(f"entry of {channel} sent{whom}", matches, wanted)

    @classmethod
    def request(cls, path: str, count: int) -> "Goal":
        """Requests to a path, written with or without the language."""

        def matches(record: Record) -> bool:
            if record["kind"] != "request":
                return False
            return path in (record["path"], split_path(record["path"])[1])

        return cls(f"request to {path}", matches, count)

    def take(self, record: Record) -> bool:
        """Looks at one more record; whether the goal has been reached with it."""
        if self.matches(record):
            self.seen += 1
            return self.seen == self.count
        return False

    def __str__(self) -> str:
        if self.count == 1 and not self.seen:
            return f"no {self.what}"
        return f"{self.what}: {self.seen} of {self.count}"


@attrs.define(eq=False)
class _Wait:
    goal: Goal
    future: Future[Record]
    describe: Callable[[], str]
    over: trio.Event = attrs.field(factory=trio.Event)

    def offer(self, record: Record) -> bool:
        """Whether it is over, for whatever reason."""
        if self.future.cancelled():
            self.over.set()
            return True
        try:
            if not self.goal.take(record):
                return False
        except Exception as error:
            self.fail(error)
            return True
        if self.future.set_running_or_notify_cancel():
            self.future.set_result(record)
        self.over.set()
        return True

    def fail(self, error: BaseException) -> None:
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)
        self.over.set()


@attrs.define(eq=False)
class Watch:
    """Shows the records of a server to those who wait. Lives in the server's own thread."""

    _server: GatewayServer
    _nursery: trio.Nursery
    _seen: int = attrs.field(init=False, default=0)
    _waits: list[_Wait] = attrs.field(init=False, factory=list[_Wait])
    _abandoned: Exception | None = attrs.field(init=False, default=None)

    async def run(self) -> None:
        """Looks after every step of the server."""
        while True:
            # A predicate may give orders, and those wake nobody who is not asleep yet.
            while self._waits and self._seen < self._server.core.truth.written:
                self._look()
                await trio.lowlevel.checkpoint()
            await self._server.wait_step()

    def add(
        self,
        goal: Goal,
        future: Future[Record],
        *,
        describe: Callable[[], str],
        after: int,
        timeout_s: float,
    ) -> None:
        """Reaches the goal with records numbered above `after`, or fails with `TimeoutError`.

        `describe` is what is told to somebody who has waited in vain. Raises what the watch has
        been abandoned with.
        """
        if self._abandoned is not None:
            raise self._abandoned
        if self._waits:
            self._look()
        truth = self._server.core.truth
        self._seen = truth.written
        wait = _Wait(goal, future, describe)
        if any(wait.offer(record) for record in truth.records_after(after)):
            return
        self._waits.append(wait)
        self._nursery.start_soon(self._expire, wait, timeout_s)

    def abandon(self, error: Exception) -> None:
        """Fails whoever still waits, and whoever comes."""
        self._abandoned = error
        for wait in self._waits:
            wait.fail(error)
        self._waits.clear()

    def _look(self) -> None:
        for record in self._server.core.truth.records_after(self._seen):
            self._seen = record["n"]
            self._waits = [wait for wait in self._waits if not wait.offer(record)]

    async def _expire(self, wait: _Wait, timeout_s: float) -> None:
        with trio.move_on_after(timeout_s):
            await wait.over.wait()
            return
        self._look()
        if wait.over.is_set():
            return
        self._waits.remove(wait)
        wait.fail(TimeoutError(f"after {timeout_s:g} s: {wait.goal}\n{wait.describe()}"))


async def finished(future: Future[Record]) -> Record:
    """Awaits a future in asyncio or in trio, whichever is running."""
    if sniffio.current_async_library() != "trio":
        return await asyncio.wrap_future(future)
    done, token = trio.Event(), trio.lowlevel.current_trio_token()

    def wake(_: Future[Record]) -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(done.set)

    future.add_done_callback(wake)
    try:
        await done.wait()
    finally:
        future.cancel()
    return future.result()
