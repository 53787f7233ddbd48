"""A client that does as it is told, for gateways in a thread."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from lastseen_simulator.running import RunningGateway

__all__ = ["PATIENCE_S", "client", "frame", "read_to_end"]

PATIENCE_S = 30.0
"""How long anything may take before a test gives it up."""


@contextmanager
def client(gateway: RunningGateway, **members: Any) -> Iterator[ClientConnection]:
    """A connection that has logged in to scores; `members` say what else its login has."""
    login = {"type": "login", "apiKey": gateway.key, "channels": ["scores"], **members}
    with connect(gateway.ws_url, proxy=None) as socket:
        socket.send(json.dumps(login))
        assert frame(socket)["type"] == "login_ok"
        yield socket


def frame(socket: ClientConnection) -> dict[str, Any]:
    """The next frame, decoded."""
    received: dict[str, Any] = json.loads(socket.recv(timeout=PATIENCE_S))
    return received


def read_to_end(socket: ClientConnection) -> ConnectionClosed:
    """Reads until the connection has ended, and returns how."""
    while True:
        try:
            socket.recv(timeout=PATIENCE_S)
        except ConnectionClosed as closed:
            return closed
