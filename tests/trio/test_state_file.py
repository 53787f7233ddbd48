"""A state file brings back exactly what it was given, or says in one line why it does not."""

import hashlib
import math
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
import sqlite_disk
from hypothesis import given
from hypothesis import strategies as st
from sqlite_disk import Note, Write
from state_files import (
    KEY,
    SCORES,
    binding,
    changes,
    image,
    position,
    query,
)

from lastseen.payload import decode_json
from lastseen.position import Position
from lastseen.replica import ScopeImage, Unit
from lastseen.secret import Secret
from lastseen_trio import set_aside, state_file
from lastseen_trio.state_file import Loaded, StateFile
from lastseen_trio.state_rows import Meta, UnstorableError, encode_unit, unit_crc
from lastseen_trio.store import StoreError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "feed.db"


def reopened(path: Path, **other: Any) -> Loaded:
    file, loaded = StateFile.open(path, binding(**other))
    file.close()
    return loaded


def written(path: Path, number: int = 1) -> Loaded:
    """Makes a file with one scope in it."""
    file, loaded = StateFile.open(path, binding())
    file.write(changes({SCORES: image({"a": number})}), position(number), binding())
    file.close()
    return loaded


def listing(path: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in path.parent.iterdir() if one.is_file()}


# What is kept.


VALUES = [
    Decimal("1.90"), Decimal("1"), Decimal("15"), Decimal("-0"), Decimal("-0.0"), Decimal("1E+5"),
    Decimal("1E-7"), Decimal("0E-10"), Decimal("12345678901234567890.12345678901234567890"),
    0, -1, 2**63, 2**64, 10**40, True, False, None, "", "1", "ä\x00\"\\\u2028", "😀",
    [], {}, [[Decimal("2")], {"": {"x": [None, Decimal("1.0")]}}], {"ключ": 1, "a b": {"c": []}},
]  # fmt: skip


def spelled(value: Any) -> str:
    """Tells 1 from 1.0, True and Decimal('1')."""
    return repr(value)


def test_every_value_comes_back_as_it_was_down_to_its_spelling(path: Path) -> None:
    units = {f"key {number}": Unit(value, bool(number % 2)) for number, value in enumerate(VALUES)}
    scopes = {
        SCORES: ScopeImage(unproven=True, units=units),
        ("odds", None): image({"": 1, "\x00": 2, "😀": 3}),
        ("odds", ""): image({}),
        ("odds", "None"): ScopeImage(unproven=False, units=dict(reversed(units.items()))),
    }
    kept = Position("é\n", (("odds", "007-1"), ("scores", "100-5")), ("scores", "nope"))
    file, loaded = StateFile.open(path, binding())
    assert loaded == Loaded(position=Position(), scopes={}, note=None)

    file.write(changes(scopes), kept, binding())
    file.close()

    loaded = reopened(path)
    assert loaded == Loaded(position=kept, scopes=scopes, note=None)
    for name, scope in scopes.items():
        for key, unit in scope.units.items():
            assert spelled(loaded.scopes[name].units[key]) == spelled(unit)
    assert [one.name for one in path.parent.iterdir()] == ["feed.db"]


NUMBERS = st.decimals(allow_nan=False, allow_infinity=False).filter(lambda d: abs(d) < 10**300)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | NUMBERS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(value=JSON)
def test_any_json_is_stored_exactly(value: Any) -> None:
    _, _, data, _, _ = encode_unit(1, "key", Unit(value, True))

    assert spelled(decode_json(data)) == spelled(value)


