"""Cold or consistent, and never ahead: every image of the disk that a crash or a bad bit can leave.

A short random history is written through a disk that is watched (`sqlite_disk`). Each image of it
is then opened as a restart would, and must be a state of that history, whole.
"""

import os
import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import pytest
import sqlite_disk
from sqlite_disk import Delete, LostSync, Note, Operation, Sync, Truncate, Write
from state_files import binding

from lastseen.position import Position
from lastseen.replica import ReplicaChanges, ScopeImage, ScopeName, Unit
from lastseen_trio import state_database
from lastseen_trio.state_file import Loaded, StateFile

BINDING = binding()
CHANGES = ReplicaChanges(
    replaced={("odds", "f9"): ScopeImage(unproven=True, units={"k": Unit("v" * 700, True)})},
    removed=frozenset(),
    written={},
)
AFTERWARDS = Position("e1", (("odds", "99-1"), ("scores", "99-1")))
SECTOR = 512

State = dict[ScopeName, ScopeImage]
Files = dict[str, bytes]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is some: no image has to survive a real power cut."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with TemporaryDirectory(dir=memory, prefix="lastseen-") as name:
        yield Path(name)


@attrs.define
class History:
    """What was written, by generation; 0 is the empty file."""

    rng: random.Random
    state: State = attrs.field(factory=dict)
    positions: list[Position] = attrs.field(factory=lambda: [Position()])
    states: list[State] = attrs.field(factory=lambda: [{}])

    def step(self) -> tuple[ReplicaChanges, Position]:
        """Changes to some scopes, and a position in which some channels have a cursor."""
        rng = self.rng
        names: list[ScopeName] = [("scores", None), ("odds", None), ("odds", "f1"), ("odds", "f2")]
        replaced: dict[ScopeName, ScopeImage] = {}
        written: dict[ScopeName, dict[str, Unit]] = {}
        removed: set[ScopeName] = set()
        for name in rng.sample(names, rng.randint(1, 3)):
            kind = rng.choice(("replaced", "written", "written", "removed"))
            if kind == "removed" and name in self.state:
                removed.add(name)
                del self.state[name]
            elif kind == "written" and name in self.state:
                written[name] = self.units()
                present = self.state[name]
                self.state[name] = attrs.evolve(present, units={**present.units, **written[name]})
            else:
                image = ScopeImage(unproven=rng.random() < 0.5, units=self.units())
                self.state[name] = replaced[name] = image
        cursors = {"odds": f"{len(self.states)}-1", "scores": f"{len(self.states)}-2"}
        if rng.random() < 0.2:
            del cursors[rng.choice(sorted(cursors))]
        position = Position("e1", tuple(sorted(cursors.items())), ("scores",))
        self.positions.append(position)
        self.states.append(
            {name: image for name, image in self.state.items() if name[0] in cursors}
        )
        return (
            ReplicaChanges(replaced=replaced, removed=frozenset(removed), written=written),
            position,
        )

    def units(self) -> dict[str, Unit]:
        rng = self.rng
        return {
            f"key {rng.randrange(20)}": Unit(
                {"price": Decimal(rng.randrange(999)) / 100, "text": "ä" * rng.randrange(80)},
                rng.random() < 0.5,
            )
            for _ in range(rng.randrange(8))
        }

    def find(self, loaded: Loaded) -> int | None:
        """The generation that this is, whole; None when it is none."""
        for generation, (position, state) in enumerate(
            zip(self.positions, self.states, strict=True)
        ):
            if (loaded.position, dict(loaded.scopes)) == (position, state):
                return generation
        return None


@attrs.define
class Images:
    """Openings of disk images, each in a folder of its own."""

    folder: Path
    history: History
    opened: int = 0
    cold: int = 0
    generations: set[int] = attrs.field(factory=set)

    def open(self, files: Files, *, write: bool = False) -> tuple[int | None, str | None]:
        """Which generation comes back, and the note; what is set aside must be as it was.

        With `write` the file must be good for going on, too.
        """
        self.opened += 1
        place = self.folder / "image"
        place.mkdir()
        try:
            for suffix, data in files.items():
                (place / f"feed.db{suffix}").write_bytes(data)
            file, loaded = StateFile.open(place / "feed.db", BINDING)
            if write:
                file.write(CHANGES, AFTERWARDS, BINDING)
            file.close()
            if write:
                file, again = StateFile.open(place / "feed.db", BINDING)
                file.close()
                assert again.note is None
                assert dict(again.scopes) == {**loaded.scopes, **CHANGES.replaced}
            if loaded.note is not None:
                self.cold += 1
                for suffix, data in files.items():
                    aside = place / f"feed.db.set-aside-1{suffix}"
                    found = aside.read_bytes() if data else b""
                    assert found == data, f"{suffix} was changed: {loaded.note}"
                assert loaded.scopes == {}
                assert loaded.position == Position()
                return None, loaded.note
            generation = self.history.find(loaded)
            assert generation is not None, "a mixture"
            self.generations.add(generation)
            return generation, None
        finally:
            shutil.rmtree(place)

    def report(self, what: str, tell: Callable[[str], None]) -> None:
        tell(
            f"state files, {what}: {self.opened} images opened, {self.cold} set aside,"
            f" {len(self.generations)} generations seen"
        )


