"""Cut-point sweeps: a stream ends before, inside and after each of its records."""

from collections.abc import Iterator
from typing import Final

from lastseen_conformance.case import Case, Finding, Judge, Scene, Script, broken, kept
from lastseen_conformance.cases.polymarket_us.scripts import (
    NAMED,
    again,
    agree,
    change,
    digest,
    enter,
    happens,
    made,
    nothing,
    seen,
)
from lastseen_conformance.history import History, ServerFrame
from lastseen_conformance.judges.polymarket_us import applied
from lastseen_conformance.judges.polymarket_us_wire import PmWire
from lastseen_conformance.steps import Drop, Place, Start, Steps, Wait
from lastseen_simulator.faults import Fault

__all__ = ["CASES"]

SIDES: Final = ("before", "inside", "after")
HOWS: Final = ("drop", "end")
CUT: Final = "pm.frame.cut-is-nothing"
COMES_BACK: Final = "pm.connect.comes-back"


def _first(stream: str, fault: Fault) -> Script:
    """The first stream is cut; things happen before and after."""

    def play(scene: Scene) -> Steps:
        if stream == "orders":
            yield change(stream, 1)
        yield Place(fault)
        yield Start()
        yield Wait(until=_one_is_cut_or_fed, what="the client has its stream")
        yield from _told(scene, stream, 2)
        yield from again()
        yield from _whole(scene, stream)

    play.__doc__ = _first.__doc__
    return play


def _second(stream: str, fault: Fault) -> Script:
    """A healthy stream is lost, and the one after it is cut."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from happens(scene, stream, 1)
        yield from digest(scene)
        yield Place(fault)
        yield Drop()
        missed = yield change(stream, 2)
        yield from again(2)
        yield Wait(until=_second_is_cut, what="the stream is cut")
        yield from _told(scene, stream, 3)
        yield from again(3)
        if stream in NAMED and stream != "orders":
            yield from seen(scene, missed[0].split("/")[0])
        yield from _whole(scene, stream)

    play.__doc__ = _second.__doc__
    return play


def _told(scene: Scene, stream: str, number: int) -> Steps:
    """Something happens, whoever is there to be told."""
    yield change(stream, number)
    yield from digest(scene)


def _whole(scene: Scene, stream: str) -> Steps:
    yield from happens(scene, stream, 9)
    yield from agree(scene)


def _one_is_cut_or_fed(history: History) -> bool:
    links = history.view(PmWire).granted
    return bool(links)


def _second_is_cut(history: History) -> bool:
    links = history.view(PmWire).granted
    return len(links) > 1 and not links[1].is_open


def _not_from_a_part(history: History) -> Iterator[Finding]:
    """pm.frame.cut-is-nothing: what came in part is applied only after it came whole."""
    parts = [
        frame
        for frame in history.of(ServerFrame)
        if frame.cut_at is not None or not _ends_well(frame)
    ]
    if not parts:
        return
    part = parts[0]
    name = _execution(part)
    if name is not None:
        whole = [
            frame.n
            for frame in history.of(ServerFrame)
            if frame not in parts and _execution(frame) == name
        ]
        for each in applied(history, name):
            if not any(n < each.n for n in whole):
                yield broken(CUT, f"{name} is applied, and came in part only", each.n)
                return
    yield kept(CUT)


def _ends_well(frame: ServerFrame) -> bool:
    return _bytes(frame).endswith(b"\n")


def _execution(frame: ServerFrame) -> str | None:
    """The first name of an execution in it, whole or not."""
    _, found, rest = _bytes(frame).partition(b'"id":"x-')
    number, _, _ = rest.partition(b'"')
    return f"x-{number.decode()}" if found else None


def _bytes(frame: ServerFrame) -> bytes:
    return frame.data.encode() if isinstance(frame.data, str) else frame.data


def _cases() -> Iterator[Case]:
    for stream, scenario, record, script, connection in (
        ("orders", "first", "snapshot", _first, 1),
        ("orders", "first", "live 1", _first, 1),
        ("orders", "second", "snapshot", _second, 2),
        ("trade_capture", "second", "replayed 1", _second, 2),
        ("drop_copy", "first", "live 1", _first, 1),
        ("drop_copy", "second", "replayed 1", _second, 2),
    ):
        tokens = record != "snapshot" or scenario == "first"
        for side in SIDES:
            for how in HOWS:
                at = f"inside {record} byte 60" if side == "inside" else f"{side} {record}"
                slug = f"{side}-{record}".replace(" ", "-")
                judge: Judge = _not_from_a_part if side == "inside" else nothing
                rules = f"{COMES_BACK} {CUT}" if side == "inside" else COMES_BACK
                rules += " pm.apply.all" if stream == "drop_copy" else " pm.state.agrees"
                yield made(
                    f"cut/{stream.replace('_', '-')}-{scenario}/{slug}-{how}",
                    f"The {scenario} stream of {stream} ends ({how}) {at}",
                    rules,
                    script(stream, Fault(kind=how, at=at, connection=connection)),
                    judge,
                    stream=stream,
                    template=f"cut/{stream.replace('_', '-')}-{scenario}",
                    hazards="HZ-H7 HZ-K2",
                    **({} if tokens else {"order_tokens": False}),
                )


CASES: Final[tuple[Case, ...]] = tuple(_cases())
