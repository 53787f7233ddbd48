"""The vendor's own samples lose data where a feed of ours does not.

The samples are taken from the vendor's page at test time; the variable `LASTSEEN_SEEDS` names the
folder that holds it. Without it there is nothing to compare with, and the tests are skipped.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import trio
from processes import seeds_folder
from tiny_stream_server import Exchange, TinyStreamServer
from toy_stream import Toy, heartbeat, snapshot, update

from lastseen import StreamOptions
from lastseen.events import Entry
from lastseen_trio import CommitError, SQLiteStore, open_feed
from lastseen_trio.state_file import StateFile

PATIENCE_S = 60.0
OPTIONS = StreamOptions(backoff_base_s=0.01, backoff_cap_s=0.02, commit_interval_s=0.001)


@pytest.fixture(scope="module")
def samples() -> list[str]:
    """The code blocks of the page that has them marked."""
    folder = seeds_folder()
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.txt"))]
    if not texts:
        pytest.skip(f"no seeds folder ({folder}); LASTSEEN_SEEDS names it")
    page = "\n".join(line.removeprefix("> ") for text in texts for line in text.splitlines())
    return re.findall(r"^```python[^\n]*\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def sample_with(samples: list[str], words: str) -> str:
    found = [code for code in samples if words in code]
    assert found, f"no sample with {words!r}"
    return found[0]


def run_dedup_sample(code: str, stream: list[dict[str, Any]]) -> list[dict[str, Any]]:
    processed: list[dict[str, Any]] = []
    exec(code, {"stream": stream, "process_message": processed.append})
    return processed


async def test_hz_f2_the_dedup_sample_drops_what_has_no_id_and_a_feed_does_not(
    listen: Any, samples: list[str]
) -> None:
    code = sample_with(samples, "seen_messages")
    told = [{"symbol": "demo", "n": n} for n in range(3)]
    assert run_dedup_sample(code, told) == told[:1]

    async def handle(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.send(snapshot({}), heartbeat(), *(update((None, None, n)) for n in range(3)))
        await trio.sleep_forever()

    url = f"http://127.0.0.1:{await listen(TinyStreamServer(handle))}"
    seen = []
    with trio.fail_after(PATIENCE_S):
        async with open_feed(Toy(), url=url, options=OPTIONS) as feed:
            async for event in feed:
                if isinstance(event, Entry):
                    seen.append(event)
                if len(seen) == 3:
                    break
    assert [entry.raw for entry in seen] == [b"[null, null, %d]" % n for n in range(3)]


class CrashError(Exception):
    """The process dies here."""


class Database:
    """What the sample writes to; dies once, between the two statements."""

    def __init__(self, duplicate: type[Exception]) -> None:
        self.duplicate = duplicate
        self.executions: set[str] = set()
        self.orders: dict[str, str] = {}
        self.dies = True

    def insert_execution(self, exec_id: str, _update: Any) -> None:
        if exec_id in self.executions:
            raise self.duplicate
        self.executions.add(exec_id)

    def update_order(self, order_id: str, status: str) -> None:
        if self.dies:
            self.dies = False
            raise CrashError
        self.orders[order_id] = status


async def test_hz_e3_the_order_sample_never_makes_the_update_and_a_feed_does(
    listen: Any, samples: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = sample_with(samples, "def process_order_update")
    duplicate = type("UniqueConstraintError", (Exception,), {})
    database = Database(duplicate)
    names: dict[str, Any] = {"db": database, "UniqueConstraintError": duplicate}
    exec(code, names)
    filled = {"orderId": "o-1", "execId": "x-1", "status": "FILLED"}
    with pytest.raises(CrashError):
        names["process_order_update"](filled)
    names["process_order_update"](filled)
    assert database.executions == {"x-1"}
    assert database.orders == {}

    async def handle(exchange: Exchange) -> None:
        await exchange.begin()
        if b"t1" in exchange.body:
            await exchange.send(update(("x-1", "o-1", 2), token="t2"))
        else:
            await exchange.send(snapshot({"o-1": 0}, token="t1"))
            await trio.sleep(0.05)
            await exchange.send(update(("x-1", "o-1", 2), token="t2"))
        await trio.sleep_forever()

    server = TinyStreamServer(handle)
    url = f"http://127.0.0.1:{await listen(server)}"
    path = tmp_path / "orders.db"
    dialect = Toy(has_tokens=True)
    write = StateFile.write

    def write_and_die(self: StateFile, changes: Any, position: Any, binding: Any) -> None:
        if position.tokens and position.tokens[0][1].reveal() == "t2":
            raise CommitError("the process dies here")
        write(self, changes, position, binding)

    async def play(store: SQLiteStore) -> None:
        async with open_feed(dialect, url=url, options=OPTIONS, store=store) as feed:
            async for event in feed:
                if isinstance(event, Entry):
                    break
                while feed.status().durable != feed.position:
                    feed.acknowledge()
                    await trio.sleep(0.005)
            feed.acknowledge()

    with trio.fail_after(PATIENCE_S):
        monkeypatch.setattr(StateFile, "write", write_and_die)
        await play(SQLiteStore(path))
        monkeypatch.setattr(StateFile, "write", write)
        store = SQLiteStore(path)
        await play(store)
        assert store.replica.state() == {"o-1": 2}
        third = SQLiteStore(path)
        async with open_feed(dialect, url=url, options=OPTIONS, store=third):
            assert third.replica.state() == {"o-1": 2}
    assert b"t1" in server.exchanges[1].body
