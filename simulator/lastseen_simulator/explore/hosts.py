"""One machine that plays all its states: what can change is saved from it and loaded into it.

A copy makes every object of a machine anew, though nearly all of them are there from its beginning
to its end and only hold other values. So a host keeps the objects that a machine began with, and an
image holds what is in them: a row of values, and what has come up since then. Loading an image is a
row of assignments, compiled once for each machine that begins.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from enum import Enum
from types import CellType
from typing import Any, Final, final

import attrs

from lastseen_simulator.explore.copying import Copier, Field, flat, is_frozen

__all__ = ["Host", "Image"]

Image = tuple[Any, ...]
"""What was in a machine. Whatever it holds is nobody else's any more."""

_NOTHING: Final = ()
_SAME: Final = object()
"""In the place of an object that is the one which was there at first."""


@final
class Host:
    """A copy of a machine, which takes the place of any that came from the same beginning.

    `save` may be called once after each `load`, since what it takes is not copied: the machine
    must not be touched until the next `load`.
    """

    def __init__(self, machine: Any, copier: Copier) -> None:
        parts: dict[int, Any] = {}
        self.machine = copier.copy(machine, parts)
        self._save, self._load = _Code(copier, list(parts.values())).compiled()

    def save(self) -> Image:
        """What is in the machine."""
        return self._save()

    def load(self, image: Image) -> Any:
        """The machine, with that in it."""
        self._load(image)
        return self.machine


