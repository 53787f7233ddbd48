"""What makes two states of a machine the same: everything but absolute time, counters and traces.

One walk over the object graph writes down every value in the order of the fields. A moment is
written relative to now, and no further than it matters; a number that is only ever compared for
being equal is written as the place where it was first met; an object that was met before is written
as that meeting, so that sharing and cycles count too.
"""

import enum
import hashlib
import typing
from collections import deque
from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import (
    BuiltinFunctionType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import Any, Final, final

import attrs
import msgspec

from lastseen_simulator.explore.hints import PLAIN, hints_of, is_flat, is_made_of

__all__ = ["Fingerprints", "Walk", "Write"]

_encode = msgspec.msgpack.Encoder().encode

Write = Callable[[Any, "Walk"], None]
"""Writes down one value."""

_PLAIN: Final = frozenset(PLAIN)

_FLAT: Final = """\
    v = o.{name}
    if (k := id(v)) in met:
        out += ('^', met[k])
    else:
        met[k] = len(met)
        out.append({listed})"""
"""A container of plain values: as a list, where it is met first."""

_NAMED: Final = """\
    v = o.{name}
    if v is None:
        out.append(v)
    elif (k := id(v)) in met:
        out += ('^', met[k])
    else:
        met[k] = len(met)
        out.append(len(v))
        for k, v in v.items():
            out.append(k)
            writers[v.__class__](v, walk)"""
"""A dict of things by plain names."""

_AHEAD: Final = "None if (v := o.{name}) is None else round(v - now, 6) if v > now else 0.0"
_BEHIND: Final = (
    "None if (v := o.{name}) is None else round(v, 6) if (v := now - v) < {horizon} else {horizon}"
)
"""What `Walk.ahead` and `Walk.behind` write, without a call."""

_LISTED: Final[Mapping[Any, str]] = {
    list: "[*v]",
    deque: "[*v]",
    set: "sorted(map(str, v))",
    dict: "[*v.items()]",
}


@final
class Walk:
    """One walk: what is written so far, and what was met."""

    __slots__ = ("_writers", "met", "names", "now", "out")

    def __init__(self, now: float, writers: "Mapping[type, Write]") -> None:
        self._writers = writers
        self.now = now
        self.out: list[Any] = []
        self.met: dict[int, int] = {}
        self.names: dict[tuple[str, Any], int] = {}

    def write(self, value: Any) -> None:
        """Writes a value in the way of its class."""
        self._writers[type(value)](value, self)

    def ahead(self, moment: float | None) -> None:
        """A moment that is waited for: once it is past, it does not matter how long ago."""
        if moment is None:
            self.out.append(None)
        else:
            rest = moment - self.now
            self.out.append(round(rest, 6) if rest > 0 else 0.0)

    def behind(self, moment: float | None, horizon_s: float) -> None:
        """A moment that ages: beyond the horizon it does not matter how old."""
        if moment is None:
            self.out.append(None)
        else:
            age = self.now - moment
            self.out.append(round(age, 6) if age < horizon_s else horizon_s)

    def name(self, sort: str, value: Any) -> None:
        """A number that is only compared for being equal."""
        self.out.append(self.names.setdefault((sort, value), len(self.names)))


@final
class Fingerprints:
    """Writes states down.

    `ahead` names the fields that hold moments, `behind` those that age, with their horizons,
    `equal` those that are only compared for being equal, with their sort, `skipped` counters and
    traces; `wiring` fields that lead, in every class, to what is written elsewhere. `writers` write
    whole classes, `constant` are written by name alone.
    """

    def __init__(
        self,
        *,
        ahead: Collection[str] = (),
        behind: Mapping[str, float] | None = None,
        equal: Mapping[str, str] | None = None,
        skipped: Collection[tuple[str, str]] = (),
        wiring: Collection[str] = (),
        writers: Mapping[type, Write] | None = None,
        constant: Collection[type] = (),
    ) -> None:
        self._ahead = frozenset(ahead)
        self._behind = dict(behind or {})
        self._equal = dict(equal or {})
        self._skipped = frozenset(skipped)
        self._wiring = frozenset(wiring)
        self._constant = tuple(constant)
        self._writers = _Writers(self._writer_of)
        for kind in PLAIN:
            self._writers[kind] = _atom
        self._writers |= {
            list: self._items,
            tuple: self._tuple,
            deque: self._items,
            dict: self._dict,
            set: _set,
            frozenset: _set,
            msgspec.Raw: _raw,
            FunctionType: self._function,
            MethodType: self._method,
            BuiltinFunctionType: self._builtin,
            ModuleType: _type_name,
            partial: self._partial,
            MappingProxyType: _type_name,
            type: _class_name,
            **{kind: _once(write) for kind, write in (writers or {}).items()},
        }

    def of(self, value: Any, *, now: float) -> bytes:
        """Sixteen bytes that stand for a state at a moment."""
        walk = Walk(now, self._writers)
        walk.write(value)
        return hashlib.blake2b(_encode(walk.out), digest_size=16).digest()

    def written(self, value: Any, *, now: float) -> list[Any]:
        """What is written down of a state, for finding out why two of them differ."""
        walk = Walk(now, self._writers)
        walk.write(value)
        return walk.out

    def _writer_of(self, kind: type[Any]) -> Write:
        if issubclass(kind, self._constant):
            return _type_name
        if issubclass(kind, enum.Enum):
            return _member
        if issubclass(kind, tuple):
            return self._tuple
        if issubclass(kind, msgspec.Struct):
            return self._compiled(kind, [str(name) for name in kind.__struct_fields__])
        if attrs.has(kind):
            return self._compiled(kind, [field.name for field in attrs.fields(kind)])
        raise TypeError(f"no way to write down {kind.__qualname__}")

    def _compiled(self, kind: type[Any], names: list[str]) -> Write:
        """One line a field, as in `copying`; all that is a value in itself comes in one row."""
        kinds = {each.__name__ for each in kind.__mro__}
        scope: dict[str, Any] = {"writers": self._writers}
        row: list[str] = []
        deeper: list[str] = []
        hints = hints_of(kind)
        for name in names:
            hint = hints.get(name)
            if name in self._wiring or any((each, name) in self._skipped for each in kinds):
                continue
            if name in self._ahead:
                row.append(_AHEAD.format(name=name))
            elif name in self._behind:
                row.append(_BEHIND.format(name=name, horizon=repr(self._behind[name])))
            elif name in self._equal:
                row.append(f"names.setdefault(({self._equal[name]!r}, o.{name}), len(names))")
            elif is_made_of(hint, PLAIN.__contains__):
                row.append(f"o.{name}")
            elif is_made_of(hint, _is_enum):
                row.append(f"o.{name}._name_")
            elif is_flat(hint, PLAIN.__contains__):
                listed = _LISTED[typing.get_origin(hint)]
                deeper += _FLAT.format(name=name, listed=listed).splitlines()
            elif _is_named(hint):
                deeper += _NAMED.format(name=name).splitlines()
            else:
                deeper += [
                    f"    v = o.{name}",
                    "    if v is None: out.append(v)",
                    "    else: writers[v.__class__](v, walk)",
                ]
        lines = [
            "def write(o, walk):",
            "    out, met, names, now = walk.out, walk.met, walk.names, walk.now",
            "    if (k := id(o)) in met:",
            "        out += ('^', met[k]); return",
            "    met[k] = len(met)",
            f"    out += ({kind.__name__!r}, {', '.join(row)})",
            *deeper,
        ]
        exec("\n".join(lines), scope)
        write: Write = scope["write"]
        return write

    def _items(self, value: Any, walk: Walk) -> None:
        met, place = walk.met, id(value)
        if place in met:
            walk.out += ("^", met[place])
            return
        met[place] = len(met)
        self._tuple(value, walk)

    def _tuple(self, value: Any, walk: Walk) -> None:
        out, writers = walk.out, self._writers
        out.append(len(value))
        for item in value:
            kind: type[Any] = item.__class__
            if kind in _PLAIN:
                out.append(item)
            else:
                writers[kind](item, walk)

    def _dict(self, value: dict[Any, Any], walk: Walk) -> None:
        met, place = walk.met, id(value)
        if place in met:
            walk.out += ("^", met[place])
            return
        met[place] = len(met)
        out, writers = walk.out, self._writers
        out.append(len(value))
        for key, item in value.items():
            for each in (key, item):
                kind: type[Any] = each.__class__
                if kind in _PLAIN:
                    out.append(each)
                else:
                    writers[kind](each, walk)

    def _function(self, value: FunctionType, walk: Walk) -> None:
        walk.out.append(value.__qualname__)
        if value.__closure__ is None:
            return
        for name, cell in zip(value.__code__.co_freevars, value.__closure__, strict=True):
            sort = self._equal.get(name)
            if sort is not None:
                walk.name(sort, cell.cell_contents)
            else:
                walk.write(cell.cell_contents)

    def _builtin(self, value: Any, walk: Walk) -> None:
        walk.out.append(value.__name__)
        walk.write(value.__self__)

    def _partial(self, value: "partial[Any]", walk: Walk) -> None:
        for part in (value.func, value.args, value.keywords):
            walk.write(part)

    def _method(self, value: MethodType, walk: Walk) -> None:
        walk.out.append(value.__qualname__)
        walk.write(value.__self__)


def _once(write: Write) -> Write:
    """Writes an object where it is met first, and a mark wherever it is met again."""

    def write_once(value: Any, walk: Walk) -> None:
        met, place = walk.met, id(value)
        if place in met:
            walk.out += ("^", met[place])
            return
        met[place] = len(met)
        write(value, walk)

    return write_once


def _is_named(hint: Any) -> bool:
    """Whether the hint is a dict whose keys are plain."""
    return typing.get_origin(hint) is dict and is_made_of(
        typing.get_args(hint)[0], PLAIN.__contains__
    )


def _is_enum(kind: type[Any]) -> bool:
    return issubclass(kind, enum.Enum)


def _atom(value: Any, walk: Walk) -> None:
    walk.out.append(value)


def _raw(value: Any, walk: Walk) -> None:
    walk.out.append(bytes(value))


def _set(value: Any, walk: Walk) -> None:
    walk.out.append(sorted(map(str, value)))


def _member(value: enum.Enum, walk: Walk) -> None:
    walk.out.append(value._name_)


def _type_name(value: Any, walk: Walk) -> None:
    walk.out.append(type(value).__name__)


def _class_name(value: type, walk: Walk) -> None:
    walk.out.append(value.__qualname__)


class _Writers(dict[type, Write]):
    """By class; a class that is met for the first time is worked out then."""

    def __init__(self, work_out: Callable[[type[Any]], Write]) -> None:
        super().__init__()
        self._work_out = work_out

    def __missing__(self, kind: type[Any]) -> Write:
        write = self[kind] = self._work_out(kind)
        return write
