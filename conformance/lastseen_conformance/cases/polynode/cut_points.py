"""Cut-point sweeps: the connection ends before, inside and after every frame of a subscribe."""

from collections.abc import Iterator
from typing import Final

from lastseen_conformance.case import Case, Scene, Script
from lastseen_conformance.cases.polynode.scripts import (
    agree,
    attempts,
    enter,
    made,
    settle,
    subscribed,
    tx,
)
from lastseen_conformance.history import History
from lastseen_conformance.judges.polynode_wire import PnWire
from lastseen_conformance.steps import Drop, Linger, Place, Publish, Start, Steps, Wait
from lastseen_simulator.faults import Fault

__all__ = ["CASES"]

FRAMES: Final = ("subscribed", "snapshot", "live 1")
SIDES: Final = ("before", "inside", "after")
HOWS: Final = ("drop", "reset")


def _first(fault: Fault) -> Script:
    """The first connection is cut; things happen before and after."""

    def play(scene: Scene) -> Steps:
        yield Publish("settlement", {"tx_hash": tx(1)})
        yield Place(fault)
        yield Start()
        yield Wait(until=attempts(1), what="the client connects")
        yield Linger(seconds=2.0, why="it may subscribe", until=_subscribed_or_cut)
        yield Publish("status_update", {"tx_hash": tx(1)})
        yield Publish("settlement", {"tx_hash": tx(2)})
        yield from _whole_again(scene, 2)

    play.__doc__ = _first.__doc__
    return play


def _second(fault: Fault) -> Script:
    """A healthy connection is lost, and the one after it is cut."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from settle(scene, 1)
        yield Place(fault)
        yield Drop()
        yield Publish("status_update", {"tx_hash": tx(1)})
        yield Wait(until=attempts(2), what="the client connects", rule="pn.subscribe.again")
        yield Linger(seconds=2.0, why="it may subscribe", until=_second_done)
        yield Publish("settlement", {"tx_hash": tx(2)})
        yield from _whole_again(scene, 3)

    play.__doc__ = _second.__doc__
    return play


def _subscribed_or_cut(history: History) -> bool:
    links = history.view(PnWire).links.values()
    return subscribed(1)(history) or any(link.let_go_n is not None for link in links)


def _second_done(history: History) -> bool:
    link = history.view(PnWire).links.get(2)
    return link is not None and (link.acked_n is not None or not link.is_open)


def _whole_again(scene: Scene, connections: int) -> Steps:
    def cut(history: History) -> bool:
        links = history.view(PnWire).links
        return connections - 1 in links and links[connections - 1].let_go_n is not None

    def back(history: History) -> bool:
        owner = history.view(PnWire).owner
        return owner is not None and owner.number >= connections and owner.is_open

    yield Wait(until=cut, what="the connection is cut")
    yield Wait(until=back, what="another connection subscribes", rule="pn.subscribe.again")
    yield Publish("status_update", {"tx_hash": tx(2)})
    yield from agree(scene)


def _cases() -> Iterator[Case]:
    for scenario, script, connection in (("first", _first, 1), ("second", _second, 2)):
        for frame in FRAMES:
            for side in SIDES:
                for how in HOWS:
                    at = f"inside {frame} byte 3" if side == "inside" else f"{side} {frame}"
                    slug = f"{side}-{frame}".replace(" ", "-")
                    yield made(
                        f"cut/{scenario}/{slug}-{how}",
                        f"The {scenario} connection ends ({how}) {at}",
                        "pn.subscribe.again pn.item.outcome",
                        script(Fault(kind=how, at=at, connection=connection)),
                        template=f"cut/{scenario}",
                        hazards="HZ-H7",
                    )
        for how in HOWS:
            yield made(
                f"cut/{scenario}/open-{how}",
                f"The {scenario} connection ends ({how}) on opening",
                "pn.subscribe.again pn.item.outcome",
                script(Fault(kind=how, at="on open", connection=connection)),
                template=f"cut/{scenario}",
                hazards="HZ-H7",
            )


CASES: Final[tuple[Case, ...]] = tuple(_cases())
