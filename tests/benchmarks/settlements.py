"""Settlement frames per second through the mechanisms, as ratios to the guide's own loop.

The peer is the map loop of the vendor's guide in Python: `json.loads`, a dict by transaction hash,
an entry made from a settlement's `data`, looked up and dropped at its confirmation; and a sweep
over all of it for what has waited too long, every 5 s. Ours reads, judges identity and moves items;
a session on top has its own queue and counters to pay for.

Frames come as a feed would send them: each settlement confirmed three seconds later, so that the
number of pending items is three seconds' worth. Rounds run each variant once, in shuffled order,
and the median of the in-round ratios counts. Run it with `python tests/benchmarks/settlements.py`.
"""

import gc
import json
import random
import statistics
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from lastseen.dialects.polynode.codec import decode_frame
from lastseen.dialects.polynode.inflate import deflate
from lastseen.history_messages import News, WireEvent
from lastseen.identities import Identities, Verdict
from lastseen.lifecycle import Lifecycle

ROUNDS = 9
SETTLEMENTS = 6000
CONFIRMED_AFTER_S = 3.0
TIMEOUT_S = 15.0
SWEEP_S = 5.0
FIRST_MS = 1_790_000_000_000

Frame = str | bytes


def _hex(draw: random.Random, digits: int) -> str:
    return f"0x{draw.getrandbits(4 * digits):0{digits}x}"


def _token(draw: random.Random) -> str:
    return str(draw.randrange(10**76, 10**77))


def _pair(draw: random.Random, at_ms: int, *, enriched: bool) -> tuple[str, str]:
    """A settlement and its confirmation, with the members that are always there, or with all."""
    transaction, taker, maker, token = _hex(draw, 64), _hex(draw, 40), _hex(draw, 40), _token(draw)
    fill = {
        "maker": maker, "signer": maker, "taker": taker, "token_id": token, "side": "SELL",
        "price": 0.41, "size": 120.5, "maker_amount": "120500000", "taker_amount": "49405000",
    }  # fmt: skip
    other = _token(draw)
    market = {
        "market_title": "Will it rain?", "market_slug": "will-it-rain", "outcome": "Yes",
        "condition_id": _hex(draw, 64), "event_title": "Weather on Saturday",
        "event_slug": "weather-saturday", "market_image": "https://images.example/will-it-rain.png",
        "tokens": {token: "Yes", other: "No"}, "token_ids": [token, other],
        "outcomes": ["Yes", "No"], "tick_size": 0.01, "neg_risk": False, "taker_base_fee": 0,
        "exchange_version": "v2", "protocol_version": "v2", "module": "binary",
    } if enriched else {}  # fmt: skip
    settlement = {
        "event_type": "settlement", "tx_hash": transaction, "status": "pending",
        "detected_at": at_ms - 50, "block_number": None, "taker_wallet": taker,
        "taker_token": token, "taker_side": "BUY", "taker_price": 0.41, "taker_size": 120.5,
        "trades": [fill], **market,
    }  # fmt: skip
    later = at_ms + round(CONFIRMED_AFTER_S * 1000)
    confirmation = {
        "event_type": "status_update", "tx_hash": transaction, "token_id": token,
        "block_number": 91_000_001, "confirmed_at": later, "pending_detected_at": at_ms - 50,
        "latency_ms": later - at_ms + 50,
        "confirmed_fills": [{**fill, "order_hash": _hex(draw, 64), "fee": 0.12}], **market,
    }  # fmt: skip
    return _frame("settlement", at_ms, settlement), _frame("status_update", later, confirmation)


def _frame(kind: str, at_ms: int, data: dict[str, Any]) -> str:
    return json.dumps({"type": kind, "timestamp": at_ms, "data": data}, separators=(",", ":"))


