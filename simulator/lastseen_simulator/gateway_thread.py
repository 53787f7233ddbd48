"""A gateway server in a thread and a trio run of its own, whatever its owner runs in.

`server` has methods for other threads, but not for threads that run trio themselves, as tests in
trio do; so every call is handed to the run here, and its answer is waited for.
"""

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from typing import Final, TypeVar, final

import attrs
import trio

from lastseen_simulator.server import GatewayServer, open_gateway
from lastseen_simulator.settings import GatewaySettings
from lastseen_simulator.truth import Record
from lastseen_simulator.waiting import Goal, Watch

__all__ = ["GatewayStoppedError", "GatewayThread"]

STOP_PATIENCE_S: Final = 10.0
"""How long a gateway may take to end; it waits for nobody then."""

T = TypeVar("T")


class GatewayStoppedError(RuntimeError):
    """The gateway does not run any more."""


@final
@attrs.define(eq=False)
class GatewayThread:
    """Runs from its making until `stop`; raises what keeps it from starting (OSError: the port)."""

    _settings: GatewaySettings
    server: GatewayServer = attrs.field(init=False)
    _watch: Watch = attrs.field(init=False)
    _token: trio.lowlevel.TrioToken = attrs.field(init=False)
    _stopping: trio.Event = attrs.field(init=False, factory=trio.Event)
    _started: Future[None] = attrs.field(init=False, factory=Future[None])
    _ended: Future[None] = attrs.field(init=False, factory=Future[None])
    _thread: threading.Thread = attrs.field(init=False)
    _failure: BaseException | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        # A daemon: a test run that is killed halfway must not wait for it.
        self._thread = threading.Thread(target=self._run, name="lastseen gateway", daemon=True)
        self._thread.start()
        wait((self._started, self._ended), return_when=FIRST_COMPLETED)
        if not self._started.done():
            self.stop()

    def order(self, question: Callable[[], T]) -> T:
        """Calls in the gateway's thread. Raises `GatewayStoppedError` when that has ended."""
        if threading.current_thread() is self._thread:
            return question()
        answer: Future[T] = Future()

        def call() -> None:
            try:
                answer.set_result(question())
            except BaseException as error:
                answer.set_exception(error)

        try:
            self._token.run_sync_soon(call)
        except trio.RunFinishedError:
            raise self._gone() from self._failure
        # A run that has taken a call does it, even when it is about to end.
        return answer.result()

    def look(self, question: Callable[[], T]) -> T:
        """Calls in the gateway's thread or, when that has ended, here."""
        with suppress(GatewayStoppedError):
            return self.order(question)
        return question()

    def reach(
        self, goal: Goal, *, describe: Callable[[], str], after: int, timeout_s: float
    ) -> Future[Record]:
        """The record that reaches the goal, or `TimeoutError` with a description of what was."""
        future: Future[Record] = Future()
        self.order(
            lambda: self._watch.add(
                goal, future, describe=describe, after=after, timeout_s=timeout_s
            )
        )
        return future

    def stop(self) -> None:
        """Closes every socket at once and joins the thread; raises what the gateway failed with."""
        if self._started.done():
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._stopping.set)
        self._thread.join(STOP_PATIENCE_S)
        if self._thread.is_alive():
            raise RuntimeError(f"the gateway has not ended within {STOP_PATIENCE_S:g} s")
        if self._failure is not None:
            raise self._failure

    def _gone(self) -> GatewayStoppedError:
        return GatewayStoppedError("the gateway has stopped")

    def _run(self) -> None:
        try:
            trio.run(self._serve)
        except BaseException as error:
            self._failure = error
        finally:
            self._ended.set_result(None)

    async def _serve(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        settings = self._settings
        async with (
            open_gateway(
                settings.options, port=settings.port, seed=settings.seed, faults=settings.faults
            ) as self.server,
            trio.open_nursery() as nursery,
        ):
            self._watch = Watch(self.server, nursery)
            nursery.start_soon(self._watch.run)
            self._started.set_result(None)
            try:
                await self._stopping.wait()
            finally:
                self._watch.abandon(self._gone())
                nursery.cancel_scope.cancel()
