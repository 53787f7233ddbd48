"""OddsPapi clients that say one thing wrong in a login, or read one frame wrong."""

import json
from collections.abc import Callable
from typing import Any, ClassVar, cast

import attrs
import msgspec

from lastseen.effects import Effect, Send
from lastseen.secret import Secret
from lastseen_conformance.drivers.in_process import OddsPapiClient
from lastseen_conformance.zoo.sockets import parsed

__all__ = [
    "AdoptsHeads",
    "CursorOfLastReceived",
    "EpochAlone",
    "HearsOtherwise",
    "IdsOfReplayUnseen",
    "SaysMore",
    "SaysSomethingFirst",
    "SendsEveryCursor",
    "SendsForeignCursor",
    "SpeaksBinary",
    "reader",
]

Frame = dict[str, Any]


@attrs.define(eq=False)
class _Says(OddsPapiClient):
    """Changes what it logs in with; `received` is the newest id that came on each channel."""

    received: dict[str, str] = attrs.field(init=False, factory=dict[str, str])
    epoch: str | None = attrs.field(init=False, default=None)

    def login(self, login: Frame) -> Frame:
        """What it says instead."""
        return login

    def noted(self, frame: Frame) -> None:
        """Looks at a frame that came."""
        channel, entry_id = frame.get("channel"), frame.get("entryId")
        if isinstance(channel, str) and isinstance(entry_id, str):
            self.received[channel] = entry_id
        block = frame.get("resume")
        if frame.get("type") == "login_ok" and isinstance(block, dict):
            epoch = cast("Frame", block).get("serverEpoch")
            if epoch != self.epoch:
                self.received.clear()
            self.epoch = epoch

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        frame = parsed(data)
        if frame is not None:
            self.noted(frame)
        OddsPapiClient.hear(self, connection, data)

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, Send):
            login = self.login(json.loads(effect.text.reveal()))
            effect = msgspec.structs.replace(effect, text=Secret(json.dumps(login)))
        OddsPapiClient._do(self, effect)


@attrs.define(eq=False)
class CursorOfLastReceived(_Says):
    """Its cursors are what arrived last, processed or not, in order or not."""

    def login(self, login: Frame) -> Frame:
        """With every cursor at the newest arrival."""
        cursors = login.get("lastSeenId")
        if cursors:
            login["lastSeenId"] = {name: self.received.get(name, cursors[name]) for name in cursors}
        return login


@attrs.define(eq=False)
class IdsOfReplayUnseen(_Says):
    """Only what comes live moves its cursors."""

    replaying: bool = attrs.field(init=False, default=False)

    def noted(self, frame: Frame) -> None:
        """Looks away until a replay is complete."""
        if frame.get("type") == "resume_complete":
            self.replaying = False
        elif not self.replaying or frame.get("type") == "login_ok":
            _Says.noted(self, frame)

    def login(self, login: Frame) -> Frame:
        """With every cursor at the newest live entry."""
        cursors = login.get("lastSeenId")
        self.replaying = bool(cursors)
        if cursors:
            login["lastSeenId"] = {name: self.received.get(name, cursors[name]) for name in cursors}
        return login


@attrs.define(eq=False)
class AdoptsHeads(_Says):
    """Takes the server's newest ids for its own place."""

    heads: dict[str, str] = attrs.field(init=False, factory=dict[str, str])

    def noted(self, frame: Frame) -> None:
        """`serverEntryIds`, wherever they are."""
        _Says.noted(self, frame)
        block = frame.get("resume")
        if not isinstance(block, dict):
            return
        heads = cast("Frame", block).get("serverEntryIds")
        if isinstance(heads, dict):
            self.heads.update(cast("dict[str, str]", heads))

    def login(self, login: Frame) -> Frame:
        """With them where there is no cursor."""
        held = {name: text for name, text in self.heads.items() if name in self.channels}
        if self.epoch is not None and held:
            login["serverEpoch"] = self.epoch
            login["lastSeenId"] = {**held, **(login.get("lastSeenId") or {})}
        return login


@attrs.define(eq=False)
class SendsEveryCursor(_Says):
    """Does not look at replayChannels."""

    def login(self, login: Frame) -> Frame:
        """With a cursor for each channel that ever had an entry."""
        cursors = login.get("lastSeenId")
        if cursors:
            mine = {name: text for name, text in self.received.items() if name in self.channels}
            login["lastSeenId"] = {**mine, **cursors}
        return login


@attrs.define(eq=False)
class SendsForeignCursor(_Says):
    """Keeps sending a cursor of a channel that it no longer subscribes to."""

    def login(self, login: Frame) -> Frame:
        """With one cursor too many."""
        cursors = login.get("lastSeenId")
        if cursors:
            login["lastSeenId"] = {**cursors, "clocks": next(iter(cursors.values()))}
        return login


@attrs.define(eq=False)
class EpochAlone(_Says):
    """Names the epoch although it has no cursor."""

    def login(self, login: Frame) -> Frame:
        """With an epoch, always."""
        if self.epoch is not None:
            login["serverEpoch"] = self.epoch
        return login


@attrs.define(eq=False)
class SaysSomethingFirst(_Says):
    """Greets before it logs in."""

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, Send) and effect.connection in self.sockets:
            self.network.send(self.sockets[effect.connection].wire, '{"type":"hello"}')
        _Says._do(self, effect)


@attrs.define(eq=False)
class SaysMore(_Says):
    """Asks for a channel once more, over the same connection, when it has been accepted."""

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        frame = parsed(data)
        if frame is not None and frame.get("type") == "login_ok" and connection in self.sockets:
            text = '{"type":"subscribe","channels":["odds"]}'
            self.network.send(self.sockets[connection].wire, text)
        _Says.hear(self, connection, data)


@attrs.define(eq=False)
class SpeaksBinary(OddsPapiClient):
    """Sends its login in a binary frame."""

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, Send):
            if effect.connection in self.sockets:
                wire = self.sockets[effect.connection].wire
                self.network.send(wire, effect.text.reveal().encode())
            return
        OddsPapiClient._do(self, effect)


Reading = Callable[[Frame], Frame | None]
"""What a client makes of a frame: another one, or nothing."""


@attrs.define(eq=False)
class HearsOtherwise(OddsPapiClient):
    """Reads control frames in its own way."""

    reading: ClassVar[Reading]

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        frame = parsed(data)
        if frame is None:
            OddsPapiClient.hear(self, connection, data)
            return
        heard = type(self).reading(frame)
        if heard is not None:
            changed = data if heard is frame else json.dumps(heard)
            OddsPapiClient.hear(self, connection, changed)


def reader(name: str, reading: Reading) -> type[HearsOtherwise]:
    """A client that reads frames so."""
    return type(name, (HearsOtherwise,), {"reading": staticmethod(reading), "__slots__": ()})
