"""A tail is killed again and again under a hostile gateway; its state file is judged by the truth.

    make kills                    30 kills, seed 1
    make kills KILLS=100 SEED=7

Each life of `lastseen tail --state` ends with SIGKILL after a random time. While it is dead, its
file is copied and read, and the gateway may have restarted or been replaced. At the end the market
stands still, a last life syncs and is asked to end, and the file has to hold the truth.

The gateway dates its snapshots (`--as-of`). Without that the profile's answers from the past are
lies that nobody can see through, and no state could be held to anything (R11). Its empty answers
carry no date; what is built on one is marked in the file, and judged only when it has been fetched
anew.
"""

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
from kill_checks import (
    History,
    Life,
    applied_once,
    ends_true,
    moved,
    never_ahead,
    never_unsaid,
    only_issued,
    resumes_from_the_file,
    resumptions,
)
from processes import (
    PATIENCE_S,
    GatewayProcess,
    TailProcess,
    command,
    environment,
    eventually,
    gateway_process,
    tail_process,
)
from state_copy import StateCopy, copy_state, read_state
from truth_file import Truth

from lastseen_simulator.verdict import compare

__all__ = ["CHECKS", "Campaign", "judge"]

CHANNELS = ("fixtures", "scores", "odds", "bookmakers")
SPORTS = (10,)
"""One sport is one request for the list of fixtures, so that a short life can get a base."""

BIRTH_S = (0.1, 0.7)
LIFE_S = (0.1, 3.0)
COMMIT_S = 1.0
"""Some die in so long while they start, some so long after that, and some when their file is
written to, for which they are given so long again."""

CHECKS = (never_ahead, resumes_from_the_file, applied_once, never_unsaid, only_issued)

_Say = Callable[[str], None]