@pytest.mark.parametrize(
    "value",
    [
        "\ud800", {"\udfff": 1}, [{"a": ["\ud800"]}], math.nan, math.inf, b"1", (1,), {1}, object(),
        Decimal("NaN"), Decimal("Infinity"), Decimal("1E+400"), 10**5000,
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_would_not_come_back_the_same_is_not_stored(value: Any) -> None:
    with pytest.raises(UnstorableError):
        encode_unit(1, "key", Unit(value, True))


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_comes_back_as_the_decimal_it_is_spelled_like(value: float) -> None:
    _, _, data, _, _ = encode_unit(1, "key", Unit({"price": value}, True))

    assert decode_json(data)["price"] == Decimal(repr(value))


def test_nesting_beyond_reason_is_not_stored() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]

    with pytest.raises(UnstorableError):
        encode_unit(1, "key", Unit(value, True))
    while value:
        value = value.pop()


def test_writes_add_up(path: Path) -> None:
    one, two = ("odds", "f1"), ("odds", "f2")
    file, _ = StateFile.open(path, binding())
    file.write(changes({one: image({"a": 1, "b": 2}), two: image({"c": 3})}), Position(), binding())
    file.write(changes(written={one: {"b": 20, "d": 4}, SCORES: {"s": 5}}), Position(), binding())
    file.write(changes({one: image({"d": 4, "e": 5}, unproven=True)}), Position(), binding())
    file.write(changes(removed=[two, ("odds", "never seen")]), Position(), binding())
    file.write(changes(), position(2, "odds", "scores"), binding())
    file.close()

    loaded = reopened(path)

    assert loaded.scopes == {
        one: image({"d": 4, "e": 5}, unproven=True),
        SCORES: ScopeImage(unproven=False, units={"s": Unit(5, True)}),
    }
    assert loaded.position == position(2, "odds", "scores")


def test_rows_of_a_snapshot_that_did_not_change_are_not_written_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = {f"key {number}": "x" * 1000 for number in range(100)}
    with sqlite_disk.watched(path, monkeypatch) as disk:
        file, _ = StateFile.open(path, binding())
        file.write(changes({SCORES: image(units)}), position(1), binding())
        disk.note("again")
        file.write(changes({SCORES: image({**units, "key 7": "y"})}), position(2), binding())
        since = disk.log[disk.log.index(Note("again")) :]
        file.close()

    assert sum(len(one.data) for one in since if isinstance(one, Write)) < 30_000
    assert reopened(path).scopes == {SCORES: image({**units, "key 7": "y"})}


def test_a_channel_without_a_cursor_starts_cold_and_its_rows_go_with_the_next_write(
    path: Path,
) -> None:
    odds = ("odds", "f1")
    file, _ = StateFile.open(path, binding())
    file.write(
        changes({odds: image({"a": 1}), SCORES: image({"s": 1})}), position(1, "scores"), binding()
    )
    file.close()

    file, loaded = StateFile.open(path, binding())
    assert loaded.scopes == {SCORES: image({"s": 1})}
    file.write(changes(), position(2, "odds", "scores"), binding())
    assert query_scopes(file) == {SCORES}
    file.write(changes({odds: image({"b": 2})}), position(3, "odds"), binding())
    file.write(changes(), position(4, "odds"), binding())
    file.close()

    assert reopened(path).scopes == {odds: image({"b": 2})}


def query_scopes(file: StateFile) -> set[tuple[str, str | None]]:
    database = file._database
    assert database is not None
    return set(database.connection.execute("SELECT channel, entity FROM scopes"))


def test_a_scope_that_cannot_be_stored_costs_its_channel_the_cursor_and_nothing_else(
    path: Path,
) -> None:
    bad, good = ("odds", "f1"), ("odds", "f2")
    both = position(1, "odds", "scores")
    file, _ = StateFile.open(path, binding())
    file.write(changes({bad: image({"a": 1}), good: image({"b": 1})}), both, binding())
    file.write(changes(written={bad: {"a": "\ud800"}, SCORES: {"s": 1}}), both, binding())
    file.write(changes(written={bad: {"c": 3}}), both, binding())
    file.close()

    loaded = reopened(path)
    assert loaded.position == position(1, "scores")
    assert set(loaded.scopes) == {SCORES}
    assert set(query(path, "SELECT channel, entity FROM scopes")) == {SCORES, good}


@pytest.mark.parametrize("how", ["replaced", "removed"])
def test_a_scope_that_can_be_stored_again_gives_its_channel_the_cursor_back(
    path: Path, how: str
) -> None:
    bad, both = ("odds", "f1"), position(1, "odds", "scores")
    file, _ = StateFile.open(path, binding())
    file.write(changes({bad: image({"\ud800": 1})}), both, binding())
    assert query_cursors(file) == {"scores"}
    mended = changes({bad: image({"a": 1})}) if how == "replaced" else changes(removed=[bad])
    file.write(mended, both, binding())
    file.close()

    assert reopened(path).position == both
    assert set(reopened(path).scopes) == ({bad} if how == "replaced" else set())


def query_cursors(file: StateFile) -> set[str]:
    database = file._database
    assert database is not None
    return {name for name, _ in Position.from_json(database.meta.position).cursors}


def test_a_scope_whose_name_is_no_text_does_not_stop_the_others(path: Path) -> None:
    file, _ = StateFile.open(path, binding())
    file.write(
        changes({("odds", "\ud800"): image({"a": 1}), SCORES: image({"s": 1})}),
        position(1, "odds", "scores"),
        binding(),
    )
    file.close()

    assert reopened(path).position == position(1, "scores")


def test_a_position_that_is_no_text_is_stored_as_none(path: Path) -> None:
    file, _ = StateFile.open(path, binding())
    file.write(changes({SCORES: image({"s": 1})}), Position("\ud800"), binding())
    file.close()

    assert reopened(path) == Loaded(position=Position(), scopes={}, note=None)


# Where it is.


def test_a_file_without_bytes_is_new(path: Path) -> None:
    path.touch()

    assert written(path).note is None
    assert reopened(path).position == position()


def test_a_link_is_followed(path: Path) -> None:
    target = path.parent / "elsewhere" / "real.db"
    target.parent.mkdir()
    path.symlink_to(target)

    assert written(path).note is None
    assert reopened(target).position == position()
    path.write_text("nothing of ours", encoding="utf-8")
    reopened(path)
    assert path.is_symlink()
    assert (target.parent / "real.db.set-aside-1").read_text(encoding="utf-8") == "nothing of ours"


def test_a_path_that_changes_its_meaning_with_the_folder_does_not(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    file, _ = StateFile.open("feed.db", binding())
    (path.parent / "other").mkdir()
    monkeypatch.chdir("other")
    file.write(changes({SCORES: image({"a": 1})}), position(), binding())
    file.close()

    assert reopened(path).position == position()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda path: path.mkdir(), "it is a folder"),
        (lambda path: os.mkfifo(path), "it is not a regular file"),
        (lambda path: path.parent.rmdir(), "there is no /"),
        (lambda path: (path.parent.rmdir(), path.parent.touch()), "is not a folder"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    ],
    ids=["folder", "pipe", "no folder", "file for a folder", "loop"],
)
def test_where_there_can_be_no_file_is_said_in_one_line(
    path: Path, make: Callable[[Path], object], expected: str
) -> None:
    place = path.parent / "place" / "feed.db"
    place.parent.mkdir()
    make(place)

    with pytest.raises(StoreError) as caught:
        StateFile.open(place, binding())

    assert expected in str(caught.value)
    assert str(caught.value).startswith(f"{place} cannot be opened: ")
    assert "\n" not in str(caught.value)


