"""PolyNode as a value: what is sent, what frames say, and what the end of a socket means."""

from collections.abc import Iterator, Mapping
from typing import Any, cast, final

import attrs
import msgspec

from lastseen.coverage import HistoryRequest
from lastseen.dialect import End
from lastseen.dialects.polynode.codec import decode_frame
from lastseen.dialects.polynode.events import UNRECORDED, Preset
from lastseen.dialects.polynode.inflate import InflateLimits
from lastseen.dialects.polynode.subscription import Subscription
from lastseen.dialects.polynode.wire import Ping, Unsubscribe, encode_text
from lastseen.errors import ConfigurationError
from lastseen.events import Failure
from lastseen.history_messages import Message, PeerError
from lastseen.secret import Secret

__all__ = ["CLOSES", "PLANS", "Plan", "PolyNode", "retry_wait_s"]

CLOSES: Mapping[int, Failure] = {
    4401: Failure.FATAL,
    4429: Failure.LIMIT,
}
"""Published for a neighbouring socket, and safe to take alike (`facts/polynode.md` §5).

No code is documented here; every other is transient.
"""

_UPGRADE_REFUSALS: Mapping[int, Failure] = {
    401: Failure.FATAL,
    403: Failure.FATAL,
    408: Failure.TRANSIENT,
    425: Failure.TRANSIENT,
    429: Failure.LIMIT,
}
"""HTTP answers to the upgrade (§1); otherwise 5xx is transient, the rest no feed."""

RETRY_WAIT_S_MAX = 3600.0
"""The longest that we let the prose of a refusal keep us away."""

_EPOCH_DIGITS = 10
"""Of a moment in seconds, until the year 2286."""

_SUBSCRIPTIONS_MAX = 256
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


@final
@attrs.frozen(kw_only=True)
class Plan:
    """What a history can cover (§6): at most so many events, from at most so long ago."""

    snapshot_count_max: int
    lookback_ms: int


PLANS: Mapping[str, Plan] = {
    "free": Plan(snapshot_count_max=20, lookback_ms=30_000),
    "starter": Plan(snapshot_count_max=100, lookback_ms=120_000),
    "growth": Plan(snapshot_count_max=200, lookback_ms=300_000),
    "enterprise": Plan(snapshot_count_max=500, lookback_ms=300_000),
}
"""By name in lower case; who does not know theirs is safe with the first (§6)."""


