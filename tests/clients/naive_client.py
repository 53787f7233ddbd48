"""What a first attempt at a client looks like: it works, as long as nothing happens."""

import asyncio
import json
import os
import urllib.request
from typing import Any

import websockets

URL, REST = os.environ["LASTSEEN_WS_URL"], os.environ["LASTSEEN_HTTP_URL"]
KEY, CHANNELS = os.environ["LASTSEEN_API_KEY"], os.environ["LASTSEEN_CHANNELS"].split(",")
epoch: str | None = None
cursors: dict[str, str] = {}


def fetch(path: str) -> Any:
    with urllib.request.urlopen(f"{REST}{path}&apiKey={KEY}") as answer:
        return json.load(answer)


async def main() -> None:
    global epoch
    while True:
        try:
            async with websockets.connect(URL) as socket:
                login: dict[str, Any] = {"type": "login", "apiKey": KEY, "channels": CHANNELS}
                login |= {"serverEpoch": epoch, "lastSeenId": cursors} if epoch else {}
                await socket.send(json.dumps(login))
                async for text in socket:
                    frame = json.loads(text)
                    if frame["type"] == "login_ok":
                        if epoch is None:
                            for sport in (10, 11):
                                for fixture in fetch(f"/fixtures?sportId={sport}"):
                                    fetch(f"/fixtures/odds?fixtureId={fixture['fixtureId']}")
                        epoch = frame["resume"]["serverEpoch"]
                    elif frame["type"] == "snapshot_required":
                        for channel in frame["channels"]:
                            cursors.pop(channel, None)
                            fetch("/fixtures?sportId=10")
                    elif "channel" in frame:
                        cursors[frame["channel"]] = frame["entryId"]
        except (OSError, websockets.ConnectionClosed):
            pass


asyncio.run(main())
