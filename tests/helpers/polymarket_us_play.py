"""Short scripts for a Polymarket US gateway on its bench, and what two settings make of one."""

from collections.abc import Callable
from typing import Any

from lastseen_simulator.polymarket_us.bench import Bench
from lastseen_simulator.polymarket_us.options import PolymarketUSOptions

__all__ = ["ORDERS", "Play", "busy", "executions", "outcomes", "quiet", "shape"]

ORDERS = "/v1/orders/subscribe"

Play = Callable[[Bench], Any]


def quiet(**knobs: Any) -> Bench:
    """A gateway in which nothing happens unless it is asked for."""
    return Bench(PolymarketUSOptions(rate=0.0, **knobs))


def busy(seconds: float = 30.0, seed: int = 1, **knobs: Any) -> Bench:
    """A gateway that has run for a while."""
    bench = Bench(PolymarketUSOptions(**{"rate": 20.0, **knobs}), seed=seed)
    bench.advance(seconds)
    return bench


def outcomes(play: Play, knob: str, *values: Any, **context: Any) -> dict[Any, Any]:
    """What a script comes to with the default of a knob, and with each of these values.

    `context` is set in every run, so the knob alone explains any difference.
    """
    settings: dict[str, Any] = {"rate": 0.0, **context}
    default = getattr(PolymarketUSOptions(**settings), knob)
    assert default not in values
    return {
        value: play(Bench(PolymarketUSOptions(**{**settings, knob: value})))
        for value in (default, *values)
    }


def executions(bench: Bench, connection: int) -> list[str]:
    """The ids of the executions that a stream of orders or a drop copy has had, in order."""
    found: list[str] = []
    for result in bench.results(connection):
        listed = result.get("update", result).get("executions", [])
        found += [each["id"] for each in listed]
    return found


def shape(bench: Bench, connection: int) -> list[str]:
    """What the records of a stream are: the member of each that says so."""
    kinds = ("snapshot", "update", "heartbeat", "executions", "tradeCaptureReports",
             "positionChanges", "instruments", "error", "undecodable", "type")  # fmt: skip
    shapes: list[str] = []
    for record in bench.records(connection):
        inner = record.get("result", record)
        shapes.append(next((kind for kind in kinds if kind in inner), "?"))
    return shapes
