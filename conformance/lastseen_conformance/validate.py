"""Checks the plumbing of a client: what it makes of its environment, and what it prints."""

from collections.abc import Iterator
from typing import Literal, final

import attrs

from lastseen_conformance.case import Case, Finding, Scene
from lastseen_conformance.cases import CASES
from lastseen_conformance.contract import REPORT_SCHEMA, check_line
from lastseen_conformance.drivers.sockets import Target, run_over_sockets
from lastseen_conformance.history import (
    Asked,
    ClientFrame,
    Connected,
    Exited,
    History,
    Said,
    StreamAsked,
)
from lastseen_conformance.steps import Linger, Publish, Start, Steps, Stop, Tell, Wait
from lastseen_conformance.timers import PATIENCE_S
from lastseen_simulator.polymarket_us.channels import channel_at
from lastseen_simulator.truth import REDACTED

__all__ = ["Check", "validate_client"]

WRONG_LINES_SHOWN = 5


@final
@attrs.frozen(kw_only=True)
class Check:
    """One thing that was looked at; `hint` is what the contract lets a client leave out."""

    good: bool
    text: str
    level: Literal["missing", "hint"] = "missing"


async def validate_client(
    dialect: str, target: Target, patience_s: float = PATIENCE_S
) -> list[Check]:
    """Starts a client once, asks it for its state, tells it to stop, and says what was missing."""
    model = next(case for case in CASES.values() if case.dialect == dialect)
    case = attrs.evolve(model, play=_visit, judge=_nothing, rules=(), faults=())
    result = await run_over_sockets(case, target, patience_s=patience_s)
    return list(_checks(result.history, case))


def _nothing(history: History) -> tuple[Finding, ...]:
    del history
    return ()


def _visit(scene: Scene) -> Steps:
    yield Start()
    yield Wait(until=_has_spoken, what="the client sends its first message")
    yield Linger(seconds=2.0, why="it may fetch what it needs", until=_has_asked)
    yield Publish(scene.channels[0])
    yield Linger(seconds=1.0, why="it may say what it made of an entry", until=_has_applied)
    yield Tell("state")
    yield Linger(seconds=3.0, why="it may answer 'state'", until=_has_told)
    yield Stop()


def _has_spoken(history: History) -> bool:
    return history.count(ClientFrame) + history.count(StreamAsked) > 0


def _has_asked(history: History) -> bool:
    asked = history.count(Asked) + history.count(StreamAsked)
    return asked > 0 and _events(history, "snapshot_applied") > 0


def _has_applied(history: History) -> bool:
    return _events(history, "applied") > 0


def _has_told(history: History) -> bool:
    return _events(history, "state") > 0


def _events(history: History, event: str) -> int:
    lines = (said.line for said in history.of(Said))
    return sum(line is not None and line.get("event") == event for line in lines)


def _checks(history: History, case: Case) -> Iterator[Check]:
    if history.trouble is not None:
        yield Check(good=False, text=history.trouble)
        return
    if case.dialect == "polymarket-us":
        yield from _stream_checks(history, case)
    else:
        yield Check(good=history.count(Connected) > 0, text="it connects to LASTSEEN_WS_URL")
    spoken = next(history.of(ClientFrame), None)
    if case.dialect != "polymarket-us":
        yield Check(good=spoken is not None, text="it sends a first message")
    if spoken is not None and case.dialect == "oddspapi":
        text = spoken.data if isinstance(spoken.data, str) else ""
        yield Check(good='"***"' in text, text="its login carries LASTSEEN_API_KEY")
        names = all(f'"{name}"' in text for name in case.channels)
        yield Check(good=names, text="its login asks for LASTSEEN_CHANNELS")
        yield Check(good=history.count(Asked) > 0, text="it fetches below LASTSEEN_HTTP_URL")
    yield Check(good=history.leaked is None, text="it does not print the key")
    ended = next((moment for moment in history.of(Exited) if not moment.asked), None)
    if ended is not None:
        yield Check(good=False, text=f"it goes on until it is told to stop: {ended.how}")
    yield from _report_checks(history)
    for note in history.notes:
        yield Check(good=False, text=note, level="hint")


def _stream_checks(history: History, case: Case) -> Iterator[Check]:
    asked = next(history.of(StreamAsked), None)
    yield Check(good=asked is not None, text="it asks for a stream below LASTSEEN_HTTP_URL")
    if asked is not None:
        (stream,) = case.channels
        headers = dict(asked.headers)
        channel = channel_at(asked.path)
        named = channel is not None and channel.name == stream
        yield Check(good=named, text="it asks for the stream that LASTSEEN_CHANNELS names")
        known = headers.get("authorization") == f"Bearer {REDACTED}"
        yield Check(good=known, text="its Authorization header bears LASTSEEN_API_KEY")
        whose = "x-participant-id" in headers
        yield Check(good=whose, text="its x-participant-id header has LASTSEEN_ACCOUNT")
        yield Check(good=history.count(Connected) > 0, text="the stream is granted")


def _report_checks(history: History) -> Iterator[Check]:
    lines = list(history.of(Said))
    first = lines[0].line if lines else None
    opened = first is not None and first.get("schema") == REPORT_SCHEMA
    yield Check(
        good=opened,
        level="hint",
        text=f'its first line is {{"schema":"{REPORT_SCHEMA}"}}, or it is judged by URL only',
    )
    if not opened:
        return
    wrong = 0
    for said in lines:
        trouble = "it is no JSON object" if said.line is None else check_line(said.line)
        if trouble is not None:
            wrong += 1
            if wrong <= WRONG_LINES_SHOWN:
                shown = said.text or str(said.line)[:100]
                yield Check(good=False, text=f"a line of its report: {trouble}: {shown}")
    yield Check(good=wrong == 0, text=f"{len(lines)} lines of its report keep to the schema")
    for event, what in (
        ("status", "it says what it claims of its channels"),
        ("applied", "it says which entries it applied"),
        ("state", "it answers 'state'"),
    ):
        yield Check(good=_events(history, event) > 0, text=f"{what} ({event})")
    stopped = not history.ignored_stop
    yield Check(good=stopped, text="it ends when it is told to 'stop'", level="hint")
