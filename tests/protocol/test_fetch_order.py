"""Which of many scopes gets its base first, and what one fetch restores (OP-A7, HZ-C21)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lastseen import Entry, SessionOptions

if TYPE_CHECKING:
    from tests.protocol.conftest import Stage


def fixture_of(s: Stage) -> str | None:
    """The fixture of the one fetch that is under way."""
    (fetch,) = s.fetches.values()
    return dict(fetch.requests[0].query).get("fixtureId")  # type: ignore[return-value]


def one_by_one(stage: type[Stage], fixtures: str, **more: object) -> Stage:
    """A stage with these fixtures and one fetch at a time, where the roster has just come."""
    options = SessionOptions(report_discarded=True, snapshot_concurrency=1)
    s = stage(channels=("odds",), odds=dict.fromkeys(fixtures, 1), options=options, **more)  # type: ignore[arg-type]
    s.log_in()
    s.wait(0.3)
    s.serve_roster()
    return s


def reject(s: Stage, number: int, fixture: str) -> None:
    """An entry comes that the application cannot use."""
    s.greedy = False
    s.hear(1, s.update(f"100-{number}", "odds", fixture=fixture))
    entry = next(event for event in s.take() if isinstance(event, Entry))
    s.session.handle_rejected(entry, now=s.now)
    s.greedy = True
    s.drain()


def order(s: Stage, count: int) -> list[str | None]:
    """The fixtures of the next fetches, each answered as soon as it is under way."""
    fixtures: list[str | None] = []
    for _ in range(count):
        s.wait_for_fetch()
        fixtures.append(fixture_of(s))
        s.answer(min(s.fetches))
    return fixtures


def test_a_fixture_in_which_something_happens_goes_first(stage: type[Stage]) -> None:
    s = one_by_one(stage, "ABCDE")
    s.hear(1, s.update("100-1", "odds", fixture="D"), s.update("100-2", "odds", fixture="E"))
    s.hear(1, s.update("100-3", "odds", fixture="D"))

    assert order(s, 5) == ["A", "D", "E", "B", "C"]


def test_a_fixture_whose_entries_came_before_the_roster_goes_first(stage: type[Stage]) -> None:
    s = stage(channels=("odds",), odds=dict.fromkeys("ABC", 1))
    s.sync()
    s.hear(1, s.sr(["odds"]))
    s.wait_for_fetch()
    s.hear(1, s.update("100-1", "odds", fixture="C"))
    s.serve_roster()
    asked = [dict(fetch.requests[0].query)["fixtureId"] for fetch in s.fetches.values()]

    assert asked == ["C", "A", "B"]


def test_whoever_was_left_out_by_the_last_connection_goes_first(stage: type[Stage]) -> None:
    s = one_by_one(stage, "ABCDE")
    assert order(s, 2) == ["A", "B"]
    s.drop(1)
    s.log_in()
    s.wait(0.3)
    s.serve_roster()

    assert order(s, 5) == ["C", "D", "E", "A", "B"]


def test_a_fixture_that_has_just_been_synced_has_had_its_turn(stage: type[Stage]) -> None:
    """HZ-C20: what is doubted again and again must not keep the others from their first base."""
    s = one_by_one(stage, "ABCD")
    assert order(s, 1) == ["A"]
    reject(s, 1, "A")
    s.hear(1, s.update("100-2", "odds", fixture="A"))
    s.wait(1.0)

    assert order(s, 4) == ["B", "C", "D", "A"]


def test_the_same_holds_when_its_entries_came_first(stage: type[Stage]) -> None:
    s = one_by_one(stage, "ABCD")
    assert order(s, 1) == ["A"]
    reject(s, 1, "A")
    s.hear(1, s.update("100-2", "odds", fixture="A"))
    # The whole channel again: A is wanted once more when the roster comes, and something waits.
    s.hear(1, s.sr(["odds"]), s.update("100-3", "odds", fixture="A"))
    s.wait(1.0)
    # What was under way for B counts no more.
    assert order(s, 2) == ["B", None]
    s.wait(1.0)

    assert order(s, 4) == ["C", "D", "B", "A"]


def test_a_first_base_goes_before_verifications_that_are_long_due(stage: type[Stage]) -> None:
    """R11."""
    s = one_by_one(stage, "ABCD")
    order(s, 4)
    s.wait(15.0)
    assert fixture_of(s) is None  # the roster's own verification
    reject(s, 1, "D")
    s.wait(0.5)

    assert order(s, 5) == [None, "D", "A", "B", "C"]


def test_what_one_fetch_restores_is_met_together(stage: type[Stage]) -> None:
    """A fixture that the stream tells of in one channel needs no second fetch for the other."""
    s = stage(channels=("odds", "bookmakers"), odds={"A": 1})
    s.sync()
    s.odds["B"] = 7
    s.hear(1, s.update("100-1", "bookmakers", fixture="B"))
    s.hear(1, s.update("100-2", "odds", fixture="B", value=7))
    (fetch,) = s.fetches
    s.settle(1.0)

    assert s.fetched_at != []
    assert len(s.fetched_at) == 1
    assert s.session.status().synced
    assert s.price("B") == 7
    assert fetch


def test_a_channel_that_is_full_is_not_made_fuller_by_another(stage: type[Stage]) -> None:
    """INV-S13."""
    options = SessionOptions(report_discarded=True, scopes_max=3)
    s = stage(channels=("odds", "bookmakers"), odds={"A": 1, "B": 1}, options=options)
    s.sync()
    del s.odds["B"]
    s.hear(1, s.sr(["odds", "bookmakers"]))
    s.wait_for_fetch()
    # Its entry waits, so that it is kept in one channel and forgotten in the other.
    s.hear(1, s.update("100-1", "odds", fixture="B"))
    s.serve_roster()
    counts = {channel.channel: channel.scopes for channel in s.session.status().channels}
    s.hear(1, s.update("100-2", "bookmakers", fixture="C"))

    assert counts == {"odds": 3, "bookmakers": 2}
    assert s.session.status().channel("bookmakers").scopes == 3
    assert s.session.status().channel("odds").scopes == 3
