"""What a dialect of a feed with snapshots in its stream has to say about its wire.

Such a feed is one long answer to one HTTP request: a body that is cut into records, each of which
a dialect reads into the words of `stream_messages`. All else is shared.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Protocol, runtime_checkable

from lastseen.dialect import End
from lastseen.effects import StreamRequest
from lastseen.events import Entry, Failure
from lastseen.secret import Secret
from lastseen.stream_messages import PeerError, Record, StreamMessage

__all__ = ["Base", "RecordReader", "StreamDialect"]


class Base(Enum):
    """What a stream begins with, and so what may be claimed of it (`facts/polymarket_us.md` §5)."""

    SNAPSHOT = "snapshot"
    """The whole state: as the first message, and perhaps again later."""
    UNITS = "units"
    """Every entry sets its unit whole, and each unit asked for comes unasked at the beginning."""
    NONE = "none"
    """Only what happens: from now on, or from a token on. Live-only."""


class RecordReader(Protocol):
    """Cuts one body into records; made for each answer, and total: no bytes make it raise."""

    @property
    def fault(self) -> str | None:
        """Why nothing more can be read (a cap, a compressed envelope); then the stream is ended."""
        ...

    @property
    def ended(self) -> bool:
        """The peer said that the stream is over, and the record that said so was given out."""
        ...

    def feed(self, data: bytes) -> Sequence[Record]:
        """The records that these bytes complete, without their framing.

        Records before a fault are given out. What a body ends with inside a record is never one.
        """
        ...


@runtime_checkable
class StreamDialect(Protocol):
    """One stream of one wire, as a value: a request out, records in."""

    @property
    def name(self) -> str:
        """Of the wire, in lower case."""
        ...

    @property
    def identity(self) -> str:
        """Stream and filters in one spelling: kept state means nothing under another (HZ-E8)."""
        ...

    @property
    def channel(self) -> str:
        """The stream's name: what `Entry.channel` and every status and counter call it."""
        ...

    @property
    def base(self) -> Base:
        """What it begins with."""
        ...

    @property
    def units_asked(self) -> frozenset[str] | None:
        """For `Base.UNITS`, the unit keys asked for; None when that is all there are."""
        ...

    @property
    def has_tokens(self) -> bool:
        """Whether a request may carry a token; those on messages are kept only then."""
        ...

    @property
    def tells_events(self) -> bool:
        """Whether its entries are events of their own (executions, trades).

        A new base does not bring back those that were missed, so that a `Gap` is told beside it.
        """
        ...

    def request(self, *, token: Secret | None, bearer: Secret | None) -> StreamRequest:
        """The request that opens the stream, from this token on when there is one (HZ-F8)."""
        ...

    def reader(self, content_type: str | None) -> RecordReader:
        """Cuts the body of an answer with this content type, as the peer spelled it."""
        ...

    def decode(self, record: Record) -> StreamMessage:
        """Reads one record; never raises."""
        ...

    def classify(self, end: End | PeerError, *, token_sent: bool) -> Failure:
        """What an end, a refusal (`End.http_status`) or an error in the stream means.

        `token_sent` when the request carried one and nothing but heartbeats has come since: then a
        complaint about the request is `RESUME_REFUSED` (`facts/polymarket_us.md` §4.5).
        """
        ...

    def retry_after_s(self, end: End | PeerError) -> float | None:
        """How long it asks us to stay away, within a limit."""
        ...

    def redact(self, text: str) -> str:
        """A peer's words without our key, should it have echoed it (HZ-K5)."""
        ...

    def units(self, entry: Entry) -> Mapping[str, Any]:
        """The units an entry replaces, by unit key; none when its `unit` is None.

        Raises `PayloadError`.
        """
        ...

    def stamp(self, channel: str, value: Any) -> Any:
        """A unit's own time, comparable within its kind, or None when it carries none."""
        ...

    def view(self, units: Mapping[str, Any]) -> dict[str, Any]:
        """The units that a reader should see, and that can be compared with a snapshot."""
        ...
