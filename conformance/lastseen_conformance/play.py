"""Plays a case's steps: everything but waiting and processes, which are the driver's."""

from collections.abc import Generator
from typing import Any, Protocol

import attrs

from lastseen_conformance.case import Case, Scene
from lastseen_conformance.history import Compared, Exited, History, Outcome, Said, Stepped
from lastseen_conformance.steps import (
    Compare,
    Condition,
    Drop,
    Kill,
    Linger,
    Notice,
    Place,
    Publish,
    Restart,
    Start,
    Step,
    Stop,
    Tell,
    Wait,
)
from lastseen_simulator.faults import Fault

__all__ = ["Halt", "Launch", "Need", "Stage", "Until", "play"]

ASK_AGAIN_S = 0.1
"""Between two questions for the client's state."""


class Stage(Protocol):
    """What a driver lets the player do at once."""

    @property
    def history(self) -> History:
        """What has happened so far."""
        ...

    @property
    def now(self) -> float:
        """The gateway's seconds."""
        ...

    def publish(self, channel: str, payload: dict[str, Any] | None) -> str:
        """Publishes an entry and returns its id."""
        ...

    def place(self, fault: Fault) -> int:
        """Places a fault."""
        ...

    def restart(self, *, announce: bool) -> None:
        """Restarts the gateway."""
        ...

    def drop(self, connection: int | None, *, reset: bool) -> None:
        """Ends connections."""
        ...

    def notice(self, connection: int | None, *, reason: str, grace_s: float) -> None:
        """Tells connections to move."""
        ...

    def tell(self, command: str) -> None:
        """Says a line to the client."""
        ...

    def difference(self, state: dict[str, Any]) -> str | None:
        """Where a reported state and the true one part."""
        ...


@attrs.frozen(kw_only=True)
class Until:
    """Wait for a condition, at most so long; answered with whether it came true."""

    condition: Condition
    seconds: float


@attrs.frozen(kw_only=True)
class Launch:
    """Start the client."""


@attrs.frozen(kw_only=True)
class Halt:
    """End the client: kill it, or ask it first."""

    kill: bool


Need = Until | Launch | Halt


class _EndedError(Exception):
    """The case cannot go on."""


def play(case: Case, scene: Scene, stage: Stage, patience_s: float) -> Generator[Need, bool, None]:
    """Plays a case to its end, or to the first wait that comes to nothing."""
    steps = case.play(scene)
    answer: Any = None
    try:
        while True:
            step = steps.send(answer)
            stage.history.add(Stepped, at=stage.now, text=described(step))
            answer = yield from _do(step, scene, stage, patience_s)
    except (StopIteration, _EndedError):
        steps.close()


def _do(step: Step, scene: Scene, stage: Stage, patience_s: float) -> Generator[Need, bool, Any]:
    match step:
        case Start():
            yield Launch()
        case Kill():
            yield Halt(kill=True)
        case Stop():
            yield Halt(kill=False)
        case Publish():
            payload = step.payload
            return tuple(stage.publish(step.channel, payload) for _ in range(step.count))
        case Tell():
            stage.tell(step.command)
        case Place():
            return stage.place(step.fault)
        case Restart():
            stage.restart(announce=step.announce)
        case Drop():
            stage.drop(step.connection, reset=step.reset)
        case Notice():
            stage.notice(step.connection, reason=step.reason, grace_s=step.grace_s)
        case Linger():
            stage.history.may_end = stage.history.may_end or step.may_end
            yield Until(condition=step.until or _never, seconds=step.seconds)
        case Wait():
            met = yield Until(
                condition=lambda history: step.until(history) or _gone(history),
                seconds=step.patience_s or patience_s,
            )
            _settle(stage, step.what, step.rule, met=met and step.until(stage.history))
        case Compare():
            if scene.reported:
                yield from _compare(step, stage, step.patience_s or patience_s)
    return None


def _compare(step: Compare, stage: Stage, patience_s: float) -> Generator[Need, bool, None]:
    end = stage.now + patience_s
    while True:
        asked = len(stage.history.moments)
        stage.tell("state")
        yield Until(
            condition=lambda history, n=asked: _answer(history, n) is not None or _gone(history),  # type: ignore[misc]
            seconds=max(ASK_AGAIN_S, end - stage.now),
        )
        said = _answer(stage.history, asked)
        difference = "the client did not answer 'state'"
        if said is not None and said.line is not None:
            state = said.line.get("state")
            difference = stage.difference(state) if isinstance(state, dict) else "no state in it"  # type: ignore[assignment]
            stage.history.add(Compared, at=stage.now, run=said.run, difference=difference)
        if difference is None or stage.now >= end or _gone(stage.history):
            what = step.what if difference is None else f"{step.what}: {difference}"
            _settle(stage, what, step.rule, met=difference is None)
            return
        yield Until(condition=_never, seconds=ASK_AGAIN_S)


def _answer(history: History, after: int) -> Said | None:
    for moment in history.moments[after:]:
        if isinstance(moment, Said) and moment.line and moment.line.get("event") == "state":
            return moment
    return None


def _settle(stage: Stage, what: str, rule: str | None, *, met: bool) -> None:
    history = stage.history
    history.outcomes.append(Outcome(what=what, rule=rule, met=met, n=len(history.moments)))
    if not met:
        raise _EndedError


def _never(history: History) -> bool:
    del history
    return False


def _gone(history: History) -> bool:
    """Whether the client has ended although nobody asked it to."""
    last = next(history.of(Exited), None)
    return last is not None and any(not each.asked for each in history.of(Exited))


def described(step: Step) -> str:
    """A step in words."""
    match step:
        case Start():
            return "start the client"
        case Kill():
            return "kill the client"
        case Stop():
            return "stop the client"
        case Tell():
            return f"tell the client: {step.command}"
        case Publish():
            return f"publish {step.count} on {step.channel}"
        case Place():
            fault = step.fault
            where = "now" if fault.at == "at 0" else fault.at
            return f"fault: {fault.kind} {where}"
        case Restart():
            return "restart the gateway" + (", announced" if step.announce else "")
        case Drop():
            which = "every connection" if step.connection is None else f"#{step.connection}"
            return f"{'reset' if step.reset else 'drop'} {which}"
        case Notice():
            return f"send reconnect ({step.reason})"
        case Wait():
            return f"wait until {step.what}"
        case Linger():
            return f"linger {step.seconds:g} s: {step.why}"
        case Compare():
            return f"ask for the state until {step.what}"
