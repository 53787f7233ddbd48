"""How deep a record is nested, before anything parses it (HZ-J3): one pass, and rarely that."""

from typing import Final

__all__ = ["DEPTH_MAX", "is_too_deep"]

DEPTH_MAX: Final = 64

_OPENING: Final = b"[{"
_CLOSING: Final = b"]}"


def is_too_deep(record: bytes, depth_max: int = DEPTH_MAX) -> bool:
    """Whether arrays and objects are nested deeper than that; brackets in strings do not count.

    >>> is_too_deep(b"[" * 3 + b"]" * 3, 2), is_too_deep(b'["[[[["]', 2)
    (True, False)
    """
    if record.count(b"[") + record.count(b"{") <= depth_max:
        return False
    depth = 0
    # Between two quotes of one string nothing counts; an escaped quote does not end it.
    outside = True
    for part in record.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"'):
        if outside:
            for byte in part:
                if byte in _OPENING:
                    depth += 1
                    if depth > depth_max:
                        return True
                elif byte in _CLOSING:
                    depth -= 1
        outside = not outside
    return False
