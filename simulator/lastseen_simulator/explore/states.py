"""A state of the whole: two machines by number, the network between them, and what may happen."""

from typing import Any, NamedTuple, final

import attrs

from lastseen_simulator.explore.hosts import Host, Image
from lastseen_simulator.explore.scopes import Bounds

__all__ = [
    "Action",
    "KeptClient",
    "KeptVenue",
    "Outcome",
    "Socket",
    "State",
    "Step",
    "ends",
    "socket_of",
    "with_socket",
]

Action = tuple[Any, ...]
"""What happens, by name, and what it happens to."""


class Socket(NamedTuple):
    """A connection: the client's number and the gateway's (0 before it is open), what is under way.

    `items` are numbers of frames, and below 0 the close code that ends it. A `deaf` one has been
    closed by the client.
    """

    number: int
    line: int
    items: tuple[int, ...]
    deaf: bool


class State(NamedTuple):
    """Everything. `fetches` are a number, what is asked for, and the answer under way."""

    situation: int
    client: int
    venue: int
    sockets: tuple[Socket, ...]
    fetches: tuple[tuple[int, int, int], ...]
    left: Bounds
    log: int
    lines: int


class Step(NamedTuple):
    """A step and where it leads; `problems` are what is wrong there."""

    action: Action
    state: State
    problems: tuple[str, ...]


Outcome = tuple[int, tuple[Any, ...], tuple[str, ...]]
"""What became of a machine, by number; what left it; and what is wrong with that."""


@final
@attrs.define(eq=False)
class KeptClient:
    """A client that is not touched again: `host` plays it, from a copy of `image`.

    `disks` are what a crash may find on its disk, by the name of that crash.
    """

    host: Host
    image: Image
    deadline: float | None
    summary: Any
    disks: tuple[tuple[str, Any], ...]
    done: dict[Any, Outcome] = attrs.field(factory=dict[Any, Outcome])

    @property
    def staged(self) -> bool:
        """Whether a commit is under way."""
        return len(self.disks) > 1


@final
@attrs.define(eq=False)
class KeptVenue:
    """A gateway that is never touched again: what happens to it happens to a copy."""

    machine: Any
    deadline: float | None
    lines: tuple[int, ...]
    done: dict[Any, Outcome] = attrs.field(factory=dict[Any, Outcome])


def socket_of(state: State, number: int) -> Socket | None:
    """The connection of the client's number."""
    return next((each for each in state.sockets if each.number == number), None)


def with_socket(state: State, socket: Socket) -> State:
    """The state with another one in the place of this connection."""
    return state._replace(
        sockets=tuple(socket if each.number == socket.number else each for each in state.sockets)
    )


def ends(socket: Socket) -> bool:
    """Whether the last thing under way is its end."""
    return bool(socket.items) and socket.items[-1] < 0
