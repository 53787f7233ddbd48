"""Copies a state machine with everything it holds, at a fraction of what `copy.deepcopy` costs.

How a class is copied is worked out once, from its attrs fields, and compiled: each copy is then a
row of assignments. What cannot change is shared: numbers and text, enums, named tuples, frozen
records. Closures and bound methods are made anew over copied cells, so that a copy never acts on
the machine it was copied from.
"""

import enum
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import (
    BuiltinFunctionType,
    CellType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
    NoneType,
)
from typing import Any, final

import attrs
import msgspec

from lastseen.secret import Secret
from lastseen_simulator.explore.hints import hints_of, is_flat, is_made_of

__all__ = ["SHARE", "Copier", "Field", "Way", "flat", "is_frozen", "two_levels"]

Way = Callable[[Any, dict[int, Any]], Any] | None
"""How a value is copied, given what has been copied already; None shares it."""

SHARE: Way = None

_ATOMS = (
    NoneType, bool, int, float, str, bytes, complex, range, frozenset, type,
    ModuleType, MappingProxyType, msgspec.Raw, Secret,
)  # fmt: skip


@final
@attrs.frozen
class Field:
    """How one field of a class is copied: shared, in one way, or in the way of what is in it."""

    name: str
    shared: bool = False
    way: Way = None


def flat(value: Any, memo: dict[int, Any]) -> Any:
    """A container of things that cannot change."""
    known = memo.get(id(value))
    if known is None:
        known = memo[id(value)] = value.copy()
    return known


def two_levels(value: Any, memo: dict[int, Any]) -> Any:
    """A dict of dicts, whose values below that are never edited in place."""
    del memo
    return {key: dict(part) for key, part in value.items()}


