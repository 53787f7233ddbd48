"""Knobs as data: what each option is for, what it takes, and how it is written down as text.

An options class declares its fields with `knob`, which keeps the meaning beside the default; the
help text of the command and the reference page are made from there.
"""

import math
import types
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import attrs

__all__ = ["Knob", "KnobError", "knob", "knobs_in", "parse_knobs"]

_METADATA: Final = "knob"

_UNIONS: Final = (types.UnionType, Union)

Value = TypeVar("Value")
Check = Callable[[object, "attrs.Attribute[Any]", Any], None]


class KnobError(ValueError):
    """A setting that cannot be; the message names the knob and what it takes."""


@attrs.frozen(kw_only=True)
class Knob:
    """One option: its text forms, its unit and what it plays.

    `takes` is the choices with `|` between them, or the kind of value with its unit; `source` is
    where the wire leaves it open (`OP-A9`) or says how it is (`§3`), with commas between.
    """

    name: str
    group: str
    default: str
    takes: str
    meaning: str
    source: str
    kind: Any = attrs.field(repr=False)

    @property
    def plays(self) -> tuple[str, ...]:
        """The open points it decides, and the rules it serves, by their numbers."""
        return tuple(part for part in self.source.split(", ") if part and part[0] != "§")


def knob(
    default: Value,
    group: str,
    meaning: str,
    *,
    source: str = "",
    unit: str = "",
    check: Check | None = None,
) -> Value:
    """Declares a field of an options class, with its meaning in one line."""
    metadata = {_METADATA: (group, meaning, source, unit)}
    return attrs.field(default=default, validator=check, metadata=metadata)


def knobs_in(options: type[Any]) -> tuple[Knob, ...]:
    """The knobs of an options class, in the order of their declaration."""
    kinds = get_type_hints(options)
    return tuple(_knobs_in(options, kinds))


def _knobs_in(options: type[Any], kinds: dict[str, Any]) -> Iterator[Knob]:
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(options)
    for field in fields:
        if _METADATA in field.metadata:
            group, meaning, source, unit = field.metadata[_METADATA]
            kind = kinds[field.name]
            yield Knob(
                name=field.name,
                group=group,
                default=_written(field.default),
                takes=_taken(kind, unit),
                meaning=meaning,
                source=source,
                kind=kind,
            )


def parse_knobs(options: type[Any], settings: tuple[str, ...]) -> dict[str, Any]:
    """Reads `NAME=VALUE` settings; raises `KnobError`, also for a name that comes twice.

    Values out of range are for the options class to refuse.
    """
    known = {each.name: each for each in knobs_in(options)}
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise KnobError(f"a knob is set as NAME=VALUE: {setting}")
        if name not in known:
            raise KnobError(f"no such knob: {name} (knobs: {', '.join(sorted(known))})")
        if name in values:
            raise KnobError(f"{name} is set twice")
        try:
            values[name] = _parsed(known[name].kind, text)
        except ValueError:
            raise KnobError(f"{name} takes {known[name].takes}, not {text!r}") from None
    return values


def _parsed(kind: Any, text: str) -> Any:
    """The value a text stands for; raises ValueError."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {_written(choice): choice for choice in parts}[_one_of(parts, text)]
    if origin in _UNIONS:
        if text == "none":
            return None
        return _parsed(next(part for part in parts if part is not types.NoneType), text)
    if origin is tuple:
        return tuple(_parsed(parts[0], part) for part in text.split(",") if part)
    if kind is bool:
        return _one_of((True, False), text) == "true"
    value = kind(text)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    return value


def _one_of(choices: tuple[Any, ...], text: str) -> str:
    if text not in map(_written, choices):
        raise ValueError
    return text


def _written(value: object) -> str:
    """A value as `parse_knobs` reads it.

    >>> _written(("json", "binary")), _written(None), _written(2.0), _written(True)
    ('json,binary', 'none', '2', 'true')
    """
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case tuple():
            return ",".join(map(_written, cast("tuple[object, ...]", value)))
        case _:
            return str(value)


def _taken(kind: Any, unit: str) -> str:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " | ".join(map(_written, parts))
    if origin in _UNIONS:
        named = (part for part in parts if part is not types.NoneType)
        return " | ".join([*(_taken(part, unit) for part in named), "none"])
    if origin is tuple:
        return f"{unit or 'names'}, with commas"
    if kind is bool:
        return "true | false"
    return unit or {int: "a whole number", float: "a number", str: "a text"}[kind]
