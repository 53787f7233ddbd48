"""Snapshots: they replace, at once, whatever they are called, and before anything else."""

from collections.abc import Iterator
from typing import Any, Final, cast

from lastseen_conformance.case import Case, Finding, Scene, broken, kept
from lastseen_conformance.cases.polymarket_us.scripts import (
    again,
    agree,
    asked,
    cancelled,
    digest,
    enter,
    granted,
    happens,
    made,
    ordered,
    path,
    seen,
)
from lastseen_conformance.history import History
from lastseen_conformance.judges.polymarket_us import said
from lastseen_conformance.judges.polymarket_us_wire import PmWire
from lastseen_conformance.steps import Drop, Linger, Place, Start, Steps, Tell, Wait, now
from lastseen_simulator.faults import Fault

__all__ = ["CASES"]

REPLACES: Final = "pm.snapshot.replaces"
AT_ONCE: Final = "pm.snapshot.at-once"
BEFORE: Final = "pm.snapshot.before-change"
NEVER_DUPLICATE: Final = "pm.snapshot.never-duplicate"
ORDERS: Final = path("orders")
OWED_PATIENCE_S: Final = 60.0
PAGE_PAUSE_S: Final = 1.0


def vanishes(scene: Scene) -> Steps:
    """Orders come to an end while the stream is lost; the snapshot does not have them any more."""
    yield from enter(scene)
    for name in ("o-a", "o-b", "o-c"):
        (entry,) = yield ordered(name)
        yield from seen(scene, entry)
    yield Drop()
    yield cancelled("o-a")
    yield cancelled("o-c")
    yield ordered("o-d")
    yield from again()
    yield from agree(scene, REPLACES)


def periodic(scene: Scene) -> Steps:
    """Changes are lost on the way; a snapshot that nobody waits for brings what they said."""
    yield from enter(scene)
    yield from happens(scene, "orders", 1)
    yield Place(Fault(kind="gap", at="before live 2"))
    yield ordered("o-b")
    yield Place(Fault(kind="gap", at="before live 3"))
    yield cancelled("o-1a")
    yield now("snapshot")
    yield from agree(scene, REPLACES)
    yield now("snapshot")
    yield from happens(scene, "orders", 3)
    yield from agree(scene, REPLACES)


def same_name(scene: Scene) -> Steps:
    """Nothing happens between two streams, so that both snapshots are called alike."""
    yield from enter(scene)
    yield from happens(scene, "orders", 1)
    for count in (2, 3):
        yield Drop()
        yield from again(count)
        if scene.reported:
            yield Wait(
                until=lambda history, count=count: _snapshots(history) >= count,  # type: ignore[misc]
                what="the client applies the snapshot",
                rule=NEVER_DUPLICATE,
            )
    yield from agree(scene)


def _snapshots(history: History) -> int:
    return sum(1 for _ in said(history, "snapshot_applied"))


def change_first(scene: Scene) -> Steps:
    """The first thing that comes is a change, and only then the snapshot."""
    yield Place(Fault(kind="delta_first", at=f"on request {ORDERS} 1"))
    yield ordered("o-a")
    yield from enter(scene)
    yield ordered("o-b")
    yield Linger(seconds=0.3, why="the client may process what it got")
    yield ordered("o-c")
    yield from agree(scene, BEFORE)


def _base_first(history: History) -> Iterator[Finding]:
    """pm.snapshot.before-change."""
    lines = [each for event in ("applied", "snapshot_applied") for each in said(history, event)]
    if not lines:
        return
    first = min(lines, key=lambda each: each.n)
    if (first.line or {}).get("event") == "applied":
        yield broken(BEFORE, "a change is applied before there was a snapshot", first.n)
    else:
        yield kept(BEFORE)


def kept_back(scene: Scene) -> Steps:
    """A stream begins without its snapshot; there are heartbeats and a change."""
    yield Place(Fault(kind="no_snapshot", at=f"on request {ORDERS} 1"))
    yield ordered("o-a")
    yield from enter(scene)
    yield ordered("o-b")
    yield Wait(
        until=asked(2),
        what="the client asks for the stream anew",
        rule="pm.snapshot.owed",
        patience_s=OWED_PATIENCE_S,
    )
    yield from again()
    yield from agree(scene, BEFORE)


def heartbeats_first(scene: Scene) -> Steps:
    """A heartbeat comes first, and then the snapshot."""
    yield ordered("o-a")
    yield from enter(scene)
    yield from agree(scene)
    yield from happens(scene, "orders", 1)
    yield from agree(scene)


def pages(scene: Scene) -> Steps:
    """A snapshot comes in pages, and the second one is late; meanwhile the state is asked for."""
    yield from enter(scene)
    for name in ("o-a", "o-b", "o-c"):
        (entry,) = yield ordered(name)
        yield from seen(scene, entry)
    yield from agree(scene)
    yield Place(Fault(kind="stall", at="after snapshot 1", connection=2, seconds=PAGE_PAUSE_S))
    yield Drop()
    yield cancelled("o-a")
    yield ordered("o-d")
    yield from again()
    if scene.reported:
        yield from digest(scene)
        yield Tell("state")
        yield Linger(seconds=PAGE_PAUSE_S, why="the other pages come")
    yield from agree(scene)


