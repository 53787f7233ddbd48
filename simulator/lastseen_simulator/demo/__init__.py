"""The demo: what a gateway can do to a client, scene by scene, and a verdict after each.

Where to look: `scenes` says what a scene is, `oddspapi`, `polynode` and `polymarket_us` have theirs
and the client that plays in them, `run` plays.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from lastseen_simulator.demo import oddspapi, polymarket_us, polynode
from lastseen_simulator.demo.cast import Tell
from lastseen_simulator.demo.run import ActReport, DemoReport, FaultReport, SceneReport, run_demo
from lastseen_simulator.demo.scenes import Act, Scene

__all__ = [
    "ACTS",
    "Act",
    "ActReport",
    "DemoReport",
    "FaultReport",
    "Scene",
    "SceneReport",
    "Tell",
    "run_demo",
]

ACTS: Final[Mapping[str, tuple[Act, ...]]] = MappingProxyType(
    {"oddspapi": oddspapi.ACTS, "polynode": polynode.ACTS, "polymarket-us": polymarket_us.ACTS}
)
"""By dialect."""
