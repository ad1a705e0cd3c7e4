"""When jobs end, as a curve over their age, and below it a row of ticks for each way to poll them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen
from svg import Drawing

WIDTH = 800
LEFT, RIGHT, TOP = 150, 780, 58
HEADING, CURVE, ROW, AXIS, GAP = 26, 90, 30, 26, 24
TICK = 9
ENDS = 2
"""The series whose colour the curve has."""


@frozen(kw_only=True)
class Panel:
    """One kind of job. ``ends`` are shares of the jobs in equal parts of the time up to ``until``."""

    name: str
    until: float
    step: float
    ends: Sequence[float]
    polls: Mapping[str, Sequence[float]]


def schedule_chart(*, title: str, subtitle: str, panels: Sequence[Panel], x_title: str) -> str:
    """Return the chart, one panel below the other, each with an axis of its own."""
    height = TOP + sum(HEADING + CURVE + ROW * len(panel.polls) + AXIS + GAP for panel in panels) + 10
    drawing = Drawing(
        width=WIDTH,
        height=height,
        title=title,
        subtitle=subtitle,
        description=" ".join(
            f"{panel.name}: {'; '.join(f'{way}, {len(ages)} polls' for way, ages in panel.polls.items())}."
            for panel in panels
        ),
    )
    up = float(TOP)
    for panel in panels:
        drawing.text(0, up + 18, panel.name, css="note")
        _draw(drawing, panel, up + HEADING)
        up += HEADING + CURVE + ROW * len(panel.polls) + AXIS + GAP
    drawing.text((LEFT + RIGHT) / 2, height - 8, x_title, css="note", anchor="middle")
    return str(drawing)


def _draw(drawing: Drawing, panel: Panel, up: float) -> None:
    def x(age: float) -> float:
        return LEFT + age / panel.until * (RIGHT - LEFT)

    base, most, width = up + CURVE, max(panel.ends), panel.until / len(panel.ends)
    bottom = base + ROW * len(panel.polls)
    for number in range(round(panel.until / panel.step) + 1):
        drawing.grid(x(number * panel.step), up, x(number * panel.step), bottom)
        drawing.text(x(number * panel.step), bottom + 18, f"{number * panel.step:g}", anchor="middle")
    curve = [
        (x((number + 0.5) * width), base - share / most * (CURVE - 8)) for number, share in enumerate(panel.ends)
    ]
    drawing.area([(LEFT, base), *curve, (RIGHT, base)], ENDS)
    drawing.text(LEFT - 12, base - 4, "ends", anchor="end")
    for series, (way, ages) in enumerate(panel.polls.items()):
        middle = base + ROW * (series + 0.5)
        drawing.text(LEFT - 12, middle + 4, f"{way}: {len(ages)}", anchor="end")
        for age in ages:
            drawing.tick(x(age), middle - TICK, middle + TICK, series, words=f"{way}: {age:.1f} s")
