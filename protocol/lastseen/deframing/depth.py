"""How deep a record is nested, before anything parses it (HZ-J3): one pass, and rarely that."""

from typing import Final

__all__ = ["DEPTH_MAX", "is_too_deep"]

DEPTH_MAX: Final = 64

_OTHERS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_WINDOW_BYTES: Final = 1 << 16
"""So much is taken apart at a time."""


def is_too_deep(record: bytes, depth_max: int = DEPTH_MAX) -> bool:
    """Whether arrays and objects are nested deeper than that; brackets in strings do not count.

    >>> is_too_deep(b"[" * 3 + b"]" * 3, 2), is_too_deep(b'["[[[["]', 2)
    (True, False)
    """
    if record.count(b"[") + record.count(b"{") <= depth_max:
        return False
    # An escaped quote does not end a string; without them, each quote ends one or begins one.
    text = record.replace(b"\\\\", b"").replace(b'\\"', b"")
    depth, inside = 0, 0
    for at in range(0, len(text), _WINDOW_BYTES):
        parts = text[at : at + _WINDOW_BYTES].split(b'"')
        for byte in b"".join(parts[inside::2]).translate(None, _OTHERS):
            depth += _STEPS[byte]
            if depth > depth_max:
                return True
        inside ^= ~len(parts) & 1
    return False
