"""A client of OddsPapi: login, resume, snapshots, and a state that is kept across restarts.

Every channel is one of: waiting for a connection, being replayed, or live; each piece of it that a
snapshot restores is a `Scope`. An entry whose scope has no base waits, and goes on top of it.
"""

import asyncio
import json
import random
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from lastseen_conformance.clients.python.channels import Channel, Entry, Scope, order_of
from lastseen_conformance.clients.python.common import (
    CHANNELS,
    KEY,
    STATE_DIR,
    WS_URL,
    Backoff,
    say,
    seconds,
)
from lastseen_conformance.clients.python.keeping import load, save
from lastseen_conformance.clients.python.rest import Unavailable, get
from lastseen_conformance.clients.python.units import (
    BY_FIXTURE,
    LIVE_ONLY,
    fixture_of,
    rows_of_list,
    units,
    visible,
)

SPORTS = (10, 11, 12)
FRAME_BYTES_MAX = 4 << 20
HELD_MAX = 20_000
STUCK_MAX = 3
FATAL_CLOSES = (4000, 4001)
LIMIT_CLOSE = 4003

Source = tuple[str, str]
LIST: Source = ("/fixtures", "")


class Link:
    """One connection, and what its login said."""

    def __init__(self) -> None:
        self.socket: ClientConnection | None = None
        self.epoch: str | None = None
        self.cursors: dict[str, str] = {}
        self.accepted_at: float | None = None
        self.moved = False
        self.limited = False
        self.proved = False
        """Its resume has been completed, or it had none."""


