"""Opening, reading and ending one WebSocket, against scripted peers on real sockets."""

import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from wsproto.events import BytesMessage, CloseConnection, Pong, TextMessage

from lastseen.dialect import End
from lastseen.secret import Secret
from lastseen_trio.addresses import Address
from lastseen_trio.upgrade import UpgradeStream, retry_after_s
from lastseen_trio.websocket import NO_UPGRADE, Socket, connect, open_room, open_socket

PATIENCE_S = 30.0
SHORT_S = 0.2


def address(port: int, *, scheme: str = "ws", host: str = "127.0.0.1") -> Address:
    return Address(scheme=scheme, host=host, port=port, target="/ws")


async def attempt(where: Address, **options: Any) -> End:
    """What a connection attempt that cannot succeed comes to."""
    opened: Socket | End = NO_UPGRADE
    async with open_room() as room:
        opened = await connect(room, where, **{"timeout_s": PATIENCE_S, **options})
        room.cancel_scope.cancel()
    assert isinstance(opened, End)
    return opened


def answering(data: bytes, *, hang_up: bool = False) -> Any:
    async def handler(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(data)
        if not hang_up:
            await trio.sleep_forever()

    return handler


async def stall(stream: trio.abc.Stream) -> None:
    await trio.sleep_forever()


async def talk(script: Any, make_peer: Any, listen: Any, client: Any, **options: Any) -> None:
    """Runs a script as the peer and a client against it."""

    async def handler(stream: trio.abc.Stream) -> None:
        peer = make_peer(stream)
        await peer.accept()
        await script(peer)

    port = await listen(handler)
    with trio.fail_after(PATIENCE_S):
        async with open_room() as room:
            socket = await connect(room, address(port), timeout_s=PATIENCE_S, **options)
            assert isinstance(socket, Socket)
            await client(socket)
            await socket.abort()
            room.cancel_scope.cancel()


async def all_frames(socket: Socket) -> tuple[list[str | bytes], End]:
    frames: list[str | bytes] = []
    while not isinstance(received := await socket.receive(), End):
        assert received
        frames.extend(received)
    return frames, received


async def test_frames_come_in_order_and_then_the_close(make_peer: Any, listen: Any) -> None:
    async def script(peer: Any) -> None:
        for number in range(1000):
            await peer.text(str(number))
        await peer.send(BytesMessage(data=b"\x80"))
        await peer.close(4002, "too slow")
        await trio.sleep_forever()

    async def client(socket: Socket) -> None:
        frames, end = await all_frames(socket)
        assert frames == [str(number) for number in range(1000)] + [b"\x80"]
        assert end == End(code=4002, reason="too slow")

    await talk(script, make_peer, listen, client)


async def test_frames_that_are_there_come_as_one_batch(make_peer: Any, listen: Any) -> None:
    async def script(peer: Any) -> None:
        data = b"".join(peer.wire.send(TextMessage(data=str(number))) for number in range(50))
        await peer.stream.send_all(data)
        await trio.sleep_forever()

    async def client(socket: Socket) -> None:
        received = await socket.receive()
        assert not isinstance(received, End)
        assert len(received) > 1

    await talk(script, make_peer, listen, client)


async def test_a_frame_in_pieces_is_one_frame(make_peer: Any, listen: Any) -> None:
    async def script(peer: Any) -> None:
        for byte in peer.wire.send(TextMessage(data="drip")):
            await peer.stream.send_all(bytes([byte]))
            await trio.testing.wait_all_tasks_blocked()
        await peer.send(TextMessage(data="two ", message_finished=False))
        await peer.send(TextMessage(data="fragments"))
        await peer.close(1000)
        await trio.sleep_forever()

    async def client(socket: Socket) -> None:
        assert (await all_frames(socket))[0] == ["drip", "two fragments"]

    await talk(script, make_peer, listen, client)


async def test_a_hang_up_without_a_close_frame_is_1006(make_peer: Any, listen: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.text("last")

    async def client(socket: Socket) -> None:
        frames, end = await all_frames(socket)
        assert frames == ["last"]
        assert end.code == 1006

    await talk(script, make_peer, listen, client)


async def test_an_oversize_message_is_answered_with_1009(make_peer: Any, listen: Any) -> None:
    codes: list[int] = []

    async def script(peer: Any) -> None:
        await peer.text("x" * 1001)
        codes.append((await peer.next_of(CloseConnection)).code)

    async def client(socket: Socket) -> None:
        assert (await all_frames(socket))[1].code == 1009
        await trio.testing.wait_all_tasks_blocked()
        while not codes:
            await trio.testing.wait_all_tasks_blocked()

    await talk(script, make_peer, listen, client, message_bytes_max=1000)
    assert codes == [1009]


@pytest.mark.parametrize(
    "data",
    [b"\x81\x02\xff\xfe", b"\xf1\x01x", b"\x81\x81\x00\x00\x00\x00x", b"\x83\x00"],
    ids=["not-utf-8", "reserved-bits", "masked", "reserved-opcode"],
)
async def test_a_violation_ends_the_connection(make_peer: Any, listen: Any, data: bytes) -> None:
    async def script(peer: Any) -> None:
        await peer.stream.send_all(data)
        await trio.sleep_forever()

    async def client(socket: Socket) -> None:
        frames, end = await all_frames(socket)
        assert frames == []
        assert end.code in (1002, 1006, 1007)

    await talk(script, make_peer, listen, client)


async def test_a_ping_while_we_close_does_not_end_the_program(make_peer: Any, listen: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.next_of(CloseConnection)
        await peer.stream.send_all(b"\x89\x01p")
        await trio.sleep_forever()

    async def client(socket: Socket) -> None:
        await socket.close(1000, "bye", timeout_s=SHORT_S)

    await talk(script, make_peer, listen, client)


async def test_an_orderly_close_says_code_and_reason(make_peer: Any, listen: Any) -> None:
    words: list[tuple[int, str | None]] = []

    async def script(peer: Any) -> None:
        event = await peer.last_words()
        words.append((event.code, event.reason))

    async def client(socket: Socket) -> None:
        await socket.close(1001, "client closing", timeout_s=PATIENCE_S)

    await talk(script, make_peer, listen, client)
    assert words == [(1001, "client closing")]


async def test_a_send_to_a_peer_that_is_gone_is_told_by_receive(
    make_peer: Any, listen: Any
) -> None:
    async def script(peer: Any) -> None:
        return

    async def client(socket: Socket) -> None:
        assert isinstance((await all_frames(socket))[1], End)
        await socket.send(Secret("login"))
        assert not await socket.ping()

    await talk(script, make_peer, listen, client)


async def test_a_refused_connection_says_so() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()

    assert await attempt(address(port)) == End(reason="connection refused")


async def test_a_name_that_does_not_resolve_says_so() -> None:
    end = await attempt(address(80, host="no-such-name.invalid"))

    assert end.reason.startswith("name not resolved")


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_a_peer_that_accepts_and_says_nothing_is_given_up(listen: Any, scheme: str) -> None:
    where = address(await listen(stall), scheme=scheme)
    started = trio.current_time()

    end = await attempt(where, timeout_s=SHORT_S)

    assert end.reason.endswith("timed out")
    assert end.code is None
    assert trio.current_time() - started >= SHORT_S


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 101 Swit", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"]
)
async def test_a_head_that_stalls_is_given_up(listen: Any, head: bytes) -> None:
    where = address(await listen(answering(head)))

    assert (await attempt(where, timeout_s=SHORT_S)).reason == "upgrade timed out"


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 4\r\n\r\ndown",
        b"\r\nendless",
        b"Content-Length: 99999999\r\n\r\n",
        b"\r\n",
    ],
)
async def test_a_refused_upgrade_gives_its_status_whatever_body_follows(
    listen: Any, body: bytes
) -> None:
    where = address(await listen(answering(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n" + body)))

    end = await attempt(where)

    assert (end.http_status, end.retry_after_s, end.code) == (503, 7.0, None)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'Content-Length: 23\r\n\r\n{"error": "come again"} more', '{"error": "come again"}'),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nagain\r\n0\r\n\r\n", "again"),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nagain\r\nnonsense", "again"),
        (b"Content-Length: 9\r\n\r\nhalf", "half"),
        (b"\r\n\xff", "\N{REPLACEMENT CHARACTER}"),
        (b"\r\n" + b"x" * 10_000, "x" * 4096),
        (b"\r\n", ""),
    ],
)
@pytest.mark.parametrize("hang_up", [False, True])
async def test_a_refusal_brings_the_beginning_of_its_words_and_the_time(
    listen: Any, body: bytes, words: str, hang_up: bool
) -> None:
    """They may name the moment to come back at (`facts/polynode.md` §1)."""
    before = time.time()
    refusal = b"HTTP/1.1 429 Too Many\r\n" + body
    where = address(await listen(answering(refusal, hang_up=hang_up)))

    end = await attempt(where)

    assert (end.http_status, end.words) == (429, words)
    assert end.wall_s is not None
    assert end.wall_s >= before
    assert "again" not in repr(end)


