"""Runs many cases against one program: side by side, the doubtful ones again and alone."""

import time
from collections.abc import Callable, Sequence
from typing import Final, final

import attrs
import trio

from lastseen_conformance.case import Case
from lastseen_conformance.drivers.sockets import Target, run_over_sockets, speaks_report
from lastseen_conformance.history import ClientFrame, Connected, Said, StreamAsked
from lastseen_conformance.timers import PATIENCE_S
from lastseen_conformance.verdicts import Result, Verdict

__all__ = ["Mode", "SuiteRun", "run_suite"]

ALIKE_MAX: Final = 3
"""When so many cases have ended at one and the same first hurdle, the others are not tried."""

CONFIRMED_MAX: Final = 10
"""So many failures in a row that repeated themselves alone are proof enough that this machine is
not to blame; the others are reported as seen once."""

_DOUBTFUL: Final = (Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.NON_STRICT)


@final
@attrs.define(kw_only=True)
class SuiteRun:
    """What came of a run."""

    results: list[Result] = attrs.field(factory=list[Result])
    reported: bool = False
    seconds: float = 0.0
    first_verdict_s: float | None = None


Mode = str
"""`url`, `reported` or `auto`."""

Watcher = Callable[[Result, int, int], None]
"""Is told each final result, how many there are by now, and of how many."""

Doubter = Callable[[Result], None]
"""Is told each result that is to be repeated alone before it counts."""


async def run_suite(
    cases: Sequence[Case],
    target: Target,
    *,
    mode: str = "auto",
    jobs: int = 2,
    patience_s: float = PATIENCE_S,
    watch: Watcher,
    doubt: Doubter = lambda _: None,
) -> SuiteRun:
    """Runs cases; the first goes alone, and shows whether the client reports."""
    run = _Run(
        cases=list(cases),
        target=target,
        mode=mode,
        jobs=jobs,
        patience_s=patience_s,
        watch=watch,
        doubt=doubt,
    )
    return await run.go()


@final
@attrs.define(eq=False, kw_only=True)
class _Run:
    cases: list[Case]
    target: Target
    mode: Mode
    jobs: int
    patience_s: float
    watch: Watcher
    doubt: Doubter
    done: SuiteRun = attrs.field(init=False, factory=SuiteRun)
    _doubtful: list[Result] = attrs.field(init=False, factory=list[Result])
    _hurdles: list[tuple[Verdict, str]] = attrs.field(init=False, factory=list[tuple[Verdict, str]])
    _began: float = attrs.field(init=False, factory=time.monotonic)

    async def go(self) -> SuiteRun:
        tried = await self._find_out_whether_it_reports()
        wanted: list[Case] = []
        for case in self.cases:
            if tried is not None and case is tried.case:
                self._settle_or_doubt(tried)
            elif case.reported_only and not self.target.reported:
                self._leave_out(case, "only a client that reports can be judged by it")
            elif case.restarts and self.target.launcher is not None:
                self._leave_out(case, "it has to start and kill the client itself")
            else:
                wanted.append(case)
        send, receive = trio.open_memory_channel[Case](len(wanted) + 1)
        async with send, receive:
            for case in wanted:
                send.send_nowait(case)
            send.close()
            async with trio.open_nursery() as nursery:
                for _ in range(max(1, self.jobs)):
                    nursery.start_soon(self._work, receive.clone())
        await self._repeat()
        self.done.reported = self.target.reported
        self.done.seconds = time.monotonic() - self._began
        return self.done

    def _leave_out(self, case: Case, reason: str) -> None:
        self._settle(Result(case=case, verdict=Verdict.UNIMPLEMENTED, reason=reason))

    async def _find_out_whether_it_reports(self) -> Result | None:
        """In `auto`, plays the first case to see its output; that is all for one without report.

        A report shows in its first line, and then the case begins again as one of the others.
        """
        if self.mode != "auto":
            self.target = attrs.evolve(self.target, reported=self.mode == "reported")
            return None
        target = attrs.evolve(self.target, reported=False)
        tried = await run_over_sockets(
            self.cases[0], target, patience_s=self.patience_s, until_report=True
        )
        reported = speaks_report(list(tried.history.of(Said)))
        self.target = attrs.evolve(self.target, reported=reported)
        if reported:
            return None
        self._hurdles.append((tried.verdict, _hurdle(tried)))
        return None if tried.case.reported_only else tried

    async def _work(self, cases: "trio.MemoryReceiveChannel[Case]") -> None:
        async with cases:
            async for case in cases:
                hurdle = self._hopeless()
                if hurdle is not None:
                    verdict, reason = hurdle
                    verdict = Verdict.INCONCLUSIVE if verdict is Verdict.FAILED else verdict
                    text = f"not tried: {ALIKE_MAX} cases had ended with: {reason}"
                    self._settle(Result(case=case, verdict=verdict, reason=text))
                    continue
                result = await run_over_sockets(case, self.target, patience_s=self.patience_s)
                self._hurdles.append((result.verdict, _hurdle(result)))
                self._settle_or_doubt(result)

    def _settle_or_doubt(self, result: Result) -> None:
        if result.verdict in _DOUBTFUL:
            self._doubtful.append(result)
            self._seen_first()
            self.doubt(result)
        else:
            self._settle(result)

    async def _repeat(self) -> None:
        """Runs again, alone and with twice the patience, what a busy machine might have caused."""
        confirmed = 0
        for first in self._doubtful:
            if self._hopeless() is not None or confirmed >= CONFIRMED_MAX:
                self._settle(first)
                continue
            again = await run_over_sockets(first.case, self.target, patience_s=2 * self.patience_s)
            confirmed = confirmed + 1 if again.verdict is first.verdict else 0
            self._settle(attrs.evolve(again, repeated=True))

    def _hopeless(self) -> tuple[Verdict, str] | None:
        """The hurdle at which nothing gets further, if there is one."""
        alike = set(self._hurdles)
        if len(self._hurdles) < ALIKE_MAX or len(alike) > 1 or not self._hurdles[0][1]:
            return None
        return self._hurdles[0]

    def _settle(self, result: Result) -> None:
        self.done.results.append(result)
        self._seen_first()
        self.watch(result, len(self.done.results), len(self.cases))

    def _seen_first(self) -> None:
        if self.done.first_verdict_s is None:
            self.done.first_verdict_s = time.monotonic() - self._began


def _hurdle(result: Result) -> str:
    """What a run ended at before it had begun: never connected, never logged in, ended at once."""
    if result.verdict is Verdict.HARNESS_ERROR:
        return result.reason
    spoke = result.history.count(ClientFrame) + result.history.count(StreamAsked)
    if not result.history.count(Connected):
        return "the client never connected"
    if not spoke:
        return "the client connected and said nothing"
    return ""