def record(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    seed: int,
    commits: int,
    page_size: int = 512,
    close: bool = True,
    log_pages: int = 12,
) -> tuple[History, list[Operation]]:
    """Writes a history in small pages with a tiny cache, so that one commit is many writes."""
    pragmas = (
        f"page_size = {page_size}",
        *state_database._PRAGMAS,
        "cache_size = 4",
        f"wal_autocheckpoint = {log_pages}",
    )
    history = History(random.Random(seed))
    with monkeypatch.context() as patch:
        patch.setattr(state_database, "_PRAGMAS", pragmas)
        main = folder / "recorded.db"
        with sqlite_disk.watched(main, monkeypatch) as disk:
            file, _ = StateFile.open(main, BINDING)
            disk.note(0)
            for generation in range(1, commits + 1):
                file.write(*history.step(), BINDING)
                disk.note(generation)
            if close:
                file.close()
            log = list(disk.log)
            file.close()
    return history, log


@attrs.define
class Platter:
    """What the disk holds: what was synced, and what was not and may be lost."""

    synced: Files = attrs.field(factory=dict)
    loose: list[Write | Truncate] = attrs.field(factory=list)
    returned: int = 0
    """The last commit that had returned."""

    def play(self, operation: Operation) -> None:
        match operation:
            case Write() | Truncate():
                self.loose.append(operation)
            case Sync(suffix):
                self.synced = self.after(one for one in self.loose if one.suffix == suffix)
                self.loose = [one for one in self.loose if one.suffix != suffix]
            case Delete(suffix):
                self.synced = {name: data for name, data in self.synced.items() if name != suffix}
                self.loose = [one for one in self.loose if one.suffix != suffix]
            case Note(value):
                self.returned = value
            case LostSync():
                raise AssertionError("this disk was not to fail")

    def after(self, operations: Iterable[Write | Truncate]) -> Files:
        files = {suffix: bytearray(data) for suffix, data in self.synced.items()}
        for operation in operations:
            content = files.setdefault(operation.suffix, bytearray())
            if isinstance(operation, Truncate):
                del content[operation.size :]
            else:
                end = operation.offset + len(operation.data)
                content.extend(bytes(max(0, end - len(content))))
                content[operation.offset : end] = operation.data
        return {suffix: bytes(content) for suffix, content in files.items()}


def sectors(operation: Write) -> list[Write]:
    """A write as the disk may tear it."""
    return [
        Write(operation.suffix, operation.offset + at, operation.data[at : at + SECTOR])
        for at in range(0, len(operation.data), SECTOR)
    ]


SEEDS = [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 6))]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_kill_after_any_write_leaves_the_last_commit_or_the_one_under_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int, tell: Callable[[str], None]
) -> None:
    history, log = record(folder, monkeypatch, seed=seed, commits=10 if seed == 1 else 100)
    images, platter = Images(folder, history), Platter()

    for operation in log:
        platter.play(operation)
        generation, note = images.open(platter.after(platter.loose), write=True)
        assert note is None
        assert generation in (platter.returned, platter.returned + 1)

    images.report("killed after a write", tell)
    assert images.generations == set(range(len(history.states)))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_kill_inside_a_write_leaves_the_last_commit_or_the_one_under_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int, tell: Callable[[str], None]
) -> None:
    history, log = record(
        folder, monkeypatch, seed=seed, commits=5 if seed == 1 else 30, page_size=4096
    )
    images, platter = Images(folder, history), Platter()

    for operation in log:
        parts = sectors(operation) if isinstance(operation, Write) else []
        for cut in range(1, len(parts)):
            generation, note = images.open(platter.after([*platter.loose, *parts[:cut]]))
            assert note is None
            assert generation in (platter.returned, platter.returned + 1)
        platter.play(operation)

    images.report("killed inside a write", tell)
    assert len(images.generations) > len(history.states) / 2


