"""Short scripts for a PolyNode gateway on its bench, and what two settings make of one."""

from collections.abc import Callable
from typing import Any

from lastseen_simulator.polynode.bench import Bench
from lastseen_simulator.polynode.options import PolyNodeOptions

__all__ = ["Play", "busy", "fates", "names", "outcomes", "quiet", "status_of"]

Play = Callable[[Bench], Any]


def quiet(**knobs: Any) -> Bench:
    """A gateway in which nothing happens unless it is asked for."""
    return Bench(PolyNodeOptions(rate=0.0, **knobs))


def busy(seconds: float = 30.0, seed: int = 1, **knobs: Any) -> tuple[Bench, int]:
    """A gateway that has run for a while, and a connection that had everything it publishes."""
    bench = Bench(PolyNodeOptions(**{"rate": 8.0, **knobs}), seed=seed)
    connection = bench.subscribe("global")
    bench.advance(seconds)
    return bench, connection


def outcomes(play: Play, knob: str, *values: Any, **context: Any) -> dict[Any, Any]:
    """What a script comes to with the default of a knob, and with each of these values.

    `context` is set in every run, so the knob alone explains any difference.
    """
    settings: dict[str, Any] = {"rate": 0.0, **context}
    default = getattr(PolyNodeOptions(**settings), knob)
    assert default not in values
    return {
        value: play(Bench(PolyNodeOptions(**{**settings, knob: value})))
        for value in (default, *values)
    }


def names(frames: list[dict[str, Any]]) -> list[Any]:
    """What a list of events is about: the transaction of each, or its type."""
    return [frame["data"].get("tx_hash", frame["type"]) for frame in frames]


def status_of(bench: Bench) -> dict[str, str]:
    """The state of each settlement, by its transaction."""
    items = bench.gateway.truth.state(types=["settlement"]).values()
    return {item["tx_hash"]: item["state"] for item in items}


def fates(bench: Bench, connection: int) -> dict[str, list[tuple[str, str | None, float]]]:
    """What came live of each transaction: type, status and second, in the order of coming."""
    told: dict[str, list[tuple[str, str | None, float]]] = {}
    for frame in bench.events(connection):
        if frame["type"] in ("settlement", "status_update"):
            data = frame["data"]
            second = (frame["timestamp"] - bench.wall_ms) / 1000 + bench.now
            told.setdefault(data["tx_hash"], []).append((frame["type"], data.get("status"), second))
    return told
