"""Runs PolyNode's own package, in an interpreter that has it: its documented use, and no more.

It subscribes to the presets that it is given and iterates over what comes. A subscribe that fails
is raised to the application, which here tries again, ever more slowly, unless the key is refused.
The delays of its options are those that the suite gives everybody; all else is the package's.
"""

import asyncio
import os
import sys

from polynode.types.ws import WsOptions  # type: ignore[import-not-found]
from polynode.ws import PolyNodeWS  # type: ignore[import-not-found]


async def follow(socket: PolyNodeWS, preset: str) -> None:
    """Takes every event of one subscription."""
    pause_s = 1.0
    while True:
        try:
            subscription = await socket.subscribe(preset).send()
            break
        except Exception as error:
            if any(status in str(error) for status in ("401", "403")):
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 30.0)
    async for _ in subscription:
        pass


async def main() -> None:
    """Follows until standard input says `stop`."""
    options = WsOptions(
        compress=False,
        reconnect_base_delay=float(os.environ.get("LASTSEEN_BACKOFF_BASE_S", "1")),
        reconnect_max_delay=float(os.environ.get("LASTSEEN_BACKOFF_CAP_S", "30")),
        subscribe_timeout=float(os.environ.get("LASTSEEN_LOGIN_TIMEOUT_S", "30")),
    )
    socket = PolyNodeWS(os.environ["LASTSEEN_API_KEY"], os.environ["LASTSEEN_WS_URL"], options)
    following = [
        asyncio.ensure_future(follow(socket, preset))
        for preset in os.environ["LASTSEEN_CHANNELS"].split(",")
    ]
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    async for line in commands:
        if line.strip() == b"stop":
            break
    for task in following:
        task.cancel()


asyncio.run(main())