async def test_a_redirect_is_not_followed(listen: Any) -> None:
    followed: list[bool] = []

    async def elsewhere(stream: trio.abc.Stream) -> None:
        followed.append(True)

    other = await listen(elsewhere)
    location = f"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:{other}/ws\r\n\r\n"
    end = await attempt(address(await listen(answering(location.encode()))))

    assert end.http_status == 302
    assert "redirect" in end.reason
    assert not followed


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "upgrade failed: not an HTTP answer"),
        (b"HTTP/1.1 101 Hm\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "upgrade failed"),
    ],
    ids=["ssh", "no-accept-key"],
)
async def test_an_answer_that_is_no_upgrade_fails_at_once(
    listen: Any, data: bytes, reason: str
) -> None:
    end = await attempt(address(await listen(answering(data))))

    assert end.reason.startswith(reason)
    assert end.http_status is None


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 1"])
async def test_a_hang_up_during_the_upgrade_is_noticed_at_once(listen: Any, data: bytes) -> None:
    end = await attempt(address(await listen(answering(data, hang_up=True))))

    assert end.reason.startswith("connection")
    assert end.code is None


async def test_an_unknown_certificate_fails_before_a_byte_of_ours(
    listen: Any, certificate: tuple[Path, Path]
) -> None:
    said: list[bytes] = []
    where = address(await listen(_tls(certificate, said)), scheme="wss", host="localhost")

    end = await attempt(where)

    assert end.reason.startswith("certificate not accepted")
    assert said == []


