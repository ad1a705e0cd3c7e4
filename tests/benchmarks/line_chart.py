"""Figures against a number on two logarithmic axes, one line for each series, with a legend beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from attrs import frozen
from axis import LogAxis
from svg import RADIUS, Drawing, number

WIDTH, HEIGHT = 800, 476
LEFT, RIGHT, TOP, BOTTOM = 62, 500, 84, 386
LEGEND, LEGEND_STEP = 530, 46


@frozen(kw_only=True)
class Point:
    """One figure. A point with a note is drawn hollow."""

    x: float
    y: float
    note: str = ""


@frozen(kw_only=True)
class Series:
    """One line, its points from left to right. ``dash`` is SVG's."""

    name: str
    points: Sequence[Point]
    dash: str = ""


def line_chart(
    *,
    title: str,
    subtitle: str,
    series: Sequence[Series],
    x_title: str,
    y_title: str,
    unit: str,
    in_legend: float,
    foot: Sequence[str],
) -> str:
    """Return the chart.

    Args:
        title: What it shows.
        subtitle: The conditions.
        series: The lines, the most important first.
        x_title: The title of the axis whose ticks are the numbers of the points.
        y_title: The title of the other axis.
        unit: Text after a number of y.
        in_legend: The x whose figures the legend shows.
        foot: Lines below the chart.
    """

    def words(point: Point) -> str:
        figure = f"{number(point.x)} {x_title}: {number(point.y)}{unit}"
        return f"{figure} ({point.note})" if point.note else figure

    points = [point for each in series for point in each.points]
    numbers = sorted({point.x for point in points})
    x = LogAxis(numbers[0], numbers[-1], LEFT + 24, RIGHT - 24)
    y = LogAxis.around((point.y for point in points), BOTTOM, TOP)
    drawing = Drawing(
        width=WIDTH,
        height=HEIGHT,
        title=title,
        subtitle=subtitle,
        description=" ".join(f"{each.name}: {'; '.join(map(words, each.points))}." for each in series),
    )
    for value in y.ticks():
        drawing.grid(LEFT, y(value), RIGHT, y(value))
        drawing.text(LEFT - 8, y(value) + 4, f"{value:,.10g}", anchor="end")
    for value in numbers:
        drawing.grid(x(value), TOP, x(value), BOTTOM)
        drawing.text(x(value), BOTTOM + 20, number(value), anchor="middle")
    drawing.text(LEFT - 8, TOP - 14, y_title, css="note")
    drawing.text((LEFT + RIGHT) / 2, BOTTOM + 40, x_title, css="note", anchor="middle")
    # The most important is drawn last, so that it is on top.
    for index, each in reversed(list(enumerate(series))):
        places = [(x(point.x), y(point.y)) for point in each.points]
        for (one, start), (other, end) in zip(
            zip(each.points, places, strict=True), list(zip(each.points, places, strict=True))[1:], strict=False
        ):
            drawing.line(_between(start, end, bool(one.note), bool(other.note)), index, dash=each.dash)
        for point, (across, up) in zip(each.points, places, strict=True):
            drawing.mark(across, up, index, words=f"{each.name}, {words(point)}", hollow=bool(point.note))
    for index, each in enumerate(series):
        up = TOP + 14 + index * LEGEND_STEP
        drawing.line([(LEGEND, up - 4), (LEGEND + 30, up - 4)], index, dash=each.dash)
        drawing.mark(LEGEND + 15, up - 4, index)
        drawing.text(LEGEND + 40, up, each.name)
        for point in each.points:
            if point.x == in_legend:
                drawing.text(LEGEND + 40, up + 16, words(point), css="note")
    for index, words_below in enumerate(reversed(foot)):
        drawing.text(0, HEIGHT - 8 - 17 * index, words_below, css="note")
    return str(drawing)


def _between(
    start: tuple[float, float], end: tuple[float, float], starts_hollow: bool, ends_hollow: bool
) -> list[tuple[float, float]]:
    """Return a line that stays out of hollow marks."""
    length = math.dist(start, end)
    across, up = ((end[0] - start[0]) / length, (end[1] - start[1]) / length)
    near, far = RADIUS * 1.2 * starts_hollow, RADIUS * 1.2 * ends_hollow
    return [(start[0] + across * near, start[1] + up * near), (end[0] - across * far, end[1] - up * far)]