def test_a_name_that_no_file_can_have_is_said_in_one_line(path: Path) -> None:
    with pytest.raises(StoreError, match=r"\\x00' cannot be opened"):
        StateFile.open(f"{path}\x00", binding())


def test_a_name_with_control_characters_stays_in_one_line(path: Path) -> None:
    odd = path.parent / "a\x1b[2J\nb?#%.db"
    odd.write_text("not ours", encoding="utf-8")

    note = reopened(odd).note

    assert note is not None
    assert note.isprintable()
    assert written(odd).note is None
    assert reopened(odd).position == position()


# Who else has it.


def test_a_second_opening_is_refused_and_changes_nothing(path: Path) -> None:
    file, _ = StateFile.open(path, binding())
    file.write(changes({SCORES: image({"a": 1})}), position(), binding())
    before = listing_by_stat(path)

    with pytest.raises(StoreError, match=r"feed\.db is in use by another process$"):
        StateFile.open(path, binding())
    with pytest.raises(StoreError, match=r"feed\.db is in use by another process$"):
        StateFile.open(path, binding(account=Secret("another")))

    assert listing_by_stat(path) == before
    file.write(changes(written={SCORES: {"b": 2}}), position(2), binding())
    file.close()
    assert reopened(path).position == position(2)


def listing_by_stat(path: Path) -> dict[str, tuple[int, int]]:
    """Reading a file and closing it again would give up this process's locks on it."""
    return {one.name: (one.stat().st_size, one.stat().st_mtime_ns) for one in path.parent.iterdir()}


