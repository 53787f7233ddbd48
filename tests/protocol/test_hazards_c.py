"""Snapshots by REST: the minimal schedule of each hazard C1 to C23 that the core decides."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lastseen import (
    Anomaly,
    AnomalyCode,
    Entry,
    PayloadError,
    Proof,
    ScopeState,
    SessionOptions,
    SnapshotFault,
    Why,
)

if TYPE_CHECKING:
    from tests.protocol.conftest import Stage


def test_nothing_is_fetched_before_the_login_is_accepted(stage: type[Stage]) -> None:
    """HZ-C1, R7."""
    s = stage(begin=False)
    s.session.handle_begin(now=0.0)
    s.session.handle_resync(now=0.0)
    s.drain()
    first = s.open()
    s.wait(5.0)

    assert not s.fetched_at

    s.hear(first, s.login_ok())
    s.wait(0.3)

    assert len(s.fetched_at) == 1


def test_a_live_entry_waits_for_the_snapshot_it_may_not_be_in(stage: type[Stage]) -> None:
    """HZ-C2, R5."""
    s = stage(scores={"A": 5})
    first = s.log_in()
    s.wait(0.3)
    s.hear(first, s.update("100-6"))

    assert s.applied == []

    s.serve()

    assert s.score() == 6
    assert s.state() is ScopeState.SYNCED
    assert s.cursor() == "100-6"


def test_an_answer_that_crosses_a_reconnect_is_not_a_base(stage: type[Stage]) -> None:
    """HZ-C3, R4: neither is a second fetch saved."""
    s = stage(scores={"A": 5})
    first = s.log_in()
    s.wait(0.3)
    (late,) = s.fetches
    asked = s.fetches[late]
    s.drop(first)

    assert late not in s.fetches  # cancelled

    s.log_in()
    s.fetches[late] = asked
    s.answer(late)

    assert not s.snapshots
    assert s.state() is not ScopeState.SYNCED

    s.scores["A"] = 6
    s.settle(1.0)

    assert len(s.fetched_at) >= 2
    assert s.score() == 6


def test_an_answer_asked_for_before_a_demand_is_not_a_base(stage: type[Stage]) -> None:
    """HZ-C3 inside one connection, R4."""
    s = stage(scores={"A": 5})
    first = s.log_in()
    s.wait(0.3)
    s.hear(first, s.sr())
    s.answer(min(s.fetches))

    assert not s.snapshots

    s.settle(1.0)

    assert len(s.snapshots) == 1


def test_a_snapshot_older_than_the_head_is_fetched_again(stage: type[Stage]) -> None:
    """HZ-C5, R11: with an as-of position."""
    s = stage(scores={"A": 10})
    s.log_in(heads={"scores": "100-11"})
    s.wait(0.3)
    s.serve(as_of="E1; scores=100-10")

    assert s.state() is not ScopeState.SYNCED
    assert s.anomalies(AnomalyCode.SNAPSHOT_STALE) == 1

    s.scores["A"] = 11
    s.wait(2.0)
    s.serve(as_of="E1; scores=100-11")

    status = s.session.status().channel("scores")
    assert (status.state, status.proof) == (ScopeState.SYNCED, Proof.PROVEN)
    assert s.cursor() == "100-11"

    s.wait(120.0)

    assert len(s.fetched_at) == 2  # proven: no verification


@pytest.mark.parametrize("as_of", ["E0; scores=100-99", "E1", "E1; fixtures=100-99"])
def test_an_as_of_of_another_epoch_or_channel_proves_nothing(
    stage: type[Stage], as_of: str
) -> None:
    """HZ-C5, R1."""
    s = stage(scores={"A": 10})
    s.log_in(heads={"scores": "100-11"})
    s.wait(0.3)
    s.serve(as_of=as_of)

    assert s.state() is not ScopeState.SYNCED


def test_without_an_as_of_the_claim_is_unproven_and_verified_once(stage: type[Stage]) -> None:
    """HZ-C5, design 5: an entry of the time between is kept over the second base."""
    s = stage(scores={"A": 10, "B": 1})
    first = s.log_in(heads={"scores": "100-11"})
    s.wait(0.3)
    s.serve()

    assert s.session.status().channel("scores").proof is Proof.UNPROVEN

    s.hear(first, s.update("100-12", fixture="B"))
    s.scores = {"A": 11, "B": 1}
    s.settle(60.0)

    assert [snapshot.verification for snapshot in s.snapshots] == [False, True]
    assert (s.score("A"), s.score("B")) == (11, 12)
    assert s.state() is ScopeState.SYNCED


def test_a_snapshot_whose_id_cannot_be_compared_with_the_head_counts_and_proves_nothing(
    stage: type[Stage],
) -> None:
    """HZ-A7, R11: a number that starts anew each millisecond must not keep a channel stale."""
    s = stage(scores={"A": 10})
    s.log_in(heads={"scores": "100-11"})
    s.wait(0.3)
    s.serve(as_of="E1; scores=101-0")

    assert s.state() is ScopeState.SYNCED
    assert s.anomalies(AnomalyCode.SNAPSHOT_STALE) == 0
    assert [snapshot.proof for snapshot in s.snapshots] == [Proof.UNPROVEN]


def test_a_verification_older_than_the_base_is_fetched_again(stage: type[Stage]) -> None:
    """HZ-C5, R11: what the base already had was laid over nothing, so nothing would bring it back.

    Without heads at the login even a dated base is unproven.
    """
    s = stage(scores={"A": 6})
    first = s.log_in(heads={})
    s.wait(0.3)
    s.hear(first, s.update("100-6"))
    s.serve(as_of="E1; scores=100-6")
    assert s.state() is ScopeState.SYNCED
    s.wait(12.0)
    s.scores = {"A": 1}
    s.serve(as_of="E1")

    assert s.score("A") == 6
    assert s.anomalies(AnomalyCode.SNAPSHOT_STALE) == 1
    assert s.state() is ScopeState.SYNCED

    s.scores = {"A": 6}
    s.wait(12.0)
    s.serve(as_of="E1; scores=100-6")

    assert [snapshot.verification for snapshot in s.snapshots] == [False, True]
    assert s.score("A") == 6


def test_a_verification_that_lacks_what_the_base_had_is_verified_again(stage: type[Stage]) -> None:
    """HZ-C16: `[]` is a legal answer, and may be a lie; the truth comes back with the next."""
    s = stage(scores={"A": 10, "B": 1})
    s.log_in()
    s.wait(0.3)
    s.serve()
    s.scores = {}
    s.settle(15.0)
    assert s.score("A") is None
    s.scores = {"A": 10, "B": 1}
    s.settle(60.0)

    assert (s.score("A"), s.score("B")) == (10, 1)
    assert s.anomalies(AnomalyCode.SNAPSHOT_SHRUNK) == 1


def test_contradictions_come_to_an_end(stage: type[Stage]) -> None:
    s = stage(scores={f"F{number}": 1 for number in range(9)})
    s.log_in()
    s.wait(0.3)
    s.serve()
    for _ in range(8):
        s.scores.popitem()
        s.settle(10.0)

    assert s.anomalies(AnomalyCode.SNAPSHOT_SHRUNK) == 4
    assert len(s.snapshots) == 5
    assert s.state() is ScopeState.SYNCED


@pytest.mark.parametrize("headers", [[("age", "30")], [("age", "1")]])
def test_a_cached_answer_is_no_state(stage: type[Stage], headers: Any) -> None:
    """HZ-C5: and every request asks not to be answered from a cache."""
    s = stage()
    s.log_in()
    s.wait(0.3)
    (fetch,) = s.fetches.values()
    s.serve(headers=headers)

    assert s.state() is not ScopeState.SYNCED
    assert all(("cache-control", "no-cache") in r.headers for r in fetch.requests)


def test_a_buffered_entry_at_or_below_the_as_of_is_not_laid_over_it(stage: type[Stage]) -> None:
    """HZ-C6."""
    s = stage(scores={"A": 7})
    first = s.log_in(heads={"scores": "100-5"})
    s.wait(0.3)
    s.hear(first, s.update("100-6"))
    s.serve(as_of="E1; scores=100-7")

    assert s.score() == 7
    assert s.discarded(Why.SUPERSEDED) == ["100-6"]
    assert s.cursor() == "100-7"


def test_without_an_as_of_the_cursor_is_the_last_entry_laid_over(stage: type[Stage]) -> None:
    """HZ-C6: so that a drop now replays what the overlay put back."""
    s = stage(scores={"A": 7})
    first = s.log_in(heads={"scores": "100-5"})
    s.wait(0.3)
    s.hear(first, s.update("100-6"))
    s.serve()
    s.drop(first)
    second = s.log_in(heads={"scores": "100-7"})

    assert s.sent() == {"scores": "100-6"}

    s.hear(second, s.update("100-7"), s.rc())

    assert s.score() == 7


def test_a_snapshot_replaces(stage: type[Stage]) -> None:
    """HZ-C7, INV-S9: what it does not list is gone."""
    s = stage(scores={"A": 1, "B": 1})
    first = s.sync()
    del s.scores["A"]
    s.scores["B"] = 2
    s.hear(first, s.sr())
    s.settle(1.0)

    assert (s.score("A"), s.score("B")) == (None, 2)


@pytest.mark.parametrize(
    ("channels", "named"),
    [
        (None, {"fixtures", "scores"}),
        ([], {"fixtures", "scores"}),
        ("scores", {"fixtures", "scores"}),
        ({"scores": 1}, {"fixtures", "scores"}),
        ([7], {"fixtures", "scores"}),
        (["nope"], set[str]()),
        (["scores", 7], {"scores"}),
        (["scores", "scores", "nope"], {"scores"}),
    ],
)
def test_odd_lists_of_channels_are_read_with_care(
    stage: type[Stage], channels: Any, named: set[str]
) -> None:
    """HZ-C11, OP-A19."""
    s = stage(channels=("fixtures", "scores"))
    first = s.sync()
    s.hear(first, s.sr(channels))

    assert {c.channel for c in s.session.status().channels if c.synced_scopes == 0} == named


@pytest.mark.parametrize("reason", ["quantum_flux", None, 7, "", {}])
def test_any_reason_costs_a_snapshot(stage: type[Stage], reason: Any) -> None:
    """HZ-C12."""
    s = stage()
    first = s.sync()
    s.hear(first, s.sr(reason=reason))
    s.settle(1.0)

    assert len(s.fetched_at) == 1
    assert s.anomalies(AnomalyCode.UNKNOWN_REASON) == 1
    assert s.state() is ScopeState.SYNCED


def test_failing_snapshots_are_retried_with_backoff_and_jitter(stage: type[Stage]) -> None:
    """HZ-C13: five 503, then a 429 that says when."""
    s = stage()
    first = s.log_in()
    for _ in range(5):
        s.wait_for_fetch()
        s.serve(status=503, body=b"")
    s.wait_for_fetch()
    at = s.now
    s.serve(status=429, body=b'{"code":"rate_limited"}', headers=[("retry-after", "7")])
    s.hear(first, s.update("100-1"))
    s.wait_for_fetch()

    gaps = [b - a for a, b in zip(s.fetched_at, s.fetched_at[1:], strict=False)]
    for failures, gap in enumerate(gaps[:5]):
        assert 0.25 * 2**failures <= gap <= 0.5 * 2**failures
    assert s.now - at >= 7.0
    assert len(s.connects) == 1
    assert s.state() is ScopeState.SYNCING

    s.serve()

    assert s.state() is ScopeState.SYNCED
    assert s.applied == ["100-1"]


def test_retry_after_counts_also_when_the_scope_has_moved_on(stage: type[Stage]) -> None:
    """HZ-C13, HZ-C20: a demand between the request and its 429 is no way round the wait."""
    s = stage()
    first = s.sync()
    s.hear(first, s.sr())
    s.wait_for_fetch()
    s.hear(first, s.sr())
    at = s.now
    s.serve(status=429, body=b"", headers=[("retry-after", "7")])
    s.wait_for_fetch()

    assert s.now - at >= 7.0

    # Neither is it a way round the backoff.
    for failures in range(1, 4):
        s.hear(first, s.sr())
        at = s.now
        s.serve(status=500, body=b"")
        s.wait_for_fetch()

        assert s.now - at >= 0.25 * 2**failures


def test_overflow_while_fetching_starts_the_fetch_anew(stage: type[Stage]) -> None:
    """HZ-C13, R14."""
    s = stage(options=SessionOptions(hold_items_max=3), scores={"A": 1})
    first = s.log_in()
    s.wait(0.3)
    s.hear(first, *[s.update(f"100-{n}") for n in range(1, 5)])
    s.scores["A"] = 4

    assert s.session.counters()["scores"].dropped == 4

    s.serve()
    s.settle(1.0)

    assert s.score() == 4
    assert s.state() is ScopeState.SYNCED


@pytest.mark.parametrize("status", [401, 403, 404, 410, 400, 422])
def test_a_permanent_failure_is_retried_slowly_and_isolated(
    stage: type[Stage], status: int
) -> None:
    """HZ-C14, INV-L3: one fixture's odds are refused for ever."""
    s = stage(channels=("scores", "odds"), scores={"A": 1, "B": 1}, odds={"A": 1, "B": 1})
    first = s.log_in()
    asked: list[float] = []
    s.wait(0.3)
    end = s.now + 600.0
    while s.now < end:
        for number, fetch in list(s.fetches.items()):
            if dict(fetch.requests[0].query).get("fixtureId") == "A":
                asked.append(s.now)
                s.answer(number, status=status, body=b"{}")
            else:
                s.answer(number)
        deadline = s.session.poll_deadline()
        assert deadline is not None
        s.step(deadline.at)
    s.hear(first, s.update("100-1"), s.update("100-1", "odds", fixture="B"))

    assert s.state("scores") is ScopeState.SYNCED
    assert s.state("odds") is not ScopeState.SYNCED
    assert s.price("B") == 1
    assert s.score("A") == 1
    assert 3 <= len(asked) <= 11


