"""Following one feed: events to lines, commands to answers, and how it ends."""

import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, final

import attrs
import trio

from lastseen.events import Disconnected, Entry, Event, Failure, LoggedIn
from lastseen.secret import Secret
from lastseen_simulator.command import CommandError
from lastseen_simulator.command._tail_lines import Lines, json_line, printable
from lastseen_simulator.command._tail_output import Output, read_commands
from lastseen_simulator.command._tail_rates import Rates
from lastseen_simulator.command._tail_view import Source, View
from lastseen_trio.driver import Driver

if TYPE_CHECKING:
    from lastseen_simulator.command._tail_table import LiveTable

__all__ = ["Plan", "follow"]

FAILED: Final = 1
UNREACHABLE: Final = 3
REJECTED: Final = 4

_BATCH_EVENTS: Final = 256
_TABLE_PAUSE_S: Final = 0.25
_PROGRESS_PAUSE_S: Final = 5.0
_LAST_WORDS_S: Final = 1.0
"""How long the last lines may take when whoever reads them does not."""

_KEY_CHARACTERS_MIN: Final = 8
"""A shorter key is not looked for in what a peer says: it would be found everywhere."""

_REFUSALS: Final = (Failure.REJECTED, Failure.FATAL)
_KEY_STATUSES: Final = (401, 403)


@attrs.frozen(kw_only=True)
class Plan:
    """Everything the command line and the environment said."""

    source: Source
    shown_url: str
    key: Secret
    lines: Lines | None
    """None to say nothing."""
    table: bool
    progress: bool
    commands: bool
    duration_s: float
    until_synced: bool
    attempts: int


