"""What the annotations of a class promise of its fields, for code that is compiled from them."""

import types
import typing
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeGuard

__all__ = ["PLAIN", "hints_of", "is_flat", "is_made_of"]

PLAIN: Final = (types.NoneType, bool, int, float, str, bytes)
"""Types whose values are what they say."""

_CONTAINERS: Final = (list, dict, deque, set)

Test = Callable[[type[Any]], bool]


def hints_of(kind: type[Any]) -> Mapping[str, Any]:
    """The annotations by field; none where they name something that cannot be found."""
    try:
        return typing.get_type_hints(kind)
    except NameError:
        return {}


def is_made_of(hint: Any, test: Test) -> bool:
    """Whether every value that the hint allows is of classes that pass, all the way down tuples."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return all(is_made_of(each, test) for each in typing.get_args(hint))
    if origin is typing.Literal:
        kinds: list[Any] = [type(each) for each in typing.get_args(hint)]
        return all(map(test, kinds))
    if origin in (tuple, frozenset):
        parts = [each for each in typing.get_args(hint) if each is not ...]
        return all(is_made_of(each, test) for each in parts)
    return origin is None and _is_class(hint) and test(hint)


def is_flat(hint: Any, test: Test) -> bool:
    """Whether the hint is a container that holds nothing but such values."""
    if typing.get_origin(hint) not in _CONTAINERS:
        return False
    return all(is_made_of(each, test) for each in typing.get_args(hint))


def _is_class(hint: object) -> TypeGuard[type[Any]]:
    return isinstance(hint, type)
