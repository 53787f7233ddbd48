"""A state of the whole: two machines by number, the network between them, and what may happen."""

from typing import Any, NamedTuple, final

import attrs

from lastseen_simulator.explore.scopes import Bounds

__all__ = ["Action", "Kept", "Socket", "State", "Step", "ends", "socket_of", "with_socket"]

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


@final
@attrs.define(eq=False)
class Kept:
    """A client or a gateway that is never touched again."""

    machine: Any
    deadline: float | None
    done: dict[Any, tuple[int, tuple[Any, ...], tuple[str, ...]]] = attrs.field(
        factory=dict[Any, tuple[int, tuple[Any, ...], tuple[str, ...]]]
    )
    summary: Any = None
    staged: bool = False
    lines: tuple[int, ...] = ()


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