async def test_a_certificate_of_another_host_is_not_accepted(
    listen: Any, certificate: tuple[Path, Path]
) -> None:
    said: list[bytes] = []
    context = ssl.create_default_context(cafile=str(certificate[0]))
    where = address(await listen(_tls(certificate, said)), scheme="wss", host="127.0.0.1")

    end = await attempt(where, ssl_context=context)

    assert end.reason.startswith("certificate not accepted")
    assert said == []


async def test_a_trusted_certificate_lets_the_upgrade_through(
    listen: Any, certificate: tuple[Path, Path]
) -> None:
    said: list[bytes] = []
    context = ssl.create_default_context(cafile=str(certificate[0]))
    where = address(await listen(_tls(certificate, said)), scheme="wss", host="localhost")

    end = await attempt(where, ssl_context=context)

    assert end.http_status == 404
    assert said[0].startswith(b"GET /ws HTTP/1.1\r\n")


def _tls(certificate: tuple[Path, Path], said: list[bytes]) -> Any:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)

    async def handler(stream: trio.abc.Stream) -> None:
        tls: trio.SSLStream[Any] = trio.SSLStream(
            stream, context, server_side=True, https_compatible=True
        )
        try:
            if data := bytes(await tls.receive_some()):
                said.append(data)
            await tls.send_all(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
            await trio.sleep_forever()
        except (trio.BrokenResourceError, ssl.SSLError):
            return

    return handler


async def test_a_write_nobody_takes_is_the_end_of_the_connection(autojump_clock: Any) -> None:
    ours, theirs = trio.testing.lockstep_stream_pair()
    tap = UpgradeStream(ours, 10.0)
    started = trio.current_time()

    with pytest.raises(trio.BrokenResourceError):
        await tap.send_all(b"hello?")

    assert tap.end == End(reason="write timed out")
    assert trio.current_time() - started >= 10
    with pytest.raises(trio.ClosedResourceError):
        await ours.send_all(b"again")
    await theirs.aclose()


async def test_a_pong_nobody_takes_ends_the_connection_too(
    autojump_clock: Any, make_peer: Any, nursery: trio.Nursery
) -> None:
    ours, theirs = trio.testing.lockstep_stream_pair()
    peer = make_peer(theirs)
    nursery.start_soon(peer.accept)
    async with open_room() as room:
        socket = await open_socket(room, ours, address(80))
        assert isinstance(socket, Socket)
        await theirs.send_all(b"\x89\x01p")
        end = await socket.receive()
        room.cancel_scope.cancel()

    assert end == End(reason="write timed out")


async def test_a_ping_is_answered_by_its_pong(make_peer: Any, listen: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.next_of(Pong)

    async def client(socket: Socket) -> None:
        assert await socket.ping()

    await talk(script, make_peer, listen, client)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 17 ", 17.0),
        ("99999999999999", 3600.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2315 07:28:00 GMT", 3600.0),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(text: str, seconds: float | None) -> None:
    assert retry_after_s(text) == seconds
