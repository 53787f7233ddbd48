"""Taking exception groups apart."""

from typing import cast

import trio

__all__ = ["alone", "leaves"]


def leaves(error: BaseException) -> list[BaseException]:
    """The exceptions of a group, however deep, in order; of any other exception, itself."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return [leaf for inner in group.exceptions for leaf in leaves(inner)]
    return [error]


def alone(error: BaseException) -> BaseException | None:
    """The one exception that a group is about, if it is about one; cancellations do not count."""
    real = [leaf for leaf in leaves(error) if not isinstance(leaf, trio.Cancelled)]
    return real[0] if len(real) == 1 else None
