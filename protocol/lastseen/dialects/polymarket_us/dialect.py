"""One stream of Polymarket US, as a value: the request out, records in, what an end means."""

from collections.abc import Mapping
from typing import Any, Final, final

import attrs
import msgspec

from lastseen.deframing import RECORD_BYTES_MAX, Deframer
from lastseen.dialect import End
from lastseen.dialects.polymarket_us.failures import classify
from lastseen.dialects.polymarket_us.records import read_record, value_of
from lastseen.dialects.polymarket_us.spelling import moment
from lastseen.dialects.polymarket_us.streams import STREAMS, StreamRow
from lastseen.dialects.polymarket_us.subscription import Subscription
from lastseen.effects import StreamRequest
from lastseen.events import Entry, Failure
from lastseen.secret import Secret
from lastseen.shapes import as_object
from lastseen.stream_dialect import Base
from lastseen.stream_messages import PeerError, Record, StreamEntry, StreamMessage

__all__ = ["PolymarketUS"]

_RETRY_AFTER_MAX_S: Final = 120.0


@final
@attrs.frozen(kw_only=True)
class PolymarketUS:
    """The dialect of one subscription; `StreamDialect` says what each member is for."""

    subscription: Subscription = attrs.field(factory=Subscription)
    accept: str = "application/json"
    """Which framing is asked for; what comes is seen from the answer (§0)."""
    record_bytes_max: int = RECORD_BYTES_MAX

    @property
    def name(self) -> str:
        """Of the wire."""
        return "polymarket-us"

    @property
    def identity(self) -> str:
        """Stream and filters in one spelling."""
        members = {"stream": self.channel, **self.subscription.body()}
        return msgspec.json.encode(members, order="sorted").decode()

    @property
    def channel(self) -> str:
        """The stream's name."""
        return self.subscription.stream.value

    @property
    def base(self) -> Base:
        """What it begins with."""
        return self._row.base

    @property
    def units_asked(self) -> frozenset[str] | None:
        """The units of the symbols asked for; None when that is all there are."""
        symbols = self.subscription.symbols
        if self._row.base is not Base.UNITS or not symbols:
            return None
        return frozenset(f"{self.channel}/{symbol}" for symbol in symbols)

    @property
    def has_tokens(self) -> bool:
        """Whether a request may carry a token."""
        return self._row.has_tokens

    @property
    def tells_events(self) -> bool:
        """Whether its entries happened."""
        return self._row.tells_events

    def request(self, *, token: Secret | None, bearer: Secret | None) -> StreamRequest:
        """The request that opens the stream (§3)."""
        members: dict[str, Any] = self.subscription.body()
        if token is not None:
            members["resumeToken"] = token.reveal()
        headers: list[tuple[str, str | Secret]] = [
            ("Content-Type", "application/json"),
            ("Accept", self.accept),
        ]
        if self._row.of_account and self.subscription.account is not None:
            headers.append(("x-participant-id", self.subscription.account))
        if bearer is not None:
            headers.append(("Authorization", Secret(f"Bearer {bearer.reveal()}")))
        return StreamRequest(
            path=self._row.path,
            headers=tuple(headers),
            body=Secret(msgspec.json.encode(members).decode()),
        )

    def reader(self, content_type: str | None) -> Deframer:
        """Cuts the body of an answer."""
        return Deframer(content_type, self.record_bytes_max)

    def decode(self, record: Record) -> StreamMessage:
        """Reads one record; never raises."""
        return read_record(record, self.subscription.stream)

    def classify(self, end: End | PeerError, *, token_sent: bool) -> Failure:
        """What an end, a refusal or an error in the stream means (§4.5)."""
        return classify(end, token_sent=token_sent)

    def retry_after_s(self, end: End | PeerError) -> float | None:
        """How long it asks us to stay away, within a limit; most refusals do not say (§4.5)."""
        asked = end.retry_after_s if isinstance(end, End) else None
        return None if asked is None else min(asked, _RETRY_AFTER_MAX_S)

    def redact(self, text: str) -> str:
        """A peer's words; keys and tokens are the session's, which takes them out itself."""
        return text

    def units(self, entry: Entry) -> Mapping[str, Any]:
        """The unit that an entry sets; a change of an order may say a part of it only."""
        assert isinstance(entry, StreamEntry)
        value = value_of(entry.raw, self.subscription.stream)
        return {} if entry.unit is None else {entry.unit: value}

    def stamp(self, channel: str, value: Any) -> Any:
        """When a unit was so, for those that say it."""
        del channel
        members = as_object(value)
        if members is None or self._row.time is None:
            return None
        return moment(members.get(self._row.time))

    def view(self, units: Mapping[str, Any]) -> dict[str, Any]:
        """All of them: what is flat or done stays to be seen."""
        return dict(units)

    @property
    def _row(self) -> StreamRow:
        return STREAMS[self.subscription.stream]
