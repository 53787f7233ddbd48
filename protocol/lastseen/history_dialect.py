"""What a dialect of a feed with histories has to say about its wire; all else is shared."""

from typing import Any, Protocol

from lastseen.coverage import HistoryRequest
from lastseen.dialect import End
from lastseen.events import Failure
from lastseen.history_messages import Message, PeerError
from lastseen.secret import Secret

__all__ = ["HistoryDialect"]


class HistoryDialect(Protocol):
    """One wire, as a value: subscriptions out, events and histories in.

    What a subscription is, only the dialect knows; to everybody else it is a name.
    """

    @property
    def name(self) -> str:
        """Of the wire, in lower case."""
        ...

    @property
    def query(self) -> tuple[tuple[str, str | Secret], ...]:
        """What the address of every socket ends with."""
        ...

    @property
    def subscriptions(self) -> tuple[Any, ...]:
        """What is asked for from the beginning: one or more."""
        ...

    @property
    def lookback_ms(self) -> int:
        """How far a history can reach back."""
        ...

    @property
    def history_events_max(self) -> int:
        """How many events a history can hold."""
        ...

    def check(self, subscriptions: tuple[Any, ...]) -> None:
        """Raises `ConfigurationError` for subscriptions that one socket cannot have together."""
        ...

    def expects_history(self, subscription: Any, request: HistoryRequest) -> bool:
        """Whether a history answers a subscribe that asks for this."""
        ...

    def is_recorded(self, channel: str) -> bool:
        """Whether histories bring events of this type back."""
        ...

    def subscribe(self, subscription: Any, history: HistoryRequest) -> Secret:
        """The frame that asks for one subscription, and for what it missed."""
        ...

    def unsubscribe(self, subscription_id: str | None = None) -> Secret:
        """The frame that ends one subscription, by the peer's id for it."""
        ...

    def ping(self) -> Secret:
        """The frame that only asks whether anybody is there."""
        ...

    def decode(self, frame: str | bytes) -> Message:
        """Reads one text (`str`) or binary (`bytes`) frame; never raises."""
        ...

    def is_final(self, error: PeerError) -> bool:
        """Whether asking the same once more would be refused once more."""
        ...

    def classify(self, end: End) -> Failure:
        """What the end of a socket, or its refusal, means."""
        ...

    def retry_after_s(self, end: End) -> float | None:
        """How long a refusal asks us to stay away, within a limit."""
        ...

    def redact(self, text: str) -> str:
        """A peer's words without our key, should it have echoed it (HZ-K5)."""
        ...
