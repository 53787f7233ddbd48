"""Snapshots over HTTP: nothing is believed that may have been cut."""

from typing import Any

import pytest
import trio
import trio.testing

from lastseen.dialect import HttpResponse, SnapshotFault
from lastseen.effects import FetchSnapshot, Request
from lastseen.secret import Secret
from lastseen_trio.addresses import Address
from lastseen_trio.http import fetch_snapshot

KEY = "00112233445566778899aabbccddeeff"
PATIENCE_S = 30.0
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def get(*paths: str, timeout_s: float = PATIENCE_S) -> FetchSnapshot:
    requests = tuple(
        Request(path=path, query=(("apiKey", Secret(KEY)), ("ids", "a,b"), ("q", "x y&z")))
        for path in paths or ("/fixtures",)
    )
    return FetchSnapshot(fetch=1, requests=requests, timeout_s=timeout_s)


class Server:
    """Answers each request with the next of some bytes; hangs up after an empty rest."""

    def __init__(self, *answers: bytes, hang_up: bool = False) -> None:
        self.answers = list(answers)
        self.hang_up = hang_up
        self.heads: list[bytes] = []
        self.connections = 0

    async def __call__(self, stream: trio.abc.Stream) -> None:
        self.connections += 1
        while self.answers:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                data = await stream.receive_some()
                if not data:
                    return
                head += data
            self.heads.append(head)
            answer = self.answers.pop(0)
            await stream.send_all(answer)
            if b"Connection: close" in answer:
                return
        if not self.hang_up:
            await trio.sleep_forever()


async def ask(listen: Any, server: Any, fetch: FetchSnapshot | None = None, **options: Any) -> Any:
    base = Address(scheme="http", host="127.0.0.1", port=await listen(server), target="/en")
    with trio.fail_after(PATIENCE_S):
        return await fetch_snapshot(base, fetch or get(), **options)


async def test_a_whole_answer_comes_with_lower_case_header_names(listen: Any) -> None:
    server = Server(OK + b"X-As-Of: e1\r\nContent-Length: 2\r\n\r\n[]")
    (response,) = await ask(listen, server)

    assert (response.status, response.body) == (200, b"[]")
    assert response.header("x-as-of") == "e1"
    line, *headers = server.heads[0].decode().split("\r\n")
    assert line == f"GET /en/fixtures?apiKey={KEY}&ids=a,b&q=x+y%26z HTTP/1.1"
    assert "accept-encoding: identity" in [header.lower() for header in headers]


async def test_a_chunked_answer_is_put_together(listen: Any) -> None:
    body = b"Transfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n2\r\n,2\r\n1\r\n]\r\n0\r\n\r\n"
    (response,) = await ask(listen, Server(OK + body))

    assert response.body == b"[1,2]"


async def test_requests_share_a_connection_that_the_peer_keeps(listen: Any) -> None:
    answer = OK + b"Content-Length: 2\r\n\r\n[]"
    server = Server(answer, answer, answer)

    assert len(await ask(listen, server, get("/a", "/b", "/c"))) == 3
    assert server.connections == 1


async def test_a_connection_that_the_peer_ends_is_made_anew(listen: Any) -> None:
    answer = OK + b"Connection: close\r\nContent-Length: 2\r\n\r\n[]"
    server = Server(answer, answer)

    assert len(await ask(listen, server, get("/a", "/b"))) == 2
    assert server.connections == 2


