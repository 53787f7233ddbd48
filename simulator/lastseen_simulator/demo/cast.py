"""Who plays in a demo: what it needs of a dialect, and of the client under the lights."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol

import trio

from lastseen import Counters
from lastseen_simulator.dialects import AnyOptions
from lastseen_simulator.server import GatewayServer
from lastseen_simulator.verdict import ChannelVerdict

if TYPE_CHECKING:
    from lastseen_simulator.demo.scenes import Scene

__all__ = ["Cast", "Player", "Shade", "Tell"]

Tell = Callable[[dict[str, Any]], None]
"""Told what happens, as a dict with an `event` member."""

Shade = tuple[str, str]
"""How a claim looks in the picture: a mark and its colour."""


class Player(Protocol):
    """One client, running."""

    @property
    def changed(self) -> trio.Event:
        """Set when it has taken something in; another event each time."""
        ...

    @property
    def logins(self) -> list[tuple[str, ...]]:
        """What each login resumed."""
        ...

    @property
    def seen(self) -> set[str]:
        """What it has noticed since this was last emptied."""
        ...

    async def run(self) -> None:
        """Takes events for ever."""
        ...

    async def prepare(self, scene: "Scene", gateway: GatewayServer) -> None:
        """Sees to what a scene takes for granted."""
        ...

    def claims(self) -> tuple[str, ...]:
        """A word for each row of the picture; empty while there is nothing to say."""
        ...

    def claimed(self) -> bool:
        """Whether it claims as much as it ever can."""
        ...

    def judge(self, gateway: GatewayServer) -> tuple[ChannelVerdict, ...]:
        """What it knows against the truth."""
        ...

    def counters(self) -> Mapping[str, Counters]:
        """Where every entry went."""
        ...


class Cast(Protocol):
    """A dialect on the stage."""

    @property
    def dialect(self) -> str:
        """Its name."""
        ...

    @property
    def rows(self) -> tuple[str, ...]:
        """What the picture shows."""
        ...

    @property
    def shades(self) -> Mapping[str, Shade]:
        """How each claim looks, the best one first; the worst wins where two share a column."""
        ...

    @property
    def claim(self) -> str:
        """What a client does that claims as much as it can."""
        ...

    def options(self, knobs: Mapping[str, Any]) -> AnyOptions:
        """The gateway of an act."""
        ...

    def enter(
        self, gateway: GatewayServer, knobs: Mapping[str, Any], *, seed: int, tell: Tell
    ) -> AbstractAsyncContextManager[Player]:
        """A client that has just begun."""
        ...