@pytest.mark.parametrize("seed", SEEDS)
def test_a_power_cut_that_loses_what_was_not_synced_leaves_a_commit_that_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int, tell: Callable[[str], None]
) -> None:
    history, log = record(folder, monkeypatch, seed=seed, commits=10 if seed == 1 else 100)
    images, platter = Images(folder, history), Platter()
    rng = random.Random(seed)

    for operation in log:
        for one in sectors(operation) if isinstance(operation, Write) else [operation]:
            platter.play(one)
        for odds in (0.0, 0.5) if platter.loose else ():
            kept = [part for part in platter.loose if rng.random() < odds]
            generation, note = images.open(platter.after(kept))
            assert note is None
            assert generation in (platter.returned, platter.returned + 1)

    images.report("power cut", tell)
    assert images.generations == set(range(len(history.states)))


@pytest.fixture(params=["closed", "killed", "killed with everything in the log"])
def at_rest(
    request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Images, Files]:
    """A file that was closed, or whose writer was killed."""
    closed, log_pages = request.param == "closed", 12 if request.param == "killed" else 1000
    history, log = record(folder, monkeypatch, seed=4, commits=6, close=closed, log_pages=log_pages)
    platter = Platter()
    for operation in log:
        platter.play(operation)
    files = platter.after(platter.loose)
    assert set(files) == ({""} if closed else {"", "-wal"})
    return Images(folder, history), files


def places(data: bytes, share: float, rng: random.Random) -> list[int]:
    """Offsets into a file: all of them for a share of 1."""
    return sorted(rng.sample(range(len(data)), int(len(data) * share)))


SHARES = [0.015, pytest.param(1, marks=pytest.mark.soak)]


@pytest.mark.parametrize("share", SHARES)
def test_a_flipped_bit_costs_the_state_or_nothing(
    at_rest: tuple[Images, Files], share: float, tell: Callable[[str], None]
) -> None:
    images, files = at_rest
    rng = random.Random(5)

    for suffix, data in files.items():
        for at in places(data, share, rng):
            flipped = bytearray(data)
            flipped[at] ^= 1 << rng.randrange(8)
            images.open({**files, suffix: bytes(flipped)}, write=True)

    images.report("a bit flipped", tell)
    assert images.cold
    assert images.generations


def test_no_bit_of_the_header_and_of_the_tables_is_one_too_many(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tell: Callable[[str], None]
) -> None:
    """What a few bytes say about the whole: every bit of the header, the high ones of the rest."""
    history, log = record(folder, monkeypatch, seed=4, commits=6)
    images, platter = Images(folder, history), Platter()
    for operation in log:
        platter.play(operation)
    data = platter.after(platter.loose)[""]
    header = [(at, bit) for at in range(100) for bit in range(8)]

    for at, bit in header + [(at, 7) for at in range(100, SECTOR)]:
        flipped = bytearray(data)
        flipped[at] ^= 1 << bit
        images.open({"": bytes(flipped)}, write=True)

    images.report("a bit of the first page flipped", tell)
    assert images.generations == {6}


@pytest.mark.parametrize("share", SHARES)
def test_a_truncated_file_costs_the_state_or_nothing(
    at_rest: tuple[Images, Files], share: float, tell: Callable[[str], None]
) -> None:
    images, files = at_rest
    rng = random.Random(7)

    for suffix, data in files.items():
        for size in {0, *places(data, share, rng)}:
            images.open({**files, suffix: data[:size]}, write=True)

    images.report("truncated", tell)
    assert images.cold > 10


@pytest.mark.parametrize("count", [200, pytest.param(20_000, marks=pytest.mark.soak)])
def test_zeroed_swapped_and_stale_sectors_cost_the_state_or_nothing(
    at_rest: tuple[Images, Files], count: int, tell: Callable[[str], None]
) -> None:
    images, files = at_rest
    rng = random.Random(6)

    for _ in range(count):
        suffix = rng.choice(sorted(files))
        data = bytearray(files[suffix])
        one, other = (rng.randrange(len(data) // SECTOR) * SECTOR for _ in range(2))
        kind = rng.choice(("zeroed", "swapped", "noise"))
        if kind == "zeroed":
            data[one : one + SECTOR] = bytes(SECTOR)
        elif kind == "noise":
            data[one : one + SECTOR] = rng.randbytes(SECTOR)
        else:
            held = data[one : one + SECTOR]
            data[one : one + SECTOR] = data[other : other + SECTOR]
            data[other : other + SECTOR] = held
        images.open({**files, suffix: bytes(data)}, write=True)

    images.report("sectors gone wrong", tell)
    assert images.cold > count / 8
