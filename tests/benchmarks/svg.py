"""SVG drawings for light and dark pages, and for screen readers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from attrs import define, field

# For each series its colour on white and on near-black, both with a contrast of at least 4.5 to 1.
COLOURS = (
    ("#0b5cad", "#6cb6ff"),
    ("#0f766e", "#4fd1b5"),
    ("#57606a", "#aab4bf"),
    ("#9a5b00", "#f0a94b"),
    ("#b3261e", "#ff8a80"),
    ("#7b32a8", "#d2a8ff"),
)
INKS = ("#1f2328", "#e6edf3")


def _colours(theme: int) -> str:
    series = (f"--s{number}: {pair[theme]}" for number, pair in enumerate(COLOURS))
    return "; ".join([f"--ink: {INKS[theme]}", *series])


# A file of its own goes by what the reader's system prefers. In a page of the docs, which takes the whole drawing in,
# `data-theme` says what the reader has chosen there: "light", "dark" or "auto". All rules are for `.chart`, since the
# styles of a drawing hold for the whole page that it is in.
STYLE = "\n".join(
    [
        f".chart {{ {_colours(0)} }}",
        "@media not print {",
        f"[data-theme=dark] .chart {{ {_colours(1)} }}",
        "@media (prefers-color-scheme: dark) {",
        f".chart {{ {_colours(1)} }}",
        f"[data-theme=light] .chart {{ {_colours(0)} }}",
        "}",
        "}",
        ".chart { color: var(--ink); font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif }",
        ".chart text { fill: currentColor }",
        ".chart .head { font-size: 16px; font-weight: 600 }",
        ".chart .note { opacity: 0.78; font-size: 12px }",
        ".chart .grid { stroke: currentColor; stroke-opacity: 0.16 }",
        *(f".chart .s{number} {{ color: var(--s{number}) }}" for number in range(len(COLOURS))),
        ".chart .line, .chart .hollow { fill: none; stroke: currentColor; stroke-width: 2 }",
        ".chart .mark { fill: currentColor }",
    ]
)
RADIUS = 5.0
_SHAPES = ("circle", "square", "diamond", "up", "down", "cross")


def number(value: float) -> str:
    """Return a figure as it stands in tables, with all its digits."""
    return f"{value:,}"


@define(kw_only=True)
class Drawing:
    """One SVG picture, with a title and the conditions above it, and a description in words for screen readers."""

    width: int
    height: int
    title: str
    subtitle: str
    description: str
    _parts: list[str] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.text(0, 18, self.title, css="head")
        self.text(0, 38, self.subtitle, css="note")

    def text(self, x: float, y: float, words: str, *, css: str = "", anchor: str = "start") -> None:
        """Write words that begin, are centred or end at x."""
        given = f' class="{css}"' if css else ""
        given += f' text-anchor="{anchor}"' if anchor != "start" else ""
        self._parts.append(f'<text x="{x:g}" y="{y:g}"{given}>{escape(words)}</text>')

    def grid(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """Draw one line of the grid."""
        self._parts.append(f'<line class="grid" x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"/>')

    def line(self, points: Iterable[tuple[float, float]], series: int, *, dash: str = "") -> None:
        """Join points in the colour of a series."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(f'<polyline class="line s{series}" points="{path}"{dashed}/>')

    def area(self, points: Iterable[tuple[float, float]], series: int) -> None:
        """Fill what points enclose with a light shade of the colour of a series."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(f'<polygon class="s{series}" fill="currentColor" fill-opacity="0.3" points="{path}"/>')

    def tick(self, x: float, y1: float, y2: float, series: int, *, words: str) -> None:
        """Draw an upright stroke in the colour of a series, with words that show when it is pointed at."""
        self._parts.append(
            f'<line class="line s{series}" x1="{x:.1f}" y1="{y1:g}" x2="{x:.1f}" y2="{y2:g}">'
            f"<title>{escape(words)}</title></line>"
        )

    def mark(self, x: float, y: float, series: int, *, words: str = "", hollow: bool = False) -> None:
        """Set the mark of a series, with words that show when it is pointed at."""
        css = f"{'hollow' if hollow else 'mark'} s{series}"
        title = f"<title>{escape(words)}</title>" if words else ""
        self._parts.append(f'<path class="{css}" d="{_outline(_SHAPES[series], x, y)}">{title}</path>')

    def __str__(self) -> str:
        # Two drawings in one page must not have the same ids.
        name = re.sub(r"\W+", "-", self.title.lower())
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" class="chart" '
            f'width="{self.width}" height="{self.height}" role="img" aria-labelledby="{name} {name}-in-words">'
        )
        title = f'<title id="{name}">{escape(self.title)}</title>'
        description = f'<desc id="{name}-in-words">{escape(self.description)}</desc>'
        return "\n".join([head, title, description, f"<style>\n{STYLE}\n</style>", *self._parts, "</svg>", ""])


def _outline(shape: str, x: float, y: float) -> str:
    r = RADIUS
    if shape == "circle":
        return f"M{x - r:.1f},{y:.1f}a{r:g},{r:g} 0 1 0 {2 * r:g},0a{r:g},{r:g} 0 1 0 {-2 * r:g},0Z"
    corners = {
        "square": [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
        "diamond": [(0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)],
        "up": [(0, -1.15), (1.1, 0.85), (-1.1, 0.85)],
        "down": [(0, 1.15), (1.1, -0.85), (-1.1, -0.85)],
        "cross": [
            *((-0.4, -1.1), (0.4, -1.1), (0.4, -0.4), (1.1, -0.4), (1.1, 0.4), (0.4, 0.4)),
            *((0.4, 1.1), (-0.4, 1.1), (-0.4, 0.4), (-1.1, 0.4), (-1.1, -0.4), (-0.4, -0.4)),
        ],
    }[shape]
    return "M" + "L".join(f"{x + dx * r:.1f},{y + dy * r:.1f}" for dx, dy in corners) + "Z"
