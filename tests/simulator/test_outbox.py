"""The unsent part of one connection."""

import trio
import trio.testing

from lastseen_simulator.outbox import BACKLOG_STEP_BYTES, Outbox


async def test_a_send_that_waits_is_backlog_though_none_was_cut() -> None:
    """One byte is taken whole or not at all, so that no send is ever partial."""
    ours, theirs = trio.socket.socketpair()
    told: list[int] = []
    async with trio.SocketStream(ours) as stream, trio.SocketStream(theirs):
        outbox = Outbox(stream, told.append)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.run)
            while not outbox.pending_bytes:
                outbox.put(b"x")
                await trio.testing.wait_all_tasks_blocked()
            for _ in range(2 * BACKLOG_STEP_BYTES):
                outbox.put(b"x")

            assert told[-1:] == [2 * BACKLOG_STEP_BYTES]
            nursery.cancel_scope.cancel()


async def test_a_burst_that_goes_out_is_no_backlog() -> None:
    ours, theirs = trio.socket.socketpair()
    told: list[int] = []
    async with trio.SocketStream(ours) as stream, trio.SocketStream(theirs) as reader:
        outbox = Outbox(stream, told.append)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.run)
            outbox.put(b"x" * 20_000)
            assert len(await reader.receive_some(20_000)) == 20_000
            await trio.testing.wait_all_tasks_blocked()

            assert told == []
            assert outbox.pending_bytes == 0
            nursery.cancel_scope.cancel()
