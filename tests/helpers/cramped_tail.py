"""`lastseen tail --state` on disks of its own; run as a program, it prints JSON Lines.

It expects to be root of a user namespace of its own, an empty folder to mount on, and the URL of a
gateway whose market moves.
"""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from processes import PATIENCE_S, command, environment


def say(**members: Any) -> None:
    print(json.dumps(members).replace(str(folder), "…"), flush=True)


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments, str(folder)], check=True)


def fill() -> None:
    with (folder / "filling").open("wb", buffering=0) as target:
        try:
            while target.write(bytes(4096)) == 4096:
                pass
        except OSError:
            pass


def started() -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("tail", url, "--json", "--state", str(folder / "feed.db"), "--sports", "10"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def wait_for(tail: subprocess.Popen[str], event: str, **members: Any) -> None:
    """Reads on until a line says this, and passes it on."""
    assert tail.stdout is not None
    for line in tail.stdout:
        said = json.loads(line)
        if said["event"] == event and members.items() <= said.items():
            say(event=event, **members, detail=said.get("detail"))
            return
    raise AssertionError(f"ended without {event}")


def end(tail: subprocess.Popen[str]) -> None:
    tail.send_signal(signal.SIGTERM)
    out, err = tail.communicate(timeout=PATIENCE_S)
    last = json.loads(out.splitlines()[-1])["event"]
    say(code=tail.returncode, last=last, err=err.splitlines())


def full() -> None:
    """Full when it starts, then with room; full again, for good."""
    mount("-t", "tmpfs", "-o", "size=1m", "tmpfs")
    fill()
    tail = started()
    wait_for(tail, "durability", durable=False)
    (folder / "filling").unlink()
    wait_for(tail, "durability", durable=True)
    wait_for(tail, "committed")
    fill()
    wait_for(tail, "durability", durable=False)
    end(tail)
    (folder / "filling").unlink()
    tail = started()
    wait_for(tail, "restored")
    wait_for(tail, "committed")
    end(tail)


def read_only() -> None:
    """Read-only when it starts, with nothing there; then with a file there; then not any more."""
    mount("-t", "tmpfs", "tmpfs")
    mount("-o", "remount,ro")
    tail = started()
    wait_for(tail, "durability", durable=False)
    mount("-o", "remount,rw")
    wait_for(tail, "durability", durable=True)
    end(tail)
    mount("-o", "remount,ro")
    tail = started()
    wait_for(tail, "restored")
    wait_for(tail, "durability", durable=False)
    end(tail)


SCENES = {"full": full, "read-only": read_only}

if __name__ == "__main__":
    folder, url = Path(sys.argv[2]), sys.argv[3]
    SCENES[sys.argv[1]]()
