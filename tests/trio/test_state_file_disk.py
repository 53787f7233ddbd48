"""What the disk refuses leaves the file as it was, and the next write finds out by itself."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import pytest
import sqlite_disk
from sqlite_disk import Disk, LostSync, Open, Operation, Refusal, Sync, Truncate, Write
from state_files import SCORES, binding, changes, image, position, query

from lastseen.replica import ScopeImage, Unit
from lastseen_trio import state_file
from lastseen_trio.state_database import Database, UnfitError
from lastseen_trio.state_file import StateFile
from lastseen_trio.store import CommitError, StoreError

HELPERS = Path(__file__).resolve().parents[1] / "helpers"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "feed.db"


@pytest.fixture
def disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    with sqlite_disk.watched(path, monkeypatch) as disk:
        yield disk


def write(file: StateFile, number: int) -> None:
    file.write(changes(written={SCORES: {f"key {number}": number}}), position(number), binding())


def kept(path: Path) -> set[int]:
    """The numbers in a file; its position must be that of the last."""
    file, loaded = StateFile.open(path, binding())
    file.close()
    assert loaded.note is None
    scope = loaded.scopes.get(SCORES, image({}))
    numbers = {int(key.removeprefix("key ")) for key in scope.units}
    assert loaded.position == (position(max(numbers)) if numbers else loaded.position)
    return numbers


def refusing(code: int, *kinds: type[Operation | Open], suffix: str = "-wal") -> Refusal:
    def refuse(operation: Operation | Open) -> int | None:
        fits = isinstance(operation, kinds) and getattr(operation, "suffix", None) == suffix
        return code if fits else None

    return refuse


@pytest.mark.parametrize(
    ("refuse", "expected"),
    [
        (refusing(sqlite3.SQLITE_FULL, Write), "cannot be written: the disk is full (SQLITE_FULL)"),
        (
            refusing(sqlite3.SQLITE_IOERR_WRITE, Write),
            "cannot be written: the disk reports an error (SQLITE_IOERR_WRITE)",
        ),
        (
            refusing(sqlite3.SQLITE_IOERR_FSYNC, Sync),
            "cannot be written: the disk reports an error (SQLITE_IOERR_FSYNC)",
        ),
    ],
    ids=["full", "write", "sync"],
)
def test_a_write_that_fails_makes_nothing_durable_and_can_be_tried_again(
    path: Path, disk: Disk, refuse: Refusal, expected: str
) -> None:
    file, _ = StateFile.open(path, binding())
    write(file, 1)
    disk.refuse = refuse
    for _ in range(3):
        with pytest.raises(CommitError) as caught:
            write(file, 2)
        assert str(caught.value) == f"{path} {expected}"
    disk.refuse = None
    write(file, 3)
    file.close()

    # After a failed sync nobody knows; here the third attempt turns out to be there.
    assert kept(path) == ({1, 2, 3} if "FSYNC" in expected else {1, 3})


def test_a_log_that_fills_the_disk_is_emptied_to_make_room(path: Path, disk: Disk) -> None:
    file, _ = StateFile.open(path, binding())
    for number in range(1, 9):
        write(file, number)
    used = Path(f"{path}-wal").stat().st_size
    disk.refuse = lambda one: (
        sqlite3.SQLITE_FULL
        if isinstance(one, Write) and one.suffix == "-wal" and one.offset >= used
        else None
    )
    with pytest.raises(CommitError):
        write(file, 9)
    with pytest.raises(StoreError, match="in use"):
        StateFile.open(path, binding())
    write(file, 10)
    file.close()

    assert kept(path) == {*range(1, 9), 10}


def test_a_disk_that_is_full_and_then_fails_is_opened_anew(path: Path, disk: Disk) -> None:
    """HZ-E9: the connection that met the error is not used again."""
    file, _ = StateFile.open(path, binding())
    write(file, 1)
    full = refusing(sqlite3.SQLITE_FULL, Write)
    broken = refusing(sqlite3.SQLITE_IOERR_FSYNC, Sync, suffix="")
    disk.refuse = lambda one: full(one) or broken(one)
    with pytest.raises(CommitError):
        write(file, 2)
    assert file._database is None
    disk.refuse = None
    write(file, 3)
    file.close()

    assert kept(path) == {1, 3}


def test_a_disk_that_stays_bad_does_not_stop_the_closing(path: Path, disk: Disk) -> None:
    file, _ = StateFile.open(path, binding())
    write(file, 1)
    disk.refuse = refusing(sqlite3.SQLITE_IOERR_WRITE, Write, Truncate, Sync, suffix="")

    file.close()
    file.close()

    disk.refuse = None
    assert kept(path) == {1}


def test_a_log_that_cannot_be_emptied_after_a_commit_is_no_failed_commit(
    path: Path, disk: Disk
) -> None:
    file, _ = StateFile.open(path, binding())
    write(file, 1)
    disk.refuse = refusing(sqlite3.SQLITE_IOERR_FSYNC, Sync, suffix="")
    large = {f"key {number}": "x" * 4000 for number in range(1000, 1500)}
    file.write(changes(written={SCORES: large}), position(1499), binding())
    assert any(isinstance(one, LostSync) for one in disk.log)
    disk.refuse = None
    write(file, 1500)
    file.close()

    assert kept(path) == {1, *range(1000, 1501)}


@attrs.define
class Forgetful:
    """A disk that takes a failed sync for done: what it was about is gone at the power cut."""

    files: dict[str, bytearray] = attrs.field(factory=dict)
    cached: list[Write | Truncate] = attrs.field(factory=list)

    def play(self, operation: Operation) -> None:
        match operation:
            case Write() | Truncate():
                self.cached.append(operation)
            case Sync(suffix):
                for one in self.cached:
                    if one.suffix == suffix:
                        self.keep(one)
                self.drop(suffix)
            case LostSync(suffix):
                self.drop(suffix)
            case sqlite_disk.Delete(suffix):
                self.files.pop(suffix, None)
                self.drop(suffix)
            case _:
                pass

    def drop(self, suffix: str) -> None:
        self.cached = [one for one in self.cached if one.suffix != suffix]

    def keep(self, one: Write | Truncate) -> None:
        content = self.files.setdefault(one.suffix, bytearray())
        if isinstance(one, Truncate):
            del content[one.size :]
            return
        end = one.offset + len(one.data)
        content.extend(bytes(max(0, end - len(content))))
        content[one.offset : end] = one.data

    def leave(self, path: Path) -> None:
        for suffix, content in self.files.items():
            Path(f"{path}{suffix}").write_bytes(content)


@pytest.mark.parametrize("closing", ["works", "fails"])
def test_no_later_sync_vouches_for_pages_that_a_failed_one_lost(
    path: Path, disk: Disk, closing: str
) -> None:
    file, _ = StateFile.open(path, binding())
    write(file, 1)
    write(file, 2)
    lost = refusing(sqlite3.SQLITE_IOERR_FSYNC, Sync)
    stuck = refusing(sqlite3.SQLITE_IOERR_WRITE, Write, suffix="")
    disk.refuse = lost if closing == "works" else lambda one: lost(one) or stuck(one)
    with pytest.raises(CommitError):
        write(file, 3)
    disk.refuse = None
    write(file, 4)

    forgetful = Forgetful()
    for operation in disk.log:
        forgetful.play(operation)
    forgetful.leave(path.parent / "after.db")
    file.close()

    # The third was tried, and is there or not; what had returned is there.
    assert kept(path.parent / "after.db") - {3} == {1, 2, 4}


def test_our_own_attempt_is_not_taken_for_somebody_elses_write(path: Path, disk: Disk) -> None:
    file, _ = StateFile.open(path, binding())
    write(file, 1)
    lost = refusing(sqlite3.SQLITE_IOERR_FSYNC, Sync)
    stuck = refusing(sqlite3.SQLITE_IOERR_WRITE, Write, suffix="")
    disk.refuse = lambda one: lost(one) or stuck(one)
    with pytest.raises(CommitError):
        write(file, 2)
    shutil.copyfile(f"{path}-wal", path.parent / "attempt-wal")
    shutil.copyfile(path, path.parent / "attempt")
    assert kept(path.parent / "attempt") == {1, 2}, "the attempt is in the log, though it failed"
    disk.refuse = None

    write(file, 3)
    write(file, 4)
    file.close()

    assert kept(path) - {2} == {1, 3, 4}


def test_what_a_failed_write_was_to_forget_is_forgotten_by_the_next(path: Path, disk: Disk) -> None:
    file, _ = StateFile.open(path, binding())
    file.write(changes({("odds", "f1"): image({"a": 1})}), position(), binding())
    file.close()
    file, _ = StateFile.open(path, binding())
    disk.refuse = refusing(sqlite3.SQLITE_IOERR_WRITE, Write)
    with pytest.raises(CommitError):
        write(file, 2)
    disk.refuse = None
    write(file, 3)
    file.close()

    assert query(path, "SELECT channel FROM scopes") == [("scores",)]


def test_a_scope_that_could_not_be_stored_in_a_failed_attempt_is_not_whole_in_the_next(
    path: Path, disk: Disk
) -> None:
    both, odds = position(1, "odds", "scores"), ("odds", "f1")
    file, _ = StateFile.open(path, binding())
    file.write(changes({odds: image({"a": 1, "b": 1})}), both, binding())
    lost = refusing(sqlite3.SQLITE_IOERR_FSYNC, Sync)
    stuck = refusing(sqlite3.SQLITE_IOERR_WRITE, Write, suffix="")
    disk.refuse = lambda one: lost(one) or stuck(one)
    with pytest.raises(CommitError):
        file.write(changes(written={odds: {"a": "\ud800"}}), both, binding())
    disk.refuse = None
    file.write(changes(written={odds: {"a": 2}}), both, binding())
    file.close()

    file, loaded = StateFile.open(path, binding())
    file.close()
    assert loaded.position == position(1, "scores")
    assert loaded.scopes == {}


def test_a_disk_that_is_bad_from_the_start_lets_us_run_and_write_later(
    path: Path, disk: Disk
) -> None:
    disk.refuse = refusing(sqlite3.SQLITE_IOERR_WRITE, Write, suffix="")
    file, loaded = StateFile.open(path, binding())
    assert str(loaded.note).endswith("(SQLITE_IOERR_WRITE); nothing is kept until that changes")
    with pytest.raises(CommitError):
        write(file, 1)
    disk.refuse = None
    write(file, 2)
    file.close()

    assert kept(path) == {2}


def test_a_file_that_cannot_be_made_after_the_old_one_was_moved_says_both(
    path: Path, disk: Disk
) -> None:
    path.write_text("notes", encoding="utf-8")
    disk.refuse = refusing(sqlite3.SQLITE_FULL, Write, suffix="")
    file, loaded = StateFile.open(path, binding())

    assert "moved to" in str(loaded.note)
    assert "the disk is full" in str(loaded.note)
    assert str(loaded.note).isprintable()
    disk.refuse = None
    write(file, 1)
    file.close()
    assert kept(path) == {1}


def test_a_folder_that_cannot_be_synced_is_an_error_of_the_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(StoreError, match=r"cannot be opened: Input/output error$"):
            StateFile.open(path, binding())

    assert kept(path) == set()


NO_LOG = refusing(sqlite3.SQLITE_CANTOPEN, Open)
"""As in a folder in which nothing can be made: the database opens, its log does not."""


def killed(path: Path) -> None:
    """Leaves a file whose last write is in its log only."""
    file, _ = StateFile.open(path, binding())
    write(file, 1)
    write(file, 2)
    held = {suffix: Path(f"{path}{suffix}").read_bytes() for suffix in ("", "-wal")}
    file.close()
    for suffix, data in held.items():
        Path(f"{path}{suffix}").write_bytes(data)


@pytest.mark.parametrize("log", ["emptied", "full"])
def test_what_can_only_be_read_is_read_and_written_later(path: Path, disk: Disk, log: str) -> None:
    killed(path)
    if log == "emptied":
        assert kept(path) == {1, 2}
    before = {one.name: one.read_bytes() for one in path.parent.iterdir()}
    disk.refuse = NO_LOG

    file, loaded = StateFile.open(path, binding())

    assert loaded.position == position(2)
    assert set(loaded.scopes[SCORES].units) == {"key 1", "key 2"}
    assert "nothing is kept until that changes" in str(loaded.note)
    with pytest.raises(CommitError):
        write(file, 3)
    assert {one.name: one.read_bytes() for one in path.parent.iterdir()} == before
    disk.refuse = None
    write(file, 4)
    file.close()
    assert kept(path) == {1, 2, 4}


def test_what_can_only_be_read_and_is_damaged_is_set_aside_if_it_can_be(
    path: Path, disk: Disk
) -> None:
    killed(path)
    kept(path)
    query(path, "UPDATE units SET value = x'00'")
    disk.refuse = NO_LOG
    file, loaded = StateFile.open(path, binding())

    assert loaded.scopes == {}
    assert "is damaged (row checksum): moved to" in str(loaded.note)
    with pytest.raises(CommitError):
        write(file, 4)
    disk.refuse = None
    write(file, 5)
    file.close()
    assert kept(path) == {5}


@pytest.mark.parametrize(
    ("writable", "expected"),
    [
        ({"folder", "file"}, "it cannot be opened (SQLITE_CANTOPEN)"),
        ({"file"}, "its folder is read-only (SQLITE_CANTOPEN)"),
        ({"folder"}, "it is read-only (SQLITE_CANTOPEN)"),
    ],
    ids=["neither", "folder", "file"],
)
def test_the_reason_is_looked_for_where_people_would(
    path: Path,
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
    writable: set[str],
    expected: str,
) -> None:
    killed(path)
    disk.refuse = NO_LOG
    places = {"folder": path.parent, "file": path}
    allowed = {places[name] for name in writable}
    monkeypatch.setattr(os, "access", lambda asked, _: Path(asked) in allowed)

    file, loaded = StateFile.open(path, binding())
    file.close()

    assert f"{path} cannot be written: {expected}; " in str(loaded.note)


@pytest.mark.parametrize("allowed", [True, False])
def test_a_header_that_forbids_writing_is_damage_only_where_writing_is_allowed(
    path: Path, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    killed(path)
    kept(path)
    data = bytearray(path.read_bytes())
    data[18] = 6  # A version of the format that may be read and not written.
    path.write_bytes(data)
    monkeypatch.setattr(os, "access", lambda *_: allowed)

    if allowed:
        file, loaded = StateFile.open(path, binding())
        file.close()
        assert "is damaged (header): moved to" in str(loaded.note)
    else:
        with pytest.raises(StoreError, match="cannot be written"):
            StateFile.open(path, binding())
        assert path.read_bytes() == data


def test_a_disk_that_keeps_no_log_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stubborn(sqlite3.Connection):
        def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            return super().execute("SELECT 'delete'" if "journal_mode" in sql else sql, *arguments)

    connect = partial(sqlite3.connect, factory=Stubborn)
    monkeypatch.setattr(sqlite3, "connect", connect)

    with pytest.raises(StoreError, match=r"cannot be opened: no write-ahead log can be kept there"):
        StateFile.open(path, binding())


def test_a_file_that_keeps_changing_is_given_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("notes", encoding="utf-8")
    numbers = count()
    monkeypatch.setattr(state_file, "identity", lambda _: (0, next(numbers)))

    with pytest.raises(StoreError, match=r"cannot be opened: it keeps changing$"):
        StateFile.open(path, binding())
    assert path.read_text(encoding="utf-8") == "notes"


def test_a_folder_that_became_something_else_is_told(path: Path) -> None:
    place = path.parent / "place" / "feed.db"
    place.parent.mkdir()
    file, _ = StateFile.open(place, binding())
    write(file, 1)
    place.parent.rename(path.parent / "moved")
    place.parent.touch()

    with pytest.raises(CommitError, match=r"cannot be written: Not a directory$"):
        write(file, 2)


def test_what_is_there_is_judged_again_under_the_lock(path: Path) -> None:
    """Between a look and the lock anybody may have been there."""
    path.touch()
    empty = Database.connect(path)
    with pytest.raises(UnfitError, match="is gone"):
        empty.begin(lambda _: None, None)
    empty.close()
    query(path, "CREATE TABLE t (x)")
    foreign = Database.connect(path)
    with pytest.raises(UnfitError, match="is not a state file"):
        foreign.begin(lambda _: None, None)
    foreign.close()


def test_a_bug_in_the_middle_of_a_write_leaves_nothing_half_written(path: Path) -> None:
    class Broken(dict[str, Unit]):
        def items(self) -> Any:
            raise RuntimeError("a bug")

    file, _ = StateFile.open(path, binding())
    write(file, 1)
    half = ScopeImage(unproven=False, units=Broken())
    with pytest.raises(RuntimeError):
        file.write(changes({("odds", "A"): image({"a": 1}), SCORES: half}), position(2), binding())
    write(file, 3)
    file.close()

    assert kept(path) == {1, 3}
    assert query(path, "SELECT channel FROM scopes") == [("scores",)]


# Others.


def stolen(path: Path) -> None:
    """Another process has written while the file was not ours."""
    file, _ = StateFile.open(path, binding())
    write(file, 99)
    file.close()


def interrupted(path: Path, disk: Disk) -> StateFile:
    """A file that had to be let go after an error."""
    file, _ = StateFile.open(path, binding())
    write(file, 1)
    disk.refuse = refusing(sqlite3.SQLITE_IOERR_WRITE, Write)
    with pytest.raises(CommitError):
        write(file, 2)
    disk.refuse = None
    return file


def test_a_file_that_somebody_else_wrote_is_never_written_again(path: Path, disk: Disk) -> None:
    file = interrupted(path, disk)
    stolen(path)
    before = path.read_bytes()

    for _ in range(2):
        with pytest.raises(CommitError, match="was written by somebody else meanwhile"):
            write(file, 3)

    assert path.read_bytes() == before
    assert kept(path) == {1, 99}


def test_a_file_that_was_damaged_meanwhile_is_not_written_to(path: Path, disk: Disk) -> None:
    file = interrupted(path, disk)
    damaged = path.read_bytes()[:-4096]
    path.write_bytes(damaged)

    with pytest.raises(CommitError, match=r"feed\.db is damaged$"):
        write(file, 3)

    assert path.read_bytes() == damaged


def test_a_file_that_somebody_else_has_is_waited_for(path: Path, disk: Disk) -> None:
    file = interrupted(path, disk)
    other, _ = StateFile.open(path, binding())
    with pytest.raises(CommitError, match=r"is in use by another process$"):
        write(file, 3)
    other.close()
    write(file, 3)
    file.close()

    assert kept(path) == {1, 3}


@pytest.mark.parametrize("how", ["deleted", "emptied", "replaced"])
def test_a_file_that_is_not_there_any_more_is_not_written_to(path: Path, how: str) -> None:
    file, _ = StateFile.open(path, binding())
    write(file, 1)
    moved = path.rename(path.parent / "moved.db")
    if how == "emptied":
        path.touch()
    elif how == "replaced":
        path.write_text("notes", encoding="utf-8")

    for _ in range(2):
        with pytest.raises(CommitError) as caught:
            write(file, 2)
        assert str(caught.value).startswith(f"{path} ")

    if how == "replaced":
        # With our log beside it: SQLite would make one of the two.
        assert path.read_text(encoding="utf-8") == "notes"
        assert "what is there stays untouched" in str(caught.value)
        path.unlink()
    else:
        assert "was moved or deleted while in use" in str(caught.value)
    Path(f"{path}-wal").rename(f"{moved}-wal")
    for suffix in ("-wal", ""):
        Path(f"{moved}{suffix}").rename(f"{path}{suffix}")
    write(file, 3)
    file.close()
    assert kept(path) == {1, 3}


def test_a_file_that_was_deleted_before_anything_was_in_it_is_made_again(path: Path) -> None:
    file, _ = StateFile.open(path, binding())
    path.unlink()
    Path(f"{path}-wal").unlink(missing_ok=True)

    write(file, 1)
    file.close()

    assert kept(path) == {1}


def test_a_file_that_appears_where_there_was_none_is_not_ours_to_write(
    path: Path, disk: Disk
) -> None:
    disk.refuse = refusing(sqlite3.SQLITE_FULL, Write, suffix="")
    file, _ = StateFile.open(path, binding())
    disk.refuse = None
    stolen(path)

    with pytest.raises(CommitError, match="was written by somebody else meanwhile"):
        write(file, 1)

    assert kept(path) == {99}


# Disks that only a process of its own can have.


def scene(name: str, folder: Path, *, alone: bool) -> list[str]:
    command = [sys.executable, str(HELPERS / "cramped.py"), name, str(folder)]
    if alone:
        if shutil.which("unshare") is None or not _can_mount(folder):
            pytest.skip("no user namespace to mount in")
        command = ["unshare", "--map-root-user", "--mount", *command]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def _can_mount(folder: Path) -> bool:
    command = [
        "unshare",
        "--map-root-user",
        "--mount",
        "mount",
        "-t",
        "tmpfs",
        "tmpfs",
        str(folder),
    ]
    return subprocess.run(command, capture_output=True).returncode == 0


def test_a_full_disk_is_told_costs_nothing_and_mends(tmp_path: Path) -> None:
    full = "…/feed.db cannot be written: the disk is full (SQLITE_FULL)"

    assert scene("full", tmp_path, alone=True) == [
        f"at {{}} with 0 scopes: {full}; nothing is kept until that changes",
        f"not written: {full}",
        "written: 2",
        f"not written: {full}",
        f"not written: {full}",
        "written: 5",
        "at {'scores': '5-1'} with 1 scopes: None",
        f"not written: {full}",
        "written: 7",
        "at {'scores': '7-1'} with 1 scopes: None",
    ]


def test_a_read_only_disk_is_read_and_written_once_it_can_be(tmp_path: Path) -> None:
    reason = "cannot be written: its folder is read-only"
    later = "nothing is kept until that changes"
    foreign = "is damaged, or not a state file"

    assert scene("read-only", tmp_path, alone=True) == [
        f"at {{}} with 0 scopes: …/feed.db {reason} (SQLITE_CANTOPEN); {later}",
        f"not written: …/feed.db {reason} (SQLITE_CANTOPEN)",
        "written: 2",
        f"at {{'scores': '2-1'}} with 1 scopes: …/feed.db {reason} (SQLITE_IOERR_LOCK); {later}",
        f"not written: …/feed.db {reason} (SQLITE_IOERR_LOCK)",
        "written: 4",
        "at {'scores': '4-1'} with 1 scopes: None",
        "written: 5",
        f"at {{'scores': '5-1'}} with 1 scopes: …/killed.db {reason} (SQLITE_IOERR_LOCK); {later}",
        f"not written: …/killed.db {reason} (SQLITE_IOERR_LOCK)",
        "written: 7",
        "at {'scores': '7-1'} with 1 scopes: None",
        f"refused: …/notes.db {foreign} and cannot be moved: Read-only file system",
        "not ours",
    ]


def test_what_permissions_forbid_is_told_in_one_line() -> None:
    # Below /tmp of its own: nobody may look into pytest's folders.
    with tempfile.TemporaryDirectory() as folder:
        lines = scene("forbidden", Path(folder), alone=False)

    reason = "cannot be written: its folder is read-only"
    later = "nothing is kept until that changes"
    assert lines == [
        "at {} with 0 scopes: None",
        "written: 1",
        "refused: …/feed.db is in use by another process",
        "refused: …/locked.db cannot be opened: Permission denied",
        "refused: …/inner/feed.db cannot be opened: Permission denied",
        f"at {{'scores': '1-1'}} with 1 scopes: …/feed.db {reason} (SQLITE_IOERR_LOCK); {later}",
        f"not written: …/feed.db {reason} (SQLITE_IOERR_LOCK)",
        f"at {{}} with 0 scopes: …/new.db {reason} (SQLITE_CANTOPEN); {later}",
        f"not written: …/new.db {reason} (SQLITE_CANTOPEN)",
    ]