OLD: Final = frozenset({"orders/o-a", "orders/o-b", "orders/o-c"})
NEW: Final = frozenset({"orders/o-b", "orders/o-c", "orders/o-d"})
OVER: Final = "orders/o-a"


def _old_or_new(history: History) -> Iterator[Finding]:
    """pm.snapshot.at-once: no answer to `state` has a part of the old and a part of the new."""
    for each in said(history, "state"):
        state: Any = (each.line or {}).get("state")
        units = cast("dict[str, Any]", state) if isinstance(state, dict) else {}
        held = frozenset(units)
        second = history.view(PmWire).granted[1:]
        if not second or each.n < (second[0].granted_n or 0):
            continue
        if held not in (OLD, NEW, NEW | {OVER}):
            shown = ", ".join(sorted(held)) or "nothing"
            yield broken(AT_ONCE, f"between two pages it has {shown}", each.n)
            return
        yield kept(AT_ONCE)


def pages_cut(scene: Scene) -> Steps:
    """The stream ends between two pages."""
    yield ordered("o-a")
    yield ordered("o-b")
    yield ordered("o-c")
    yield Place(Fault(kind="drop", at="after snapshot 2", connection=1))
    yield Start()
    yield Wait(until=granted(1), what="the stream is granted")
    yield from again()
    yield from agree(scene, REPLACES)


def old_again(scene: Scene) -> Steps:
    """A snapshot that was sent before the last one is sent once more."""
    yield from enter(scene)
    yield from happens(scene, "orders", 1)
    yield now("snapshot")
    yield from happens(scene, "orders", 2)
    yield now("old_snapshot")
    yield Linger(seconds=0.3, why="nothing has to change")
    yield from agree(scene, "pm.snapshot.older-ignored")


def empties(scene: Scene) -> Steps:
    """All orders are over; the snapshot after a loss is empty."""
    yield from enter(scene)
    for name in ("o-a", "o-b"):
        (entry,) = yield ordered(name)
        yield from seen(scene, entry)
    yield Drop()
    yield cancelled("o-a")
    yield cancelled("o-b")
    yield from again()
    yield from agree(scene, REPLACES)
    (entry,) = yield ordered("o-c")
    yield from seen(scene, entry)
    yield from agree(scene, REPLACES)


CASES: Final[tuple[Case, ...]] = (
    made(
        "snapshot/replaces",
        "What a snapshot leaves out is gone",
        REPLACES,
        vanishes,
        hazards="HZ-C7",
        reported_only=True,
        order_tokens=False,
    ),
    made(
        "snapshot/empty",
        "An empty snapshot replaces like any other",
        REPLACES,
        empties,
        hazards="HZ-C7 HZ-C16",
        reported_only=True,
        order_tokens=False,
    ),
    made(
        "snapshot/empty-left-out",
        "An empty snapshot whose list is left out replaces like any other",
        REPLACES,
        empties,
        template="snapshot/empty",
        hazards="HZ-C7 HZ-C16",
        reported_only=True,
        order_tokens=False,
        omit_zeroes=True,
    ),
    made(
        "snapshot/periodic",
        "A snapshot that nobody waits for replaces, too",
        REPLACES,
        periodic,
        hazards="HZ-C18",
        reported_only=True,
    ),
    made(
        "snapshot/same-name",
        "A snapshot that is called like the last one is applied",
        NEVER_DUPLICATE,
        same_name,
        hazards="HZ-C18",
        reported_only=True,
        style="guide",
        order_tokens=False,
    ),
    made(
        "snapshot/change-first",
        "A change that comes before the snapshot waits for it",
        BEFORE,
        change_first,
        _base_first,
        hazards="HZ-C22",
        reported_only=True,
    ),
    made(
        "snapshot/kept-back",
        "A stream without its snapshot is asked for anew",
        f"pm.snapshot.owed {BEFORE}",
        kept_back,
        _base_first,
        hazards="HZ-C22",
    ),
    made(
        "snapshot/heartbeat-first",
        "A heartbeat is no snapshot",
        "pm.status.no-base-no-claim pm.state.agrees",
        heartbeats_first,
        hazards="HZ-C22",
        reported_only=True,
        heartbeat_first=True,
    ),
    made(
        "snapshot/pages",
        "The pages of a snapshot are applied at once",
        f"{AT_ONCE} pm.state.agrees",
        pages,
        _old_or_new,
        hazards="HZ-C8 HZ-C17",
        reported_only=True,
        order_tokens=False,
        page_items=1,
    ),
    made(
        "snapshot/pages-cut",
        "A snapshot of which a page is missing is none",
        f"{REPLACES} pm.connect.comes-back",
        pages_cut,
        hazards="HZ-C8 HZ-C16",
        page_items=1,
    ),
    made(
        "snapshot/old-again",
        "An old snapshot that comes again replaces nothing",
        "pm.snapshot.older-ignored",
        old_again,
        hazards="HZ-C6",
        reported_only=True,
    ),
)
