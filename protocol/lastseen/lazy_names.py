"""Packages whose names are imported when they are first asked for (PEP 562).

Whoever imports such a package, or one module of it, loads only what is used. Checkers read the same
names from imports under `TYPE_CHECKING`, so they see every type and miss no misspelling.
"""

from collections.abc import Callable, Mapping
from importlib import import_module

__all__ = ["lazy_names"]


def lazy_names(
    package: str, names: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package, given the names that each of its modules defines.

    The names of one module are one text, with spaces between them. Asking for a name that none
    defines raises `AttributeError`, as it does in any module.
    """
    homes = {name: module for module, group in names.items() for name in group.split()}

    def load(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(import_module(f"{package}.{homes[name]}"), name)
        # Kept, so that it is asked for once.
        setattr(import_module(package), name, value)
        return value

    def listed() -> list[str]:
        return sorted({*vars(import_module(package)), *homes})

    return load, listed