@pytest.mark.parametrize("status", [b"429 Slow Down", b"500 Oh", b"401 No"])
async def test_a_refusal_passes_through_and_ends_the_fetch(listen: Any, status: bytes) -> None:
    server = Server(b"HTTP/1.1 " + status + b"\r\nRetry-After: 9\r\nContent-Length: 2\r\n\r\n{}")
    (response,) = await ask(listen, server, get("/a", "/b"))

    assert isinstance(response, HttpResponse)
    assert response.status == int(status[:3])
    assert response.header("retry-after") == "9"
    assert len(server.heads) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        OK + b"Content-Length: 10\r\n\r\n[]",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]",
        OK + b"\r\n[]",
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n[]]",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n[]",
        OK + b"Set-Cookie: " + b"x" * 70_000 + b"\r\n\r\n",
    ],
    ids=[
        "nothing",
        "cut-head",
        "cut-body",
        "no-last-chunk",
        "cut-chunk",
        "ended-by-hanging-up",
        "two-lengths",
        "not-http",
        "gzip",
        "endless-head",
    ],
)
async def test_an_answer_that_may_be_cut_is_a_fault(listen: Any, answer: bytes) -> None:
    answered = await ask(listen, Server(answer, hang_up=True))

    assert isinstance(answered, SnapshotFault)
    assert answered.reason


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 1001\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001 + b"\r\n",
    ],
)
async def test_a_huge_body_is_not_read_to_its_end(listen: Any, body: bytes) -> None:
    answered = await ask(listen, Server(OK + body), body_bytes_max=1000)

    assert answered == SnapshotFault(reason="the body is too large", permanent=True)


async def test_bodies_that_are_too_large_together_are_not_read_to_their_end(listen: Any) -> None:
    answer = OK + b"Content-Length: 600\r\n\r\n" + b"x" * 600

    answered = await ask(listen, Server(answer, answer), get("/a", "/b"), body_bytes_max=1000)

    assert answered == SnapshotFault(reason="the body is too large", permanent=True)


async def test_bodies_may_fill_the_limit_together(listen: Any) -> None:
    answer = OK + b"Content-Length: 500\r\n\r\n" + b"x" * 500

    answered = await ask(listen, Server(answer, answer), get("/a", "/b"), body_bytes_max=1000)

    assert [len(response.body) for response in answered] == [500, 500]


async def test_a_length_beyond_all_numbers_is_a_fault(listen: Any) -> None:
    answered = await ask(listen, Server(OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n"))

    assert isinstance(answered, SnapshotFault)


async def test_a_redirect_is_not_followed(listen: Any) -> None:
    other = Server(OK + b"Content-Length: 2\r\n\r\n[]")
    port = await listen(other)
    location = f"Location: http://127.0.0.1:{port}/en/fixtures?apiKey={KEY}\r\n".encode()
    answer = b"HTTP/1.1 302 Found\r\n" + location + b"Content-Length: 0\r\n\r\n"

    answered = await ask(listen, Server(answer))

    assert answered.permanent
    assert KEY not in answered.reason
    assert other.connections == 0


async def test_nobody_there_is_a_fault_without_the_key() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    base = Address(
        scheme="http",
        host="127.0.0.1",
        port=listeners[0].socket.getsockname()[1],
        target="/en",
    )
    await listeners[0].aclose()

    assert await fetch_snapshot(base, get()) == SnapshotFault(reason="connection refused")


async def test_one_deadline_covers_all_requests(listen: Any, autojump_clock: Any) -> None:
    async def drip(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(OK + b"Content-Length: 1000\r\n\r\n")
        while True:
            await stream.send_all(b" ")
            await trio.sleep(1)

    started = trio.current_time()
    base = Address(scheme="http", host="127.0.0.1", port=await listen(drip), target="/en")
    answered = await fetch_snapshot(base, get("/a", "/b", timeout_s=20))

    assert answered == SnapshotFault(reason="timed out")
    assert trio.current_time() - started >= 20


async def test_a_drip_within_the_deadline_is_an_answer(listen: Any) -> None:
    async def drip(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        for byte in OK + b"Content-Length: 2\r\n\r\n[]":
            await stream.send_all(bytes([byte]))
            await trio.testing.wait_all_tasks_blocked()
        await trio.sleep_forever()

    (response,) = await ask(listen, drip)

    assert response.body == b"[]"


async def test_a_cancelled_fetch_hangs_up(listen: Any) -> None:
    ended = trio.Event()
    asked = trio.Event()

    async def wait(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        asked.set()
        assert not await stream.receive_some()
        ended.set()

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, listen, wait)
            await asked.wait()
            nursery.cancel_scope.cancel()
        await ended.wait()
