"""The beginning of a record whose end has not come.

Appended to in place, so that a record that comes in many small pieces costs as much time as one
that comes whole, and no more memory than its bytes.
"""

from typing import final

import attrs

__all__ = ["Pending"]


@final
@attrs.define(eq=False, repr=False)
class Pending:
    """Bytes, in order; whoever fills it keeps `size` below a cap."""

    _buffer: bytearray = attrs.field(init=False, factory=bytearray)

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self._buffer)

    def put(self, piece: bytes) -> None:
        """Adds some."""
        self._buffer += piece

    def take(self) -> bytes:
        """All of them; nothing is left."""
        whole = bytes(self._buffer)
        # A new one: to clear it would keep nothing either, but costs a call for what is empty.
        self._buffer = bytearray()
        return whole
