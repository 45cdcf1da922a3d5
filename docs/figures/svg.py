"""Shapes of an SVG drawing as strings. Colours are classes of `_static/gemsmith.css`; nothing here knows a model."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def drawing(name: str, width: float, height: float, title: str, caption: str, shapes: Iterable[str]) -> str:
    """A figure without blank lines, since one would end the HTML block that Markdown keeps."""
    label = f"gem-{name}"
    opening = (
        f'<figure class="gem-figure">\n<svg viewBox="0 0 {width:g} {height:g}" style="max-width:{width:g}px"'
        f' role="img" aria-labelledby="{label}">\n<title id="{label}">{escape(title)}</title>'
    )
    return "\n".join([opening, *shapes, f"</svg>\n<figcaption>{escape(caption)}</figcaption>\n</figure>"])


def box(x: float, y: float, width: float, height: float, kind: str = "plain", radius: float = 5) -> str:
    return f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}"/>'


def label(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def path(steps: str, kind: str = "line") -> str:
    return f'<path class="{kind}" d="{steps}"/>'


def arrow(x: float, y: float, to_x: float, to_y: float, kind: str = "line") -> str:
    """A straight arrow, along one axis."""
    down, right = (to_y > y) - (to_y < y), (to_x > x) - (to_x < x)
    size = 4.5
    if down:
        tip = f"M{to_x - size:g} {to_y - down * size:g}L{to_x:g} {to_y:g}L{to_x + size:g} {to_y - down * size:g}"
    else:
        tip = f"M{to_x - right * size:g} {to_y - size:g}L{to_x:g} {to_y:g}L{to_x - right * size:g} {to_y + size:g}"
    return path(f"M{x:g} {y:g}L{to_x:g} {to_y:g}{tip}", kind)