@final
class Copier:
    """Copies object graphs.

    `ways` says for whole classes, and `fields` for single fields of them, what differs from the
    rule; `mutable` names frozen classes that lead to something that changes, and `constant` others
    that nobody changes once they are handed on, nor their subclasses.
    """

    def __init__(
        self,
        *,
        ways: Mapping[type, Way] | None = None,
        fields: Mapping[tuple[type, str], Way] | None = None,
        mutable: Collection[type] = (),
        constant: Collection[type] = (),
    ) -> None:
        self._fields = dict(fields or {})
        self._mutable = frozenset(mutable)
        self._constant = tuple(constant)
        self._ways = _Ways(self._way_of)
        for kind in _ATOMS:
            self._ways[kind] = SHARE
        self._ways |= {
            bytearray: flat,
            list: self._list,
            dict: self._dict,
            OrderedDict: self._dict,
            set: self._set,
            deque: self._deque,
            tuple: self._tuple,
            FunctionType: self._function,
            MethodType: self._method,
            BuiltinFunctionType: self._builtin,
            CellType: self._cell,
            partial: self._partial,
            random.Random: _random,
            **(ways or {}),
        }

    @property
    def ways(self) -> Mapping[type, Way]:
        """By class; one that is met for the first time is worked out then."""
        return self._ways

    def copy(self, value: Any, memo: dict[int, Any] | None = None) -> Any:
        """A copy that shares nothing that can change; `memo` takes all that was made for it."""
        way = self._ways[type(value)]
        return value if way is None else way(value, {} if memo is None else memo)

    def fields_of(self, kind: type[Any]) -> list[Field]:
        """How the fields of an attrs or msgspec class are copied."""
        names = (
            [field.name for field in attrs.fields(kind)]
            if attrs.has(kind)
            else [field.name for field in msgspec.structs.fields(kind)]
        )
        hints = hints_of(kind)
        return [self._field(kind, name, hints.get(name)) for name in names]

    def _field(self, kind: type[Any], name: str, hint: Any) -> Field:
        if (kind, name) in self._fields:
            way = self._fields[kind, name]
            return Field(name, shared=way is None, way=way)
        if is_made_of(hint, self._is_shared):
            return Field(name, shared=True)
        return Field(name, way=flat if is_flat(hint, self._is_shared) else None)

    def _way_of(self, kind: type[Any]) -> Way:
        if kind in self._mutable:
            return self._compiled(kind)
        if self._is_constant(kind):
            return SHARE
        if not (attrs.has(kind) or issubclass(kind, msgspec.Struct)):
            raise TypeError(f"no way to copy {kind.__qualname__}")
        return SHARE if is_frozen(kind) else self._compiled(kind)

    def _compiled(self, kind: type[Any]) -> Way:
        """A function with one line a field: nothing is looked up but the ways of the values."""
        scope: dict[str, Any] = {
            "kind": kind,
            "new": object.__new__,
            "ways": self._ways,
            "put": object.__setattr__,
        }
        made = "o.__copy__()" if issubclass(kind, msgspec.Struct) else "new(kind)"
        lines = [
            "def copy(o, memo):",
            "    n = memo.get(id(o))",
            "    if n is not None:",
            "        return n",
            f"    n = memo[id(o)] = {made}",
        ]
        plain = _is_plain(kind) or issubclass(kind, msgspec.Struct)
        for field in self.fields_of(kind):
            name = field.name
            if field.shared:
                value = f"o.{name}"
            elif field.way is not None:
                scope[f"way_{name}"] = field.way
                value = f"way_{name}(o.{name}, memo)"
            else:
                lines += [f"    v = o.{name}", "    w = ways[type(v)]"]
                value = "v if w is None else w(v, memo)"
            line = f"n.{name} = {value}" if plain else f"put(n, {name!r}, {value})"
            lines.append(f"    {line}")
        lines.append("    return n")
        exec("\n".join(lines), scope)
        copy: Way = scope["copy"]
        return copy

    def _is_shared(self, kind: type[Any]) -> bool:
        """Whether values of an annotated class are shared, whatever they are in the end."""
        if kind in _ATOMS:
            return True
        return kind is not tuple and kind not in self._mutable and self._is_constant(kind)

    def _is_constant(self, kind: type[Any]) -> bool:
        if issubclass(kind, (enum.Enum, tuple, *self._constant)):
            return True
        if issubclass(kind, msgspec.Struct):
            return kind.__struct_config__.frozen
        return is_frozen(kind) and not kind.__subclasses__()

    def _list(self, value: list[Any], memo: dict[int, Any]) -> Any:
        known = memo.get(id(value))
        if known is not None:
            return known
        made: list[Any] = []
        memo[id(value)] = made
        ways = self._ways
        for item in value:
            way = ways[type(item)]
            made.append(item if way is None else way(item, memo))
        return made

    def _dict(self, value: dict[Any, Any], memo: dict[int, Any]) -> Any:
        known = memo.get(id(value))
        if known is not None:
            return known
        made: dict[Any, Any] = type(value)()
        memo[id(value)] = made
        ways = self._ways
        for key, item in value.items():
            way, at = ways[type(item)], ways[type(key)]
            made[key if at is None else at(key, memo)] = item if way is None else way(item, memo)
        return made

    def _set(self, value: set[Any], memo: dict[int, Any]) -> Any:
        known = memo.get(id(value))
        if known is None:
            known = memo[id(value)] = set(value)
        return known

    def _deque(self, value: deque[Any], memo: dict[int, Any]) -> Any:
        known = memo.get(id(value))
        if known is not None:
            return known
        made = memo[id(value)] = deque[Any](maxlen=value.maxlen)
        ways = self._ways
        for item in value:
            way = ways[type(item)]
            made.append(item if way is None else way(item, memo))
        return made

    def _tuple(self, value: tuple[Any, ...], memo: dict[int, Any]) -> Any:
        """Itself when nothing in it changes, so that who compares by identity still finds it."""
        ways = self._ways
        if all(ways[type(item)] is None for item in value):
            return value
        known = memo.get(id(value))
        if known is None:
            made = [
                item if (way := ways[type(item)]) is None else way(item, memo) for item in value
            ]
            known = value
            if any(one is not other for one, other in zip(made, value, strict=True)):
                known = tuple(made)
            memo[id(value)] = known
        return known

    def _function(self, value: FunctionType, memo: dict[int, Any]) -> Any:
        if value.__closure__ is None:
            return value
        known = memo.get(id(value))
        if known is None:
            cells = tuple(self._cell(cell, memo) for cell in value.__closure__)
            known = FunctionType(
                value.__code__, value.__globals__, value.__name__, value.__defaults__, cells
            )
            known.__kwdefaults__ = value.__kwdefaults__
            memo[id(value)] = known
        return known

    def _method(self, value: MethodType, memo: dict[int, Any]) -> Any:
        owner = value.__self__
        way = self._ways[type(owner)]
        if way is None:
            return value
        return MethodType(value.__func__, way(owner, memo))

    def _builtin(self, value: Any, memo: dict[int, Any]) -> Any:
        """A method of a container belongs to it; any other built-in function to nobody."""
        owner = value.__self__
        way = self._ways[type(owner)]
        return value if way is None else getattr(way(owner, memo), value.__name__)

    def _partial(self, value: "partial[Any]", memo: dict[int, Any]) -> Any:
        known = memo.get(id(value))
        if known is None:
            # What is made for this alone must not be in the memo: its place is another's next.
            way = self._ways[type(value.func)]
            function = value.func if way is None else way(value.func, memo)
            arguments, named = self._tuple(value.args, memo), self._dict(value.keywords, memo)
            known = memo[id(value)] = partial(function, *arguments, **named)
        return known

    def _cell(self, value: CellType, memo: dict[int, Any]) -> Any:
        known = memo.get(id(value))
        if known is None:
            known = memo[id(value)] = CellType()
            held = value.cell_contents
            way = self._ways[type(held)]
            known.cell_contents = held if way is None else way(held, memo)
        return known


def _is_plain(kind: type[Any]) -> bool:
    """Whether assignment to a field does nothing else."""
    assign: Any = kind.__setattr__
    return assign is object.__setattr__


def is_frozen(kind: type[Any]) -> bool:
    """Whether an attrs class lets no field be assigned."""
    return "frozen" in getattr(kind.__setattr__, "__qualname__", "")


def _random(value: random.Random, memo: dict[int, Any]) -> Any:
    known = memo.get(id(value))
    if known is None:
        known = memo[id(value)] = random.Random()
        known.setstate(value.getstate())
    return known


class _Ways(dict[type, Way]):
    """By class; a class that is met for the first time is worked out then."""

    def __init__(self, work_out: Callable[[type[Any]], Way]) -> None:
        super().__init__()
        self._work_out = work_out

    def __missing__(self, kind: type[Any]) -> Way:
        way = self[kind] = self._work_out(kind)
        return way
