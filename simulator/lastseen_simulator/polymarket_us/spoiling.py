"""Records that a stream should never have, in frames that are whole."""

import gzip
from collections.abc import Callable, Mapping
from typing import Final

from lastseen_simulator.faults import Fault
from lastseen_simulator.lines import Outgoing
from lastseen_simulator.polymarket_us.framing import COMPRESSED, reframed

__all__ = ["REWRITES", "padding"]


def padding(size_bytes: int) -> bytes:
    """A record of so many bytes that says nothing."""
    shell = b'{"padding":""}'
    return shell[:-2] + b"x" * max(0, size_bytes - len(shell)) + shell[-2:]


def _data(out: Outgoing) -> bytes:
    assert isinstance(out.data, bytes)
    return out.data


def _malformed(_: Fault, out: Outgoing) -> tuple[bytes, str]:
    data = reframed(_data(out), lambda record: record[: len(record) // 2])
    return data, f"sent {len(data)} of {len(out.data)} bytes"


def _compressed(_: Fault, out: Outgoing) -> tuple[bytes, str]:
    data = reframed(_data(out), lambda record: gzip.compress(record, mtime=0), flag=COMPRESSED)
    return data, f"sent {len(data)} bytes, compressed"


REWRITES: Final[Mapping[str, Callable[[Fault, Outgoing], tuple[bytes, str]]]] = {
    "malformed": _malformed,
    "compressed": _compressed,
}
"""What faults make of a data frame, and in words."""
