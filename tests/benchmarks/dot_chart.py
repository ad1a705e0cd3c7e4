"""Figures as dots on one logarithmic axis, a row for each, in groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen
from axis import LogAxis
from svg import Drawing, number

WIDTH = 800
LEFT, RIGHT, TOP = 250, 690, 58
ROW, HEADING, GAP = 28, 26, 12


@frozen(kw_only=True)
class Dot:
    """One figure. ``series`` is its colour and shape."""

    name: str
    value: float
    series: int


def dot_chart(*, title: str, subtitle: str, groups: Mapping[str, Sequence[Dot]], x_title: str) -> str:
    """Return the chart, with the rows of each group under its heading."""
    axis = LogAxis.around((dot.value for dots in groups.values() for dot in dots), LEFT, RIGHT)
    bottom = TOP + sum(HEADING + ROW * len(dots) + GAP for dots in groups.values())
    drawing = Drawing(
        width=WIDTH,
        height=bottom + 48,
        title=title,
        subtitle=subtitle,
        description=" ".join(
            f"{heading}: {'; '.join(f'{dot.name} {number(dot.value)}' for dot in dots)}."
            for heading, dots in groups.items()
        ),
    )
    for value in axis.ticks():
        drawing.grid(axis(value), TOP, axis(value), bottom)
        drawing.text(axis(value), bottom + 18, f"{value:,.10g}", anchor="middle")
    drawing.text((LEFT + RIGHT) / 2, bottom + 38, x_title, css="note", anchor="middle")
    up = float(TOP)
    for heading, dots in groups.items():
        drawing.text(0, up + 18, heading, css="note")
        up += HEADING
        for dot in dots:
            middle = up + ROW / 2
            drawing.text(LEFT - 12, middle + 4, dot.name, anchor="end")
            drawing.grid(LEFT, middle, RIGHT, middle)
            drawing.mark(axis(dot.value), middle, dot.series, words=f"{heading}, {dot.name}: {number(dot.value)}")
            drawing.text(axis(dot.value) + 12, middle - 3, number(dot.value))
            up += ROW
        up += GAP
    return str(drawing)
