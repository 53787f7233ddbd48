"""A client of PolyNode: items from pending to confirmed, whatever comes first."""

import asyncio
import json
import time
import zlib
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from lastseen_conformance.clients.python.common import (
    CHANNELS,
    KEY,
    WS_URL,
    Backoff,
    say,
    seconds,
)

FRAME_BYTES_MAX = INFLATED_BYTES_MAX = 10 << 20
ITEMS_MAX = 100_000
OVERLAP_MS = 5_000
FATAL_CLOSES = (4401,)
RANK = {"pending": 1, "timed_out": 2, "confirmed": 3}
ITEM_FIELDS = ("tx_hash", "taker_wallet", "taker_token", "taker_side")


class PolyNodeClient:
    """Some presets over one socket; an outcome is told once."""

    def __init__(self) -> None:
        self.items: dict[str, str] = {}
        self.of_transaction: dict[str, list[str]] = {}
        self.confirmed: dict[str, None] = {}
        """Transactions whose confirmation was seen, also before their settlement."""
        self.timers: dict[str, asyncio.TimerHandle] = {}
        self.newest_ms: int | None = None
        self.backoff = Backoff()

    async def run(self) -> None:
        """Connects again after every loss, until the key is refused."""
        while not await self.converse():
            await asyncio.sleep(self.backoff.pause())
        say("anomaly", code="refused")
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Nothing is kept: what matters is in the histories."""

    def tell_state(self) -> None:
        """The answer to `state`."""
        say("state", state={name: {"state": state} for name, state in self.items.items()})

    async def converse(self) -> bool:
        """One connection; True when there is no use in another."""
        began: float | None = None
        try:
            async with connect(
                f"{WS_URL}?{urlencode({'key': KEY})}",
                proxy=None,
                open_timeout=seconds("CONNECT_TIMEOUT", 10),
                ping_interval=seconds("PING_INTERVAL", 30),
                ping_timeout=seconds("PING_TIMEOUT", 60),
                close_timeout=1,
                max_size=FRAME_BYTES_MAX,
            ) as socket:
                for preset in CHANNELS:
                    await self.subscribe(socket, preset)
                began = time.monotonic()
                while True:
                    self.receive(await socket.recv())
        except InvalidStatus as refusal:
            return refusal.response.status_code in (401, 403)
        except ConnectionClosed as closed:
            if closed.rcvd is not None and closed.rcvd.code in FATAL_CLOSES:
                return True
        except (OSError, WebSocketException):
            pass
        if began is not None:
            self.backoff.lasted(time.monotonic() - began)
        return False

    async def subscribe(self, socket: ClientConnection, preset: str) -> None:
        """Asks, with the history since a little before the newest event; waits for the answer."""
        filters = {} if self.newest_ms is None else {"since": self.newest_ms - OVERLAP_MS}
        await socket.send(json.dumps({"action": "subscribe", "type": preset, "filters": filters}))
        async with asyncio.timeout(seconds("LOGIN_TIMEOUT", 10)):
            while self.receive(await socket.recv()) not in ("subscribed", "error"):
                pass

    def receive(self, data: str | bytes) -> str:
        """Takes a frame and returns its type; what cannot be read is passed over."""
        try:
            if isinstance(data, bytes):
                inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
                data = inflater.decompress(data, INFLATED_BYTES_MAX)
                if not inflater.eof or inflater.unused_data:
                    raise ValueError("not one deflated event")
            frame = json.loads(data)
            if not isinstance(frame, dict):
                raise ValueError("not an object")
        except (ValueError, RecursionError, zlib.error):
            say("anomaly", code="unreadable")
            return ""
        events = frame.get("events") if frame.get("type") == "snapshot" else [frame]
        for event in events if isinstance(events, list) else []:
            self.take(event)
        return str(frame.get("type"))

    def take(self, event: Any) -> None:
        """An event, wrapped or flat."""
        data = event.get("data", event) if isinstance(event, dict) else None
        if not isinstance(data, dict):
            return
        kind, at, tx = event.get("type", data.get("event_type")), event.get("timestamp"), None
        if isinstance(at, int):
            self.newest_ms = max(at, self.newest_ms or 0)
        tx = data.get("tx_hash")
        if not isinstance(tx, str):
            return
        if kind == "settlement":
            self.settle(tx, data)
        elif kind == "status_update":
            self.confirmed[tx] = None
            _bound(self.confirmed)
            for name in self.of_transaction.get(tx, ()):
                self.move(name, "confirmed")

    def settle(self, tx: str, data: dict[str, Any]) -> None:
        """A settlement; its confirmation may have been there first."""
        name = "/".join(("settlement", *(str(data.get(field) or "-") for field in ITEM_FIELDS)))
        if name not in self.items:
            self.of_transaction.setdefault(tx, []).append(name)
            _bound(self.of_transaction)
        over = data.get("status") == "confirmed" or tx in self.confirmed
        self.move(name, "confirmed" if over else "pending")

    def move(self, name: str, state: str) -> None:
        """Forward only: an item that was confirmed, or given up, is never pending again."""
        if RANK[state] <= RANK.get(self.items.get(name, ""), 0):
            return
        self.items[name] = state
        _bound(self.items)
        say("item", key=name, state=state)
        timer = self.timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        if state == "pending":
            self.timers[name] = asyncio.get_running_loop().call_later(
                seconds("PENDING_TIMEOUT", 15), self.move, name, "timed_out"
            )


def _bound(table: dict[str, Any]) -> None:
    while len(table) > ITEMS_MAX:
        del table[next(iter(table))]