def test_an_answer_of_several_requests_is_all_or_nothing(stage: type[Stage]) -> None:
    """HZ-C15: seven bookmakers need two requests."""
    books = tuple(f"b{n}" for n in range(7))
    s = stage(channels=("odds",), odds={"A": 1}, bookmakers=books)
    s.log_in()
    s.wait(0.3)
    s.serve_roster()
    (number,) = s.fetches
    (fetch,) = s.fetches.values()

    assert len(fetch.requests) == 2

    s.fail(number, "second request failed")

    assert not [snapshot for snapshot in s.snapshots if snapshot.entity == "A"]

    s.settle(2.0)

    assert [snapshot.entity for snapshot in s.snapshots if snapshot.entity] == ["A"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'[{"fixtureId":"A"', "application/json"),
        (b"", "application/json"),
        (b"{}", "application/json"),
        (b"null", "application/json"),
        (b'"x"', "application/json"),
        (b"[7]", "application/json"),
        (b'[{"sport":{"sportId":10}}]', "application/json"),
        (b'[{"fixtureId":"A","sport":{"sportId":10},"scores":7}]', "application/json"),
        (b'[{"fixtureId":"A","sport":{"sportId":10},"scores":{"p1":7}}]', "application/json"),
        (b"[]", "text/html"),
        (b"<html>", "text/html; charset=utf-8"),
        (b"[" * 100_000, "application/json"),
        (b"\xff\xfe[\x00]\x00", "application/json"),
        (b'[{"fixtureId":"A","sport":{"sportId":10},"x":NaN}]', "application/json"),
    ],
)
def test_a_200_that_is_no_list_of_fixtures_is_no_state(
    stage: type[Stage], body: bytes, kind: str
) -> None:
    """HZ-C16."""
    s = stage(scores={"A": 3})
    first = s.sync()
    s.hear(first, s.sr())
    s.wait_for_fetch()
    s.serve(body=body, kind=kind)

    assert s.score() == 3
    assert s.state() is ScopeState.STALE
    assert s.anomalies(AnomalyCode.SNAPSHOT_FAILED) == 1

    s.settle(2.0)

    assert s.state() is ScopeState.SYNCED


