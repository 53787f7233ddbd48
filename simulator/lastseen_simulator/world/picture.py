"""The end of a story as a sequence picture: who said what to whom, top to bottom."""

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from lastseen_simulator.world.trace import Happening

__all__ = ["draw_story"]

LINES_MAX: Final = 80
_LANE: Final = 210
_ROW: Final = 26
_LEFT: Final = 110
_TOP: Final = 60
_WORDS_MAX: Final = 64
_ORDER: Final = ("world", "market", "gateway", "client 0", "client 1", "application", "disk")

_HEAD: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" '
    'font-family="sans-serif" font-size="11">\n'
    '<defs><marker id="head" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
    '<path d="M0,0 L8,4 L0,8 z"/></marker></defs>\n'
    '<rect width="{w}" height="{h}" fill="#ffffff"/>\n'
)


def draw_story(story: Sequence[Happening], title: str) -> str:
    """The last lines of a story as SVG; what the watch said in the end is marked red."""
    shown = list(story[-LINES_MAX:])
    names = {name for each in shown for name in (each.source, each.target)} - {"watch"}
    lanes = [name for name in _ORDER if name in names] + sorted(names - set(_ORDER))
    place = {name: _LEFT + index * _LANE for index, name in enumerate(lanes)}
    width = _LEFT + max(1, len(lanes)) * _LANE
    height = _TOP + (len(shown) + 2) * _ROW
    parts = [_HEAD.format(w=width, h=height)]
    parts.append(f'<text x="12" y="22" font-size="14">{escape(title)}</text>\n')
    for name, x in place.items():
        parts.append(f'<text x="{x}" y="44" text-anchor="middle">{escape(name)}</text>\n')
        end = height - _ROW
        parts.append(f'<line x1="{x}" y1="50" x2="{x}" y2="{end}" stroke="#bbbbbb"/>\n')
    for index, each in enumerate(shown):
        parts.append(_line(each, _TOP + (index + 1) * _ROW, place, width))
    return "".join([*parts, "</svg>\n"])


def _line(each: Happening, y: int, place: dict[str, int], width: int) -> str:
    words = each.text if len(each.text) <= _WORDS_MAX else each.text[:_WORDS_MAX] + "…"
    words = escape("".join(c if c.isprintable() else "·" for c in words))
    moment = f'<text x="8" y="{y}" fill="#777777">{each.at:.3f} s</text>\n'
    if each.source == "watch":
        wrong = escape(each.text)
        box = f'<rect x="70" y="{y - 14}" width="{width - 80}" height="20" fill="#ffd9d9"/>\n'
        return f'{moment}{box}<text x="76" y="{y}" fill="#a00000">{wrong}</text>\n'
    start, end = place[each.source], place[each.target]
    if start == end:
        return f'{moment}<text x="{start + 6}" y="{y}" font-weight="bold">{words}</text>\n'
    middle = (start + end) // 2
    arrow = f'<line x1="{start}" y1="{y}" x2="{end}" y2="{y}" stroke="#000000" '
    return (
        f'{moment}{arrow}marker-end="url(#head)"/>\n'
        f'<text x="{middle}" y="{y - 4}" text-anchor="middle">{words}</text>\n'
    )
