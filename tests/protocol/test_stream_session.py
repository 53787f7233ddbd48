"""A stream with its snapshot inside: replace, continue, begin anew; as minimal schedules."""

import pytest
from toy_stream import Stage, Toy, error, heartbeat, snapshot, update

from lastseen.stream_dialect import Base


def test_a_snapshot_then_deltas() -> None:
    s = Stage().begin()
    s.serve(snapshot({"o-1": 0}), update(("x-1", "o-1", 4)))
    assert s.state == "synced"
    assert s.view() == {"o-1": 4}
    assert s.states == ["cold", "syncing", "synced"]