@attrs.define(eq=False)
class Campaign:
    """One gateway after another, and one tail after another that keeps its place in a file."""

    folder: Path
    seed: int
    say: _Say = print
    lives: list[Life] = attrs.field(init=False, factory=list[Life])
    _rng: random.Random = attrs.field(init=False)
    _stack: ExitStack = attrs.field(init=False, factory=ExitStack)
    _gateways: list[GatewayProcess] = attrs.field(init=False, factory=list[GatewayProcess])

    def __attrs_post_init__(self) -> None:
        self._rng = random.Random(self.seed)

    def play(self, kills: int) -> History:
        """Lives and dies so often, then lives to the end."""
        with self._stack:
            self._open_gateway()
            for number in range(1, kills + 1):
                self._trouble()
                self._live_and_die(number)
            self._live_to_the_end(kills + 1)
            self._close_gateway()
        truths = [Truth.read(self._truth(index)) for index in range(len(self._gateways))]
        return History(lives=self.lives, truths=truths, channels=CHANNELS, sports=SPORTS)

    @property
    def state(self) -> Path:
        return self.folder / "feed.db"

    @property
    def _gateway(self) -> GatewayProcess:
        return self._gateways[-1]

    def _truth(self, index: int) -> Path:
        return self.folder / f"truth-{index}.jsonl"

    def _open_gateway(self) -> None:
        index = len(self._gateways)
        arguments = (
            *("--faults", "hostile", "--as-of", "--rate", "60", "--fixtures", "3"),
            # So that an entry comes again that was durable already.
            *("--knob", "inclusive_replay=true"),
            *("--seed", str(self.seed + index), "--truth", str(self._truth(index))),
        )
        port = self._gateways[0].port if index else 0
        process = gateway_process(*arguments, port=port)
        self._gateways.append(self._stack.enter_context(process))

    def _close_gateway(self) -> None:
        """Asks it to end, so that its truth is complete."""
        process = self._gateway.process
        process.terminate()
        assert process.wait(PATIENCE_S) == 0

    def _trouble(self) -> None:
        """What happens to the gateway while nobody is connected."""
        chance = self._rng.random()
        if chance < 0.05:
            self._close_gateway()
            self._open_gateway()
            self.say("          another gateway, with another market, takes its place")
        elif chance < 0.15:
            self._ask("restart", {})
            self.say("          the gateway restarts")

    def _live_and_die(self, number: int) -> None:
        before, began_at = self._last(), self._clock()
        log = self.folder / f"life-{number}.jsonl"
        with log.open("wb") as out:
            tail = subprocess.Popen(
                command("tail", *self._arguments(), "--report"),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=environment(),
            )
            with tail:
                try:
                    died = self._wait_for_death(tail, log)
                finally:
                    tail.kill()
        if tail.returncode != -signal.SIGKILL:
            raise AssertionError(f"life {number} ended by itself: {log.read_text()[-500:]}")
        copy = copy_state(self.state, self.folder / f"copy-{number}")
        self._note(number, before, began_at, _lines(log), read_state(copy), died)

    def _wait_for_death(self, tail: subprocess.Popen[bytes], log: Path) -> str:
        """Waits until the moment to kill it has come, and says which it is."""
        chance = self._rng.random()
        if chance < 0.2:
            with suppress(subprocess.TimeoutExpired):
                tail.wait(self._rng.uniform(*BIRTH_S))
            return "starting"
        life_s = self._rng.uniform(*LIFE_S)
        eventually("it speaks", lambda: log.stat().st_size > 0 or tail.poll() is not None)
        with suppress(subprocess.TimeoutExpired):
            tail.wait(life_s)
        if chance < 0.7:
            return f"{life_s:.1f} s"
        written, ends_at = self._last_write(), time.monotonic() + COMMIT_S
        while self._last_write() == written and time.monotonic() < ends_at:
            time.sleep(0.0002)
        return f"{life_s:.1f} s, write"

    def _last_write(self) -> tuple[int, int]:
        log = self.state.with_name(f"{self.state.name}-wal").stat()
        return log.st_mtime_ns, log.st_size

    def _live_to_the_end(self, number: int) -> None:
        """The market stands still: the last life has to sync, agree and end well."""
        before, began_at = self._last(), self._clock()
        self._ask("pause", {})
        with tail_process(*self._arguments()) as tail:
            eventually("the last life holds the truth", lambda: self._agrees(tail))
            tail.process.terminate()
            code = tail.process.wait(PATIENCE_S)
        assert code == 0, f"the last life ended with {code}"
        copy = copy_state(self.state, self.folder / f"copy-{number}")
        self._note(number, before, began_at, tuple(tail.said), read_state(copy), "to the end")

    def _agrees(self, tail: TailProcess) -> bool:
        truth = self._gateway.truth_state(CHANNELS, SPORTS)
        if not tail.synced(CHANNELS):
            return False
        return all(verdict.equal for verdict in compare(tail.state(), truth, CHANNELS))

    def _arguments(self) -> tuple[str, ...]:
        sports = ",".join(map(str, SPORTS))
        return (self._gateway.ready["ws_url"], "--state", str(self.state), "--sports", sports)

    def _last(self) -> StateCopy:
        return self.lives[-1].after if self.lives else StateCopy()

    def _note(
        self,
        number: int,
        before: StateCopy,
        began_at: float,
        said: tuple[Any, ...],
        after: StateCopy,
        lived: str,
    ) -> None:
        life = Life(
            number=number,
            gateway=len(self._gateways) - 1,
            began_at=began_at,
            ended_at=self._settled_at(),
            said=said,
            before=before,
            after=after,
        )
        self.lives.append(life)
        cursors = ", ".join(f"{name} {text}" for name, text in after.cursors.items())
        place = f"{(after.epoch or '')[:8]} {cursors}".strip() or "none"
        kept = " (as before)" if before.position == after.position else ""
        applied = len(life.applied())
        self.say(
            f"life {number:4}  {lived:>12}  {applied:4} applied  {len(after.units):3} units"
            f"  place: {place}{kept}"
        )

    def _settled_at(self) -> float:
        """The gateway's clock once it has noticed every end; one that is mute never will."""

        def settled() -> bool:
            return all(each["half_open"] for each in self._ask("connections"))

        eventually("the gateway has noticed the end of the connections", settled)
        return self._clock()

    def _clock(self) -> float:
        uptime_s: Decimal = self._ask("health")["uptime_s"]
        return float(uptime_s)

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Asks the control API, whose port may be refusing connections for a while."""
        ends_at = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self._gateway.ask(path, body)
            except OSError:
                if time.monotonic() > ends_at:
                    raise
                time.sleep(0.1)


def judge(history: History) -> Iterator[str]:
    """Everything that is wrong with a history, or `INCONCLUSIVE` when it shows nothing."""
    for check in (*CHECKS, ends_true):
        yield from check(history)
    kills = len(history.lives) - 1
    if 3 * moved(history) < kills:
        yield f"INCONCLUSIVE: only {moved(history)} of {kills} kills came after a move"
    if not resumptions(history)[0]:
        yield "INCONCLUSIVE: no life resumed"


def summary(history: History) -> str:
    """What the history consists of."""
    resumed, replayed = resumptions(history)
    applied = sum(len(life.applied()) for life in history.lives)
    entries = sum(len(truth.entries) for truth in history.truths)
    undated = sum(bool(life.after.undated) for life in history.lives)
    durable = sum(bool(life.after.cursors) for life in history.lives)
    return (
        f"{len(history.lives) - 1} kills, {moved(history)} moved the place, "
        f"{durable} left cursors, {resumed} lives resumed ({replayed} entries replayed), "
        f"{applied} entries applied of {entries} published, {undated} files with undated bases"
    )


def _lines(log: Path) -> tuple[Any, ...]:
    """The whole lines of a report; what a kill cut short is left out."""
    whole = log.read_text(encoding="utf-8").split("\n")[:-1]
    return tuple(json.loads(line, parse_float=Decimal) for line in whole)


def main() -> int:
    """Prints each life and the verdict; 1 for a violation, and for a history that shows nothing."""
    parser = argparse.ArgumentParser(description="Kill a tail and judge its state file.")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    # Told to end, it must not leave a gateway and a tail behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    folder = Path(tempfile.mkdtemp(prefix="lastseen-kills-"))
    history = Campaign(folder, asked.seed).play(asked.kills)
    problems = list(judge(history))
    for problem in problems:
        print(problem)
    print(f"seed {asked.seed}: {summary(history)}: {'FAILED' if problems else 'OK'}")
    if problems:
        print(f"its files, reports and truth are in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
