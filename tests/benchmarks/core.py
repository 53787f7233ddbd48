"""Messages per second through the core, as ratios to two named peers in the same run.

Peers: the *vendor-style loop* (the standard library's `json.loads`, type checks, the last id of
each channel in a dict) and the *bare decode* (msgspec's envelope with an untouched payload, nothing
else), which is the most that any core on this decoder can reach.

The machine drifts, so every round runs each variant once, in shuffled order, and only the median of
the in-round ratios counts. Run it with `make bench`.
"""

import gc
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from lastseen import (
    Connect,
    Entry,
    FetchSnapshot,
    HttpResponse,
    OddsPapi,
    Secret,
    Session,
    Subscription,
)
from lastseen.dialects.oddspapi.codec import decode_entries
from lastseen.position import parse_cursors

ROUNDS = 15
MESSAGES = 4000
BATCH = 256
"""Frames handed in together: about what one 64 KiB read holds at 250 bytes."""

EPOCH = "5f1c0e9ab27d4c3386f0d1e2a3b4c5d6"
FIXTURE = "id1000042088112233"
FIRST_MS = 1_790_000_000_000


def frames(channel: str, size: int) -> list[str]:
    """Update frames of about `size` bytes each, ids ascending."""
    made: list[str] = []
    for number in range(MESSAGES):
        made.append(_frame(channel, number, 0))
        made[-1] = _frame(channel, number, max(0, size - len(made[-1])))
    return made


