"""Where a fault strikes: a short text, parsed once.

on open                     the connection was accepted
on login                    its login arrived and is not judged yet (oddspapi)
on subscribe 2              its 2nd subscribe arrived and is not judged yet (polynode)
every 2 subscribes          each 2nd of them
before login_ok             also: after, and error, snapshot_required, resume_complete, reconnect
                            (oddspapi); subscribed, unsubscribed, snapshot, heartbeat, pong, error
                            (polynode); snapshot, heartbeat, error (polymarket-us); each with an
                            optional number (`after reconnect 2`)
after data 7                the 7th data frame of the connection; `replayed 7` and `live 7`
                            count those only, `frame 7` counts control frames too
before live 3 of scores     … counting one channel
inside data 7 byte 3        three bytes of that frame's encoding reach the wire
every 200 data              at each multiple, counted as `after data n`; also live, replayed
on request /fixtures 2      the 2nd request to that path (without the language; `*` for any);
                            upgrades (polynode) are requests to /ws; streams (polymarket-us) to
                            their paths, /v1/orders/subscribe
every 5 requests            each 5th request, whatever its path
after entry 120             the 120th entry published, whoever receives it
every 500 entries           each 500th
at 12.5                     seconds after the gateway's start
every 30 s                  and again and again
"""

import re
from collections.abc import Mapping
from typing import Final, Literal

import attrs

__all__ = ["DATA_NAMES", "FRAME_NAMES", "Position", "PositionError", "parse_position"]

Scene = Literal["open", "login", "subscribe", "frame", "request", "entry", "time"]
Side = Literal["before", "inside", "after"]

_ONLY: Final[Mapping[str, tuple[str, ...]]] = {
    "oddspapi": (
        "login",
        "login_ok",
        "snapshot_required",
        "resume_complete",
        "reconnect",
        "replayed",
    ),
    "polynode": ("subscribe", "subscribed", "unsubscribed", "snapshot", "heartbeat", "pong"),
    "polymarket-us": ("replayed", "snapshot", "heartbeat"),
}
"""Scenes and frames that not every dialect has."""

DATA_NAMES: Final = ("data", "replayed", "live")
_CONTROL_NAMES: Final = (
    "login_ok", "error", "snapshot_required", "resume_complete", "reconnect",
    "subscribed", "unsubscribed", "snapshot", "heartbeat", "pong",
)  # fmt: skip
FRAME_NAMES: Final = (*DATA_NAMES, "frame", *_CONTROL_NAMES)


class PositionError(ValueError):
    """The text names no position."""


@attrs.frozen(kw_only=True)
class Position:
    """A parsed position. `number` counts from 1; `every` repeats at its multiples.

    `what` is a frame name or a request path; `moment_s` belongs to `time`, `byte` to `inside`.
    """

    scene: Scene
    side: Side = "after"
    what: str = ""
    number: int = 1
    every: bool = False
    channel: str | None = None
    byte: int = 0
    moment_s: float = 0.0

    def is_in(self, dialect: str) -> bool:
        """Whether a gateway of that dialect ever gets there."""
        own = self.what if self.scene == "frame" else self.scene
        return own in _ONLY[dialect] or all(own not in names for names in _ONLY.values())

    def meets(self, count: int) -> bool:
        """Whether the count-th happening is meant."""
        return count % self.number == 0 if self.every else count == self.number


_NUMBER: Final = r"(?P<number>[1-9][0-9]{0,8})"
_SECONDS: Final = r"(?P<seconds>[0-9]+(?:\.[0-9]+)?)"
_OF: Final = r"(?: of (?P<channel>[A-Za-z_]+))?"
_DATA: Final = r"(?P<what>data|replayed|live|frame)"
_CONTROL: Final = rf"(?P<what>{'|'.join(_CONTROL_NAMES)})"

_FORMS: Final = tuple(
    (re.compile(pattern), scene)
    for pattern, scene in (
        (r"on open", "open"),
        (r"on login", "login"),
        (rf"on subscribe(?: {_NUMBER})?", "subscribe"),
        (rf"(?P<every>every) {_NUMBER} subscribes", "subscribe"),
        (rf"(?P<side>before|after) {_DATA} {_NUMBER}{_OF}", "frame"),
        (rf"(?P<side>before|after) {_CONTROL}(?: {_NUMBER})?", "frame"),
        (rf"(?P<side>inside) {_DATA} {_NUMBER}{_OF} byte (?P<byte>[0-9]{{1,9}})", "frame"),
        (rf"(?P<side>inside) {_CONTROL}(?: {_NUMBER})? byte (?P<byte>[0-9]{{1,9}})", "frame"),
        (rf"(?P<every>every) {_NUMBER} {_DATA}{_OF}", "frame"),
        (rf"on request (?P<what>/[^ ]*|\*)(?: {_NUMBER})?", "request"),
        (rf"(?P<every>every) {_NUMBER} requests", "request"),
        (rf"after entry {_NUMBER}", "entry"),
        (rf"(?P<every>every) {_NUMBER} entries", "entry"),
        (rf"at {_SECONDS}", "time"),
        (rf"(?P<every>every) {_SECONDS} s", "time"),
    )
)


def parse_position(text: str) -> Position:
    """Reads a position; raises `PositionError` with one line that says what is accepted.

    >>> parse_position("after data 7").number
    7
    >>> parse_position("inside live 2 of odds byte 3").byte
    3
    """
    words = " ".join(text.split())
    for pattern, scene in _FORMS:
        match = pattern.fullmatch(words)
        if match is not None:
            return _position(scene, match.groupdict())
    raise PositionError(
        f"no such position: {text!r} (for example: on login, after login_ok, before replayed 1, "
        "after data 7, inside data 7 byte 3, on request /fixtures 2, after entry 120, at 12.5)"
    )


def _position(scene: str, parts: dict[str, str | None]) -> Position:
    seconds = float(parts.get("seconds") or 0)
    every = parts.get("every") is not None
    if scene == "time" and every and not seconds:
        raise PositionError("every 0 s would never let time pass")
    return Position(
        scene=scene,  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - from _FORMS
        side=parts.get("side") or "after",  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - from _FORMS
        what=parts.get("what") or ("*" if scene == "request" else ""),
        number=int(parts.get("number") or 1),
        every=every,
        channel=parts.get("channel"),
        byte=int(parts.get("byte") or 0),
        moment_s=seconds,
    )
