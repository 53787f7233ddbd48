"""INV-S17 for streams: whatever a peer sends, and whenever, nothing is raised and nothing leaks."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_stream import Stage, Toy, error, heartbeat, snapshot, update

from lastseen import Secret, StreamOptions
from lastseen.accounts import Bearer, TokenFault
from lastseen.dialect import End
from lastseen.dialects.polymarket_us import PolymarketUS, Stream, Subscription
from lastseen.stream_dialect import Base
from lastseen.stream_messages import StreamEntry

OPTIONS = StreamOptions(
    delivery_items_max=20, hold_items_max=5, identities_max=10, units_max=5, snapshot_rows_max=10
)

TOYS = [
    Toy(base=base, has_tokens=tokens, units_asked=asked)
    for base in Base
    for tokens in (False, True)
    for asked in ((None, frozenset({"a", "b"})) if base is Base.UNITS else (None,))
]

RECORDS = [
    heartbeat(),
    heartbeat(token="t0", session="s1"),
    snapshot({"a": 1, "b": None}),
    snapshot({"a": 2}, at=5, token="t1", session="s1"),
    snapshot({"c": 0}, last=False),
    snapshot({str(n): n for n in range(12)}),
    update(("x-1", "a", 1), ("x-2", "b", None)),
    update((None, "a", 0), token="t2", session="s2"),
    update(("x-1", "a", 1), ("x-1", "a", 2), (None, None, None)),
    update(*[(f"y-{n}", None, None) for n in range(25)]),
    update(),
    error(3),
    error(14),
    b"nonsense\n",
    b'{"update":[[]]}\n',
    b'{"snapshot":7}\n',
    b"x" * 200_000,
    b"\xff\xfe\n",
]


@st.composite
def schedules(draw: st.DrawFn) -> tuple[Toy, int, int]:
    return draw(st.sampled_from(TOYS)), draw(st.integers(0, 2**32)), draw(st.integers(5, 60))


@given(schedules())
def test_any_calls_in_any_order(schedule: tuple[Toy, int, int]) -> None:
    toy, seed, steps = schedule
    rng = random.Random(seed)
    s = Stage(toy, OPTIONS, seed=seed, anonymous=rng.random() < 0.7, takes=False, answers=False)
    s.begin()
    session = s.session
    for _ in range(steps):
        number = rng.randint(1, len(s.connects) + 1)
        s.now += rng.choice([0.0, 0.0, 0.1, 1.0, 20.0, 200.0])
        end = End(http_status=rng.choice([None, 400, 401, 403, 429, 503]), reason="so it ended")
        given = [e for e in session._delivery._taken if isinstance(e, StreamEntry)]
        match rng.randrange(12):
            case 0:
                session.handle_opened(number, now=s.now)
            case 1:
                session.handle_answered(number, rng.choice([None, "", "a/b"]), now=s.now)
            case 2 | 3 | 4 | 5:
                body = b"".join(rng.choices(RECORDS, k=rng.randint(1, 4)))
                cut = rng.randint(0, len(body))
                session.handle_frames(number, [body[:cut], body[cut:]], now=s.now)
            case 6:
                s.drop(number, end)
            case 7:
                session.handle_deadline(now=s.now)
            case 8:
                s.take(rng.randint(1, 10))
            case 9 if given:
                session.handle_rejected(rng.choice(given), now=s.now)
            case 10 if given:
                session.handle_processed(rng.choice(given), now=s.now)
            case 11:
                answer: Bearer | TokenFault = TokenFault(reason="no", permanent=rng.random() < 0.3)
                if rng.random() < 0.5:
                    answer = Bearer(token=Secret("b"), lives_s=rng.choice([0.1, 180.0]))
                session.handle_token(rng.randint(0, 3), answer, now=s.now)
            case _:
                session.handle_alive(number, now=s.now)
        s.settle()
        assert len(session._intake.hold) <= OPTIONS.hold_items_max
        assert len(session._intake.admission) <= OPTIONS.identities_max
        assert session._delivery.load(toy.channel) <= OPTIONS.delivery_items_max
        assert len(s.sockets - s.closing) <= 1
        status = session.status()
        if status.state.value in ("synced", "live_only"):
            assert status.connected
        # S20: something is armed or under way, unless it is over.
        alive = session.poll_deadline() or s.sockets or s.fetches or status.queued
        assert session.stopped or alive


ORDER = {"id": "o-1", "state": "ORDER_STATE_NEW", "cumQty": "0", "leavesQty": "10"}
BODIES = [
    {"result": {"sessionId": "s", "snapshot": {"orders": [ORDER]}}},
    {"result": {"update": {"executions": [{"id": "x-1", "order": ORDER}]}, "resumeToken": "dA=="}},
    {"result": {"update": {"symbol": "a", "bids": [{"px": "1", "qty": "2"}]}}},
    {"result": {"heartbeat": {}}},
    {"error": {"code": 14, "message": "unavailable"}},
]


@pytest.mark.parametrize("stream", list(Stream), ids=[stream.value for stream in Stream])
def test_mutants_of_real_records_cost_what_they_may(stream: Stream) -> None:
    rng = random.Random(5)
    dialect = PolymarketUS(subscription=Subscription(stream=stream))
    for _ in range(300):
        s = Stage(dialect, takes=False, answers=False).begin()
        number = s.serve()
        wire = bytearray(
            b"".join(json.dumps(rng.choice(BODIES)).encode() + b"\n" for _ in range(4))
        )
        for _ in range(rng.randint(0, 4)):
            place = rng.randrange(len(wire))
            wire[place : place + rng.randint(0, 2)] = bytes(
                rng.choice(b'{}[]",:0\xff\n e-') for _ in range(rng.randint(0, 2))
            )
        s.send(number, bytes(wire))
