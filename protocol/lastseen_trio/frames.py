"""The one room where a socket's messages become batches of frames.

Everything else sees batches only, so a faster way from bytes to batches replaces this module and
nothing beside it.
"""

from typing import Final

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

__all__ = ["QUEUE_ITEMS", "Frame", "receive_batch"]

Frame = str | bytes
"""A whole message: text as `str`, binary as `bytes`."""

QUEUE_ITEMS: Final = 1024
"""Messages trio-websocket may queue: more than one read holds, so its reader does not wait."""

_BATCH_ITEMS_MAX: Final = 256
"""After so many the application and the timers get their turn."""


async def receive_batch(websocket: WebSocketConnection) -> list[Frame]:
    """Waits for a message and adds those that are there already.

    Raises `trio_websocket.ConnectionClosed` once all messages before the end have been given out.
    """
    batch = [await websocket.get_message()]
    while len(batch) < _BATCH_ITEMS_MAX:
        # An expired deadline interrupts only a wait that finds nothing: a message that is there is
        # taken, and the step that takes it cannot be cancelled.
        with trio.CancelScope() as scope:
            scope.deadline = trio.current_time()
            try:
                batch.append(await websocket.get_message())
            except ConnectionClosed:
                # The next call says so again.
                return batch
        if scope.cancelled_caught:
            break
    return batch
