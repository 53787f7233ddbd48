"""What a Polymarket US gateway can be told: keys, and the knobs for what the pages leave open.

The defaults are the oldest page, the strictest; `PM-7.3` in a knob's source is the third of the
contradictions that `facts/polymarket_us.md` §7 lists.
"""

from typing import Any, Final, Literal

import attrs

from lastseen_simulator.demo_keys import POLYMARKET_US as DEMO_KEY
from lastseen_simulator.knobs import knob
from lastseen_simulator.polymarket_us.channels import Channel

__all__ = ["DEMO_KEY", "KeyGrant", "PolymarketUSOptions"]

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
    """One client: its secret, which is also taken for a bearer token, and what it may see.

    `accounts` and `scopes` None are all there are. Limits are counted for the `client` on the
    oldest page, and for its `firm` on the later ones.
    """

    key: str = attrs.field(repr=lambda _: "'***'")
    client: str = "client-demo"
    firm: str = "firm-demo"
    accounts: tuple[str, ...] | None = None
    scopes: tuple[str, ...] | None = None
    active: bool = True


def _at_least_zero(_: object, attribute: "attrs.Attribute[Any]", value: float | None) -> None:
    if value is not None and not value >= 0:
        raise ValueError(f"{attribute.name} must not be negative: {value}")


def _at_least_one(_: object, attribute: "attrs.Attribute[Any]", value: float | None) -> None:
    if value is not None and not value >= 1:
        raise ValueError(f"{attribute.name} must be at least 1: {value}")


def _share(_: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{attribute.name} must lie between 0 and 1: {value}")


def _token_size(_: object, attribute: "attrs.Attribute[Any]", value: int) -> None:
    if not 1 <= value <= 16_384:
        raise ValueError(f"{attribute.name} must lie between 1 and 16384: {value}")


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
    busts: float = knob(
        0.1,
        MARKET,
        "how likely a trade is busted instead of cleared",
        source="§4.4",
        unit="a share of 1",
        check=_share,
    )

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
    full: Literal["status", "error"] = knob(
        "status",
        LIMITS,
        "a stream too many is refused with 429, or inside an answer that began well",
        source="§4.5, PM-7.11",
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
        "optional",
        ACCESS,
        "whether streams of an account need the header of a participant",
        source="§2",
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
    resume_lives_s: float | None = knob(
        None,
        STREAMS,
        "how old a resume token may be; none for any age",
        source="PM-7.4",
        unit="seconds",
        check=_above_zero,
    )
    resume_inclusive: bool = knob(
        False, STREAMS, "a resumed stream begins with the change that its token names", source="§5"
    )
    token_bytes: int = knob(
        46,
        STREAMS,
        "how many bytes a resume token stands for, at least",
        source="§5",
        unit="bytes",
        check=_token_size,
    )
    replay_batch: int = knob(
        1,
        STREAMS,
        "replayed executions, trades and position changes that one message may have",
        source="§4.4",
        check=_at_least_one,
    )
    events_snapshot: bool = knob(
        False,
        STREAMS,
        "drop copy, trade capture and position changes begin with a snapshot too",
        source="§1, PM-7.3",
    )
    lifetime_s: float | None = knob(
        None,
        STREAMS,
        "how long a stream lasts before it ends with UNAVAILABLE; none for ever",
        source="§6",
        unit="seconds",
        check=_above_zero,
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
    case: Literal["camel", "snake", "path"] = knob(
        "camel",
        SPELLING,
        "how members are spelled; path is snake on the paths of the older gateway only",
        source="§0",
    )
    numbers: Literal["text", "number"] = knob(
        "text", SPELLING, "whole numbers as text or as numbers", source="§4"
    )
    state_names: Literal["state", "status", "bare"] = knob(
        "state",
        SPELLING,
        "order states as ORDER_STATE_NEW, as orderStatus ORDER_STATUS_NEW, or as NEW",
        source="PM-7.5, PM-7.6",
    )
    enums: Literal["names", "order_page", "proto_page"] = knob(
        "names",
        SPELLING,
        "order states by name, or by the number that one page or the other gives them",
        source="PM-7.5",
    )
    connect_codes: Literal["names", "numbers"] = knob(
        "names",
        SPELLING,
        "codes of errors in Connect's end of stream as its names or as numbers",
        source="§0",
    )
    line_end: Literal["lf", "crlf", "blank"] = knob(
        "lf", SPELLING, "how lines end; blank is an empty line after each", source="§0"
    )
    omit_zeroes: bool = knob(False, SPELLING, "members that are zero are left out", source="PM-7.7")
    chunk_bytes: int | None = knob(
        None,
        SPELLING,
        "no chunk of a body is larger; none for one record a chunk",
        source="§0",
        check=_at_least_one,
    )
    held_bytes: int = knob(
        0,
        SPELLING,
        "a chunk of a body lacks so many bytes, which come with the next record",
        source="§0",
        unit="bytes",
        check=_at_least_zero,
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

    def has_tokens(self, channel: Channel) -> bool:
        """Whether the messages of a channel have tokens (§5)."""
        if channel.name != "orders":
            return channel.tokens
        return self.page != "c" if self.order_tokens is None else self.order_tokens
