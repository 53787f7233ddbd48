"""How a request is refused, and what the codes are called (§4.5)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from lastseen_simulator.effects import HttpResponse

__all__ = ["CODES", "CONNECT_NAMES", "answer", "refusal"]

CODES: Final[Mapping[int, int]] = MappingProxyType(
    {
        400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 8, 415: 3, 429: 8, 464: 3, 500: 13, 502: 14,
        503: 14, 504: 4,
    }
)  # fmt: skip
"""The code in the body of a refusal, by its status."""

_UNKNOWN: Final = 2

CONNECT_NAMES: Final[Mapping[int, str]] = MappingProxyType(
    dict(
        enumerate(
            (
                "canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found",
                "already_exists", "permission_denied", "resource_exhausted", "failed_precondition",
                "aborted", "out_of_range", "unimplemented", "internal", "unavailable", "data_loss",
                "unauthenticated",
            ),
            start=1,
        )
    )
)  # fmt: skip
"""What Connect calls the codes."""


def answer(status: int, value: object, *headers: tuple[str, str]) -> HttpResponse:
    """A JSON answer."""
    return HttpResponse(
        status=status,
        headers=(("Content-Type", "application/json"), *headers),
        body=msgspec.json.encode(value) + b"\n",
    )


def refusal(
    status: int, message: str, *headers: tuple[str, str], code: int | None = None
) -> HttpResponse:
    """An answer of the one shape that refusals have; the code is the status's unless given."""
    number = CODES.get(status, _UNKNOWN) if code is None else code
    return answer(status, {"code": number, "message": message, "details": []}, *headers)