CHILD = """
import sys
from lastseen_trio.state_file import StateFile
from lastseen_trio.store import StoreError
from state_files import binding
try:
    StateFile.open(sys.argv[1], binding())
except StoreError as error:
    print(error)
else:
    print("opened")
"""


def child(*arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments],
        env=environment, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return run.stdout.strip()


def test_a_second_process_is_refused_at_once_until_the_first_lets_go(path: Path) -> None:
    file, _ = StateFile.open(path, binding())
    try:
        assert child(str(path)) == f"{path} is in use by another process"
        file.write(changes({SCORES: image({"a": 1})}), position(), binding())
        assert child(str(path)) == f"{path} is in use by another process"
    finally:
        file.close()
    assert sorted(one.name for one in path.parent.iterdir()) == ["feed.db"]

    assert child(str(path)) == "opened"


# What does not belong to us.


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"name": "polynode"}, "another dialect"),
        ({"endpoint": "ws://127.0.0.1:10/ws"}, "another endpoint"),
        ({"account": Secret("f" * 32)}, "another account"),
        ({"subscription": "scores"}, "another subscription"),
        (
            {"account": Secret("f" * 32), "endpoint": "ws://b/"},
            "another endpoint and another account",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_of_another_binding_is_set_aside_and_says_whose_it_was(
    path: Path, other: dict[str, Any], expected: str
) -> None:
    written(path)
    before = path.read_bytes()

    loaded = reopened(path, **other)

    aside = path.parent / "feed.db.set-aside-1"
    assert loaded.note == f"{path} belongs to {expected}: moved to {aside}, starting cold"
    assert loaded.position == Position()
    assert loaded.scopes == {}
    assert aside.read_bytes() == before
    assert reopened(path, **other).note is None
    aside.rename(path)
    assert reopened(path).position == position()


def test_a_change_of_subscription_goes_into_the_file_with_the_next_write(path: Path) -> None:
    file, _ = StateFile.open(path, binding())
    file.write(changes({SCORES: image({"a": 1})}), position(), binding())
    file.write(changes(), position(2), binding(subscription="scores fixtures"))
    file.close()

    assert reopened(path, subscription="scores fixtures").position == position(2)
    assert "another subscription" in str(reopened(path).note)


def test_texts_that_sqlite_cannot_hold_bind_all_the_same(path: Path) -> None:
    odd = {"subscription": "\ud800", "account": Secret("\ud800")}
    file, _ = StateFile.open(path, binding(**odd))
    file.write(changes(), position(), binding(**odd))
    file.close()

    assert reopened(path, **odd).position == position()
    other = {"subscription": "\ud801", "account": Secret("\ud801")}
    assert "another account and another subscription" in str(reopened(path, **other).note)


def test_the_key_is_nowhere(path: Path) -> None:
    file, loaded = StateFile.open(path, binding())
    file.write(changes({SCORES: image({"a": 1})}), position(), binding())
    seen = [repr(file), repr(loaded), repr(binding())]
    file.close()
    other = reopened(path, account=Secret("ffff" * 8))
    seen += [str(other.note), repr(other)]

    for data in [*listing(path).values(), *(text.encode() for text in seen)]:
        assert KEY.encode() not in data
        assert KEY.encode("utf-16-le") not in data
        assert bytes.fromhex(KEY) not in data
        assert hashlib.sha256(KEY.encode()).digest() not in data


def test_the_fingerprint_of_a_key_is_too_short_to_find_it_and_differs_from_file_to_file(
    path: Path,
) -> None:
    fingerprints: set[bytes] = set()
    for number in range(4):
        file = path.parent / f"{number}.db"
        reopened(file)
        ((fingerprint,),) = query(file, "SELECT account FROM meta")
        assert len(fingerprint) == 3
        fingerprints.add(fingerprint)

    assert len(fingerprints) > 1


def foreign_database(path: Path) -> None:
    path.unlink()
    query(path, "CREATE TABLE t (x)")
    query(path, "PRAGMA journal_mode = WAL")
    query(path, "INSERT INTO t VALUES (1)")


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda path: path.write_text("my notes"), "is damaged, or not a state file"),
        (lambda path: path.write_text("x"), ""),
        (lambda path: path.write_bytes(b"SQLite format 3\x00"), "is damaged"),
        (lambda path: path.write_bytes(bytes(8192)), "is damaged, or not a state file"),
        (foreign_database, "is not a state file"),
        (lambda path: query(path, "PRAGMA user_version = 3"), "is of a newer version (3)"),
        (lambda path: query(path, "PRAGMA user_version = 1"), "is of an older version (1)"),
        (lambda path: query(path, "PRAGMA user_version = 0"), "is damaged"),
        (lambda path: query(path, "PRAGMA application_id = 7"), "is not a state file"),
        (lambda path: query(path, "DROP TABLE units"), "is damaged (tables)"),
        (lambda path: query(path, "CREATE INDEX i ON scopes (channel)"), "is damaged (tables)"),
        (lambda path: query(path, "DELETE FROM meta"), "is damaged (meta)"),
        (lambda path: query(path, "UPDATE meta SET generation = 7"), "is damaged (meta)"),
        (lambda path: query(path, "UPDATE meta SET id = 7"), "is damaged (meta)"),
        (lambda path: query(path, "UPDATE meta SET position = 7"), "is damaged (meta)"),
        (lambda path: query(path, "UPDATE meta SET salt = 'x'"), "is damaged (meta)"),
        (lambda path: query(path, "DELETE FROM units"), "is damaged (rows)"),
        (lambda path: query(path, "DELETE FROM scopes"), "is damaged (row checksum)"),
        (lambda path: query(path, "UPDATE scopes SET unproven = 1"), "is damaged (scope checksum)"),
        (lambda path: query(path, "UPDATE scopes SET channel = x'00'"), "is damaged (scope"),
        (lambda path: query(path, "UPDATE scopes SET entity = 1.5"), "is damaged (scope"),
        (lambda path: query(path, "UPDATE scopes SET unproven = 'x'"), "is damaged (scope"),
        (lambda path: query(path, "UPDATE units SET value = x'32'"), "is damaged (row checksum)"),
        (lambda path: query(path, "UPDATE units SET streamed = 1"), "is damaged (row checksum)"),
        (lambda path: query(path, "UPDATE units SET streamed = 'x'"), "is damaged (row checksum)"),
        (lambda path: query(path, "UPDATE units SET key = x'61'"), "is damaged (row checksum)"),
        (lambda path: query(path, "UPDATE units SET value = '1'"), "is damaged (row checksum)"),
        (lambda path: query(path, "UPDATE units SET scope = 9"), "is damaged (row checksum)"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_right_is_set_aside_untouched(
    path: Path, spoil: Callable[[Path], object], expected: str
) -> None:
    written(path)
    spoil(path)
    before = listing(path)

    loaded = reopened(path)

    assert loaded.note is not None
    assert loaded.note.startswith(f"{path} {expected}")
    assert loaded.note.endswith("feed.db.set-aside-1, starting cold")
    assert loaded.scopes == {}
    assert loaded.position == Position()
    after = listing(path)
    for name, data in before.items():
        assert after[name.replace("feed.db", "feed.db.set-aside-1")] == data
    assert reopened(path).note is None


def forge(path: Path, **fields: Any) -> None:
    """Changes what the one row about all says, checksum and all."""
    meta = Meta.from_columns(query(path, "SELECT * FROM meta")[0])
    assert meta is not None
    columns = attrs.evolve(meta, **fields).columns()
    connection = sqlite3.connect(path)
    marks = ", ".join("?" * len(columns))
    connection.execute(f"INSERT OR REPLACE INTO meta VALUES ({marks})", columns)
    connection.commit()
    connection.close()


def with_log(path: Path, make: Callable[[sqlite3.Connection], object]) -> dict[str, bytes]:
    """What a kill leaves of a database, in place."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    make(connection)
    connection.commit()
    files = listing(path)
    connection.close()
    for name, data in files.items():
        (path.parent / name).write_bytes(data)
    return files


def test_somebody_elses_database_is_moved_with_its_log_and_not_a_byte_is_changed(
    path: Path,
) -> None:
    files = with_log(path, lambda connection: connection.execute("CREATE TABLE t (x)"))
    assert {"feed.db", "feed.db-wal"} <= set(files)

    assert f"{path} is not a state file: moved" in str(reopened(path).note)

    for name, data in files.items():
        aside = path.parent / name.replace("feed.db", "feed.db.set-aside-1")
        assert aside.read_bytes() == data


def test_somebody_elses_database_is_not_moved_while_it_is_in_use(path: Path) -> None:
    query(path, "CREATE TABLE t (x)")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(StoreError, match=r"is in use by another process$"):
            StateFile.open(path, binding())
    finally:
        connection.close()

    assert query(path, "SELECT * FROM t") == []


def test_somebody_elses_database_with_a_hot_journal_is_not_touched_either(path: Path) -> None:
    query(path, "CREATE TABLE t (x)")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA cache_size = 1")
    connection.executemany("INSERT INTO t VALUES (?)", [("x" * 1000,)] * 100)
    files = listing(path)
    connection.close()
    for name, data in files.items():
        (path.parent / name).write_bytes(data)
    assert len(files["feed.db"]) > 8192, "pages were written before their transaction ended"
    assert {"feed.db", "feed.db-journal"} == set(files)

    assert f"{path} is not a state file: moved" in str(reopened(path).note)

    for name, data in files.items():
        aside = path.parent / name.replace("feed.db", "feed.db.set-aside-1")
        assert aside.read_bytes() == data


def test_our_log_beside_somebodys_notes_does_not_become_part_of_them(path: Path) -> None:
    file, _ = StateFile.open(path, binding())
    file.write(changes({SCORES: image({"a": 1})}), position(), binding())
    log = Path(f"{path}-wal").read_bytes()
    file.close()
    path.write_text("notes", encoding="utf-8")
    Path(f"{path}-wal").write_bytes(log)

    loaded = reopened(path)

    assert loaded.scopes == {}
    assert (path.parent / "feed.db.set-aside-1").read_text(encoding="utf-8") == "notes"
    assert (path.parent / "feed.db.set-aside-1-wal").read_bytes() == log


@pytest.mark.parametrize("text", ["{}", '{"epoch":null,"cursors":{"scores":"1-1"}}'])
def test_a_position_that_nobody_can_have_written_is_damage(path: Path, text: str) -> None:
    written(path)
    forge(path, position=text)

    assert "is damaged (position)" in str(reopened(path).note)


def test_a_value_that_is_no_json_is_damage(path: Path) -> None:
    written(path)
    crc = unit_crc(1, "a", b"{", False)
    ((others,),) = query(path, "SELECT crc FROM scopes")
    query(path, f"UPDATE units SET value = x'7b', crc = {crc}")
    forge(path, crc_sum=others + crc)

    assert "is damaged (value)" in str(reopened(path).note)


def test_a_row_that_is_older_than_the_rest_is_damage(path: Path) -> None:
    """A sound row with a sound checksum, from a page that was never written."""
    written(path, 1)
    ((value, crc),) = query(path, "SELECT value, crc FROM units")
    written(path, 2)
    query(path, f"UPDATE units SET value = x'{value.hex()}', crc = {crc}")

    assert "is damaged (rows)" in str(reopened(path).note)


def test_tables_that_are_spelled_in_no_encoding_are_damage(path: Path) -> None:
    written(path)
    data = path.read_bytes()
    assert data.count(b", endpoint TEXT") == 1
    path.write_bytes(data.replace(b", endpoint TEXT", b"\xac endpoint TEXT"))

    assert "is damaged" in str(reopened(path).note)


def test_rows_that_changed_their_scope_are_damage(path: Path) -> None:
    file, _ = StateFile.open(path, binding())
    one, two = ("odds", "A"), ("odds", "B")
    file.write(
        changes({one: image({"a": 1}), two: image({"b": 2})}), position(1, "odds"), binding()
    )
    file.close()
    query(path, "UPDATE units SET scope = 3 - scope")

    assert "is damaged (row checksum)" in str(reopened(path).note)


def test_what_is_set_aside_never_replaces_anything(path: Path) -> None:
    for number in range(1, 4):
        path.write_text(f"notes {number}", encoding="utf-8")
        Path(f"{path}-journal").write_text(f"journal {number}", encoding="utf-8")
        assert f"set-aside-{number}," in str(reopened(path).note)
    (path.parent / "feed.db.set-aside-2").unlink()
    path.write_text("notes 4", encoding="utf-8")

    assert "set-aside-4," in str(reopened(path).note)
    assert (path.parent / "feed.db.set-aside-2-journal").read_text(encoding="utf-8") == "journal 2"
    assert (path.parent / "feed.db.set-aside-3").read_text(encoding="utf-8") == "notes 3"


@pytest.mark.parametrize("rest", [None, b"", b"x"])
def test_a_write_ahead_log_that_lost_its_database_is_set_aside(
    path: Path, rest: bytes | None
) -> None:
    if rest is not None:
        path.write_bytes(rest)
    Path(f"{path}-wal").write_bytes(b"frames")

    note = str(reopened(path).note)

    assert f"{path} is gone, but not its write-ahead log: moved" in note
    assert (path.parent / "feed.db.set-aside-1-wal").read_bytes() == b"frames"
    assert (path.parent / "feed.db.set-aside-1").exists() == (rest is not None)


def test_the_log_is_moved_before_the_database_and_the_folder_synced(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("notes", encoding="utf-8")
    Path(f"{path}-wal").write_bytes(b"frames")
    moved: list[str] = []
    rename = os.rename

    def noted(old: str, new: str) -> None:
        moved.append(old)
        rename(old, new)

    def synced(descriptor: int) -> None:
        same = os.path.samestat(os.fstat(descriptor), path.parent.stat())
        moved.append("the folder" if same else "something else")

    monkeypatch.setattr(os, "rename", noted)
    monkeypatch.setattr(os, "fsync", synced)

    reopened(path)

    assert moved[:3] == [f"{path}-wal", str(path), "the folder"]
    assert moved.count("the folder") == 2, "once for what was moved, once for what was made"


def test_what_cannot_be_moved_stays_and_nothing_starts(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("notes", encoding="utf-8")

    def refuse(old: str, new: str) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "rename", refuse)

    with pytest.raises(StoreError, match=r"and cannot be moved: Operation not permitted$"):
        StateFile.open(path, binding())
    assert path.read_text(encoding="utf-8") == "notes"


def test_a_file_that_was_replaced_meanwhile_is_not_the_one_that_is_moved(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(path)
    good = path.rename(path.parent / "good.db")
    path.write_text("notes", encoding="utf-8")
    identity = set_aside.identity
    calls: list[Path] = []

    def identity_then_replace(asked: Path) -> tuple[int, int] | None:
        found = identity(asked)
        calls.append(asked)
        if len(calls) == 1:
            good.replace(path)
        return found

    monkeypatch.setattr(state_file, "identity", identity_then_replace)

    loaded = reopened(path)

    assert loaded.position == position()
    assert loaded.note is None
