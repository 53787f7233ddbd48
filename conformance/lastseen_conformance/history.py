"""What happened in one run of a case, in order: the one thing that judges look at.

A history is the same whichever driver played the case. `at` is the gateway's monotonic seconds,
`n` counts moments from 1; only `n` says what came first. Keys are `***` before they get here.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, TypeVar, cast, final

import attrs

from lastseen_simulator.faults import Receipt
from lastseen_simulator.truth import Record

__all__ = [
    "Answered",
    "Asked",
    "BytesSent",
    "ClientFrame",
    "CloseSent",
    "Compared",
    "Connected",
    "Dropped",
    "Ended",
    "Exited",
    "Heard",
    "History",
    "Launched",
    "Listening",
    "Moment",
    "Outcome",
    "Pinged",
    "Ponged",
    "Refused",
    "Said",
    "ServerFrame",
    "Stalled",
    "Stepped",
    "StreamAsked",
    "Struck",
    "View",
]


@attrs.frozen(kw_only=True)
class Moment:
    """Something that happened."""

    n: int
    at: float


@attrs.frozen(kw_only=True)
class StreamAsked(Moment):
    """A stream over HTTP was asked for; it is `Connected` when it is granted."""

    connection: int
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    body: bytes


@attrs.frozen(kw_only=True)
class Connected(Moment):
    """A WebSocket upgrade, or a stream over HTTP, was granted; connections count from 1."""

    connection: int


@attrs.frozen(kw_only=True)
class Refused(Moment):
    """An upgrade, or a request for a stream, was answered with an HTTP status."""

    connection: int
    status: int


@attrs.frozen(kw_only=True)
class ClientFrame(Moment):
    """The client sent a message."""

    connection: int
    data: str | bytes


@attrs.frozen(kw_only=True)
class ServerFrame(Moment):
    """The gateway sent a message, or the first `cut_at` bytes of its frame or chunk."""

    connection: int
    data: str | bytes
    cut_at: int | None = None


@attrs.frozen(kw_only=True)
class BytesSent(Moment):
    """The gateway put bytes on the stream that are no frame of its protocol."""

    connection: int
    data: bytes


@attrs.frozen(kw_only=True)
class Pinged(Moment):
    """The gateway sent a WebSocket ping."""

    connection: int


@attrs.frozen(kw_only=True)
class Ponged(Moment):
    """The client answered one."""

    connection: int


@attrs.frozen(kw_only=True)
class CloseSent(Moment):
    """The gateway sent a close frame."""

    connection: int
    code: int
    reason: str


@attrs.frozen(kw_only=True)
class Dropped(Moment):
    """The gateway vanished from a connection: FIN, or RST when `reset`."""

    connection: int
    reset: bool


@attrs.frozen(kw_only=True)
class Stalled(Moment):
    """The gateway stopped reading and writing, or began again."""

    connection: int
    stalled: bool


@attrs.frozen(kw_only=True)
class Ended(Moment):
    """The client's side of a connection is over."""

    connection: int


@attrs.frozen(kw_only=True)
class Listening(Moment):
    """The gateway's port accepts, refuses, or accepts and closes."""

    mode: str


@attrs.frozen(kw_only=True)
class Asked(Moment):
    """An HTTP request arrived."""

    request: int
    method: str
    path: str
    query: tuple[tuple[str, str], ...]


@attrs.frozen(kw_only=True)
class Answered(Moment):
    """It was answered; `whole` when all of the body is on its way."""

    request: int
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = attrs.field(repr=lambda body: f"<{len(body)} bytes>")
    whole: bool


@attrs.frozen(kw_only=True)
class Struck(Moment):
    """A fault took effect."""

    fault: int
    kind: str
    detail: str


@attrs.frozen(kw_only=True)
class Launched(Moment):
    """The client was started for the `run`-th time."""

    run: int


@attrs.frozen(kw_only=True)
class Said(Moment):
    """The client printed a line: a report object, or text that is none."""

    run: int
    line: Mapping[str, Any] | None
    text: str


@attrs.frozen(kw_only=True)
class Heard(Moment):
    """The client was told `state` or `stop`."""

    run: int
    command: str


@attrs.frozen(kw_only=True)
class Exited(Moment):
    """The client's process is over; `asked` when the case wanted that, `how` in words."""

    run: int
    code: int | None
    asked: bool
    how: str


@attrs.frozen(kw_only=True)
class Compared(Moment):
    """The state the client reported beside the true one; the first difference in words, if any."""

    run: int
    difference: str | None


@attrs.frozen(kw_only=True)
class Stepped(Moment):
    """The case went on to its next step."""

    text: str


class View(Protocol):
    """An understanding of a history that grows with it."""

    def take(self, moment: Moment) -> None:
        """Takes the next moment."""
        ...


M = TypeVar("M", bound=Moment)
V = TypeVar("V", bound=View)


@attrs.frozen(kw_only=True)
class Outcome:
    """How a wait ended: owed by a `rule`, or without one, needed for the case to go on."""

    what: str
    rule: str | None
    met: bool
    n: int


@final
@attrs.define(eq=False)
class History:
    """Every moment of a run, what was placed and came true, and how each wait ended."""

    channels: tuple[str, ...] = ()
    moments: list[Moment] = attrs.field(factory=list[Moment])
    outcomes: list[Outcome] = attrs.field(factory=list[Outcome])
    receipts: tuple[Receipt, ...] = ()
    truth: tuple[Record, ...] = ()
    reported: bool = False
    """Whether the client prints a report that judges may rely on."""
    trouble: str | None = None
    """What kept the case from being played to its end."""
    starved: bool = False
    """The harness itself was held up."""
    leaked: str | None = None
    """Which of the client's outputs the key was seen in."""
    ignored_stop: bool = False
    over: bool = False
    """The case has been played: what happens while things are put away is not part of it."""
    may_end: bool = False
    """The client is free to end by itself."""
    notes: list[str] = attrs.field(factory=list[str])
    on_change: Callable[[], None] = lambda: None
    _views: dict[type[Any], tuple[Any, list[int]]] = attrs.field(
        factory=dict[type[Any], tuple[Any, list[int]]]
    )
    _by_kind: dict[type[Any], list[Any]] = attrs.field(
        init=False, factory=dict[type[Any], list[Any]]
    )
    _sorted: int = attrs.field(init=False, default=0)

    def add(self, kind: type[M], /, *, at: float, **members: Any) -> M:
        """Appends a moment."""
        moment = kind(n=len(self.moments) + 1, at=at, **members)
        if not self.over:
            self.moments.append(moment)
            self.on_change()
        return moment

    def of(self, kind: type[M]) -> Iterator[M]:
        """The moments of a kind, in order."""
        return iter(self._kind(kind))

    def count(self, kind: type[M]) -> int:
        """How many moments of a kind there are."""
        return len(self._kind(kind))

    def _kind(self, kind: type[M]) -> list[M]:
        for moment in self.moments[self._sorted :]:
            self._by_kind.setdefault(type(moment), []).append(moment)
        self._sorted = len(self.moments)
        return self._by_kind.get(kind, [])

    def view(self, kind: type[V]) -> V:
        """An understanding of everything so far; the same object each time."""
        known = self._views.get(kind)
        if known is None:
            known = self._views[kind] = (kind(), [0])
        view, seen = cast("tuple[V, list[int]]", known)
        while seen[0] < len(self.moments):
            view.take(self.moments[seen[0]])
            seen[0] += 1
        return view

    @property
    def now(self) -> float:
        """When the last moment was."""
        return self.moments[-1].at if self.moments else 0.0
