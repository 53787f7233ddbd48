"""A chunked body on a virtual wire: what a client gets of it, and in which pieces."""

from collections.abc import Iterator
from typing import Final, final

import attrs

from lastseen_simulator.effects import OpenStream, Transmit

__all__ = ["LAST_CHUNK", "Body"]

LAST_CHUNK: Final = b"0\r\n\r\n"
_CHUNK_END_BYTES: Final = 2
_DRIP_PIECES_MAX: Final = 50


@final
@attrs.define(eq=False)
class Body:
    """One body; pieces are cut where its chunks are."""

    _chunk_bytes: int | None = None
    _held_bytes: int = 0
    _held: bytes = b""

    def open(self, head: OpenStream) -> None:
        """Takes how chunks are made."""
        self._chunk_bytes, self._held_bytes = head.chunk_bytes, head.held_bytes

    def pieces(self, effect: Transmit) -> Iterator[tuple[float, bytes]]:
        """What arrives of a message, and after how many seconds."""
        data = effect.data.encode() if isinstance(effect.data, str) else effect.data
        split = None if effect.split_at is None else len(self._held) + effect.split_at
        data = self._held + data
        end = max(0, len(data) - self._held_bytes)
        data, self._held = data[:end], data[end:]
        parts = (data,) if split is None else (data[:split], data[split:])
        chunks = [chunk for part in parts for chunk in self._chunks(part)]
        if effect.cut_at is not None:
            chunks = _cut(chunks, effect.cut_at)
        if effect.drip_bytes_per_s is None:
            yield from ((0.0, chunk) for chunk in chunks)
            return
        whole = b"".join(chunks)
        size = max(1, len(whole) // _DRIP_PIECES_MAX)
        for at in range(0, len(whole), size):
            yield (at + size) / effect.drip_bytes_per_s, whole[at : at + size]

    def rest(self) -> bytes:
        """What was held back, at the end of the body."""
        rest, self._held = self._held, b""
        return rest

    def _chunks(self, data: bytes) -> Iterator[bytes]:
        size = self._chunk_bytes or len(data) or 1
        for at in range(0, len(data), size):
            yield data[at : at + size]


def _cut(chunks: list[bytes], cut_at: int) -> list[bytes]:
    """What can be read of chunks of whose encoding only so many bytes arrive."""
    seen: list[bytes] = []
    for chunk in chunks:
        head = len(b"%x\r\n" % len(chunk))
        seen.append(chunk[: max(0, cut_at - head)])
        cut_at -= head + len(chunk) + _CHUNK_END_BYTES
        if cut_at <= 0:
            break
    return [chunk for chunk in seen if chunk]
