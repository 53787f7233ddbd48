"""The frames of OddsPapi v5, as structs with the wire's own spelling.

One struct a frame (`facts` §2). A sender builds them and encodes them here; a receiver meets
whatever the peer sent and reads it with the tolerant `codec`.
"""

from typing import Any, Literal

import msgspec

__all__ = [
    "ACCEPTED_LANGUAGES",
    "Access",
    "ErrorFrame",
    "Login",
    "LoginOk",
    "ReceiveType",
    "Reconnect",
    "Resume",
    "ResumeComplete",
    "SnapshotRequired",
    "Update",
    "encode_binary",
    "encode_text",
]

ReceiveType = Literal["json", "binary"]

ACCEPTED_LANGUAGES = ("en", "de", "es", "fr", "pt", "it", "ru", "zh")
"""Language codes of the login frame and of the REST path prefix (§1, §2.1)."""


class Login(msgspec.Struct, omit_defaults=True, tag_field="type", tag="login", kw_only=True):
    """The only frame a client sends (§2.1); empty filters are left out, never sent as [] (A9)."""

    apiKey: str  # noqa: N815 - the wire's spelling
    channels: list[str] | None = None
    sportIds: list[int] | None = None  # noqa: N815
    tournamentIds: list[int] | None = None  # noqa: N815
    fixtureIds: list[str] | None = None  # noqa: N815
    futureIds: list[str] | None = None  # noqa: N815
    bookmakers: list[str] | None = None
    lang: str | None = None
    receiveType: str | None = None  # noqa: N815
    clientName: str | None = None  # noqa: N815
    live: bool | None = None
    pregame: bool | None = None
    serverEpoch: str | None = None  # noqa: N815
    lastSeenId: dict[str, str] | None = None  # noqa: N815


class Access(msgspec.Struct):
    """What the key may see, whatever the filters say."""

    live: bool = True
    pregame: bool = True


class Resume(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The `resume` member of `login_ok` (§2.2); `resumeWindowMs` in milliseconds."""

    serverEpoch: str  # noqa: N815
    resumeWindowMs: int  # noqa: N815
    replayChannels: list[str] | None = None  # noqa: N815
    serverEntryIds: dict[str, str | None] | None = None  # noqa: N815
    enabled: bool | None = None
    serverCursors: dict[str, int] | None = None  # noqa: N815


class LoginOk(msgspec.Struct, tag_field="type", tag="login_ok", kw_only=True):
    """The effective subscription and the resume block (§2.2); null filters mean unfiltered."""

    region: str
    connId: str  # noqa: N815
    userId: str  # noqa: N815
    clientName: str | None  # noqa: N815
    lang: str
    receiveType: str  # noqa: N815
    channels: list[str]
    sportIds: list[int] | None  # noqa: N815
    tournamentIds: list[int] | None  # noqa: N815
    fixtureIds: list[str] | None  # noqa: N815
    futureIds: list[str] | None  # noqa: N815
    bookmakers: list[str]
    access: Access
    resume: Resume | msgspec.UnsetType = msgspec.UNSET


class ErrorFrame(msgspec.Struct, tag_field="type", tag="error"):
    """A login error (§3): machine code and text."""

    error: str
    message: str


class ResumeComplete(msgspec.Struct, tag_field="type", tag="resume_complete"):
    """Replay succeeded; it names no channels (§2.2)."""

    serverEpoch: str  # noqa: N815


class SnapshotRequired(
    msgspec.Struct, tag_field="type", tag="snapshot_required", kw_only=True, omit_defaults=True
):
    """Replay is impossible for these channels; the stream goes on (§2.2)."""

    reason: str
    channels: list[str]
    serverEpoch: str  # noqa: N815
    resumeWindowMs: int  # noqa: N815
    serverEntryIds: dict[str, str | None] | None = None  # noqa: N815


class Reconnect(msgspec.Struct, tag_field="type", tag="reconnect"):
    """Move to a new connection now, whatever the reason (§2.2)."""

    reason: str


class Update(msgspec.Struct, omit_defaults=False, kw_only=True):
    """The data envelope (§2.3); `ts` in epoch milliseconds, `entryId` is `<ts_ms>-<seq>`."""

    channel: str
    type: str = "UPDATE"
    ts: int
    entryId: str  # noqa: N815
    payload: Any


_JSON = msgspec.json.Encoder(decimal_format="number")
_MSGPACK = msgspec.msgpack.Encoder()


def encode_text(frame: msgspec.Struct) -> str:
    """Encodes a frame as JSON text, the form of every control frame (§1)."""
    return _JSON.encode(frame).decode()


def encode_binary(frame: msgspec.Struct) -> bytes:
    """Encodes a data frame as MessagePack, the form of `receiveType: binary` (§1)."""
    return _MSGPACK.encode(frame)
