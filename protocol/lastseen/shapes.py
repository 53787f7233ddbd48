"""Reading foreign values: each function gives a value of the asked shape, or None."""

from typing import Any, TypeGuard

__all__ = ["as_list", "as_object", "as_text", "member"]


def as_object(value: Any) -> dict[str, Any] | None:
    """A decoded object."""
    return value if _is_object(value) else None


def as_list(value: Any) -> list[Any] | None:
    """A decoded array."""
    return value if _is_list(value) else None


def as_text(value: Any) -> str | None:
    """A decoded string."""
    return value if type(value) is str else None


def member(value: Any, *path: str) -> Any:
    """What sits at a path of object members; None where there is no such path.

    >>> member({"status": {"statusId": 2}}, "status", "statusId")
    2
    """
    for name in path:
        found = as_object(value)
        if found is None:
            return None
        value = found.get(name)
    return value


def _is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return type(value) is dict


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return type(value) is list
