"""What the gateway command says about knobs."""

import textwrap
from collections.abc import Iterator
from typing import Final

from lastseen_simulator.knobs import Knob

__all__ = ["knob_lines"]

WIDTH: Final = 100
_NAME: Final = 28
_DEFAULT: Final = 20
_MARGIN: Final = " " * (2 + _NAME + _DEFAULT)


def knob_lines(knobs: tuple[Knob, ...]) -> Iterator[str]:
    """The knobs group by group: name, default, what it is for and what it takes."""
    group = None
    for each in knobs:
        if each.group != group:
            yield from (["", each.group] if group else [each.group])
            group = each.group
        takes = "" if each.kind is bool else f" [{each.takes}]"
        plays = f" ({', '.join(each.plays)})" if each.plays else ""
        meaning = textwrap.wrap(f"{each.meaning}{takes}{plays}", WIDTH - len(_MARGIN))
        head = f"  {each.name:<{_NAME}}{each.default or '(empty)':<{_DEFAULT}}"
        if len(head) > len(_MARGIN):
            # A long default has its line for itself.
            yield head
            head = _MARGIN
        yield head + meaning[0]
        yield from (_MARGIN + line for line in meaning[1:])
    yield from ("", "Set one with --knob NAME=VALUE; a list has commas, an empty value is no item.")
