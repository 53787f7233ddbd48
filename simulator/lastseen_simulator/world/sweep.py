"""Plays many seeds, in several processes, and adds up what came of them."""

import hashlib
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from typing import final

import attrs

from lastseen_simulator.world.marks import marks_of
from lastseen_simulator.world.outcome import Outcome
from lastseen_simulator.world.plans import draw
from lastseen_simulator.world.tally import VERDICTS
from lastseen_simulator.world.world import play

__all__ = ["Sweep", "play_seed", "sweep"]

_CHUNK: int = 8
_DIGEST_BYTES: int = 16
_TOLD_EACH: int = 16
"""In one run of so many the story is kept, so that it can be looked through (INV-S16)."""


def play_seed(job: tuple[str, int]) -> Outcome:
    """Draws and plays the plan of one seed of a dialect."""
    dialect, seed = job
    return play(draw(dialect, seed), told=seed % _TOLD_EACH == 0)


@final
@attrs.define(eq=False)
class Sweep:
    """What has come of a run set so far; outcomes are taken in the order of their jobs."""

    dialects: tuple[str, ...]
    runs: int = attrs.field(init=False, default=0)
    steps: int = attrs.field(init=False, default=0)
    events: int = attrs.field(init=False, default=0)
    slowest_s: float = attrs.field(init=False, default=0.0)
    """The longest recovery."""
    verdicts: dict[str, int] = attrs.field(init=False, factory=lambda: dict.fromkeys(VERDICTS, 0))
    failures: list[Outcome] = attrs.field(init=False, factory=list[Outcome])
    hit: dict[str, set[str]] = attrs.field(init=False)
    _hash: "hashlib.blake2b" = attrs.field(
        init=False, factory=lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES)
    )

    def __attrs_post_init__(self) -> None:
        self.hit = {dialect: set() for dialect in self.dialects}

    def take(self, outcome: Outcome) -> None:
        """Adds one outcome."""
        self.runs += 1
        self.steps += outcome.steps
        self.events += outcome.events
        self.hit[outcome.dialect] |= outcome.marks & marks_of(outcome.dialect)
        for verdict, count in outcome.verdicts.items():
            self.verdicts[verdict] += count
        self.slowest_s = max(self.slowest_s, outcome.recovered_s or 0.0)
        if outcome.violation is not None:
            self.failures.append(outcome)
        self._hash.update(f"{outcome.dialect} {outcome.seed} {outcome.digest}\n".encode())

    @property
    def missed(self) -> list[tuple[str, str]]:
        """Dialect and mark of what no run has seen."""
        return [
            (dialect, mark)
            for dialect in self.dialects
            for mark in sorted(marks_of(dialect) - self.hit[dialect])
        ]

    @property
    def marks(self) -> tuple[int, int]:
        """How many marks were hit, and how many there are."""
        wanted = sum(len(marks_of(dialect)) for dialect in self.dialects)
        return wanted - len(self.missed), wanted

    def digest(self) -> str:
        """The hash of all outcomes, in order."""
        return self._hash.hexdigest()


def sweep(
    dialects: Sequence[str],
    seeds: Sequence[int],
    *,
    jobs: int,
    progress: Callable[[Sweep], None] = lambda _: None,
) -> Iterator[Sweep]:
    """Plays every seed of every dialect and gives the sum after each run.

    The order of the outcomes is that of the seeds, whatever the number of processes, so that the
    same run set has the same hash.
    """
    total = Sweep(tuple(dialects))
    work = [(dialect, seed) for dialect in dialects for seed in seeds]
    if jobs == 1:
        for job in work:
            total.take(play_seed(job))
            progress(total)
            yield total
        return
    # A fresh interpreter for each: nothing that this process has loaded or threaded gets in.
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, initializer=_ignore_interrupts) as pool:
        for outcome in pool.imap(play_seed, work, chunksize=_CHUNK):
            total.take(outcome)
            progress(total)
            yield total


def _ignore_interrupts() -> None:
    """Ctrl-C is for the parent, who ends its children in order."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
