"""A stream over real sockets: what leaves, what is believed, and how it ends."""

import json
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from tiny_stream_server import Exchange, TinyStreamServer
from toy_stream import Toy, heartbeat, snapshot, update

from lastseen import (
    Account,
    AccountLimits,
    Base,
    ConfigurationError,
    Disconnected,
    Position,
    Queued,
    Replica,
    Secret,
    SessionOptions,
    StateSnapshot,
    Stopped,
    StreamOptions,
)
from lastseen.accounts import STRICT, Bearer
from lastseen.stream_messages import StreamEntry
from lastseen_trio import (
    ClientCredentials,
    MemoryStore,
    SQLiteStore,
    StreamFeed,
    TokenError,
    open_feed,
)

PATIENCE_S = 60.0
KEY = "canary-8c1f77aa"
TOKENS = Toy(has_tokens=True)
OPTIONS = StreamOptions(
    backoff_base_s=0.01, backoff_cap_s=0.05, limit_backoff_s=0.01, handover_jitter_s=0.01
)

Handle = Callable[[Exchange], Awaitable[None]]


async def serve_state(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.send(snapshot({"o-1": 0}), update(("x-1", "o-1", 4)))
    await trio.sleep_forever()


async def until(feed: StreamFeed, done: Callable[[Any], bool]) -> list[Any]:
    """Takes events until one is the one; does not acknowledge the last."""
    seen = []
    async for event in feed:
        seen.append(event)
        if done(event):
            return seen
    raise AssertionError(f"ended after {seen[-3:]}")


def is_a(*kinds: type) -> Callable[[Any], bool]:
    return lambda event: isinstance(event, kinds)


async def test_orders_snapshot_then_delta(listen: Any) -> None:
    server = TinyStreamServer(serve_state)
    url = f"http://127.0.0.1:{await listen(server)}/v1"
    replica = Replica(Toy())
    with trio.fail_after(PATIENCE_S):
        async with open_feed(Toy(), url=url, key=KEY, options=OPTIONS) as feed:
            async for event in feed:
                replica.apply(event)
                if replica.state() == {"o-1": 4}:
                    break
            assert feed.status().synced
    (exchange,) = server.exchanges
    assert exchange.request.target == b"/v1/orders"
    assert exchange.request.method == b"POST"
    assert exchange.headers["authorization"] == f"Bearer {KEY}"
    assert exchange.headers["accept-encoding"] == "identity"
    assert exchange.headers["content-length"] == str(len(exchange.body))
    assert json.loads(exchange.body) == {}


async def test_records_cut_at_every_byte_are_the_same_records(listen: Any) -> None:
    wire = snapshot({"o-1": 0, "é": 1}) + update(("x-1", "o-1", 4)) + update(("x-2", "é", 2))

    async def handle(exchange: Exchange) -> None:
        cut = len(server.exchanges) - 1
        await exchange.begin()
        if cut == len(wire):
            await exchange.send(*(wire[n : n + 1] for n in range(len(wire))))
        else:
            await exchange.send(*filter(None, (wire[:cut], wire[cut:])))
        await exchange.end()

    server = TinyStreamServer(handle)
    url = f"http://127.0.0.1:{await listen(server)}"
    options = StreamOptions(backoff_base_s=0.0001, backoff_cap_s=0.0002)
    replica = Replica(Toy())
    bases = 0
    with trio.fail_after(PATIENCE_S):
        async with open_feed(Toy(), url=url, options=options) as feed:
            async for event in feed:
                replica.apply(event)
                bases += isinstance(event, StateSnapshot)
                if isinstance(event, Disconnected):
                    assert replica.state() == {"o-1": 4, "é": 2}
                    assert event.reason == "the body ended"
                    if bases > len(wire):
                        break
    assert "authorization" not in server.exchanges[0].headers


async def test_a_resume_sends_the_token_of_what_was_processed(listen: Any) -> None:
    async def handle(exchange: Exchange) -> None:
        await exchange.begin()
        if len(server.exchanges) == 1:
            await exchange.send(snapshot({"o-1": 0}, token="t1"), update(("x-1", "o-1", 1)))
            await exchange.send(update(("x-2", "o-1", 2), token="t=2\u00e9"))
            return
        await exchange.send(update(("x-2", "o-1", 2), token="t2"))
        await exchange.send(update(("x-3", "o-1", 3), token="t3"))
        await trio.sleep_forever()

    server = TinyStreamServer(handle)
    url = f"http://127.0.0.1:{await listen(server)}"
    ids = []
    with trio.fail_after(PATIENCE_S):
        async with open_feed(TOKENS, url=url, options=OPTIONS) as feed:
            async for event in feed:
                if isinstance(event, StreamEntry):
                    ids.append(event.id)
                if ids[-1:] == ["x-3"]:
                    break
    assert ids == ["x-1", "x-2", "x-3"]
    assert json.loads(server.exchanges[1].body) == {"token": "t=2\u00e9"}


async def test_a_restart_goes_on_from_the_file(listen: Any, tmp_path: Path) -> None:
    async def handle(exchange: Exchange) -> None:
        await exchange.begin()
        if not json.loads(exchange.body):
            await exchange.send(snapshot({"o-1": 0, "o-2": 7}, token="t1"))
            await exchange.send(update(("x-2", "o-1", 2), token="t2"))
        else:
            await exchange.send(update(("x-3", "o-1", 3), token="t3"))
        await trio.sleep_forever()

    server = TinyStreamServer(handle)
    url = f"http://127.0.0.1:{await listen(server)}"
    path = tmp_path / "orders.db"
    with trio.fail_after(PATIENCE_S):
        first = SQLiteStore(path)
        async with open_feed(TOKENS, url=url, key=KEY, options=OPTIONS, store=first) as feed:
            await until(feed, lambda event: getattr(event, "id", None) == "x-2")
            feed.acknowledge()
        second = SQLiteStore(path)
        async with open_feed(TOKENS, url=url, key=KEY, options=OPTIONS, store=second) as feed:
            assert feed.restored.position.token("orders") == Secret("t2")
            assert second.replica.state() == {"o-1": 2, "o-2": 7}
            await until(feed, lambda event: getattr(event, "id", None) == "x-3")
            assert feed.status().synced
            feed.acknowledge()
            assert second.replica.state() == {"o-1": 3, "o-2": 7}
    assert [json.loads(exchange.body) for exchange in server.exchanges] == [{}, {"token": "t2"}]
    assert KEY.encode() not in path.read_bytes()


async def test_a_position_of_the_applications_own(listen: Any) -> None:
    async def handle(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.send(update(("x-3", "o-1", 3), token="t3"))
        await trio.sleep_forever()

    server = TinyStreamServer(handle)
    url = f"http://127.0.0.1:{await listen(server)}"
    kept = Position(tokens=(("orders", Secret("t2")),)).to_json()
    with trio.fail_after(PATIENCE_S):
        position = Position.from_json(kept)
        async with open_feed(TOKENS, url=url, options=OPTIONS, position=position) as feed:
            (*_, entry) = await until(feed, is_a(StreamEntry))
            assert feed.position_after(entry).token("orders") == Secret("t3")
    assert json.loads(server.exchanges[0].body) == {"token": "t2"}


# What is not believed.


def raw(answer: bytes, *, then_close: bool = False) -> Handle:
    async def handle(exchange: Exchange) -> None:
        await exchange.stream.send_all(answer)
        if not then_close:
            await trio.sleep_forever()

    return handle


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODY = snapshot({"o-1": 0})

REFUSED = [
    (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
     "HTTP 302: a redirect is not followed"),
    (b"HTTP/1.1 307 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
     "HTTP 307: a redirect is not followed"),
    (HEAD + b"\r\n" + BODY, "the body has no framed end"),
    (HEAD + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
     "the body has an encoding that was not asked for"),
    (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "the answer is not HTTP"),
    (b"HTTP/1.1 204 No Content\r\n\r\n", "HTTP 204"),
    (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 70_000, "the answer is not HTTP"),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "a chunk without a size"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
async def test_an_answer_that_must_not_be_read(listen: Any, answer: bytes, reason: str) -> None:
    server = TinyStreamServer(raw(answer))
    url = f"http://127.0.0.1:{await listen(server)}"
    with trio.fail_after(PATIENCE_S):
        async with open_feed(Toy(), url=url, key=KEY, options=OPTIONS) as feed:
            seen = await until(feed, is_a(Disconnected))
    assert seen[-1].reason == reason
    assert not any(isinstance(event, StateSnapshot) for event in seen)


async def test_hz_k2_a_cut_body_is_a_drop_and_its_tail_no_record(listen: Any) -> None:
    tail = update(("x-1", "o-1", 4)).rstrip(b"\n")

    async def handle(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.send(BODY, tail)

    server = TinyStreamServer(handle)
    url = f"http://127.0.0.1:{await listen(server)}"
    with trio.fail_after(PATIENCE_S):
        async with open_feed(Toy(), url=url, options=OPTIONS) as feed:
            seen = await until(feed, is_a(Disconnected))
    assert seen[-1].reason == "the body was cut"
    assert not any(isinstance(event, StreamEntry) for event in seen)


async def test_a_body_of_a_declared_length_is_a_stream_like_any(listen: Any) -> None:
    answer = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY + b"garbage behind it"
    server = TinyStreamServer(raw(answer))
    url = f"http://127.0.0.1:{await listen(server)}"
    with trio.fail_after(PATIENCE_S):
        async with open_feed(Toy(), url=url, options=OPTIONS) as feed:
            seen = await until(feed, is_a(Disconnected))
    assert any(isinstance(event, StateSnapshot) for event in seen)
    assert seen[-1].reason == "the body ended"


@pytest.mark.parametrize("stall", ["nothing", "half a head", "no body"])
async def test_hz_k9_a_stalled_answer_ends_in_time(listen: Any, stall: str) -> None:
    answers = {
        "nothing": b"",
        "half a head": HEAD,
        "no body": HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
    }
    options = StreamOptions(connect_timeout_s=0.2, close_timeout_s=0.1, login_timeout_s=0.2)
    server = TinyStreamServer(raw(answers[stall]))
    url = f"http://127.0.0.1:{await listen(server)}"
    with trio.fail_after(PATIENCE_S):
        async with open_feed(Toy(), url=url, options=options) as feed:
            (*_, end) = await until(feed, is_a(Disconnected))
    assert end.reason == ("first snapshot timed out" if stall == "no body" else "answer timed out")


async def test_a_refusal_brings_its_words_no_further_than_the_dialect(listen: Any) -> None:
    async def handle(exchange: Exchange) -> None:
        retry = ("Retry-After", "0")
        await exchange.refuse(429, b'{"code":8,"message":"%s"}' % KEY.encode(), retry)

    server = TinyStreamServer(handle)
    url = f"http://127.0.0.1:{await listen(server)}"
    with trio.fail_after(PATIENCE_S):
        async with open_feed(Toy(), url=url, key=KEY, options=OPTIONS) as feed:
            (*_, end) = await until(feed, is_a(Disconnected))
            assert (end.code, end.failure.value) == (429, "limit")
            assert KEY not in repr(end)


async def test_nothing_that_is_refused_for_good_is_hammered(listen: Any) -> None:
    async def handle(exchange: Exchange) -> None:
        await exchange.refuse(403)

    server = TinyStreamServer(handle)
    url = f"http://127.0.0.1:{await listen(server)}"
    with trio.fail_after(PATIENCE_S):
        async with open_feed(Toy(), url=url, key=KEY, options=OPTIONS) as feed:
            seen = [event async for event in feed]
    assert isinstance(seen[-2], Stopped) or any(isinstance(event, Stopped) for event in seen)
    assert len(server.exchanges) == 2


@pytest.mark.parametrize("trusted", [False, True])
async def test_hz_k1_nothing_is_said_to_a_peer_that_cannot_prove_who_it_is(
    listen: Any, certificate: tuple[Path, Path], trusted: bool
) -> None:
    server = TinyStreamServer(serve_state)
    port = await listen(_with_tls(server, certificate))
    trust = str(certificate[0]) if trusted else None
    context = ssl.create_default_context(cafile=trust)
    url = f"https://localhost:{port}"
    with trio.fail_after(PATIENCE_S):
        async with open_feed(Toy(), url=url, key=KEY, options=OPTIONS, ssl_context=context) as feed:
            seen = await until(feed, is_a(Disconnected, StateSnapshot))
    if trusted:
        assert isinstance(seen[-1], StateSnapshot)
        return
    assert seen[-1].reason.startswith("certificate not accepted")
    assert not server.exchanges


def _with_tls(server: TinyStreamServer, certificate: tuple[Path, Path]) -> Any:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)

    async def serve(stream: trio.abc.Stream) -> None:
        tls: trio.SSLStream[Any] = trio.SSLStream(
            stream, context, server_side=True, https_compatible=True
        )
        await server(tls)

    return serve


async def test_no_secret_shows(listen: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = TinyStreamServer(serve_state)
    url = f"http://127.0.0.1:{await listen(server)}"
    with trio.fail_after(PATIENCE_S):
        async with open_feed(TOKENS, url=url, key=KEY, options=OPTIONS) as feed:
            seen = await until(feed, is_a(StreamEntry))
            shown = repr((seen, feed, feed.status(), feed._session, feed._session.account))
    assert KEY not in shown + caplog.text


# Tokens.


async def test_tokens_are_fetched_once_for_all_streams_and_anew_after_a_401(listen: Any) -> None:
    issued = 0

    async def source() -> Bearer:
        nonlocal issued
        issued += 1
        await trio.lowlevel.checkpoint()
        return Bearer(token=Secret(f"b-{issued}"), lives_s=180.0)

    async def handle(exchange: Exchange) -> None:
        if exchange.headers["authorization"] == "Bearer b-1":
            await exchange.refuse(401)
        else:
            await serve_state(exchange)

    server = TinyStreamServer(handle)
    url = f"http://127.0.0.1:{await listen(server)}"
    account = Account()
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(_read_one, url, source, account)
    assert issued == 2
    assert {exchange.headers["authorization"] for exchange in server.exchanges} == {
        "Bearer b-1",
        "Bearer b-2",
    }


async def _read_one(url: str, source: Any, account: Account) -> None:
    async with open_feed(Toy(), url=url, token=source, account=account, options=OPTIONS) as feed:
        await until(feed, is_a(StreamEntry))


class TokenServer(TinyStreamServer):
    def __init__(self, *answers: tuple[int, bytes]) -> None:
        async def handle(exchange: Exchange) -> None:
            status, body = answers[len(self.exchanges) - 1]
            await exchange.refuse(status, body)

        super().__init__(handle)


async def test_client_credentials_are_exchanged_for_a_token(listen: Any) -> None:
    server = TokenServer((200, b'{"access_token":"abc","token_type":"Bearer","expires_in":90}'))
    source = ClientCredentials(
        url=f"http://127.0.0.1:{await listen(server)}/oauth/token?tenant=1",
        client_id="me",
        client_secret=Secret("s&cret"),
        audience="https://api",
        scope=("read:orders", "read:positions"),
    )
    with trio.fail_after(PATIENCE_S):
        bearer = await source()
    assert bearer == Bearer(token=Secret("abc"), lives_s=90.0)
    (exchange,) = server.exchanges
    assert exchange.request.target == b"/oauth/token?tenant=1"
    assert exchange.body == (
        b"grant_type=client_credentials&client_id=me&client_secret=s%26cret"
        b"&audience=https%3A%2F%2Fapi&scope=read%3Aorders+read%3Apositions"
    )
    assert "s&cret" not in repr(source)


@pytest.mark.parametrize(
    ("status", "body", "permanent"),
    [
        (401, b"{}", True),
        (503, b"{}", False),
        (302, b"", False),
        (200, b"<html>", False),
        (200, b"{}", False),
        (200, b'{"access_token":"a b\\nc"}', False),
        (200, b'{"access_token":""}', False),
        (200, b'{"access_token":"x","expires_in":-1}', False),
        (200, b"[" * 100_000, False),
    ],
)
async def test_no_token_is_a_reason_and_no_crash(
    listen: Any, status: int, body: bytes, permanent: bool
) -> None:
    server = TokenServer((status, body))
    source = ClientCredentials(
        url=f"http://127.0.0.1:{await listen(server)}/token",
        client_id="me",
        client_secret=Secret(KEY),
    )
    with trio.fail_after(PATIENCE_S), pytest.raises(TokenError) as caught:
        await source()
    assert caught.value.permanent is permanent
    assert KEY not in str(caught.value)


# One account.


async def test_25_streams_on_sockets_never_more_than_the_profile_allows(
    listen: Any, tell: Callable[[str], None]
) -> None:
    lives_s = 0.05

    async def handle(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.send(snapshot({"o-1": 0}), heartbeat())
        await trio.sleep(lives_s)
        await exchange.end()

    server = TinyStreamServer(handle)
    url = f"http://127.0.0.1:{await listen(server)}"
    account = Account(STRICT)
    served: set[int] = set()
    queued: set[int] = set()

    async def read(n: int) -> None:
        async with open_feed(Toy(), url=url, account=account, options=OPTIONS) as feed:
            async for event in feed:
                if isinstance(event, Queued):
                    queued.add(n)
                if isinstance(event, StateSnapshot):
                    served.add(n)
                if len(served) == 25:
                    return

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            for n in range(25):
                nursery.start_soon(read, n)
            while len(served) < 25:
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    assert account.open_streams == 0
    assert server.most_open <= 10
    assert len(queued) >= 15
    tell(
        f"25 streams on sockets, strict: {len(server.exchanges)} requests, "
        f"at most {server.most_open} open"
    )


async def test_a_feed_that_is_left_leaves_its_slot(listen: Any) -> None:
    server = TinyStreamServer(serve_state)
    url = f"http://127.0.0.1:{await listen(server)}"
    account = Account(AccountLimits(streams=1))
    with trio.fail_after(PATIENCE_S):
        for _ in range(3):
            with trio.CancelScope() as scope:
                async with open_feed(Toy(), url=url, account=account, options=OPTIONS) as feed:
                    await until(feed, is_a(StateSnapshot))
                    scope.cancel()
                    await trio.lowlevel.checkpoint()
            assert account.open_streams == 0


async def test_arguments_that_do_not_fit_are_refused() -> None:
    url = "http://127.0.0.1:1"

    async def source() -> Bearer:
        raise TokenError("never asked")

    wrong: list[dict[str, Any]] = [
        {"options": SessionOptions()},
        {"url": "ws://127.0.0.1:1"},
        {"key": "k", "token": source},
        {"store": MemoryStore(), "position": Position()},
    ]
    for arguments in wrong:
        with pytest.raises(ConfigurationError):
            open_feed(Toy(base=Base.NONE), **{"url": url, **arguments})
