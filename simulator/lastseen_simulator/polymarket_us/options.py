"""What a Polymarket US gateway can be told: keys, and the knobs for what the pages leave open.

The defaults are the oldest page, the strictest; `PM-7.3` in a knob's source is the third of the
contradictions that `facts/polymarket_us.md` §7 lists.
"""

from typing import Any, Final, Literal

import attrs

from lastseen_simulator.knobs import knob

__all__ = ["DEMO_KEY", "Framing", "KeyGrant", "PolymarketUSOptions"]

DEMO_KEY: Final = "demo-" + "0" * 27
"""The client secret, and the bearer token, every gateway accepts unless told otherwise; public."""

Framing = Literal["lines", "connect", "sse"]

MARKET = "Market"
LIMITS = "Limits and pages"
ACCESS = "Access"
STREAMS = "Streams"
SPELLING = "Spelling"
ALIVE = "Keepalive and ends"
TRUTH = "Truth log"

_PAGES: Final[dict[str, tuple[int, float, int]]] = {
    "a": (20, 1.0, 10),
    "b": (6000, 60.0, 20),
    "c": (6000, 60.0, 20),
}
"""Messages, in so many seconds, and streams at once, by revision of the page (§1)."""


@attrs.frozen(kw_only=True)
class KeyGrant:
    """One client: its secret, which is also taken for a bearer token; and what it may see."""

    key: str = attrs.field(repr=lambda _: "'***'")
    accounts: tuple[str, ...] | None = None
    """None is every account."""
    active: bool = True


def _at_least_zero(_: object, attribute: "attrs.Attribute[Any]", value: float | None) -> None:
    if value is not None and not value >= 0:
        raise ValueError(f"{attribute.name} must not be negative: {value}")


def _at_least_one(_: object, attribute: "attrs.Attribute[Any]", value: float | None) -> None:
    if value is not None and not value >= 1:
        raise ValueError(f"{attribute.name} must be at least 1: {value}")


def _above_zero(_: object, attribute: "attrs.Attribute[Any]", value: float | None) -> None:
    if value is not None and not value > 0:
        raise ValueError(f"{attribute.name} must be positive: {value}")