@pytest.mark.parametrize("status", ["[]", "{}", '{"statusId":[]}', '{"statusId":{}}', "7", "null"])
def test_a_fixture_with_a_status_of_another_shape_is_not_over(
    stage: type[Stage], status: str
) -> None:
    """HZ-J2 in a snapshot: no exception, and the fixture is listed."""
    s = stage(channels=("fixtures", "odds"))
    s.log_in()
    s.wait(0.3)
    row = '[{"fixtureId":"A","sport":{"sportId":10},"scores":{},"status":%s}]' % status  # noqa: UP031
    s.serve_roster(row.encode())

    assert set(s.replica.state()) == {"fixtures/A"}
    assert len(s.fetches) == 1


def test_a_base_that_shrank_by_half_is_told(stage: type[Stage]) -> None:
    """HZ-C16: legal, and worth a word."""
    s = stage(scores={f"F{n}": n for n in range(20)})
    first = s.sync()
    s.scores = {"F1": 1}
    s.hear(first, s.sr())
    s.settle(1.0)

    assert s.anomalies(AnomalyCode.SNAPSHOT_SHRUNK) == 1
    assert s.state() is ScopeState.SYNCED


def test_a_spiral_of_demands_decays(stage: type[Stage]) -> None:
    """HZ-C20: every new base is answered by another demand."""
    s = stage(channels=("fixtures", "scores"))
    first = s.sync()
    start = s.now
    s.hear(first, s.sr(["scores"], reason="client_backpressure"))
    while s.now - start < 120.0:
        s.wait_for_fetch()
        s.serve()
        if s.state() is ScopeState.SYNCED:
            s.hear(first, s.sr(["scores"], reason="client_backpressure"))
    gaps = [b - a for a, b in zip(s.fetched_at, s.fetched_at[1:], strict=False)]

    assert len(s.fetched_at) <= 14
    assert max(gaps) >= 15.0
    assert s.state("fixtures") is ScopeState.SYNCED
    assert s.anomalies(AnomalyCode.BACKPRESSURE) >= 8


