"""Heartbeats, pings, silence, slow readers: how connections are kept and ended."""

import pytest
from polynode_play import quiet

from lastseen_simulator.effects import Abort, CloseConnection


def test_heartbeat_and_ping_come_every_thirty_seconds() -> None:
    bench = quiet()
    connection = bench.connect()

    bench.advance(95)

    beats = bench.controls(connection, "heartbeat")
    assert [each["ts"] for each in beats] == [
        bench.wall_ms - 95_000 + s * 30_000 for s in (1, 2, 3)
    ]
    assert bench.pings[connection] == 3
    assert connection not in bench.endings


def test_ninety_seconds_without_a_pong_end_a_connection() -> None:
    bench = quiet()
    connection = bench.connect()
    bench.deaf.add(connection)

    bench.advance(89.9)
    assert connection not in bench.endings
    bench.advance(0.1)

    assert bench.endings[connection] == CloseConnection(
        connection=connection, code=1011, reason="no pong"
    )
    assert bench.gateway.connections() == ()


def test_a_pong_nobody_asked_for_counts_as_one() -> None:
    bench = quiet()
    connection = bench.connect()
    bench.deaf.add(connection)
    bench.advance(40)
    bench.pong(connection)

    bench.advance(60)
    assert connection not in bench.endings
    bench.advance(50)

    assert connection in bench.endings


def test_frames_are_no_pongs() -> None:
    bench = quiet()
    connection = bench.connect()
    bench.deaf.add(connection)

    for _ in range(5):
        bench.send(connection, {"action": "ping"})
        bench.advance(20)

    assert connection in bench.endings


def test_a_slow_reader_is_closed() -> None:
    bench = quiet()
    patient, slow = bench.subscribe("global"), bench.subscribe("global")

    bench.backlog(slow, 1 << 20)
    bench.backlog(patient, 100)
    assert bench.endings == {}
    bench.backlog(slow, (1 << 20) + 1)

    assert bench.endings == {
        slow: CloseConnection(connection=slow, code=1008, reason="client too slow")
    }


@pytest.mark.parametrize("announce", [True, False])
def test_a_restart_ends_every_connection(announce: bool) -> None:
    bench = quiet()
    first, second = bench.connect(), bench.connect()

    bench.gateway.restart(announce=announce, now=bench.now)
    bench.settle()

    assert set(bench.endings) == {first, second}
    ending = bench.endings[first]
    if announce:
        assert ending == CloseConnection(connection=first, code=1012, reason="restart")
    else:
        assert ending == Abort(connection=first, reset=False)
    (record,) = (each for each in bench.gateway.truth.records if each["kind"] == "restart")
    assert record["cause"] == ("notice" if announce else "crash")


def test_drop_ends_one_or_all_and_knows_who_is_there() -> None:
    bench = quiet()
    first, second, third = (bench.connect() for _ in range(3))

    bench.gateway.drop(second, reset=True, now=bench.now)
    bench.settle()
    assert bench.endings == {second: Abort(connection=second, reset=True)}
    with pytest.raises(LookupError, match="no such connection: 2"):
        bench.gateway.drop(second, reset=True, now=bench.now)
    bench.gateway.drop(None, reset=False, now=bench.now)
    bench.settle()

    assert set(bench.endings) == {first, second, third}


def test_there_is_no_reconnect_notice() -> None:
    bench = quiet()

    with pytest.raises(ValueError, match="no reconnect notice"):
        bench.gateway.notice_reconnect(connection=None, reason="", grace_s=1.0, now=0.0)


def test_whoever_has_gone_is_passed_over() -> None:
    bench = quiet()
    connection = bench.subscribe("global")
    bench.leave(connection)
    told = len(bench.frames[connection])

    bench.send(connection, {"action": "ping"})
    bench.pong(connection)
    bench.backlog(connection, 1 << 30)
    bench.leave(connection)
    bench.publish("block")
    bench.advance(100)

    assert len(bench.frames[connection]) == told
    assert bench.endings == {}
    assert bench.gateway.epoch is None
