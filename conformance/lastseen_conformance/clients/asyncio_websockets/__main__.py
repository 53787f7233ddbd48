"""A client under test: `python -m lastseen_conformance.clients.asyncio_websockets`.

It finds everything in its environment, as the suite gives it, and prints `lastseen.report/1`.
"""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

import lastseen
from lastseen.dialects import polynode
from lastseen_conformance.clients.asyncio_websockets.driver import Driver
from lastseen_conformance.clients.asyncio_websockets.keeping import StateFile

PREFIX = "LASTSEEN_"
GIVEN = {
    name.removeprefix(PREFIX): text for name, text in os.environ.items() if name.startswith(PREFIX)
}
KEY = lastseen.Secret(GIVEN["API_KEY"])
CHANNELS = tuple(GIVEN["CHANNELS"].split(","))

_encode = msgspec.json.Encoder(decimal_format="number").encode


def say(event: str, **members: Any) -> None:
    """One line, at once: what is said may become durable next. A peer may repeat the key."""
    line = _encode({"event": event, **members}).decode()
    print(line.replace(KEY.reveal(), "***"), flush=True)


def timers(options: type[lastseen.SessionOptions | lastseen.HistoryOptions]) -> dict[str, Any]:
    """Every timer of these options that the environment gives, by the option's name."""
    names = [name for name in options.__struct_fields__ if name.endswith("_s")]
    return {name: float(GIVEN[name.upper()]) for name in names if name.upper() in GIVEN}


class Positions:
    """OddsPapi: a replica with a position, both kept in a file."""

    def __init__(self) -> None:
        dialect = lastseen.OddsPapi(subscription=lastseen.Subscription(channels=CHANNELS), key=KEY)
        self.session = lastseen.Session(
            dialect,
            random.SystemRandom(),
            lastseen.SessionOptions(
                report_discarded=True, report_commits=True, **timers(lastseen.SessionOptions)
            ),
        )
        owner = f"{GIVEN['WS_URL']} {dialect.identity}"
        self.file = StateFile(Path(GIVEN["STATE_DIR"]) / "feed.json", owner, dialect)
        self._claims: dict[str, tuple[str, str]] = {}

    def begin(self, driver: Driver) -> None:
        """Starts from what the file has."""
        file = self.file
        say("restored", epoch=file.position.epoch, cursors=dict(file.position.cursors))
        begin = self.session.handle_begin
        driver.step(begin, file.position, file.bases, note=file.note)

    def take(self, event: lastseen.Event) -> None:
        """Applies an event, then says so; raises `PayloadError`."""
        self.file.replica.apply(event)
        match event:
            case lastseen.Entry():
                epoch, source = self.session.position.epoch, event.source.value
                say("applied", channel=event.channel, id=event.id, epoch=epoch, src=source)
            case lastseen.StateSnapshot():
                told = {"channel": event.channel, "entity": event.entity}
                say("snapshot_applied", **told, rows=len(event.rows), proof=event.proof.value)
            case lastseen.Discarded(why=lastseen.Why.DUPLICATE):
                say("duplicate", channel=event.channel, id=event.id)
            case lastseen.Discarded():
                say("discarded", channel=event.channel, id=event.id, why=event.why.value)
            case lastseen.Anomaly():
                say("anomaly", code=event.code.value, channel=event.channel)
            case lastseen.Committed():
                position = event.position
                say("committed", epoch=position.epoch, cursors=dict(position.cursors))
            case _:
                pass

    def claim(self) -> None:
        """Says every channel's state that has changed; a rise only once nothing is waiting."""
        for row in self.session.status().channels:
            claim = (row.state.value, row.proof.value)
            rises = row.state is lastseen.ScopeState.SYNCED
            if claim == self._claims.get(row.channel) or (rises and self.session.waiting):
                continue
            self._claims[row.channel] = claim
            say("status", channel=row.channel, state=claim[0], proof=claim[1])

    def stage(self, commit: lastseen.Commit) -> Callable[[], None]:
        """What makes the state of this moment durable."""
        return self.file.stage(commit.position)

    def state(self) -> Mapping[str, Any]:
        """Every unit, by its key."""
        return self.file.replica.state()


class Histories:
    """PolyNode: items from pending to confirmed, and nothing to keep."""

    def __init__(self) -> None:
        wanted = tuple(polynode.Subscription(preset=polynode.Preset(name)) for name in CHANNELS)
        self.session = lastseen.HistorySession(
            lastseen.PolyNode(subscriptions=wanted, key=KEY),
            random.SystemRandom(),
            lastseen.HistoryOptions(**timers(lastseen.HistoryOptions)),
        )
        self._items: dict[str, dict[str, str]] = {}

    def begin(self, driver: Driver) -> None:
        """Starts from nothing."""
        driver.step(self.session.handle_begin)

    def take(self, event: lastseen.Event) -> None:
        """Remembers items, and says what became of them."""
        match event:
            case lastseen.ItemChanged():
                name = "/".join(("settlement", *(part or "-" for part in event.key)))
                self._items[name] = {"state": event.state.value}
                say("item", key=name, state=event.state.value)
            case lastseen.Entry():
                say("applied", channel=event.channel, id=event.id, src=event.source.value)
            case lastseen.Gap():
                say("gap", reason=event.reason.value)
            case lastseen.Anomaly():
                say("anomaly", code=event.code.value, channel=event.channel)
            case _:
                pass

    def claim(self) -> None:
        """Nothing: there is no position that could prove a state."""

    def stage(self, commit: lastseen.Commit) -> Callable[[], None]:
        """Never: there is no position."""
        raise AssertionError(commit)

    def state(self) -> Mapping[str, Any]:
        """Every item, by its name."""
        return self._items


async def main() -> None:
    """Follows until it is told to stop."""
    print(_encode({"schema": "lastseen.report/1", "client": "asyncio"}).decode(), flush=True)
    client = Histories() if GIVEN["DIALECT"] == "polynode" else Positions()
    driver = Driver(
        client.session,
        ws_url=GIVEN["WS_URL"],
        http_url=GIVEN["HTTP_URL"],
        take=client.take,
        claim=client.claim,
        stage=client.stage,
    )
    client.begin(driver)
    loop, told, stop = asyncio.get_running_loop(), asyncio.StreamReader(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)

    async def obey() -> None:
        async for line in told:
            if line.strip() == b"state":
                say("state", state=client.state())
            elif line.strip() == b"stop":
                stop.set()

    obeying = loop.create_task(obey())
    await stop.wait()
    driver.step(client.session.handle_close)
    async with asyncio.timeout(2 * client.session.options.close_timeout_s):
        await driver.finished.wait()
    obeying.cancel()


if __name__ == "__main__":
    asyncio.run(main())