def test_a_demand_during_each_fetch_stays_inside_the_budget(stage: type[Stage]) -> None:
    """HZ-C20, INV-S14: answers that take 10 ms, and a demand while each is under way."""
    s = stage()
    first = s.sync()
    start = s.now
    s.hear(first, s.sr())
    while s.now - start < 120.0:
        s.wait_for_fetch()
        s.hear(first, s.sr())
        s.now += 0.01
        s.serve()

    for at in s.fetched_at:
        assert sum(at <= other < at + 60.0 for other in s.fetched_at) <= 100


def test_fetches_after_an_epoch_change_are_spread(stage: type[Stage]) -> None:
    """HZ-C21: fifty clients, one restart; channels with one source share one fetch."""
    moments: list[float] = []
    for seed in range(50):
        s = stage(channels=("fixtures", "scores"), seed=seed)
        s.log_in("E1")
        at = s.now
        s.wait_for_fetch()
        moments.append(s.now - at)
        s.wait(1.0)

        assert len(s.fetched_at) == 1

    assert len({round(moment, 2) for moment in moments}) > 15
    assert max(moments) <= 0.25


def test_the_most_important_scope_goes_first_and_few_at_once(stage: type[Stage]) -> None:
    """HZ-C21, INV-S14: whole channels, then the roster, then fixtures, at most four at once."""
    odds = {f"F{n:02}": n for n in range(30)}
    s = stage(channels=("scores", "odds"), odds=odds)
    s.log_in()
    s.wait(0.3)

    assert [fetch.requests[0].path for fetch in s.fetches.values()] == ["/fixtures"]

    s.answer(min(s.fetches))

    assert len(s.fetches) == 4

    most = 0
    while s.fetches or len(s.fetched_at) < 31:
        most = max(most, len(s.fetches))
        if s.fetches:
            s.answer(min(s.fetches))
        else:
            deadline = s.session.poll_deadline()
            assert deadline is not None
            s.step(deadline.at)
    odds_fetches = s.fetched_at[1:]

    assert most == 4
    for at in odds_fetches:
        assert sum(at <= other < at + 1.0 for other in odds_fetches) <= 10
    assert s.state("odds") is ScopeState.SYNCED


