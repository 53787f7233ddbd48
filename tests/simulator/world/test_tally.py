"""What became of every entry, five ways, on paper and in a run."""

from lastseen_simulator.world.plans import DRAWS, draw
from lastseen_simulator.world.tally import VERDICTS, Tally
from lastseen_simulator.world.world import play


def test_each_entry_has_one_of_five_ends() -> None:
    tally = Tally()
    for name in ("a", "a", "b", "b", "odd", None, None):
        tally.comes(name)
    for name in ("a", "ghost", None):
        tally.tells(name)
    published = [(("a", "a in the next epoch"), False), (("b",), True), (("c",), False)]

    counted = tally.count(published)

    # Told: a, one without a name. Came again: a, b. Not told: b, the odd one, one without a name.
    assert counted == {"applied": 2, "duplicate": 2, "skipped": 3, "lost": 1, "phantom": 1}
    assert tuple(counted) == VERDICTS
    assert tally.lost(published) == "c"


def test_a_run_counts_all_that_was_published() -> None:
    for dialect in DRAWS:
        verdicts = [play(draw(dialect, seed)).verdicts for seed in range(12)]

        assert all(sum(each[name] for each in verdicts) for name in VERDICTS[:3])
        assert not any(each["lost"] or each["phantom"] for each in verdicts)
