"""The position: one value of epoch and cursors (R1, R2, R9)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastseen.errors import ConfigurationError
from lastseen.position import Position, PositionKeeper, parse_cursor, parse_cursors

_FORM = re.compile(r"[0-9]{1,19}-[0-9]{1,19}", re.ASCII)

texts = st.one_of(
    st.text(alphabet='0123456789-,.[]eE+ "\n\u0661\u00b2_', max_size=24),
    st.from_regex(r"\A[0-9]{1,20}-[0-9]{1,20}\Z"),
    st.text(max_size=6),
)


@given(texts)
def test_exactly_two_runs_of_at_most_19_digits_are_an_id(text: str) -> None:
    found = parse_cursor(text)

    if _FORM.fullmatch(text):
        high, low = text.split("-")
        assert found == (int(high), int(low))
    else:
        assert found is None


@given(st.lists(texts | st.none(), max_size=5))
def test_many_ids_are_read_as_each_would_be_or_not_at_all(ids: list[str | None]) -> None:
    one_by_one = [parse_cursor(text) if text is not None else None for text in ids]

    assert parse_cursors(ids) in (None, one_by_one)


@pytest.mark.parametrize("ids", [["1,2"], ["1-2", "3,4"], ["1-2],[3-4"], ["1-2],[3-4", ""]])
def test_an_id_cannot_pass_for_another_in_a_batch(ids: list[str]) -> None:
    """HZ-A6: ids are read as one array."""
    assert parse_cursors(ids) is None


def test_an_empty_batch_has_no_ids() -> None:
    assert parse_cursors([]) == []


def test_another_epoch_empties_every_cursor_before_it_is_stored() -> None:
    keeper = PositionKeeper()
    assert keeper.adopt("e1")
    keeper.advance("scores", "1-1")

    assert not keeper.adopt("e1")
    assert keeper.cursor("scores") == "1-1"
    assert keeper.adopt("e2")
    assert keeper.value() == Position("e2")


def test_no_epoch_is_another_epoch_each_time() -> None:
    keeper = PositionKeeper()
    keeper.adopt("e1")
    keeper.advance("scores", "1-1")

    assert keeper.adopt(None)
    keeper.advance("scores", "1-2")
    assert keeper.adopt(None)
    assert keeper.value() == Position()


def test_a_blocked_channel_moves_only_when_it_is_released() -> None:
    keeper = PositionKeeper()
    keeper.adopt("e1")
    keeper.advance("scores", "1-1")
    keeper.block("scores")
    keeper.advance("scores", "1-2")

    assert keeper.cursor("scores") == "1-1"

    keeper.release("scores")

    assert keeper.cursor("scores") == "1-2"


def test_a_dropped_channel_gains_no_cursor() -> None:
    keeper = PositionKeeper()
    keeper.adopt("e1")
    keeper.advance("scores", "1-1")
    keeper.advance("fixtures", "1-1")
    keeper.drop("scores")
    keeper.advance("scores", "1-2")

    assert keeper.value() == Position("e1", (("fixtures", "1-1"),))

    keeper.unblock("scores")

    assert keeper.cursor("scores") is None

    keeper.advance("scores", "1-3")

    assert keeper.cursor("scores") == "1-3"


@pytest.mark.parametrize(("candidate", "expected"), [(None, "9-9"), ("9-10", "9-10")])
def test_a_base_with_a_position_is_the_cursor_unless_something_newer_came(
    candidate: str | None, expected: str
) -> None:
    keeper = PositionKeeper()
    keeper.adopt("e1")
    keeper.drop("scores")
    if candidate is not None:
        keeper.advance("scores", candidate)
    keeper.release("scores", "9-9")

    assert keeper.cursor("scores") == expected


def test_only_cursors_with_a_base_are_restored() -> None:
    stored = Position("e1", (("fixtures", "1-1"), ("scores", "1-2")))
    keeper = PositionKeeper()
    keeper.restore(stored, {"scores"})

    assert keeper.value() == Position("e1", (("scores", "1-2"),))


def test_cursors_without_an_epoch_are_not_restored() -> None:
    keeper = PositionKeeper()
    keeper.restore(Position(None, (("scores", "1-2"),)), {"scores"})

    assert keeper.value() == Position()


def test_every_change_of_the_value_moves_the_revision() -> None:
    keeper = PositionKeeper()
    seen = {keeper.revision}
    for change in (
        lambda: keeper.adopt("e1"),
        lambda: keeper.advance("scores", "1-1"),
        lambda: keeper.drop("scores"),
        keeper.drop_all,
    ):
        change()
        assert keeper.revision not in seen
        seen.add(keeper.revision)


@given(
    st.one_of(st.none(), st.text(max_size=8)),
    st.dictionaries(st.text(max_size=8), st.tuples(st.integers(0, 9**19), st.integers(0, 9**19))),
    st.one_of(st.none(), st.lists(st.text(max_size=8)).map(tuple)),
)
def test_a_position_survives_its_text(
    epoch: str | None, cursors: dict[str, tuple[int, int]], replayable: tuple[str, ...] | None
) -> None:
    texts = sorted((name, f"{high}-{low}") for name, (high, low) in cursors.items())
    position = Position(epoch, tuple(texts) if epoch is not None else (), replayable)

    assert Position.from_json(position.to_json()) == position


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "{}", "\udcff", '{"epoch":"e"}', '{"epoch":1,"cursors":{}}',
        '{"epoch":null,"cursors":{"a":"1-1"}}', '{"epoch":"e","cursors":{"a":"1"}}',
        '{"epoch":"e","cursors":{},"more":1}', '{"epoch":"e","cursors":{"a":"1-1"}',
        b"\xff", "[" * 100_000,
    ],
)  # fmt: skip
def test_any_other_text_is_refused(text: str | bytes) -> None:
    with pytest.raises(ConfigurationError, match="not a position"):
        Position.from_json(text)


def test_what_can_be_replayed_lasts_as_long_as_its_epoch() -> None:
    """HZ-A13."""
    keeper = PositionKeeper()
    keeper.adopt("e1")
    keeper.replayable = ("scores",)
    keeper.adopt("e1")
    assert keeper.value().replayable == ("scores",)

    keeper.adopt("e2")

    assert keeper.value().replayable is None


def test_a_copy_goes_its_own_way() -> None:
    keeper = PositionKeeper()
    keeper.adopt("e1")
    keeper.advance("scores", "1-1")
    keeper.block("odds")
    other = keeper.copy()
    other.advance("scores", "1-2")
    other.advance("odds", "1-1")
    other.release("odds")

    assert keeper.value().cursors == (("scores", "1-1"),)
    assert other.value().cursors == (("odds", "1-1"), ("scores", "1-2"))
