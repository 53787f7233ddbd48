"""Records per second through a stream's de-framer and session, as ratios to peers in the same run.

Peers: the *naive line loop* (what a reader of `httpx`'s `iter_lines` does: text by an incremental
decoder, lines put together, `json.loads`, a set of the ids seen, the state of each order in a dict)
and the *bare decode* (`split`, and msgspec's decoder on each line), which is the most that anything
on this decoder can reach. Bodies come in pieces of one record, as gateways send them, or in reads
of 64 KiB, as a reader that is behind gets them.

As in `core`, every round runs each variant once, in shuffled order, and only the median of the
in-round ratios counts. Run it with `make bench`.
"""

import codecs
import json
import random
import statistics
from collections.abc import Callable

import msgspec
from core import ROUNDS, measure, ratio

from lastseen.dialects.polymarket_us import PolymarketUS, Stream, Subscription
from lastseen.effects import Connect
from lastseen.replica import Replica
from lastseen.secret import Secret
from lastseen.stream_session import StreamSession

RECORDS = 4000
READ_BYTES = 64 * 1024
TAKE = 256
"""Events that the application takes at once."""

SNAPSHOT = b'{"result":{"sessionId":"s-1","snapshot":{"orders":[]}}}\n'


def execution(number: int) -> bytes:
    """One fill of one of some hundred orders, as a line."""
    filled = number // 200 + 1
    order = {
        "id": f"o-{number % 200}", "clordId": f"c-{number % 200}", "symbol": "demo-aaa",
        "side": "SIDE_BUY", "type": "ORDER_TYPE_LIMIT", "state": "ORDER_STATE_PARTIALLY_FILLED",
        "account": "acct-demo", "orderQty": "1000", "price": "525", "cumQty": str(filled),
        "leavesQty": str(1000 - filled), "avgPx": "525", "priceScale": "1000",
        "fractionalQuantityScale": "1",
    }  # fmt: skip
    told = {
        "id": f"x-{number}", "type": "EXECUTION_TYPE_PARTIAL_FILL", "lastShares": "1",
        "lastPx": "525", "tradeId": f"t-{number}", "aggressor": False, "order": order,
    }  # fmt: skip
    return _line({"update": {"executions": [told]}, "resumeToken": f"dG9r{number:08}"})


def book(number: int) -> bytes:
    """One whole book of ten levels a side, as a line."""
    bids = [{"px": str(520 - step), "qty": str(100 + number % 90 + step)} for step in range(10)]
    offers = [{"px": str(530 + step), "qty": str(50 + step)} for step in range(10)]
    second = f"2026-11-20T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"
    told = {"symbol": f"demo-{number % 50}", "bids": bids, "offers": offers}
    return _line({"update": {**told, "state": "INSTRUMENT_STATE_OPEN", "transactTime": second}})


def _line(members: dict[str, object]) -> bytes:
    result = {"sessionId": "s-1", "processedSentTime": "2026-11-20T00:00:00Z", **members}
    return json.dumps({"result": result}, separators=(",", ":")).encode() + b"\n"


def pieces(lines: list[bytes], *, whole: bool) -> list[bytes]:
    """A body: a record a piece, or cut wherever a read ends."""
    if not whole:
        return lines
    body = b"".join(lines)
    return [body[at : at + READ_BYTES] for at in range(0, len(body), READ_BYTES)]


def opened(stream: Stream) -> StreamSession:
    """A session whose stream has begun."""
    dialect = PolymarketUS(subscription=Subscription(stream=stream))
    session = StreamSession(dialect, random.Random(1), key=Secret("demo-0123456789"))
    session.handle_begin(now=0.0)
    (connect,) = session.poll_effects()
    assert isinstance(connect, Connect)
    session.handle_opened(connect.connection, now=0.0)
    session.poll_effects()
    session.handle_answered(connect.connection, "application/json", now=0.0)
    if stream is Stream.ORDERS:
        session.handle_frames(connect.connection, [SNAPSHOT], now=0.0)
    events = session.poll_events()
    if events:
        session.handle_processed(events[-1], now=0.0)
    return session


def ours(stream: Stream, body: list[bytes], *, replica: bool) -> Callable[[], None]:
    """The whole path: pieces in, events taken and finished; perhaps put into a replica, too."""
    session = opened(stream)
    copy = Replica(session.dialect, keep_omitted=stream is Stream.ORDERS) if replica else None

    def run() -> None:
        for piece in body:
            session.handle_frames(1, (piece,), now=1.0)
            while events := session.poll_events(TAKE):
                if copy is not None:
                    for event in events:
                        copy.apply(event)
                session.handle_processed(events[-1], now=1.0)
        assert session.counters()[stream.value].applied == RECORDS

    return run


def naive(body: list[bytes]) -> Callable[[], None]:
    """What a script over `iter_lines` does."""

    def run() -> None:
        decode = codecs.getincrementaldecoder("utf-8")().decode
        seen: set[str] = set()
        state: dict[str, object] = {}
        rest, count = "", 0
        for piece in body:
            *lines, rest = (rest + decode(piece)).split("\n")
            for line in lines:
                if not line:
                    continue
                update = json.loads(line)["result"].get("update")
                count += 1
                if "symbol" in update:
                    state[update["symbol"]] = update
                    continue
                for each in update["executions"]:
                    if each["id"] not in seen:
                        seen.add(each["id"])
                        state[each["order"]["id"]] = each["order"]
        assert count == RECORDS

    return run


def bare(body: list[bytes]) -> Callable[[], None]:
    """Lines, and the decoder."""
    decode = msgspec.json.Decoder().decode

    def run() -> None:
        rest, count = b"", 0
        for piece in body:
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                decode(line)
                count += 1
        assert count == RECORDS

    return run


def report(name: str, stream: Stream, lines: list[bytes], *, whole: bool) -> None:
    """Measures one stream in one kind of pieces."""
    body = pieces(lines, whole=whole)
    seconds = measure(
        {
            "naive line loop": lambda: naive(body),
            "bare msgspec decode": lambda: bare(body),
            "session": lambda: ours(stream, body, replica=False),
            "session and replica": lambda: ours(stream, body, replica=True),
        }
    )
    length = round(statistics.mean(map(len, lines)))
    how = "64 KiB" if whole else "record"
    for variant, spent in seconds.items():
        rate = RECORDS / statistics.median(spent)
        times = [ratio(seconds[peer], spent) for peer in ("naive line loop", "bare msgspec decode")]
        columns = "".join(f"{each:16.2f}" for each in times)
        print(f"{name:8} {length:5} {how:7} {variant:22}{rate:16,.0f}{columns}")


def main() -> None:
    """Prints one row per stream, kind of pieces and variant."""
    print(f"{ROUNDS} rounds of {RECORDS} records; medians\n")
    columns = ("records/s", "x naive loop", "x bare decode")
    head = "".join(f"{column:>16}" for column in columns)
    print(f"{'stream':8} {'bytes':>5} {'pieces':7} {'variant':22}{head}")
    for name, stream, make in (
        ("orders", Stream.ORDERS, execution),
        ("books", Stream.MARKET_DATA, book),
    ):
        lines = [make(number) for number in range(RECORDS)]
        for whole in (False, True):
            report(name, stream, lines, whole=whole)


if __name__ == "__main__":
    main()
