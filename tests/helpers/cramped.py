"""Scenes on disks that a test process cannot have for itself; run as a program, they print lines.

`full` and `read-only` expect to be root of a user namespace of their own and an empty folder to
mount on; `forbidden` gives up its privileges, if it has any, for those of nobody.
"""

import os
import subprocess
import sys
from pathlib import Path

from state_files import SCORES, binding, changes, image, position

from lastseen_trio.state_file import StateFile
from lastseen_trio.store import CommitError, StoreError

NOBODY = 65534


def say(text: object) -> None:
    print(str(text).replace(str(folder), "…"), flush=True)


def opened(name: str = "feed.db") -> StateFile | None:
    try:
        file, loaded = StateFile.open(folder / name, binding())
    except StoreError as error:
        say(f"refused: {error}")
        return None
    say(f"at {dict(loaded.position.cursors)} with {len(loaded.scopes)} scopes: {loaded.note}")
    return file


def write(file: StateFile | None, number: int, size: int = 1) -> None:
    assert file is not None
    try:
        file.write(changes({SCORES: image({"a": "x" * size})}), position(number), binding())
    except CommitError as error:
        say(f"not written: {error}")
    else:
        say(f"written: {number}")


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments, str(folder)], check=True)


def full() -> None:
    """A disk of a megabyte, with and without room."""
    mount("-t", "tmpfs", "-o", "size=1m", "tmpfs")
    filling = folder / "filling"

    def fill() -> None:
        with filling.open("wb", buffering=0) as target:
            try:
                while target.write(bytes(4096)) == 4096:
                    pass
            except OSError:
                pass

    fill()
    file = opened()
    write(file, 1)
    filling.unlink()
    write(file, 2)
    fill()
    write(file, 3, size=300_000)
    write(file, 4, size=300_000)
    filling.unlink()
    write(file, 5)
    fill()
    assert file is not None
    file.close()
    file = opened()
    write(file, 6, size=300_000)
    filling.unlink()
    write(file, 7, size=300_000)
    assert file is not None
    file.close()
    opened()


def read_only() -> None:
    """A mount that cannot be written to begin with: no file, a closed one, one that was killed."""
    mount("-t", "tmpfs", "tmpfs")

    def at(name: str, number: int) -> None:
        mount("-o", "remount,ro")
        file = opened(name)
        if file is None:
            mount("-o", "remount,rw")
            return
        write(file, number)
        mount("-o", "remount,rw")
        write(file, number + 1)
        file.close()

    at("feed.db", 1)
    at("feed.db", 3)
    file = opened()
    write(file, 5)
    for suffix in ("", "-wal"):
        (folder / f"killed.db{suffix}").write_bytes((folder / f"feed.db{suffix}").read_bytes())
    (folder / "notes.db").write_text("not ours", encoding="utf-8")
    assert file is not None
    file.close()
    at("killed.db", 6)
    file = opened("killed.db")
    assert file is not None
    file.close()
    at("notes.db", 8)
    say((folder / "notes.db").read_text(encoding="utf-8"))


def hold() -> None:
    """Has the file open until there is nothing more to read."""
    file = opened()
    write(file, 1)
    sys.stdin.read()
    assert file is not None
    file.close()


def forbidden() -> None:
    """Files and folders that are there, and not for us."""
    holder = subprocess.Popen(
        [sys.executable, __file__, "hold", str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    print(holder.stdout.readline() + holder.stdout.readline(), end="")
    folder.chmod(0o755)
    (folder / "feed.db").chmod(0o644)
    (folder / "locked.db").write_text("not for you", encoding="utf-8")
    (folder / "locked.db").chmod(0o000)
    (folder / "inner").mkdir(mode=0o700)
    if os.getuid() == 0:
        os.setuid(NOBODY)
    else:
        folder.chmod(0o555)
        (folder / "inner").chmod(0o000)
        (folder / "feed.db").chmod(0o444)
    opened()
    opened("locked.db")
    opened("inner/feed.db")
    holder.communicate()
    again = opened()
    write(again, 2)
    write(opened("new.db"), 1)


SCENES = {"full": full, "read-only": read_only, "forbidden": forbidden, "hold": hold}

if __name__ == "__main__":
    folder = Path(sys.argv[2])
    SCENES[sys.argv[1]]()
