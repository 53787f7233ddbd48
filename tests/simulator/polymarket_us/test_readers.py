"""One stream, four readers, and a chunk that ends at every byte of a record."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from body_readers import take_apart

from lastseen.deframing import RECORD_BYTES_MAX, Deframer
from lastseen.dialect import End
from lastseen.effects import Connect, StreamRequest, Subscribe
from lastseen.secret import Secret
from lastseen_simulator.faults import Fault
from lastseen_simulator.polymarket_us.options import PolymarketUSOptions
from lastseen_simulator.server import GatewayServer, open_gateway
from lastseen_trio.addresses import Address
from lastseen_trio.http_stream import HttpStream, HttpStreams
from lastseen_trio.transport import Head

PATH = "/v1/instruments/subscribe"
ASKED: dict[str, Any] = {"snapshotOnly": True, "symbols": ["demo-aaa"]}
ACCEPTS = {"lines": "*/*", "connect": "application/connect+json", "sse": "text/event-stream"}
NODE_READER = Path(__file__).parents[2] / "helpers/read_stream.mjs"

Record = dict[str, Any]
Read = Callable[[str], list[Record]]
"""Opens the stream with this `Accept` and returns its records."""


async def by_ours(server: GatewayServer, accept: str) -> tuple[list[Record], list[int]]:
    """The adapter and the de-framer that the product has; also the sizes of the chunks."""
    transport = HttpStreams(address=Address.from_url(server.http_url, schemes=("http",)))
    headers: tuple[tuple[str, str | Secret], ...] = (("Accept", accept),)
    request = StreamRequest(path=PATH, headers=headers, body=Secret(json.dumps(ASKED)))
    records: list[bytes] = []
    sizes: list[int] = []
    async with trio.open_nursery() as room:
        stream = await transport.open(room, Connect(connection=1, timeout_s=30.0))
        assert isinstance(stream, HttpStream)
        await stream.perform(Subscribe(connection=1, request=request))
        head = await stream.receive()
        assert isinstance(head, Head)
        deframer = Deframer(head.content_type, RECORD_BYTES_MAX)
        while not isinstance(pieces := await stream.receive(), (End, Head)):
            for piece in pieces:
                assert isinstance(piece, bytes)
                sizes.append(len(piece))
                records += deframer.feed(piece)
        await stream.abort()
    assert deframer.fault is None
    assert not deframer.mistaken
    return [json.loads(record) for record in records], sizes


@contextmanager
def by_httpx(server: GatewayServer) -> Iterator[Read]:
    with httpx.Client(trust_env=False, timeout=30) as client:

        def read(accept: str) -> list[Record]:
            headers = {"Accept": accept}
            with client.stream(
                "POST", f"{server.http_url}{PATH}", json=ASKED, headers=headers
            ) as answer:
                body = b"".join(answer.iter_raw())
                return take_apart(body, answer.headers["content-type"])

        yield read


@contextmanager
def by_fetch(server: GatewayServer) -> Iterator[Read]:
    with subprocess.Popen(
        ["node", str(NODE_READER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asks, answers = process.stdin, process.stdout

        def read(accept: str) -> list[Record]:
            order = {"url": f"{server.http_url}{PATH}", "accept": accept, "body": json.dumps(ASKED)}
            asks.write(json.dumps(order) + "\n")
            asks.flush()
            answer = json.loads(answers.readline())
            return take_apart(bytes.fromhex(answer["hex"]), answer["type"])

        yield read
        asks.close()


def common(records: list[Record]) -> list[Record]:
    """The records without what names the answer that brought them."""
    return [
        {"result": {name: value for name, value in record["result"].items() if name not in OWN}}
        for record in records
    ]


OWN = ("sessionId", "processedSentTime", "resumeToken")
OTHERS = {"httpx": by_httpx, "node": by_fetch}


@pytest.mark.parametrize("framing", ACCEPTS)
async def test_a_chunk_may_end_at_any_byte_and_all_read_the_same(framing: str) -> None:
    accept = ACCEPTS[framing]
    others = {name: open_one for name, open_one in OTHERS.items() if name not in missing()}

    # Waiting for a foreign reader must not meet a limit of time.
    options = PolymarketUSOptions(rate=0.0, streams=10_000, messages=1_000_000)
    async with open_gateway(options) as server:
        whole, sizes = await by_ours(server, accept)
        symbols = [each["result"]["instruments"][0]["symbol"] for each in whole]
        assert symbols == ASKED["symbols"]
        with ExitStack() as stack:
            reads = {name: stack.enter_context(each(server)) for name, each in others.items()}
            for cut_at in range(1, sizes[0]):
                fault = Fault(
                    kind="split", at="before snapshot 1", times=1 + len(reads), cut_at=cut_at
                )
                number = server.place(fault)
                ours, cut = await by_ours(server, accept)
                assert cut[0] == cut_at
                assert common(ours) == common(whole), cut_at
                for name, read in reads.items():
                    theirs = await trio.to_thread.run_sync(read, accept)
                    assert common(theirs) == common(whole), (name, cut_at)
                assert server.receipts()[number - 1].fired == 1 + len(reads)


def test_every_reader_is_here() -> None:
    if missing():
        pytest.skip("no node")


def missing() -> set[str]:
    return {"node"} if shutil.which("node") is None else set()