async def follow(plan: Plan) -> int:
    """Follows until told to stop; returns the exit code or raises `CommandError` for 1, 3 and 4."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with _open_output() as output, plan.source.open() as view:
            tail = Tail(plan, view, output)
            try:
                await tail.run(signals)
            finally:
                tail.close()
            await tail.finish()
    if view.unkept is not None and tail.trouble is None:
        raise CommandError(view.unkept, exit_code=tail.code or FAILED)
    if tail.trouble is not None:
        raise tail.trouble
    if plan.until_synced and not tail.reached and tail.code == 0:
        raise CommandError("ended before every channel was synced", exit_code=FAILED)
    return tail.code


@asynccontextmanager
async def _open_output() -> AsyncGenerator[Output]:
    """Standard output; a reader that has gone ends the block with BrokenPipeError."""
    output = Output(sys.stdout.encoding or "utf-8")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(output.run)
        yield output
        with trio.move_on_after(_LAST_WORDS_S):
            await output.drained()
        nursery.cancel_scope.cancel()


@final
@attrs.define(eq=False)
class Tail:
    """One run of the command."""

    plan: Plan
    view: View
    output: Output
    code: int = attrs.field(init=False, default=0)
    trouble: CommandError | None = attrs.field(init=False, default=None)
    reached: bool = attrs.field(init=False, default=False)
    """Every channel was synced, and that was all that was asked for."""
    _rates: Rates = attrs.field(init=False, factory=Rates)
    _table: "LiveTable | None" = attrs.field(init=False, default=None)
    _started_at: float = attrs.field(init=False, factory=trio.current_time)
    _logged_in: bool = attrs.field(init=False, default=False)
    _failures: int = attrs.field(init=False, default=0)
    _last_end: Disconnected | None = attrs.field(init=False, default=None)
    _said: bool = attrs.field(init=False, default=False)
    """A batch has been told and is not in the state yet."""
    _asked: int = attrs.field(init=False, default=0)
    """Questions for the state that wait for that."""

    def __attrs_post_init__(self) -> None:
        if self.plan.table:
            # What draws it is half of what a start costs, and most runs draw nothing.
            from rich.console import Console

            from lastseen_simulator.command._tail_table import LiveTable

            self._table = LiveTable(Console())

    async def run(self, signals: AsyncIterator[int]) -> None:
        """Follows until a signal, a command, the duration, or an end for good."""
        self._begin()
        with trio.move_on_after(self.plan.duration_s):
            async with trio.open_nursery() as nursery:
                scope = nursery.cancel_scope
                nursery.start_soon(self._watch_signals, signals, scope)
                if self.plan.commands:
                    nursery.start_soon(self._obey, scope)
                if self.plan.table or self.plan.progress:
                    nursery.start_soon(self._tick)
                await self._consume()
                scope.cancel()

    def _begin(self) -> None:
        if self.plan.lines is not None:
            self._say(self.plan.lines.opening())
        if self.view.note is not None:
            sys.stderr.write(f"lastseen: {printable(self.view.note, limit=1000)}\n")
        if self.plan.lines is not None:
            self._say(self.view.opening(self.plan.lines))

    async def finish(self) -> None:
        """Closes the feed, takes what it still says, and sums up."""
        self.view.close()
        await self._feed.aclose()
        with trio.move_on_after(_LAST_WORDS_S):
            async for batch in self._feed.batches(_BATCH_EVENTS):
                self._take(batch, closing=True)
                self._feed.acknowledge()
                await self.output.room()
        if self.plan.lines is not None:
            odd: dict[str, int] = {}
            for (code, _), count in self._feed.anomalies().items():
                odd[code.value] = odd.get(code.value, 0) + count
            summary: dict[str, Any] = {**self.view.summary(), "anomalies": odd}
            self._say(self.plan.lines.summary(summary, at=self._at))

    def close(self) -> None:
        """Lets go of the terminal."""
        if self._table is not None:
            self._table.close()
            self._table = None

    @property
    def _feed(self) -> Driver[Any]:
        return self.view.feed

    @property
    def _at(self) -> float:
        return trio.current_time() - self._started_at

    def _say(self, lines: list[str]) -> None:
        # A peer may repeat our key anywhere, also where it is data: an epoch, a payload.
        key = self.plan.key.reveal()
        if len(key) >= _KEY_CHARACTERS_MIN:
            lines = [line.replace(key, "***") for line in lines]
        if self._table is not None:
            self._table.say(lines)
        else:
            self.output.put(lines)

    async def _consume(self) -> None:
        async for batch in self._feed.batches(_BATCH_EVENTS):
            self._said = True
            self._take(batch)
            if self.view.kept:
                # Said first, then done: whoever reads the lines misses none (HZ-E12).
                await self.output.drained()
            self._feed.acknowledge()
            self._said = False
            self._say_state()
            if self.trouble is not None:
                return
            if self.plan.until_synced and self.view.reached:
                self.reached = True
                return
            await self.output.room()
        self._judge_stop()

    def _take(self, batch: list[Event], *, closing: bool = False) -> None:
        """Applies events and says what they are worth, in their order."""
        lines = self.plan.lines
        epoch, at = self._feed.position.epoch, self._at
        for event in batch:
            if isinstance(event, Entry) and not self.view.reads(event):
                self._feed.reject(event)
                continue
            if lines is not None:
                self._say(lines.event(event, epoch=epoch, at=at))
            changed = self.view.take(event)
            if not closing:
                self._count(event)
                if changed:
                    self._say_claims()
        if not closing:
            self._say_claims()

    def _say_claims(self) -> None:
        if self.plan.lines is not None:
            self._say(self.view.claims(self.plan.lines, at=self._at))

    def _count(self, event: Event) -> None:
        """Gives up on a first connection that never comes about; afterwards it never does."""
        if isinstance(event, LoggedIn):
            self._logged_in = True
        elif isinstance(event, Disconnected):
            self._last_end = event
            self._failures += 1
            tired = 0 < self.plan.attempts <= self._failures
            if tired and not self._logged_in and self.view.stopped is None:
                self._give_up(event.failure, event.code, event.reason)

    def _judge_stop(self) -> None:
        """The session is over for good: nobody asked for that, so somebody refused us."""
        stopped = self.view.stopped
        end = self._last_end
        failure = end.failure if end is not None else Failure.FATAL
        self._give_up(failure, end.code if end is not None else None, stopped or "stopped")

    def _give_up(self, failure: Failure, code: int | None, reason: str) -> None:
        answered = code is None or code >= 1000 or code in _KEY_STATUSES
        closed = failure.value if code is None else f"closed with {code}"
        words = printable(reason) or closed
        if self._logged_in or (failure in _REFUSALS and answered):
            message = f"rejected by the gateway: {words}"
            self.trouble = CommandError(message, exit_code=REJECTED)
        else:
            message = f"cannot reach {self.plan.shown_url}: {words}"
            self.trouble = CommandError(message, exit_code=UNREACHABLE)

    async def _watch_signals(self, signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
        async for number in signals:
            self.code = 130 if number == signal.SIGINT else 0
            scope.cancel()

    async def _obey(self, scope: trio.CancelScope) -> None:
        async with aclosing(read_commands()) as commands:
            async for command in commands:
                if command == "state":
                    self._asked += 1
                    self._say_state()
                elif command == "stop":
                    scope.cancel()

    def _say_state(self) -> None:
        """Answers who asked, once what was said to be applied is in the state."""
        while self._asked and not self._said:
            self._asked -= 1
            self._say([json_line({"event": "state", "state": self.view.state()})])

    async def _tick(self) -> None:
        while True:
            await trio.sleep(_TABLE_PAUSE_S if self.plan.table else _PROGRESS_PAUSE_S)
            rates = self._rates.take(self._feed.counters(), at=self._at)
            if self._table is not None:
                self._table.show(self.view.grid(rates))
            else:
                self._say([f"{self._at:9.3f}  {self.view.progress(rates)}"])