def test_an_entry_of_an_unknown_fixture_waits_for_its_base(stage: type[Stage]) -> None:
    """HZ-C22 per fixture: a delta is never applied to nothing."""
    s = stage(channels=("odds",), odds={"A": 1})
    first = s.sync()
    s.hear(first, s.update("100-1", "odds"))

    assert s.cursor("odds") == "100-1"

    s.hear(first, s.update("100-2", "odds", fixture="B"))

    assert s.applied == ["100-1"]
    assert s.state("odds") is not ScopeState.SYNCED
    assert s.cursor("odds") is None

    s.hear(first, s.update("100-3", "odds", fixture="B"))

    assert s.applied == ["100-1"]

    s.odds["B"] = 1
    s.settle(1.0)

    assert s.price("B") == 3
    assert s.state("odds") is ScopeState.SYNCED
    assert s.cursor("odds") == "100-3"


def test_a_fixture_met_while_the_roster_is_under_way_is_not_forgotten_by_it(
    stage: type[Stage],
) -> None:
    """INV-S10: the roster was taken before the fixture was born; its base came first."""
    s = stage(channels=("odds",), odds={"A": 1})
    first = s.log_in()
    s.wait(0.3)
    (roster,) = s.fetches
    old = s.body(s.fetches[roster].requests[0])
    s.odds["B"] = 1
    s.hear(first, s.update("100-1", "odds", fixture="B", value=2))
    (other,) = set(s.fetches) - {roster}
    s.answer(other)

    assert s.price("B") == 2

    s.answer(roster, body=old)
    s.settle(1.0)

    assert s.state("odds") is ScopeState.SYNCED
    assert (s.price("A"), s.price("B")) == (1, 2)
    assert s.session.status().channel("odds").scopes == 3

    # The next roster was asked for after it was born, so that one decides.
    del s.odds["B"]
    s.hear(first, s.sr(["odds"]))
    s.settle(3.0)

    assert s.price("B") is None
    assert s.session.status().channel("odds").scopes == 2


