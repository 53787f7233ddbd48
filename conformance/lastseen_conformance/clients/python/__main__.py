"""`python -m lastseen_conformance.clients.python`, as the suite starts it."""

import asyncio
import json
import os
import sys

from lastseen_conformance.clients.python.oddspapi import OddsPapiClient
from lastseen_conformance.clients.python.polynode import PolyNodeClient


async def main() -> None:
    """Follows the feed until standard input says `stop`."""
    print(json.dumps({"schema": "lastseen.report/1", "client": "python"}), flush=True)
    polynode = os.environ.get("LASTSEEN_DIALECT") == "polynode"
    client = PolyNodeClient() if polynode else OddsPapiClient()
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    following = loop.create_task(client.run())
    async for line in commands:
        if line.strip() == b"state":
            client.tell_state()
        elif line.strip() == b"stop":
            break
    else:
        await following
    following.cancel()
    await asyncio.wait([following])
    await client.close()


asyncio.run(main())