def frames(per_s: int, *, enriched: bool) -> list[tuple[float, str]]:
    """Frames with the second at which each comes."""
    draw = random.Random(3)
    made: list[tuple[float, str]] = []
    for number in range(SETTLEMENTS):
        at_s = number / per_s
        first, second = _pair(draw, FIRST_MS + round(at_s * 1000), enriched=enriched)
        made += [(at_s, first), (at_s + CONFIRMED_AFTER_S, second)]
    made.sort(key=lambda item: item[0])
    return made


def guide_style(batch: Sequence[tuple[float, Frame]]) -> None:
    """What the guide's samples do with each frame."""
    pending: dict[str, dict[str, Any]] = {}
    swept_at = 0.0
    for now, frame in batch:
        text = frame if type(frame) is str else zlib.decompress(frame, -15)  # type: ignore[arg-type]
        message = json.loads(text)
        if now >= swept_at + SWEEP_S:
            swept_at = now
            stuck = [key for key, item in pending.items() if now - item["received_at"] > TIMEOUT_S]
            for key in stuck:
                del pending[key]
        if message["type"] == "settlement" and message["data"]["status"] == "pending":
            data = message["data"]
            pending[data["tx_hash"]] = {**data, "received_at": now}
        if message["type"] == "status_update":
            transaction = message["data"]["tx_hash"]
            if pending.get(transaction):
                del pending[transaction]
    assert not pending


def ours(batch: Sequence[tuple[float, Frame]]) -> None:
    """The same, with every rule kept: identity, lattice, exact deadlines, caps."""
    identities, lifecycle = Identities(), Lifecycle(timeout_s=TIMEOUT_S)
    repeated, pending, update = Verdict.REPEATED, News.PENDING, News.UPDATE
    told = 0
    for now, frame in batch:
        event = decode_frame(frame)
        if not isinstance(event, WireEvent):
            continue
        if identities.admit(event.identity, event.raw) is repeated:
            continue
        if event.news is pending:
            told += len(lifecycle.pending(event.item, now=now))
        elif event.news is update:
            told += len(lifecycle.update(event.item[0], now=now))
        deadline = lifecycle.deadline()
        if deadline is not None and deadline <= now:
            told += len(lifecycle.expire(now=now))
    assert told == 2 * SETTLEMENTS


def decode_only(batch: Sequence[tuple[float, Frame]]) -> None:
    """Nothing but reading."""
    for _, frame in batch:
        decode_frame(frame)


def measure(batch: Sequence[tuple[float, Frame]]) -> dict[str, list[float]]:
    """Microseconds a frame, by variant and round."""
    variants: dict[str, Callable[[Sequence[tuple[float, Frame]]], None]] = {
        "guide": guide_style, "ours": ours, "decode": decode_only,
    }  # fmt: skip
    order, shuffled = list(variants), random.Random(7)
    spent: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(ROUNDS):
        shuffled.shuffle(order)
        for name in order:
            gc.collect()
            start = time.perf_counter()
            variants[name](batch)
            spent[name].append((time.perf_counter() - start) / len(batch) * 1e6)
    return spent


def main() -> None:
    """Prints one row per rate, size and encoding."""
    print(f"{ROUNDS} rounds of {SETTLEMENTS} settlements and as many confirmations; medians\n")
    print(f"{'per s':>6} {'bytes':>6} {'form':9}{'guide us':>10}{'ours us':>10}"
          f"{'decode us':>11}{'x guide':>9}")  # fmt: skip
    for per_s in (50, 1000):
        for enriched in (False, True):
            texts = frames(per_s, enriched=enriched)
            size = round(statistics.mean(len(text) for _, text in texts))
            deflated = [(now, deflate(text.encode())) for now, text in texts]
            for form, batch in (("text", texts), ("deflated", deflated)):
                spent = measure(batch)
                ratio = statistics.median(
                    theirs / mine
                    for theirs, mine in zip(spent["guide"], spent["ours"], strict=True)
                )
                figures = [statistics.median(spent[name]) for name in ("guide", "ours", "decode")]
                print(f"{per_s:6} {size:6} {form:9}{figures[0]:10.2f}{figures[1]:10.2f}"
                      f"{figures[2]:11.2f}{ratio:9.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
