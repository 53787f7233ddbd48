"""What comes in: nonsense, novelties, and compressed frames that are not what they should be."""

from collections.abc import Callable
from typing import Any, Final

from lastseen_conformance.case import Case, Finding, Scene, Script
from lastseen_conformance.cases.polynode.scripts import agree, confirm, enter, made, settle, tx
from lastseen_conformance.history import History, Struck
from lastseen_conformance.judges.polynode import no_new_connection
from lastseen_conformance.steps import Linger, Place, Publish, Step, Steps, now
from lastseen_simulator.faults import Fault

__all__ = ["CASES"]

SURVIVES: Final = "pn.input.survives"
UNKNOWN: Final = "pn.input.ignores-unknown"


def _struck(history: History) -> int | None:
    struck = next(history.of(Struck), None)
    return None if struck is None else struck.n


def _stays(rule: str) -> Callable[[History], list[Finding]]:
    return lambda history: list(no_new_connection(rule, _struck)(history))


def _injected(strike: Callable[[], Step]) -> Script:
    """On a healthy connection something odd arrives; what follows is as usual."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        key = yield from settle(scene, 1)
        yield strike()
        yield Linger(seconds=0.5, why="nothing has to happen")
        yield from confirm(scene, 1, key)
        yield from agree(scene)

    play.__doc__ = _injected.__doc__
    return play


def _spoilt(kind: str) -> Script:
    """One event comes compressed, in a form that cannot be read; others follow."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        key = yield from settle(scene, 1)
        yield Place(Fault(kind=kind, at="before live 2"))
        yield Publish("block", {"block_number": 7})
        yield Publish("settlement", {"tx_hash": tx(9), "status": "confirmed"})
        yield Linger(seconds=0.5, why="the client has to bear it")
        yield from confirm(scene, 1, key)

    play.__doc__ = _spoilt.__doc__
    return play


def unknown_events(scene: Scene) -> Steps:
    """Events of types that nobody knows."""
    yield from enter(scene)
    key = yield from settle(scene, 1)
    yield now("send", text='{"type":"weather","timestamp":1,"data":{"event_type":"weather"}}')
    yield Linger(seconds=0.3, why="nothing has to happen")
    yield from confirm(scene, 1, key)
    yield from agree(scene)


_NONSENSE: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("cut", "half a JSON text", {"text": '{"type":'}),
    ("list", "a JSON list", {"text": "[]"}),
    ("null", "null", {"text": "null"}),
    ("empty", "an empty message", {"text": ""}),
    ("typed-list", "a list for a type", {"text": '{"type":[]}'}),
    ("nested", "a hundred thousand brackets", {"text": "[" * 100_000}),
    ("snapshot-null", "a snapshot without events", {"text": '{"type":"snapshot","events":null}'}),
    (
        "settlement-bare",
        "a settlement without data",
        {"text": '{"type":"settlement","timestamp":1}'},
    ),
    ("bytes", "bytes that do not inflate", {"data_hex": "ffffffff"}),
)

CASES: Final[tuple[Case, ...]] = (
    made(
        "input/unknown-event",
        "An event of an unknown type is passed over",
        f"{UNKNOWN} all.process.lives pn.item.outcome",
        unknown_events,
        _stays(UNKNOWN),
        hazards="HZ-J15",
    ),
    made(
        "input/unknown-frame",
        "A control frame of an unknown type is passed over",
        f"{UNKNOWN} all.process.lives pn.item.outcome",
        _injected(lambda: now("send", text='{"type":"maintenance","ts":1}')),
        _stays(UNKNOWN),
        hazards="HZ-J15",
    ),
    *(
        made(
            f"input/nonsense-{name}",
            f"Borne: {words}",
            f"{SURVIVES} all.process.lives pn.item.outcome",
            _injected(lambda fault=fault: now("send", **fault)),  # type: ignore[misc]
            _stays(SURVIVES),
            template="input/nonsense",
            hazards="HZ-J1 HZ-J2 HZ-J3",
        )
        for name, words, fault in _NONSENSE
    ),
    *(
        made(
            f"input/{kind.replace('_', '-')}",
            f"A frame that is {words} costs neither client nor connection",
            f"{SURVIVES} all.process.lives",
            _spoilt(kind),
            _stays(SURVIVES),
            template="input/compressed",
            hazards="HZ-J12",
        )
        for kind, words in (
            ("zlib_wrapped", "compressed with a zlib header"),
            ("truncated_deflate", "compressed and cut"),
        )
    ),
)
