"""Whether attempts that fail in a row become slower, whatever is attempted."""

from collections.abc import Iterator

from lastseen_conformance.case import Finding, Judge, broken, kept
from lastseen_conformance.history import History, Moment

__all__ = ["slower"]


def slower(
    rule: str,
    attempts: type[Moment] | tuple[type[Moment], ...],
    *,
    base_s: float,
    cap_s: float,
    attempts_min: int,
) -> Judge:
    """From so many attempts on, their pauses add up to a quarter of what a backoff would make.

    A quarter: jitter may halve a pause, and what is seen here is not quite what the client sees.
    """

    def judge(history: History) -> Iterator[Finding]:
        tries = [moment for moment in history.moments if isinstance(moment, attempts)]
        if len(tries) < 2:
            return
        for count in range(attempts_min, len(tries) + 1):
            pauses = sum(min(cap_s, base_s * 2**k) for k in range(count - 1))
            took = tries[count - 1].at - tries[0].at
            if took < pauses / 4:
                text = f"{count} attempts in {took:.2f} s; their pauses add up to {pauses:.2f} s"
                yield broken(rule, text, tries[count - 1].n)
                return
        yield kept(rule, f"{len(tries)} attempts")

    return judge
