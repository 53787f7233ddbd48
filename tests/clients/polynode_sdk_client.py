"""Drives the `polynode` package from its own interpreter: orders in on stdin, what it does out.

One JSON object a line both ways. Run as: python polynode_sdk_client.py URL KEY OPTIONS
"""

import asyncio
import json
import sys
from typing import Any

from polynode.types.ws import WsOptions  # type: ignore[import-not-found]
from polynode.ws import PolyNodeWS  # type: ignore[import-not-found]


def tell(event: str, **members: Any) -> None:
    print(json.dumps({"event": event, **members}), flush=True)


def about(event: Any) -> dict[str, Any]:
    """What tests want to know of an event."""
    kind = getattr(event, "event_type", None) or getattr(event, "wire_event_type", None)
    names = ("tx_hash", "status", "market_title")
    return {"type": kind, **{name: getattr(event, name, None) for name in names}}


class Client:
    def __init__(self, url: str, key: str, options: dict[str, Any]) -> None:
        self.socket = PolyNodeWS(key, url, WsOptions(**options))
        self.subscriptions: dict[str, Any] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.socket.on_error(
            lambda error: tell("error", code=getattr(error, "code", None), message=str(error))
        )
        self.socket.on_disconnect(lambda reason: tell("disconnected", reason=reason))
        self.socket.on_reconnect(lambda attempt: tell("reconnected", attempt=attempt))
        self.socket.on_heartbeat(lambda _: tell("heartbeat"))
        self.socket.on_replay(lambda notice: tell("replay", phase=notice.phase, since=notice.since))

    async def obey(self, order: dict[str, Any]) -> None:
        name = order.get("name", "")
        match order["do"]:
            case "subscribe":
                self.start(self.subscribe(name, order))
            case "listen":
                self.subscriptions[name].on("*", lambda e: tell("heard", of=name, **about(e)))
                tell("listening", of=name)
            case "unsubscribe":
                self.subscriptions[name].unsubscribe()
            case "tasks":
                names = [str(task.get_coro()) for task in asyncio.all_tasks()]
                tell("tasks", names=names, connected=self.socket.is_connected)
            case unknown:
                raise ValueError(f"no such order: {unknown}")

    async def subscribe(self, name: str, order: dict[str, Any]) -> None:
        builder = self.socket.subscribe(order["type"])
        if "snapshot_count" in order:
            builder = builder.snapshot_count(order["snapshot_count"])
        if "slugs" in order:
            builder = builder.slugs(order["slugs"])
        try:
            subscription = await builder.send()
        except Exception as error:
            tell("refused", of=name, message=str(error), code=getattr(error, "code", None))
            return
        self.subscriptions[name] = subscription
        tell("subscribed", of=name, id=subscription.id, warnings=subscription.warnings)
        if order.get("iterate", True):
            async for event in subscription:
                tell("got", of=name, **about(event))
            tell("ended", of=name)

    def start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


async def main() -> None:
    url, key, options = sys.argv[1:]
    client = Client(url, key, json.loads(options))
    orders = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(orders)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    while line := await orders.readline():
        await client.obey(json.loads(line))


if __name__ == "__main__":
    asyncio.run(main())
