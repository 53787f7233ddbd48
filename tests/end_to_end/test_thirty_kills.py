"""A tail killed at random moments never leaves a cursor that is ahead of its state (R6, R9).

The long run is `make kills`. Here are a few kills, and histories made up by hand: each check has to
notice what it is there for.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from kill_checks import (
    History,
    Life,
    applied_once,
    ends_true,
    moved,
    never_ahead,
    never_unsaid,
    only_issued,
    resumes_from_the_file,
    resumptions,
)
from state_copy import StateCopy, copy_state, read_state
from thirty_kills import Campaign, judge
from truth_file import Truth, plain

Check = Callable[[History], Iterator[str]]

KILLS = 4
INCONCLUSIVE = "INCONCLUSIVE"
"""A few kills may show too little; `make kills` may not."""

FIXTURE = "fixtures/f1"
SCORE = "scores/f1/p1"
ODDS = "odds/f1/book/o1"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_few_kills_leave_nothing_that_the_truth_does_not_bear_out(tmp_path: Path) -> None:
    history = Campaign(tmp_path, seed=6).play(KILLS)

    assert [each for each in judge(history) if not each.startswith(INCONCLUSIVE)] == []
    assert len(history.lives) == KILLS + 1
    assert all(truth.entries for truth in history.truths)


def fixture(status: int, name: str = "Alpha") -> dict[str, Any]:
    members = {"fixtureId": "f1", "sport": {"sportId": 10}, "name": name}
    return {**members, "status": {"statusId": status}}


def score(points: int) -> dict[str, Any]:
    return {"fixtureId": "f1", "scores": {"p1": {"period": "p1", "points": points}}}


def row(price: float, active: bool = True) -> dict[str, Any]:
    return {"fixtureId": "f1", "odds": {"book": {"o1": {"price": price, "active": active}}}}


def truth_of(*entries: tuple[str, str, Mapping[str, Any]], epoch: str = "e1") -> Truth:
    """A gateway whose n-th record, after two for its beginning, is the n-th entry, at n seconds."""
    truth = Truth()
    state = {FIXTURE: fixture(1), SCORE: score(0)["scores"]["p1"], ODDS: row(1.5)["odds"]["book"]}
    state[ODDS] = {"price": 1.5, "active": True}
    truth.take({"n": 1, "at": 0.0, "kind": "base", "epoch": epoch, "state": state})
    truth.take({"n": 2, "at": 0.0, "kind": "epoch", "epoch": epoch, "cause": "start"})
    for n, (channel, entry_id, payload) in enumerate(entries, start=3):
        members = {"channel": channel, "entryId": entry_id, "payload": payload}
        truth.take({"n": n, "at": float(n - 2), "kind": "entry", "epoch": epoch, **members})
    return truth


SCORES = truth_of(*(("scores", f"100-{n}", score(n)) for n in range(1, 6)))
"""One more point each second, and each of them an entry."""


def held(points: int, cursor: int | None, **more: Any) -> StateCopy:
    """A file with the fixture and so many points, at the cursor of the entry of that number."""
    cursors = {} if cursor is None else {"scores": f"100-{cursor}"}
    units = {FIXTURE: plain(fixture(1)), SCORE: plain(score(points)["scores"]["p1"])}
    return StateCopy(epoch="e1", cursors=cursors, **{"units": units, **more})


def life(**members: Any) -> Life:
    present = {"number": 1, "gateway": 0, "began_at": 0.0, "ended_at": 99.0, "said": ()}
    return Life(**{**present, "before": StateCopy(), "after": StateCopy(), **members})


def applied(*ids: str, epoch: str = "e1", channel: str = "scores") -> tuple[dict[str, Any], ...]:
    line = {"event": "applied", "channel": channel, "epoch": epoch, "src": "live"}
    return tuple({**line, "id": each} for each in ids)


def restored(state: StateCopy) -> tuple[dict[str, Any], ...]:
    line = {"event": "restored", "epoch": state.epoch, "cursors": dict(state.cursors)}
    return ({"schema": "lastseen.report/1"}, line)


def found(check: Check, *lives: Life, truth: Truth = SCORES) -> list[str]:
    channels = ("fixtures", "scores", "odds")
    history = History(lives=lives, truths=(truth,), channels=channels, sports=(10,))
    return list(check(history))


def test_a_state_at_its_cursor_or_newer_is_fine() -> None:
    assert found(never_ahead, life(after=held(3, 3)), life(after=held(5, 3))) == []


def test_a_cursor_ahead_of_the_state_is_noticed() -> None:
    assert found(never_ahead, life(after=held(2, 3))) == [
        f"life 1: {SCORE} is not yet what it was at the cursor scores 100-3"
    ]


def test_state_from_after_the_kill_is_noticed() -> None:
    assert found(never_ahead, life(after=held(4, 2), ended_at=3.5)) != []
    assert found(never_ahead, life(after=held(3, 2), ended_at=3.5)) == []


def test_a_unit_that_a_snapshot_would_have_had_may_not_be_missing() -> None:
    state = held(3, 3, units={FIXTURE: plain(fixture(1))})

    assert found(never_ahead, life(after=state)) == [
        f"life 1: {SCORE} is missing at the cursor scores 100-3"
    ]


def test_a_unit_of_another_sport_may_be_missing() -> None:
    history = History(
        lives=(life(after=held(3, 3, units={})),),
        truths=(SCORES,),
        channels=("scores",),
        sports=(11,),
    )

    assert list(never_ahead(history)) == []


def test_what_was_never_published_is_noticed_also_without_a_cursor() -> None:
    assert found(never_ahead, life(after=held(7, None))) == [
        f"life 1: {SCORE} was never what the file says"
    ]
    assert found(never_ahead, life(after=held(1, None))) == []


def test_a_cursor_that_nobody_issued_is_noticed() -> None:
    assert found(never_ahead, life(after=held(5, 9))) == [
        "life 1: nobody issued the cursor scores 100-9"
    ]
    other = attrs.evolve(held(5, 5), epoch="e2")
    assert found(never_ahead, life(after=other)) == ["life 1: nobody issued epoch e2"]


def test_an_undated_base_is_only_held_to_having_been_true() -> None:
    undated = frozenset({("scores", None)})

    assert found(never_ahead, life(after=held(1, 3, undated=undated))) == []
    assert found(never_ahead, life(after=held(7, 3, undated=undated))) != []


def test_units_may_be_missing_where_an_undated_list_may_have_left_them_out() -> None:
    """Until the channel has had no cursor, and with it a new list."""
    truth = truth_of(("odds", "100-1", row(1.6)), ("odds", "100-2", row(1.7)))
    empty = {"kind": "fault", "fault_kind": "empty", "detail": "", "fault": 1}
    truth.take({"n": 5, "at": 1.5, **empty})
    without, bare = StateCopy(epoch="e1"), StateCopy(epoch="e1", cursors={"odds": "100-1"})
    first = life(before=without, after=bare, ended_at=2.0)
    second = life(number=2, before=bare, after=bare, began_at=2.0)
    third = life(number=3, before=without, after=bare, began_at=2.0)

    assert found(never_ahead, first, second, truth=truth) == []
    assert found(never_ahead, first, third, truth=truth) == [
        f"life 3: {ODDS} is missing at the cursor odds 100-1"
    ]
    older = attrs.evolve(bare, units={ODDS: plain({"price": 1.5, "active": True})})
    assert found(never_ahead, attrs.evolve(first, after=older), truth=truth) != []


@pytest.mark.parametrize(
    ("entries", "missing"),
    [
        ([row(1.6)], True),
        ([row(1.6), row(1.6, active=False)], False),
        ([row(1.6), fixture(2)], False),
    ],
)
def test_odds_may_be_missing_once_they_are_inactive_or_their_fixture_is_over(
    entries: list[dict[str, Any]], missing: bool
) -> None:
    channels = ["odds" if "odds" in payload else "fixtures" for payload in entries]
    ids = [f"100-{n}" for n, _ in enumerate(entries, start=1)]
    truth = truth_of(*zip(channels, ids, entries, strict=True))
    state = StateCopy(epoch="e1", cursors={"odds": "100-1"})

    assert bool(found(never_ahead, life(after=state), truth=truth)) is missing


def test_an_odds_row_that_was_inactive_before_the_cursor_is_not_so_after_it() -> None:
    truth = truth_of(("odds", "100-1", row(1.6, active=False)), ("odds", "100-2", row(1.7)))
    state = StateCopy(epoch="e1", cursors={"odds": "100-2"})

    assert found(never_ahead, life(after=state), truth=truth) != []


def test_a_start_from_anything_but_the_file_is_noticed() -> None:
    before = held(3, 3)
    ahead = held(4, 4)

    assert found(resumes_from_the_file, life(before=before, said=restored(before))) == []
    assert found(resumes_from_the_file, life(before=before, said=restored(ahead))) != []
    assert found(resumes_from_the_file, life(before=before, said=applied("100-1", "100-2"))) != []


@pytest.mark.parametrize(
    ("asked", "fine"),
    [
        ({"serverEpoch": "e1", "lastSeenId": {"scores": "100-3"}}, True),
        ({}, True),
        ({"serverEpoch": "e1", "lastSeenId": {"scores": "100-4"}}, False),
        ({"serverEpoch": "e2", "lastSeenId": {"scores": "100-3"}}, False),
        ({"serverEpoch": "e1", "lastSeenId": {"odds": "100-3"}}, False),
    ],
)
def test_a_first_login_with_another_position_is_noticed(asked: dict[str, Any], fine: bool) -> None:
    truth = truth_of(("scores", "100-3", score(3)))
    login = {"kind": "login", "connection": 1, "login": asked, "verdict": "login_ok"}
    truth.take({"n": 4, "at": 2.0, **login})
    # A later life of its own choice is no matter of this one.
    later = {"serverEpoch": "e1", "lastSeenId": {"scores": "100-9"}}
    truth.take({"n": 5, "at": 3.0, **login, "login": later})

    lives = [life(before=held(3, 3), ended_at=2.5)]

    assert (found(resumes_from_the_file, *lives, truth=truth) == []) is fine


def test_a_second_application_within_the_durable_state_is_noticed() -> None:
    lives = [
        life(said=applied("100-1", "100-2"), after=held(1, 1)),
        life(number=2, before=held(1, 1), said=applied("100-2", "100-3")),
    ]
    again = [lives[0], attrs.evolve(lives[1], said=applied("100-1", "100-2"))]

    assert found(applied_once, *lives) == []
    assert found(applied_once, *again) == [
        "life 2: e1 scores 100-1 was durable and is applied again"
    ]


def test_a_second_application_in_one_life_is_noticed() -> None:
    twice = life(said=(*applied("100-1"), *applied("100-1", epoch="e2"), *applied("100-1")))

    assert found(applied_once, twice) == ["life 1: e1 scores 100-1 is applied twice"]


def heard(*numbers: int) -> Truth:
    """The truth of five scores of which these were sent to connection 1."""
    truth = truth_of(*(("scores", f"100-{n}", score(n)) for n in range(1, 6)))
    login = {"connection": 1, "login": {}, "verdict": "login_ok"}
    truth.take({"n": 8, "at": 6.0, "kind": "login", **login})
    for n, number in enumerate(numbers, start=9):
        sent = {"connection": 1, "channel": "scores", "entryId": f"100-{number}", "how": "live"}
        truth.take({"n": n, "at": 7.0, "kind": "sent", **sent})
    return truth


def test_an_entry_that_is_durable_and_was_never_printed_is_noticed() -> None:
    quiet = life(before=held(1, 1), after=held(3, 3), said=applied("100-3"))
    rebased = ({"event": "snapshot_applied", "channel": "scores", "rows": 1},)

    assert found(never_unsaid, quiet, truth=heard(2, 3)) == [
        "life 1: e1 scores 100-2 is durable and was never printed"
    ]
    assert found(never_unsaid, quiet, truth=heard(3, 4)) == []
    assert found(never_unsaid, attrs.evolve(quiet, said=rebased), truth=heard(2, 3)) == []


def test_an_application_of_what_was_never_published_is_noticed() -> None:
    assert found(only_issued, life(said=applied("100-5"))) == []
    assert found(only_issued, life(said=applied("100-6"))) != []
    assert found(only_issued, life(said=applied("100-5", epoch="e2"))) != []


def test_a_file_that_does_not_hold_the_truth_in_the_end_is_noticed() -> None:
    units = {**held(5, 5).units, ODDS: plain({"price": 1.50, "active": True})}
    good = StateCopy(epoch="e1", units=units)

    assert found(ends_true, life(after=held(1, 1)), life(after=good)) == []
    assert found(ends_true, life(after=attrs.evolve(good, units=held(5, 5).units))) == [
        f"at the end {ODDS} is missing"
    ]
    assert found(ends_true, life(after=attrs.evolve(good, units={**units, SCORE: "?"}))) == [
        f"at the end {SCORE} is not what it should be"
    ]


def test_a_history_that_shows_nothing_is_inconclusive() -> None:
    history = History(
        lives=[life(after=held(5, None)), life(before=held(5, None), after=held(5, None))] * 2,
        truths=(SCORES,),
        channels=("scores",),
        sports=(10,),
    )

    assert moved(history) == 2
    assert resumptions(history) == (0, 0)
    assert [each.partition(":")[0] for each in judge(history)] == [INCONCLUSIVE]


def test_a_resumed_login_counts_once_its_replay_is_complete() -> None:
    truth = truth_of(("scores", "100-1", score(1)), ("scores", "100-2", score(2)))
    asked = {"serverEpoch": "e1", "lastSeenId": {"scores": "100-1"}}
    at = {"connection": 1, "at": 3.0}
    truth.take({"n": 5, "kind": "login", "login": asked, "verdict": "login_ok", **at})
    truth.take(
        {"n": 6, "kind": "sent", "channel": "scores", "entryId": "100-2", "how": "replayed", **at}
    )
    history = History(lives=[life()], truths=(truth,), channels=("scores",), sports=(10,))
    assert resumptions(history) == (0, 0)

    truth.take({"n": 7, "kind": "control", "frame": {"type": "resume_complete"}, **at})
    assert resumptions(history) == (1, 1)


def test_a_copy_without_a_file_or_with_half_of_one_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "feed.db"
    assert read_state(copy_state(path, tmp_path / "none")) == StateCopy()

    path.touch()
    assert read_state(copy_state(path, tmp_path / "half")) == StateCopy()