def _subscriptions(_: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    asked = cast("tuple[Subscription, ...]", value) if type(value) is tuple else ()
    if not 0 < len(asked) <= _SUBSCRIPTIONS_MAX:
        raise ConfigurationError(f"{attribute.name} must be a tuple of 1 to {_SUBSCRIPTIONS_MAX}")
    if not all(type(item) is Subscription for item in asked):
        raise ConfigurationError(f"{attribute.name} must be of type Subscription")
    if len(set(asked)) != len(asked):
        raise ConfigurationError(f"{attribute.name} must be a tuple without repeats")
    if sum(item.preset is Preset.CHAINLINK for item in asked) > 1:
        raise ConfigurationError("chainlink holds for a whole connection: at most one of them")


def _usable_key(_: object, attribute: "attrs.Attribute[Any]", value: Secret) -> None:
    text = value.reveal()
    if not text.isascii() or not (text.isprintable() and " " not in text):
        raise ConfigurationError(f"{attribute.name} must be printable ASCII without spaces")


@final
@attrs.frozen(kw_only=True)
class PolyNode:
    """The dialect, with the subscriptions that stand on one socket from the beginning."""

    subscriptions: tuple[Subscription, ...] = attrs.field(
        default=(Subscription(),), validator=_subscriptions
    )
    key: Secret = attrs.field(factory=lambda: Secret(""), validator=_usable_key)
    """Needed to connect, not to read frames."""
    compress: bool = False
    """Asks for deflated live events; both forms are read whatever was asked for (§4)."""
    plan: Plan = PLANS["free"]
    inflate_limits: InflateLimits = attrs.field(factory=InflateLimits)

    @property
    def name(self) -> str:
        """Of the wire."""
        return "polynode"

    @property
    def identity(self) -> str:
        """Everything that is asked for but how it travels."""
        asked = [
            msgspec.json.decode(encode_text(item.frame(HistoryRequest())))
            for item in self.subscriptions
        ]
        return msgspec.json.encode(asked, order="sorted").decode()

    @property
    def query(self) -> tuple[tuple[str, str | Secret], ...]:
        """What the address of the socket ends with: the key travels there, and only there (§1)."""
        wanted: tuple[tuple[str, str | Secret], ...] = (("key", self.key),)
        return (*wanted, ("compress", "zlib")) if self.compress else wanted

    @property
    def lookback_ms(self) -> int:
        """How far a history can reach back (§6)."""
        return self.plan.lookback_ms

    @property
    def history_events_max(self) -> int:
        """How many events a history can hold (§6)."""
        return self.plan.snapshot_count_max

    @property
    def without_confirmations(self) -> tuple[Subscription, ...]:
        """Subscriptions whose items time out unless another brings confirmations (HZ-G17)."""
        return tuple(item for item in self.subscriptions if not item.brings_confirmations)

    def check(self, subscriptions: tuple[Subscription, ...]) -> None:
        """Raises `ConfigurationError` for subscriptions that one socket cannot have together."""
        attrs.evolve(self, subscriptions=subscriptions)

    def expects_history(self, subscription: Subscription, request: HistoryRequest) -> bool:
        """Whether a snapshot answers a subscribe; a count of 0 asks for none (§2.1)."""
        if request != HistoryRequest() or subscription.since_ms is not None:
            return subscription.has_history
        return subscription.has_history and subscription.snapshot_count != 0

    def is_recorded(self, channel: str) -> bool:
        """Whether snapshots bring events of this type back (§3.2)."""
        return channel not in UNRECORDED

    def subscribe(self, subscription: Subscription, history: HistoryRequest) -> Secret:
        """The frame that asks for one subscription, and for what it missed (§2.1)."""
        return Secret(encode_text(subscription.frame(history)))

    def unsubscribe(self, subscription_id: str | None = None) -> Secret:
        """The frame that ends one subscription, or all on this socket (§2.2)."""
        return Secret(encode_text(Unsubscribe(subscription_id)))

    def ping(self) -> Secret:
        """The application's ping (§2.3): some proxies answer the WebSocket's themselves (§8)."""
        return Secret(encode_text(Ping()))

    def decode(self, frame: str | bytes) -> Message:
        """Reads one frame; never raises."""
        return decode_frame(frame, self.inflate_limits)

    def is_final(self, error: PeerError) -> bool:
        """Whether the request itself is at fault, going by the documented codes (§5)."""
        return error.code is not None and error.code.startswith(("invalid_", "unresolved_"))

    def retry_after_s(self, end: End) -> float | None:
        """What a refusal says in a header, or else in its prose (§1)."""
        if end.retry_after_s is not None or end.wall_s is None:
            return end.retry_after_s
        return retry_wait_s(end.words, wall_s=end.wall_s)

    def classify(self, end: End) -> Failure:
        """What the end of a socket, or its refusal, means (§1, §5)."""
        if end.http_status is not None:
            if end.http_status >= 500:
                return Failure.TRANSIENT
            return _UPGRADE_REFUSALS.get(end.http_status, Failure.NOT_A_FEED)
        return Failure.TRANSIENT if end.code is None else CLOSES.get(end.code, Failure.TRANSIENT)

    def redact(self, text: str) -> str:
        """A peer's words without the key, as it is or as an address spells it (HZ-K3)."""
        key = self.key.reveal()
        for spelling in (key, _percent_encoded(key)) if key else ():
            text = text.replace(spelling, "***")
        return text


def retry_wait_s(words: str, *, wall_s: float) -> float | None:
    """How long a refusal asks us to stay away: it names the moment somewhere in its prose (§1).

    `wall_s` is the wall clock in epoch seconds, which the moment has to be compared with, as there
    is no other. Of several the latest counts. One that has passed asks for nothing; one further
    away than `RETRY_WAIT_S_MAX` is not waited for any longer than that.

    >>> retry_wait_s("rate limited, retry at 1790000060 (unix)", wall_s=1790000000.0)
    60.0
    """
    moments = [int(digits) for digits in _numbers(words) if len(digits) == _EPOCH_DIGITS]
    if not moments:
        return None
    return min(max(0.0, max(moments) - wall_s), RETRY_WAIT_S_MAX)


def _numbers(words: str) -> Iterator[str]:
    digits = "".join(c if c.isascii() and c.isdigit() else " " for c in words)
    return iter(digits.split())


def _percent_encoded(key: str) -> str:
    return "".join(c if c in _UNRESERVED else f"%{ord(c):02X}" for c in key)
