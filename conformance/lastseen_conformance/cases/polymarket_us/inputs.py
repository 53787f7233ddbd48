"""What comes in: records that make no sense, novelties, and bodies in every framing."""

from collections.abc import Iterator
from typing import Any, Final

from lastseen_conformance.case import Case, Scene, Script
from lastseen_conformance.cases.polymarket_us.scripts import (
    again,
    agree,
    asked,
    change,
    enter,
    filled,
    happens,
    made,
    ordered,
    path,
)
from lastseen_conformance.history import History, Struck
from lastseen_conformance.judges.polymarket_us import granted_first, no_new_request, survives
from lastseen_conformance.steps import Drop, Linger, Place, Step, Steps, Wait, now
from lastseen_simulator.faults import Fault

__all__ = ["CASES"]

SURVIVES: Final = "pm.input.survives"
UNKNOWN: Final = "pm.input.ignores-unknown"
DOUBTS: Final = "pm.input.doubts-unreadable"
LINES: Final = "pm.frame.lines"
CONNECT: Final = "pm.frame.connect"
EVENTS: Final = "pm.frame.events"
LYING: Final = "pm.frame.lying-type"
AGREES: Final = "pm.state.agrees"
CONNECT_TYPE: Final = "application/connect+json"


def _nonsense(strike: Step) -> Script:
    """On a healthy stream comes a record that nobody can make sense of."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from happens(scene, "orders", 1)
        yield strike
        yield Linger(seconds=0.5, why="the client has to bear it")
        yield from happens(scene, "orders", 2)
        yield from agree(scene)

    play.__doc__ = _nonsense.__doc__
    return play


def _spoilt(kind: str) -> Script:
    """A change comes in a form that cannot be read; nothing else will say what it said."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from happens(scene, "orders", 1)
        yield Place(Fault(kind=kind, at="before live 2"))
        yield ordered("o-b")
        yield Wait(until=asked(2), what="the client asks for the stream anew", rule=DOUBTS)
        yield from again()
        yield from agree(scene)

    play.__doc__ = _spoilt.__doc__
    return play


def novelties(scene: Scene) -> Steps:
    """Members that nobody knows stand beside those that everybody knows."""
    yield from enter(scene)
    yield from happens(scene, "orders", 1)
    yield now("send", text='{"result":{"heartbeat":{"load":0.4},"novel":[1]},"meta":{"a":null}}')
    yield Linger(seconds=0.3, why="nothing has to happen")
    yield ordered("o-b", novel={"deep": [1, 2]}, flag=True)
    yield from agree(scene)
    yield from happens(scene, "orders", 2)


def _struck(history: History) -> int | None:
    struck = next(history.of(Struck), None)
    return None if struck is None else struck.n


_keeps_its_stream: Final = no_new_request(LINES, granted_first)


def _framed(stream: str, rule: str) -> Script:
    """A stream is found, followed, lost and followed again, in one framing."""

    def play(scene: Scene) -> Steps:
        if stream == "orders":
            yield ordered("o-old")
        yield from enter(scene)
        yield from agree(scene, rule)
        for number in (1, 2, 3):
            yield change(stream, number)
        yield from agree(scene, rule)
        yield Linger(seconds=0.6, why="heartbeats come in between")
        if stream == "orders":
            yield filled("o-1a", 4)
        yield Drop()
        yield change(stream, 4)
        yield from again()
        yield from agree(scene, rule)

    play.__doc__ = _framed.__doc__
    return play


def _lying(text: str) -> Script:
    """The head calls the body something that it is not."""

    def play(scene: Scene) -> Steps:
        at = f"on request {path('orders')} 1"
        yield Place(Fault(kind="content_type", at=at, text=text, times=0))
        yield ordered("o-old")
        yield from enter(scene)
        yield from agree(scene, LYING)
        yield ordered("o-a")
        yield from agree(scene, LYING)

    play.__doc__ = _lying.__doc__
    return play


def dripping(scene: Scene) -> Steps:
    """A record comes a few bytes at a time."""
    yield Place(Fault(kind="drip", at="before live 1", bytes_per_s=600.0))
    yield from enter(scene)
    yield ordered("o-a")
    yield ordered("o-b")
    yield from agree(scene, LINES)