@attrs.frozen(kw_only=True)
class PolymarketUSOptions:
    """Every knob of the gateway, with the oldest page's behaviour as default.

    `lastseen gateway --dialect polymarket-us --knobs` lists them.
    """

    keys: tuple[KeyGrant, ...] = (KeyGrant(key=DEMO_KEY),)

    rate: float = knob(
        4.0,
        MARKET,
        "how much happens; 0 publishes only what is asked for",
        unit="happenings a second",
        check=_at_least_zero,
    )
    symbols: int = knob(4, MARKET, "instruments that are traded", check=_at_least_one)
    orders: int = knob(6, MARKET, "orders that are open at the beginning", check=_at_least_zero)

    page: Literal["a", "b", "c"] = knob(
        "a", LIMITS, "which revision of the page decides what follows unless said", source="§1"
    )
    messages: int | None = knob(
        None,
        LIMITS,
        "requests of an account in a window; none is the page's: 20, or 6000",
        source="§1",
        check=_at_least_one,
    )
    window_s: float | None = knob(
        None,
        LIMITS,
        "the window; none is the page's: 1, or 60",
        source="§1",
        unit="seconds",
        check=_above_zero,
    )
    streams: int | None = knob(
        None,
        LIMITS,
        "streams of an account at once; none is the page's: 10, or 20",
        source="§1",
        check=_at_least_one,
    )
    symbols_max: int = knob(
        1000, LIMITS, "symbols of a stream of market data", source="§6", check=_at_least_one
    )
    body_bytes: int = knob(
        65_536, LIMITS, "the largest body of a request", unit="bytes", check=_at_least_one
    )

    auth: Literal["optional", "required"] = knob(
        "optional", ACCESS, "whether a stream opens without a bearer token; a wrong one never does",
        source="§2",
    )  # fmt: skip
    token_lives_s: float = knob(
        180.0, ACCESS, "how long a bearer token lives; a stream outlives it", source="§2",
        unit="seconds", check=_above_zero,
    )  # fmt: skip
    participant: Literal["optional", "required"] = knob(
        "optional", ACCESS, "whether streams of an account need x-participant-id", source="§2"
    )

    order_tokens: bool | None = knob(
        None,
        STREAMS,
        "orders can be resumed; none is the page's: no on page c",
        source="PM-7.3, §5",
    )
    resume_snapshot: bool = knob(
        False, STREAMS, "a resumed stream begins with a snapshot all the same", source="PM-7.3"
    )
    refused_token: Literal["status", "error"] = knob(
        "error",
        STREAMS,
        "a token nobody knows is refused with 400, or inside a stream that began well",
        source="PM-7.4, PM-7.11",
    )
    journal: int = knob(
        1000, STREAMS, "how many changes of a stream can be resumed over", check=_at_least_zero
    )
    restart_forgets: bool = knob(
        True, STREAMS, "after a restart no earlier token is known", source="PM-7.4"
    )
    snapshot_s: float | None = knob(
        180.0,
        STREAMS,
        "from one periodic snapshot to the next; none for none",
        source="§5",
        unit="seconds",
        check=_above_zero,
    )
    resend_s: float | None = knob(
        60.0,
        STREAMS,
        "how often books are sent again unchanged; none for never",
        source="§4.2",
        unit="seconds",
        check=_above_zero,
    )
    page_items: int | None = knob(
        None,
        STREAMS,
        "how many objects a page of a snapshot has; none for one page",
        source="PM-7.8",
        check=_at_least_one,
    )
    heartbeat_first: bool = knob(
        False, STREAMS, "a heartbeat comes before the snapshot", source="PM-7.8"
    )

    framing: Literal["lines", "connect", "sse"] = knob(
        "lines", SPELLING, "what a body is framed in unless Accept asks for another", source="§0"
    )
    wrapped: bool = knob(True, SPELLING, "records are wrapped in result", source="§0")
    style: Literal["streams", "guide"] = knob(
        "streams",
        SPELLING,
        "orders as the stream pages have them, or as the oldest guide does",
        source="PM-7.6, §4.1",
    )
    case: Literal["camel", "snake"] = knob("camel", SPELLING, "of members", source="§0")
    numbers: Literal["text", "number"] = knob(
        "text", SPELLING, "whole numbers as text or as numbers", source="§4"
    )
    state_names: Literal["state", "status", "bare"] = knob(
        "state",
        SPELLING,
        "order states as ORDER_STATE_NEW, as orderStatus ORDER_STATUS_NEW, or as NEW",
        source="PM-7.5, PM-7.6",
    )
    omit_zeroes: bool = knob(False, SPELLING, "members that are zero are left out", source="PM-7.7")
    chunk_bytes: int | None = knob(
        None,
        SPELLING,
        "no chunk of a body is larger; none for one record a chunk",
        source="§0",
        check=_at_least_one,
    )

    heartbeat_s: float | None = knob(
        30.0, ALIVE, "from one heartbeat to the next; none for none", source="§6", unit="seconds",
        check=_above_zero,
    )  # fmt: skip
    idle_close_s: float | None = knob(
        None, ALIVE, "a stream without a record for so long is ended; none for never", source="§6",
        unit="seconds", check=_above_zero,
    )  # fmt: skip
    backlog_bytes: int = knob(
        4 << 20, ALIVE, "a reader that has so much unread is dropped", unit="bytes",
        check=_at_least_one,
    )  # fmt: skip

    truth_records_max: int = knob(
        200_000, TRUTH, "records kept of the truth log", check=_at_least_one
    )

    @property
    def message_limit(self) -> tuple[int, float]:
        """How many requests in how many seconds."""
        messages, window_s, _ = _PAGES[self.page]
        return self.messages or messages, self.window_s or window_s

    @property
    def stream_limit(self) -> int:
        """How many streams at once."""
        return self.streams or _PAGES[self.page][2]

    @property
    def orders_resume(self) -> bool:
        """Whether orders have tokens."""
        return self.page != "c" if self.order_tokens is None else self.order_tokens
