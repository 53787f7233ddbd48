"""The beginning of a record whose end has not come, joined only once it has.

So a record that comes in many small pieces costs as much as one that comes whole.
"""

from typing import final

import attrs

__all__ = ["Pending"]


@final
@attrs.define(eq=False, repr=False)
class Pending:
    """Pieces, in order; whoever fills it keeps `size` below a cap."""

    size: int = attrs.field(init=False, default=0)
    """In bytes."""
    _pieces: list[bytes] = attrs.field(init=False, factory=list[bytes])

    def put(self, piece: bytes) -> None:
        """Adds one."""
        if piece:
            self._pieces.append(piece)
            self.size += len(piece)

    def take(self) -> bytes:
        """All of them as one; nothing is left."""
        if not self._pieces:
            return b""
        whole = b"".join(self._pieces)
        self._pieces = []
        self.size = 0
        return whole