@final
class _Code:
    """Writes the two functions of a host.

    Most fields hold the same object for ever, so that nothing is saved of a part's as long as they
    do; once one does not, that one is saved. So it is with a container that holds only parts.
    """

    def __init__(self, copier: Copier, parts: list[Any]) -> None:
        self._copier = copier
        self._scope: dict[str, Any] = {"ways": copier.ways, "nothing": _NOTHING, "same": _SAME}
        self._parts = {id(part): part for part in parts}
        self._flat: set[int] = set()
        self._saved: list[str] = []
        self._loads: list[str] = []
        for number, part in enumerate(parts):
            self._scope[f"o{number}"] = part
            self._add(f"o{number}", part)

    def compiled(self) -> tuple[Callable[[], Image], Callable[[Image], None]]:
        """Saving and loading."""
        names = "".join(f"s{index}, " for index in range(len(self._saved)))
        lines = [
            "def save():",
            f"    return ({', '.join(self._saved)},)",
            "def load(image):",
            f"    {names} = image",
            "    memo = parts.copy()",
            *(f"    {line}" for line in self._loads),
        ]
        self._scope["parts"] = self._parts
        exec("\n".join(lines), self._scope)
        return self._scope["save"], self._scope["load"]

    def _add(self, name: str, part: Any) -> None:
        kind: type[Any] = part.__class__
        if kind in _CONTENTS:
            self._contents(name, part, kind)
        elif kind is CellType:
            self._fields(name, part, [Field("cell_contents")])
        elif not (attrs.has(kind) or hasattr(kind, "__struct_fields__")):
            return  # Functions and tuples hold the same objects for ever.
        elif not is_frozen(kind):
            self._fields(name, part, self._copier.fields_of(kind))

    def _contents(self, name: str, part: Any, kind: type[Any]) -> None:
        """A container is looked at after whatever led to it."""
        saving, load, fill = _CONTENTS[kind]
        saving = saving.format(name)
        if id(part) in self._flat:
            if any(isinstance(key, Enum) for key in part):
                saving = f"{name}.copy()"  # Their hashes are worked out in Python.
            saved = self._save(f"{saving} if {name} else nothing")
            self._loads += [f"if {name}:", f"    {name}.clear()"]
            self._loads += [f"if {saved}:", f"    {name}.{fill}({saved})"]
            return
        self._scope[f"load_{kind.__name__}"] = load
        loading = f"    load_{kind.__name__}({name}, {{}}, memo, ways)"
        if self._is_fixed(part, kind):
            first = f"{name}_at_first"
            self._scope[first] = eval(saving, {name: part})
            saved = self._save(f"None if (now := {saving}) == {first} else now")
            self._loads += [f"if {saved} is not None:", loading.format(saved)]
            self._loads += [f"elif {saving} != {first}:", loading.format(first)]
            return
        saved = self._save(f"{saving} if {name} else nothing")
        self._loads += [f"if {name} or {saved}:", loading.format(saved)]

    def _is_fixed(self, part: Any, kind: type[Any]) -> bool:
        """Whether what a dict held at first are parts, each equal to itself alone."""
        if not (part and issubclass(kind, dict)):
            return False
        return all(id(item) in self._parts and _is_like_none(item) for item in part.values())

    def _fields(self, name: str, part: Any, fields: list[Field]) -> None:
        wired: list[tuple[str, str]] = []
        for field in fields:
            place, at_first = f"{name}.{field.name}", getattr(part, field.name)
            if not field.shared and (id(at_first) in self._parts or callable(at_first)):
                if field.way is flat:
                    self._flat.add(id(at_first))
                mark = f"{name}_{field.name}"
                self._scope[mark] = at_first
                wired.append((place, mark))
                continue
            saved = self._save(place)
            if field.shared:
                self._loads.append(f"{place} = {saved}")
            elif field.way is not None:
                way = f"way_{name}_{field.name}"
                self._scope[way] = field.way
                self._loads.append(f"{place} = {way}({saved}, memo)")
            else:
                self._load(place, saved)
        if wired:
            self._wire(wired)

    def _wire(self, wired: list[tuple[str, str]]) -> None:
        as_at_first = " and ".join(f"{place} is {mark}" for place, mark in wired)
        changed = "".join(f"same if {place} is {mark} else {place}, " for place, mark in wired)
        saved = self._save(f"None if {as_at_first} else ({changed})")
        self._loads.append(f"if {saved} is not None:")
        for index, (place, mark) in enumerate(wired):
            self._loads += [
                f"    v = {saved}[{index}]",
                "    if v is same:",
                f"        {place} = {mark}",
                "    else:",
                "        w = ways[type(v)]",
                f"        {place} = v if w is None else w(v, memo)",
            ]
        self._loads.append(f"elif not ({as_at_first}):")
        self._loads += (f"    {place} = {mark}" for place, mark in wired)

    def _load(self, place: str, saved: str) -> None:
        """An object that was there from the beginning is in the memo, or it would be shared."""
        self._loads += [
            f"v = {saved}",
            "w = ways[type(v)]",
            f"{place} = v if w is None else w(v, memo)",
        ]

    def _save(self, expression: str) -> str:
        self._saved.append(expression)
        return f"s{len(self._saved) - 1}"


def _is_like_none(value: Any) -> bool:
    """Whether it is equal to itself alone."""
    equal: Any = value.__class__.__eq__
    return equal is object.__eq__


def _load_list(part: Any, saved: Any, memo: dict[int, Any], ways: Any) -> None:
    part.clear()
    for item in saved:
        way = ways[type(item)]
        part.append(item if way is None else way(item, memo))


def _load_dict(part: Any, saved: Any, memo: dict[int, Any], ways: Any) -> None:
    part.clear()
    for key, item in saved:
        way, at = ways[type(item)], ways[type(key)]
        part[key if at is None else at(key, memo)] = item if way is None else way(item, memo)


def _load_set(part: Any, saved: Any, memo: dict[int, Any], ways: Any) -> None:
    del memo, ways
    part.clear()
    part.update(saved)


_LoadContents = Callable[[Any, Any, dict[int, Any], Any], None]

_CONTENTS: Final[dict[type, tuple[str, _LoadContents, str]]] = {
    list: ("(*{},)", _load_list, "extend"),
    deque: ("(*{},)", _load_list, "extend"),
    set: ("(*{},)", _load_set, "update"),
    dict: ("(*{}.items(),)", _load_dict, "update"),
    OrderedDict: ("(*{}.items(),)", _load_dict, "update"),
}
"""What is saved of a container, how it is loaded, and what takes things that are only shared."""