def test_a_fixture_that_left_the_roster_is_forgotten(stage: type[Stage]) -> None:
    """HZ-C7 for the list of fixtures."""
    s = stage(channels=("odds",), odds={"A": 1, "B": 2})
    first = s.sync()
    del s.odds["A"]
    s.hear(first, s.sr(["odds"]))
    s.settle(3.0)

    assert (s.price("A"), s.price("B")) == (None, 2)
    assert s.session.status().channel("odds").scopes == 2


def test_a_late_answer_for_a_channel_that_is_gone_is_discarded(stage: type[Stage]) -> None:
    """HZ-C23: after unsubscribing, and after the end."""
    s = stage(channels=("fixtures", "scores"), scores={"A": 1})
    s.log_in()
    s.wait(0.3)
    (late,) = s.fetches
    asked = s.fetches[late]
    s.session.handle_resubscribe(s.dialect(channels=("fixtures",)), now=s.now)
    s.drain()
    s.log_in(channels=["fixtures"])
    s.fetches[late] = asked
    s.answer(late)

    assert not s.snapshots

    s.settle(1.0)
    s.session.handle_resync(now=s.now)
    s.drain()
    s.session.handle_close(now=s.now)
    s.drain()
    told = len(s.events)
    s.serve()

    assert not [event for event in s.events[told:] if not isinstance(event, Entry)]
    assert s.session.finished


def test_an_answer_to_a_fetch_that_was_never_asked_for_is_ignored(stage: type[Stage]) -> None:
    s = stage()
    s.sync()
    before = s.session.status()
    s.session.handle_snapshot(77, SnapshotFault(reason="x"), now=s.now)
    s.session.handle_snapshot(1, (), now=s.now)
    s.drain()

    assert s.session.status() == before


@pytest.mark.parametrize("code", ["code", "reason"])
def test_the_machine_code_of_an_error_is_told(stage: type[Stage], code: str) -> None:
    """Facts 5: `code` live, `reason` in the documentation."""
    s = stage()
    s.log_in()
    s.wait(0.3)
    s.serve(status=403, body=json.dumps({code: "sport_not_allowed"}).encode())
    told = [
        event.detail
        for event in s.events
        if isinstance(event, Anomaly) and event.code is AnomalyCode.SNAPSHOT_FAILED
    ]

    assert told == ["HTTP 403 sport_not_allowed"]


def test_a_channel_with_more_fixtures_than_we_may_remember_does_not_look_whole(
    stage: type[Stage],
) -> None:
    """HZ-J17, R14: by the roster and by the stream; the known ones go on, retries are slow."""
    s = stage(
        channels=("odds",), odds=dict.fromkeys("ABCDE", 1), options=SessionOptions(scopes_max=4)
    )
    first = s.log_in()
    s.settle(120.0)

    assert s.state("odds") is not ScopeState.SYNCED
    assert s.session.status().channel("odds").synced_scopes == 3
    assert s.session.status().channel("odds").scopes == 4
    assert len(s.fetched_at) < 20

    s.hear(first, s.update("100-1", "odds"), s.update("100-2", "odds", fixture="Z"))

    assert s.applied == ["100-1"]
    assert s.cursor("odds") is None

    s.odds = {"A": 5}
    s.settle(120.0)

    assert s.state("odds") is ScopeState.SYNCED
    assert s.price() == 5 or s.price() == 1