def splits(scene: Scene) -> Steps:
    """Every record is cut into two chunks, somewhere else each time."""
    for number in range(1, 7):
        at = f"before live {number}"
        yield Place(Fault(kind="split", at=at, cut_at=number * number))
    yield from enter(scene)
    for number in range(1, 7):
        yield ordered(f"o-{number}b")
    yield from agree(scene, LINES)


_NONSENSE: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("half", "half a record", {"text": '{"result":{"upd'}),
    ("list", "a list", {"text": "[]"}),
    ("null", "null", {"text": "null"}),
    ("result-null", "a result of null", {"text": '{"result":null}'}),
    ("empty-update", "an update that says nothing", {"text": '{"result":{"update":{}}}'}),
    ("no-order", "an execution without its order",
     {"text": '{"result":{"update":{"executions":[{"id":"x-bare"}]}}}'}),
    ("order-null", "an execution of null",
     {"text": '{"result":{"update":{"executions":[{"id":"x-null","order":null}]}}}'}),
    ("nested", "a hundred thousand brackets", {"text": "[" * 100_000}),
    ("bytes", "bytes that are no text", {"data_hex": b'{"result":"\xff\xfe"}\n'.hex()}),
    ("unknown", "a record of a kind that nobody knows", {"text": '{"result":{"weather":{}}}'}),
)  # fmt: skip

_LINES: Final[tuple[tuple[str, str, str, dict[str, Any]], ...]] = (
    ("one-byte-chunks", "chunks of one byte", "instruments", {"chunk_bytes": 1}),
    ("orders-in-bits", "chunks of seven bytes", "orders", {"chunk_bytes": 7}),
    ("held-back", "chunks that lack their last bytes", "orders", {"held_bytes": 5}),
    ("crlf", "lines that end with CRLF", "orders", {"line_end": "crlf"}),
    ("blank", "empty lines in between", "orders", {"line_end": "blank"}),
)


def _cases() -> Iterator[Case]:
    for slug, words, parameters in _NONSENSE:
        yield made(
            f"input/{slug}",
            f"The client bears {words}",
            f"{SURVIVES} {AGREES}",
            _nonsense(now("send", **parameters)),
            survives,
            template="input/nonsense",
            hazards="HZ-J1 HZ-J2 HZ-J3",
        )
    yield made(
        "input/large",
        "The client bears a record of two megabytes that says nothing",
        f"{SURVIVES} {AGREES}",
        _nonsense(now("oversize", size_bytes=2 << 20)),
        survives,
        hazards="HZ-J5",
    )
    yield made(
        "input/spoilt",
        "A change that cannot be read costs a snapshot",
        f"{DOUBTS} {AGREES}",
        _spoilt("malformed"),
        hazards="HZ-J2",
    )
    yield made(
        "input/novelties",
        "Members that nobody knows are passed over",
        f"{UNKNOWN} {AGREES}",
        novelties,
        no_new_request(UNKNOWN, _struck),
        hazards="HZ-J15",
    )
    for slug, words, stream, knobs in _LINES:
        yield made(
            f"lines/{slug}",
            f"Records are read from {words}",
            LINES,
            _framed(stream, LINES),
            stream=stream,
            template="lines/made",
            reported_only=True,
            **knobs,
        )
    for slug, words, play in (
        ("drip", "A record comes slowly", dripping),
        ("split", "Records come in two parts", splits),
    ):
        yield made(f"lines/{slug}", words, LINES, play, _keeps_its_stream, reported_only=True)
    for framing, rule in (("connect", CONNECT), ("sse", EVENTS)):
        for slug, chunk_bytes in (("whole", None), ("in-bits", 3)):
            yield made(
                f"framing/{framing}-{slug}",
                f"A body in the framing {framing} is read, {slug.replace('-', ' ')}",
                rule,
                _framed("orders", rule),
                template=f"framing/{framing}",
                reported_only=True,
                framing=framing,
                chunk_bytes=chunk_bytes,
            )
    for slug, text, framing in (
        ("lines-as-text", "text/plain", "lines"),
        ("lines-as-connect", CONNECT_TYPE, "lines"),
        ("connect-as-json", "application/json", "connect"),
        ("events-as-json", "application/json", "sse"),
    ):
        yield made(
            f"framing/{slug}",
            f"A body whose type is wrong ({slug.replace('-', ' ')}) is read all the same",
            LYING,
            _lying(text),
            template="framing/lying",
            reported_only=True,
            framing=framing,
        )


CASES: Final[tuple[Case, ...]] = tuple(_cases())