class OddsPapiClient:
    """One subscription; everything happens on one event loop."""

    def __init__(self) -> None:
        self.channels = {name: Channel(name) for name in CHANNELS}
        self.epoch: str | None = None
        self.replayable: list[str] | None = None
        self.owner: Link | None = None
        self.refused = False
        self.stuck = 0
        self.backoff = Backoff()
        self.attempt: asyncio.Task[None] | None = None
        self.tasks: set[asyncio.Task[None]] = set()
        self.fetches: dict[Source, asyncio.Task[None]] = {}
        self.fetched_at: dict[Source, float] = {}
        self.wanted: dict[Source, asyncio.Event] = {}
        self.resume_timer: asyncio.TimerHandle | None = None
        self.file = STATE_DIR / "python.json"

    # For whoever runs it.

    async def run(self) -> None:
        """Follows for ever, also when the key was refused: somebody may want the state."""
        self.epoch, self.replayable = load(self.file, self.channels)
        self.connect_in(0.0)
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Ends everything; what was applied is kept."""
        save(self.file, self.channels, self.epoch, self.replayable)
        for task in [*self.tasks, *self.fetches.values()]:
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=2)

    def tell_state(self) -> None:
        """The answer to `state`."""
        state: dict[str, Any] = {}
        for channel in self.channels.values():
            for scope in channel.scopes.values():
                state |= scope.state
        say("state", state=visible(state))

    # Connections: an owner, and at most one attempt at another.

    def connect_in(self, delay: float) -> None:
        """Starts an attempt, unless one is under way or there is no use in any."""
        if self.attempt is None and not self.refused:
            self.attempt = asyncio.get_running_loop().create_task(self.converse(delay))
            self.tasks.add(self.attempt)
            self.attempt.add_done_callback(self.tasks.discard)

    async def converse(self, delay: float) -> None:
        """One connection, from the pause before it to its end."""
        mine, link = asyncio.current_task(), Link()
        await asyncio.sleep(delay)
        try:
            link.socket = await connect(
                WS_URL,
                proxy=None,
                open_timeout=seconds("CONNECT_TIMEOUT", 10),
                ping_interval=seconds("PING_INTERVAL", 20),
                ping_timeout=seconds("PING_TIMEOUT", 20),
                close_timeout=1,
                max_size=FRAME_BYTES_MAX,
            )
            await link.socket.send(self.login(link))
            async with asyncio.timeout(seconds("LOGIN_TIMEOUT", 10)):
                while link.accepted_at is None:
                    self.receive(link, await link.socket.recv())
            while True:
                self.receive(link, await link.socket.recv())
        except InvalidStatus as refusal:
            self.refused = self.refused or refusal.response.status_code in (401, 403)
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else None
            link.limited = link.limited or code == LIMIT_CLOSE
            self.refused = self.refused or (code in FATAL_CLOSES and not link.moved)
        except (OSError, WebSocketException):
            pass
        if self.attempt is mine:
            self.attempt = None
        if link.socket is not None:
            await link.socket.close()
        self.ended(link)

    def login(self, link: Link) -> str:
        """The only message of a connection; it carries whole positions or none."""
        message: dict[str, Any] = {"type": "login", "apiKey": KEY, "clientName": "python"}
        message |= {"channels": list(self.channels), "sportIds": SPORTS}
        cursors = {
            name: channel.cursor
            for name, channel in self.channels.items()
            if channel.cursor and (self.replayable is None or name in self.replayable)
        }
        if self.epoch is not None and cursors:
            link.epoch, link.cursors = self.epoch, cursors
            message |= {"serverEpoch": self.epoch, "lastSeenId": cursors}
        return json.dumps(message)

    def ended(self, link: Link) -> None:
        """Every way back to a connection leads through a pause."""
        if link.cursors and not link.proved:
            self.stuck += 1
            if self.stuck >= STUCK_MAX:
                self.stuck = 0
                say("anomaly", code="resume_abandoned")
                for channel in self.channels.values():
                    channel.forget()
        if link is self.owner:
            self.owner = None
            self.lose()
        if link.accepted_at is not None:
            self.backoff.lasted(time.monotonic() - link.accepted_at)
        if self.owner is None or self.owner.moved:
            floor = seconds("LIMIT_BACKOFF", 10) if link.limited else 0.0
            self.connect_in(max(floor, self.backoff.pause()))

    def lose(self) -> None:
        """Nobody tells us anything any more: no claim stands, and no fetch is of use."""
        for task in self.fetches.values():
            task.cancel()
        self.fetches.clear()
        for channel in self.channels.values():
            channel.lose()
        self.claim()

    def move(self, link: Link) -> None:
        """The gateway is about to go: open the next connection while this one still speaks."""
        if link.moved:
            return
        link.moved = True
        self.backoff.lasted(time.monotonic() - (link.accepted_at or time.monotonic()))
        if self.backoff.failures:
            self.connect_in(self.backoff.pause())
        else:
            self.backoff.failures = 1
            self.connect_in(random.uniform(0, seconds("HANDOVER_JITTER", 1)))

    # Frames.

    def receive(self, link: Link, data: str | bytes) -> None:
        """Nothing that a peer sends ends the client."""
        try:
            frame = json.loads(data)
        except (ValueError, RecursionError):
            frame = None
        kind = frame.get("type") if isinstance(frame, dict) else None
        if not isinstance(kind, str):
            say("anomaly", code="unreadable")
            if link is self.owner:
                self.doubt(self.channels.values())
        elif "channel" in frame:
            self.take(link, frame)
        elif kind == "login_ok" and link.accepted_at is None:
            self.accept(link, frame)
        elif kind == "error" and link.accepted_at is None:
            link.limited = frame.get("error") == "too_many_connections"
            self.refused = not link.limited
            raise ConnectionResetError("refused")
        elif link is self.owner and kind == "resume_complete":
            self.complete(link, frame)
        elif link is self.owner and kind == "snapshot_required":
            self.demanded(link, frame)
        elif link is self.owner and kind == "reconnect":
            self.move(link)
        self.claim()

    def accept(self, link: Link, frame: dict[str, Any]) -> None:
        """From here on nothing counts that another connection says."""
        old, self.owner = self.owner, link
        self.attempt, link.accepted_at = None, time.monotonic()
        resume = frame.get("resume")
        resume = resume if isinstance(resume, dict) else {}
        epoch, listed = resume.get("serverEpoch"), resume.get("replayChannels", self.replayable)
        self.adopt(epoch if isinstance(epoch, str) else None)
        if "replayChannels" in resume:
            listed = listed if isinstance(listed, list) else []
        self.replayable = listed
        heads = resume.get("serverEntryIds")
        covered = {
            name
            for name in link.cursors
            if self.epoch is not None
            and link.epoch == self.epoch
            and self.channels[name].cursor is not None
            and (listed is None or name in listed)
        }
        link.proved = not covered
        for name, channel in self.channels.items():
            channel.waiting.clear()
            if name in covered:
                channel.replaying = True
                channel.head = order_of(heads.get(name)) if isinstance(heads, dict) else None
        self.doubt(c for name, c in self.channels.items() if name not in covered)
        if covered:
            loop = asyncio.get_running_loop()
            self.resume_timer = loop.call_later(
                seconds("RESUME_TIMEOUT", 15), self.resume_overdue, link
            )
        if old is not None and old.socket is not None:
            closing = asyncio.get_running_loop().create_task(old.socket.close())
            self.tasks.add(closing)
            closing.add_done_callback(self.tasks.discard)

    def adopt(self, epoch: str | None) -> None:
        """Another epoch: whatever was known of positions names nothing in it."""
        if epoch is None or epoch != self.epoch:
            for channel in self.channels.values():
                channel.forget()
            self.epoch, self.replayable = epoch, None

    def complete(self, link: Link, frame: dict[str, Any]) -> None:
        """What was replayed goes first, then what came live in between."""
        epoch = frame.get("serverEpoch", self.epoch)
        if epoch != self.epoch:
            self.adopt(epoch if isinstance(epoch, str) else None)
            self.doubt(self.channels.values())
            return
        link.proved, self.stuck = True, 0
        for channel in self.channels.values():
            for entry, source in channel.replayed():
                self.apply(channel, entry, source)

    def resume_overdue(self, link: Link) -> None:
        """Nobody knows whether the replay was whole."""
        if link is self.owner:
            self.doubt(c for c in self.channels.values() if c.replaying)
            self.claim()

    def demanded(self, link: Link, frame: dict[str, Any]) -> None:
        """A list that cannot be read concerns every channel; so does another epoch."""
        named, epoch = frame.get("channels"), frame.get("serverEpoch")
        names: list[Any] = named if isinstance(named, list) else []
        every = not names
        if isinstance(epoch, str) and epoch != self.epoch:
            self.adopt(epoch)
            every = True
        self.doubt(c for name, c in self.channels.items() if every or name in names)
        if not any(channel.replaying for channel in self.channels.values()):
            link.proved, self.stuck = True, 0

    # Entries and snapshots.

    def take(self, link: Link, frame: dict[str, Any]) -> None:
        """An entry; while its channel is replayed it waits for the end of that."""
        name, entry_id = frame["channel"], frame.get("entryId")
        entry = Entry(entry_id if isinstance(entry_id, str) else None, frame.get("payload"))
        channel = self.channels.get(name) if isinstance(name, str) else None
        if channel is None or link is not self.owner:
            say("discarded", channel=str(name), id=entry.id, why="not ours")
        elif not channel.replaying:
            self.apply(channel, entry, "live")
        elif len(channel.waiting) < HELD_MAX:
            channel.waiting.append(entry)
        else:
            self.doubt([channel])

    def apply(self, channel: Channel, entry: Entry, source: str) -> None:
        """Puts an entry into the state, or lets it wait for a base to be put on."""
        if channel.knows(entry.id):
            say("duplicate", channel=channel.name, id=entry.id)
            return
        told = {"channel": channel.name, "id": entry.id, "epoch": self.epoch, "src": source}
        if channel.name in LIVE_ONLY:
            say("applied", **told)
        else:
            try:
                fresh = units(channel.name, entry.payload)
                fixture = fixture_of(entry.payload) if channel.name in BY_FIXTURE else ""
            except (ValueError, AttributeError):
                say("anomaly", code="bad_payload", channel=channel.name)
                self.doubt([channel])
                return
            scope = channel.scopes.setdefault(fixture, Scope())
            if scope.held is not None:
                scope.held.append((entry, fresh))
            if scope.synced:
                scope.put(fresh)
                say("applied", **told)
            elif len(scope.held or ()) > HELD_MAX:
                self.doubt([channel])
                return
            else:
                self.want(("/fixtures/odds", fixture) if fixture else LIST)
        channel.note(entry.id)
        self.settle(channel)

    def settle(self, channel: Channel) -> None:
        """A channel has a position only while all of it has a base."""
        if self.epoch is not None and channel.whole:
            channel.cursor = channel.newest
        save(self.file, self.channels, self.epoch, self.replayable)

    def doubt(self, channels: Iterable[Channel]) -> None:
        """Only a snapshot that is asked for after this moment is a base again."""
        for channel in list(channels):
            channel.doubt()
            if channel.name in LIVE_ONLY:
                continue
            self.want(LIST)
            if channel.name in BY_FIXTURE:
                for fixture in channel.scopes:
                    if fixture:
                        self.want(("/fixtures/odds", fixture))
        save(self.file, self.channels, self.epoch, self.replayable)

    def scopes_of(self, source: Source) -> list[tuple[Channel, Scope]]:
        """What an answer restores."""
        path, fixture = source
        return [
            (channel, channel.scopes[fixture])
            for channel in self.channels.values()
            if fixture in channel.scopes
            and channel.name not in LIVE_ONLY
            and (path == LIST[0] or channel.name in BY_FIXTURE)
        ]

    def want(self, source: Source) -> None:
        """Something that this source restores has no base."""
        if self.owner is None:
            return
        if source not in self.fetches:
            task = asyncio.get_running_loop().create_task(self.restore(source))
            self.fetches[source] = task
        self.wanted.setdefault(source, asyncio.Event()).set()

    async def restore(self, source: Source) -> None:
        """Asks until everything of this source has a base; then once more, a while later."""
        pauses = Backoff()
        pauses.base = seconds("SNAPSHOT_BACKOFF_BASE", 0.5)
        pauses.cap = seconds("SNAPSHOT_BACKOFF_CAP", 60)
        looks = 0
        while looks < 2:
            settled = self.fetched_at.get(source, 0.0) + seconds("SNAPSHOT_SETTLED", 10)
            await asyncio.sleep(max(0.0, settled - time.monotonic()))
            marks = [(c, scope, scope.doubts) for c, scope in self.scopes_of(source)]
            if all(scope.held is None for _, scope, _ in marks):
                break
            try:
                self.rebase(source, marks, await asyncio.to_thread(_ask, source))
            except Unavailable as failure:
                await asyncio.sleep(max(failure.wait, pauses.pause()))
                continue
            self.fetched_at[source] = time.monotonic()
            self.claim()
            looks = looks + 1 if all(scope.synced for _, scope in self.scopes_of(source)) else 0
            if looks == 1:
                self.wanted[source].clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.wanted[source].wait(), seconds("VERIFY_AFTER", 10))
        del self.fetches[source]

    def rebase(self, source: Source, marks: list[tuple[Channel, Scope, int]], answer: Any) -> None:
        """Puts an answer in place, but where it was doubted after it had been asked for."""
        fixture = source[1]
        rows: dict[str, dict[str, Any]] = {}
        try:
            for channel, _, _ in marks:
                if source != LIST:
                    if fixture_of(answer) != fixture:
                        raise ValueError("of another fixture")
                    rows[channel.name] = units(channel.name, answer)
                elif channel.name not in BY_FIXTURE:
                    rows[channel.name] = rows_of_list(channel.name, answer)
            roster = {fixture_of(each) for each in answer} if source == LIST else set()
        except (ValueError, AttributeError, TypeError):
            raise Unavailable("not a snapshot") from None
        for channel, scope, doubts in marks:
            if scope.doubts != doubts or scope.held is None:
                continue
            if channel.name in BY_FIXTURE and not fixture:
                scope.synced, scope.held = True, None
                for gone in channel.scopes.keys() - roster - {""}:
                    del channel.scopes[gone]
                for name in roster:
                    if not channel.scopes.setdefault(name, Scope()).synced:
                        self.want(("/fixtures/odds", name))
                continue
            waited = scope.replace(rows[channel.name])
            say("snapshot_applied", channel=channel.name, entity=fixture or None, proof="unproven")
            for entry in waited:
                told = {"channel": channel.name, "id": entry.id, "epoch": self.epoch}
                say("applied", **told, src="live")
        for channel in {channel.name: channel for channel, _, _ in marks}.values():
            self.settle(channel)

    # Claims.

    def claim(self) -> None:
        """Says what each channel's state is worth, when that has changed."""
        for channel in self.channels.values():
            said = channel.claim(connected=self.owner is not None)
            if said is not None:
                say("status", channel=channel.name, state=said, proof="unproven")


def _ask(source: Source) -> Any:
    """The answers to one source; all of them, or `Unavailable`."""
    path, fixture = source
    if fixture:
        return get(path, fixtureId=fixture)
    return [fixture for sport in SPORTS for fixture in get(path, sportId=sport)]