def test_a_channel_without_snapshots_is_live_only(stage: type[Stage]) -> None:
    """Design 5a: delivered, never called synced, never fetched."""
    s = stage(channels=("events",))
    first = s.log_in()
    s.hear(first, s.update("100-1", "events"), s.sr(["events"]), s.update("100-2", "events"))
    s.wait(60.0)
    s.drop(first)
    s.open()

    assert s.applied == ["100-1", "100-2"]
    assert s.said("events") == []
    assert s.state("events") is ScopeState.LIVE_ONLY
    assert not s.fetched_at
    assert s.sent() is None


def test_a_poison_entry_under_a_verification_does_not_break_the_application(
    stage: type[Stage],
) -> None:
    """HZ-H14, R11: both were taken together; rejecting the entry is enough."""
    s = stage(channels=("odds",), odds={"A": 1}, greedy=False)
    first = s.log_in()
    s.wait_for_fetch()
    s.serve()
    s.serve()
    s.consume()
    while not any(f.requests[0].path == "/fixtures/odds" for f in s.fetches.values()):
        s.wait_for_fetch()
        for number, fetch in list(s.fetches.items()):
            if fetch.requests[0].path == "/fixtures":
                s.answer(number)
        s.wait(0.5)
    s.consume()
    poison = '{"channel":"odds","payload":{"fixtureId":"A","odds":7},"entryId":"100-1"}'
    s.hear(first, poison)
    s.serve()
    rejected = 0
    taken = s.take()

    assert [snapshot.verification and len(snapshot.overlay) for snapshot in s.snapshots[-1:]] == [1]

    for event in taken:
        try:
            s.replica.apply(event)
        except PayloadError:
            assert isinstance(event, Entry)
            s.session.handle_rejected(event, now=s.now)
            rejected += 1
        else:
            s.session.handle_processed(event, now=s.now)
    s.drain()
    s.greedy = True
    s.settle(30.0)

    assert rejected == 1
    assert s.state("odds") is ScopeState.SYNCED
    assert s.price() == 1


def test_a_flood_of_demands_does_not_undo_the_backoff_of_a_failing_source(
    stage: type[Stage],
) -> None:
    """HZ-C13: what was wanted already is not wanted sooner because it is demanded again."""
    s = stage(scores={"A": 1})
    number = s.sync()
    asked = 0
    for _ in range(50):
        s.hear(number, s.sr())
        while s.fetches:
            s.answer(min(s.fetches), status=503)
            asked += 1

    assert asked == 1


def test_a_flood_of_demands_does_not_put_off_the_snapshot_for_ever(stage: type[Stage]) -> None:
    """HZ-C20: the delay grows with each demand that was met, not with each that waits."""
    s = stage(scores={"A": 1})
    number = s.sync()
    for _ in range(6):
        s.hear(number, s.sr())
        s.wait_for_fetch()
        s.serve()
    s.fetched_at.clear()
    for _ in range(60):
        s.hear(number, s.sr())
        s.wait(0.5)

    assert s.fetched_at


def test_copies_for_verification_are_bounded_over_all_fixtures(stage: type[Stage]) -> None:
    """INV-S13: each fixture alone is far below its cap."""
    fixtures = {f"F{number}": 1 for number in range(8)}
    s = stage(
        channels=("odds",), odds=fixtures, options=SessionOptions(channel_hold_bytes_max=2000)
    )
    first = s.log_in()
    while s.session.status().channel("odds").synced_scopes < 9:
        s.wait(0.2)
        s.serve()
    for number in range(200):
        s.hear(first, s.update(f"100-{number + 1}", "odds", fixture=f"F{number % 8}"))

    channel = s.session._channels.active["odds"]
    assert channel.journals.bytes <= 2200
    assert s.anomalies(AnomalyCode.VERIFICATION_SKIPPED) > 0
    assert s.session.status().synced