def _frame(channel: str, number: int, padding: int) -> str:
    ts = FIRST_MS + number // 3
    stamp = "2026-09-21T14:13:23.912000+00:00"
    if channel == "scores":
        period = {"period": "p1", "participant1Score": number % 7, "participant2Score": 1}
        member: dict[str, object] = {"p1": {**period, "updatedAt": stamp}}
        # Longer frames carry more periods, as the wire does, not one long string.
        for extra in range(padding // 110):
            member[f"p{extra + 2}"] = {**period, "period": f"p{extra + 2}", "updatedAt": stamp}
    else:
        row = {"bookmaker": "pinnacle", "outcomeId": 101, "playerId": 0, "price": 1.87}
        row |= {"active": True, "changedAt": ts}
        rows = {f"{FIXTURE}:pinnacle:{101 + extra}:0": row for extra in range(1 + padding // 130)}
        member = {"pinnacle": rows}
    payload = {"fixtureId": FIXTURE, channel: member}
    update = {"channel": channel, "type": "UPDATE", "ts": ts, "entryId": f"{ts}-{number + 1}"}
    return json.dumps({**update, "payload": payload}, separators=(",", ":"))


def synced_session(channel: str) -> Session:
    """A session of one channel, logged in and synced, its one verification done."""
    dialect = OddsPapi(
        subscription=Subscription(channels=(channel,), fixture_ids=(FIXTURE,)),
        key=Secret("00112233445566778899aabbccddeeff"),
    )
    session = Session(dialect, random.Random(1))
    session.handle_begin(now=0.0)
    (connect,) = session.poll_effects()
    assert isinstance(connect, Connect)
    session.handle_opened(connect.connection, now=0.0)
    session.handle_frames(connect.connection, [_login_ok(channel)], now=0.0)
    now = 0.0
    while now < 60.0:
        for effect in session.poll_effects():
            if isinstance(effect, FetchSnapshot):
                answers = tuple(_answer(request.path) for request in effect.requests)
                session.handle_snapshot(effect.fetch, answers, now=now)
        for event in session.poll_events():
            session.handle_processed(event, now=now)
        now += 0.5
        session.handle_alive(connect.connection, now=now)
        session.handle_deadline(now=now)
    assert session.status().synced
    for event in session.poll_events():
        session.handle_processed(event, now=now)
    return session


def _login_ok(channel: str) -> str:
    resume = {"serverEpoch": EPOCH, "resumeWindowMs": 60000, "replayChannels": [channel]}
    frame = {
        "type": "login_ok",
        "channels": [channel],
        "bookmakers": ["pinnacle"],
        "resume": resume,
    }
    return json.dumps(frame)


def _answer(path: str) -> HttpResponse:
    fixture = {"fixtureId": FIXTURE, "scores": {}, "odds": {}, "bookmakers": {}}
    body = fixture if path == "/fixtures/odds" else [fixture]
    headers = (("content-type", "application/json"),)
    return HttpResponse(status=200, headers=headers, body=json.dumps(body).encode())


def core(channel: str, batch: list[str], *, touch: bool) -> Callable[[], None]:
    """The whole path: frames in, events taken, payloads perhaps read, events finished."""
    session = synced_session(channel)

    def run() -> None:
        now = 60.0
        for start in range(0, len(batch), BATCH):
            session.handle_frames(1, batch[start : start + BATCH], now=now)
            events = session.poll_events(BATCH)
            if touch:
                for event in events:
                    assert isinstance(event, Entry)
                    event.payload  # noqa: B018 - reading is the work
            session.handle_processed(events[-1], now=now)
        assert session.counters()[channel].applied == len(batch)

    return run


def vendor_style(batch: list[str]) -> Callable[[], None]:
    """What the vendor's template does with each frame."""

    def run() -> None:
        last_seen: dict[str, str] = {}
        for raw in batch:
            message = json.loads(raw)
            kind = message.get("type")
            if kind in ("login_ok", "reconnect", "snapshot_required", "resume_complete"):
                continue
            channel, entry_id = message.get("channel"), message.get("entryId")
            if isinstance(channel, str) and isinstance(entry_id, str):
                last_seen[channel] = entry_id
        assert len(last_seen) == 1

    return run


class _Envelope(msgspec.Struct, gc=False):
    channel: str
    payload: msgspec.Raw
    entryId: str | None = None  # noqa: N815 - the wire's spelling
    type: str = "UPDATE"


def bare_decode(batch: list[str]) -> Callable[[], None]:
    """Nothing but the decoder."""
    decode = msgspec.json.Decoder(_Envelope).decode

    def run() -> None:
        for frame in batch:
            decode(frame)

    return run


def measure(makers: dict[str, Callable[[], Callable[[], None]]]) -> dict[str, list[float]]:
    """Seconds per round and variant; each round runs every variant once, in shuffled order."""
    order = list(makers)
    shuffled = random.Random(7)
    seconds: dict[str, list[float]] = {name: [] for name in order}
    for _ in range(ROUNDS):
        shuffled.shuffle(order)
        for name in order:
            run = makers[name]()
            gc.collect()
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(peer: Sequence[float], ours: Sequence[float]) -> float:
    """The median of the in-round ratios: how many times as fast as the peer."""
    return statistics.median(theirs / mine for theirs, mine in zip(peer, ours, strict=True))


def profile(batch: list[str]) -> dict[str, float]:
    """Nanoseconds per message of each step of the untouched path, the best of the rounds."""
    batches = [batch[start : start + BATCH] for start in range(0, len(batch), BATCH)]
    decode = bare_decode(batch)
    best: dict[str, float] = {}

    def timed(name: str, run: Callable[[], object]) -> None:
        start = time.perf_counter()
        run()
        spent = (time.perf_counter() - start) / len(batch) * 1e9
        best[name] = min(best.get(name, spent), spent)

    for _ in range(ROUNDS):
        timed("bare decode", decode)
        timed("decode_entries", lambda: [decode_entries(frames) for frames in batches])
        ids = [[entry.id for entry in decode_entries(frames) or ()] for frames in batches]
        timed("parse_cursors", partial(list, map(parse_cursors, ids)))
        spent = dict.fromkeys(("handle_frames", "poll_events", "handle_processed"), 0.0)
        session = synced_session("scores")
        for frames in batches:
            marks = [time.perf_counter()]
            session.handle_frames(1, frames, now=60.0)
            marks.append(time.perf_counter())
            events = session.poll_events(BATCH)
            marks.append(time.perf_counter())
            session.handle_processed(events[-1], now=60.0)
            marks.append(time.perf_counter())
            for name, begin, end in zip(spent, marks, marks[1:], strict=False):
                spent[name] += (end - begin) / len(batch) * 1e9
        for name, value in spent.items():
            best[name] = min(best.get(name, value), value)
    return best


def main() -> None:
    """Prints one row per channel, size and variant."""
    print(f"{ROUNDS} rounds of {MESSAGES} messages in batches of {BATCH}; medians\n")
    columns = ("messages/s", "x vendor-style", "x bare decode")
    print(f"{'channel':8} {'bytes':>5} {'variant':26}" + "".join(f"{c:>16}" for c in columns))
    for channel in ("scores", "odds"):
        for size in (250, 1024):
            report(channel, size)
    for size in (250, 1024):
        batch = frames("scores", size)
        steps = profile(batch)
        inside = steps["handle_frames"] - steps["decode_entries"] - steps["parse_cursors"]
        print(f"\nwhere a message of {len(batch[-1])} bytes spends its time, in ns:")
        print(f"  {steps['bare decode']:5.0f}  the bare decode")
        checks = steps["decode_entries"] - steps["bare decode"]
        print(f"  {checks:5.0f}  checks of payload and channel")
        print(f"  {steps['parse_cursors']:5.0f}  reading its id")
        print(f"  {inside:5.0f}  order, duplicates, caps, counters, queue")
        print(f"  {steps['poll_events']:5.0f}  giving it to the application")
        print(f"  {steps['handle_processed']:5.0f}  acknowledgement and cursor")


def report(channel: str, size: int) -> None:
    """Measures one channel at one size."""
    batch = frames(channel, size)
    seconds = measure(
        {
            "vendor-style loop": lambda: vendor_style(batch),
            "bare msgspec envelope": lambda: bare_decode(batch),
            "core, payloads untouched": lambda: core(channel, batch, touch=False),
            "core, every payload read": lambda: core(channel, batch, touch=True),
        }
    )
    length = round(statistics.mean(len(frame) for frame in batch))
    for name, ours in seconds.items():
        rate = MESSAGES / statistics.median(ours)
        vendor = ratio(seconds["vendor-style loop"], ours)
        bare = ratio(seconds["bare msgspec envelope"], ours)
        print(f"{channel:8} {length:5} {name:26}{rate:16,.0f}{vendor:16.2f}{bare:16.2f}")


if __name__ == "__main__":
    main()
