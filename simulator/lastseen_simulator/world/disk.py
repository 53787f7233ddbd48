"""A disk that keeps what was synced, and of the rest whatever it likes."""

import random
from collections.abc import Callable
from typing import Generic, Literal, TypeVar, final

import attrs

from lastseen_simulator.world.clock import Clock

__all__ = ["Disk", "Fate"]

T = TypeVar("T")

Fate = Literal["lost", "kept", "torn"]
"""Of a write that a crash met between being written and being synced."""


@attrs.define(eq=False)
class _Write(Generic[T]):
    record: T
    done: Callable[[str | None], None]
    stage: Literal["begun", "written", "synced"] = "begun"


@final
@attrs.define(eq=False)
class Disk(Generic[T]):
    """One client's store: one record, replaced whole by each commit.

    A write is begun, then written, then synced, then reported. A crash before it is written loses
    it; between written and synced it is lost, kept, or torn, which its checksum shows when it is
    read, so that the record before counts; a synced one stays, whether or not that was reported.
    """

    clock: Clock
    rng: random.Random
    write_s: float
    durable: T
    held_until: float = 0.0
    failures: int = 0
    """So many writes fail."""
    ambush: tuple[str, Callable[[], None]] | None = None
    """What happens when a write next reaches a stage."""
    met: str | None = None
    """In which stage the last crash met a write, and its fate."""
    _write: _Write[T] | None = attrs.field(init=False, default=None)

    @property
    def busy(self) -> bool:
        """Whether a write is under way."""
        return self._write is not None

    def write(self, record: T, done: Callable[[str | None], None]) -> None:
        """Begins to make a record durable; `done` is told nothing, or the trouble."""
        write = self._write = _Write(record, done)
        begin_s = max(self.held_until - self.clock.now, 0.0)
        self._reach("begun")
        if self._write is not write:
            return
        third_s = self.write_s * (0.5 + self.rng.random()) / 3
        if self.failures:
            self.failures -= 1
            self.clock.after(begin_s + third_s, lambda: self._fail(write))
            return
        self.clock.after(begin_s + third_s, lambda: self._advance(write, "written"))
        self.clock.after(begin_s + 2 * third_s, lambda: self._advance(write, "synced"))
        self.clock.after(begin_s + 3 * third_s, lambda: self._report(write))

    def crash(self, fate: Fate) -> None:
        """The machine goes down."""
        write, self._write = self._write, None
        self.met = "idle" if write is None else write.stage
        if write is not None and write.stage == "written":
            self.met = fate
            if fate == "kept":
                self.durable = write.record

    def _fail(self, write: _Write[T]) -> None:
        if self._write is write:
            self._write = None
            write.done("no space left on device")

    def _advance(self, write: _Write[T], stage: Literal["written", "synced"]) -> None:
        if self._write is write:
            write.stage = stage
            if stage == "synced":
                self.durable = write.record
            self._reach(stage)

    def _reach(self, stage: str) -> None:
        if self.ambush is not None and self.ambush[0] == stage:
            act, self.ambush = self.ambush[1], None
            act()

    def _report(self, write: _Write[T]) -> None:
        if self._write is write:
            self._write = None
            write.done(None)
