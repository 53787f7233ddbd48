"""Short scripts for a gateway on its bench, and the comparison of what two gateways make of one."""

from collections.abc import Callable
from typing import Any

from lastseen_simulator.gateway.bench import Bench
from lastseen_simulator.gateway.options import GatewayOptions

__all__ = ["kinds", "outcomes", "published", "quiet", "resumed", "told"]

Play = Callable[[Bench], Any]


def quiet(**knobs: Any) -> Bench:
    """A gateway in which nothing happens unless it is asked for."""
    return Bench(GatewayOptions(rate=0, **knobs))


def outcomes(play: Play, knob: str, *values: Any, **context: Any) -> dict[Any, Any]:
    """What a script comes to with the default of a knob, and with each of these values.

    `context` is set in every run, so the knob alone explains any difference.
    """
    settings: dict[str, Any] = {"rate": 0.0, **context}
    default = getattr(GatewayOptions(**settings), knob)
    assert default not in values
    return {
        value: play(Bench(GatewayOptions(**{**settings, knob: value})))
        for value in (default, *values)
    }


def published(bench: Bench, channel: str, count: int) -> list[str]:
    """Publishes entries, some time apart, and returns their ids."""
    ids: list[str] = []
    for _ in range(count):
        bench.advance(0.01)
        ids.append(bench.publish(channel))
    return ids


def resumed(bench: Bench, cursors: dict[str, Any], **members: Any) -> int:
    """Logs in with cursors of the current epoch."""
    return bench.login(**{"serverEpoch": bench.gateway.epoch, "lastSeenId": cursors, **members})


def kinds(bench: Bench, connection: int) -> list[str]:
    """The frames after `login_ok`, data frames as their entry id."""
    return [
        frame["entryId"] if "channel" in frame else frame["type"]
        for frame in bench.frames[connection][1:]
    ]


def told(bench: Bench, connection: int) -> dict[str, Any]:
    """The first frame: `login_ok`, or the error."""
    first: dict[str, Any] = bench.controls(connection)[0]
    return first
