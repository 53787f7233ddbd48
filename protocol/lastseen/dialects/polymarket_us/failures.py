"""What the end of a stream means: a refusal, an error inside it, or a loss (`facts` §4.5)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from lastseen.dialect import End
from lastseen.events import Failure
from lastseen.stream_messages import PeerError

__all__ = ["classify", "code_of"]

_CODES: Final[Mapping[int, tuple[str, Failure]]] = MappingProxyType(
    {
        1: ("canceled", Failure.TRANSIENT),
        3: ("invalid_argument", Failure.REJECTED),
        4: ("deadline_exceeded", Failure.TRANSIENT),
        5: ("not_found", Failure.REJECTED),
        7: ("permission_denied", Failure.REJECTED),
        8: ("resource_exhausted", Failure.LIMIT),
        9: ("failed_precondition", Failure.REJECTED),
        11: ("out_of_range", Failure.REJECTED),
        13: ("internal", Failure.TRANSIENT),
        14: ("unavailable", Failure.TRANSIENT),
        16: ("unauthenticated", Failure.UNAUTHENTICATED),
    }
)
"""Codes inside a stream, by number or by Connect's name; any other is taken for transient."""

_ABOUT_TOKENS: Final = frozenset({3, 5, 9, 11})
"""Right after a token was sent these complain of it (§4.5)."""

_STATUSES: Final[Mapping[int, Failure]] = MappingProxyType(
    {
        400: Failure.REJECTED,
        401: Failure.UNAUTHENTICATED,
        403: Failure.REJECTED,
        404: Failure.NOT_A_FEED,
        405: Failure.NOT_A_FEED,
        429: Failure.LIMIT,
        464: Failure.REJECTED,
    }
)
"""Refusals before a stream; 5xx are transient, a redirect is no feed."""

_STATUSES_ABOUT_TOKENS: Final = frozenset({400, 404, 410, 416})


def code_of(value: object) -> int | None:
    """The number of a code, from its number, its text or Connect's name.

    >>> code_of(8), code_of("8"), code_of("resource_exhausted"), code_of("x")
    (8, 8, 8, None)
    """
    if type(value) is int:
        return value
    if type(value) is str:
        if value.isdecimal() and value.isascii() and len(value) < len("100"):
            return int(value)
        return next((code for code, (name, _) in _CODES.items() if name == value.lower()), None)
    return None


def classify(end: End | PeerError, *, token_sent: bool) -> Failure:
    """As `StreamDialect.classify`."""
    if isinstance(end, PeerError):
        code = code_of(end.code)
        if token_sent and code in _ABOUT_TOKENS:
            return Failure.RESUME_REFUSED
        return _CODES[code][1] if code is not None and code in _CODES else Failure.TRANSIENT
    status = end.http_status
    if status is None:
        return Failure.TRANSIENT
    if token_sent and status in _STATUSES_ABOUT_TOKENS:
        return Failure.RESUME_REFUSED
    if 300 <= status < 400:
        return Failure.NOT_A_FEED
    return _STATUSES.get(status, Failure.TRANSIENT)
