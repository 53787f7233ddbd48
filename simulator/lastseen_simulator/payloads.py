"""Payloads that an operator publishes by hand."""

from typing import Any

import msgspec

__all__ = ["as_json"]


def as_json(payload: dict[str, Any]) -> dict[str, Any]:
    """A copy as it comes out of JSON, so that it can be sent and changes no more.

    Raises ValueError for what is no JSON.
    """
    try:
        return msgspec.json.decode(msgspec.json.encode(payload), type=dict[str, Any])
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise ValueError(f"the payload is no JSON: {error}") from None
