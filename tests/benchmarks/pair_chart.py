"""Two figures of the same things before and after, as a line from a hollow mark to a full one on two axes."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen
from axis import LogAxis
from svg import Drawing, number

WIDTH, HEIGHT = 800, 476
LEFT, RIGHT, TOP, BOTTOM = 62, 480, 84, 386
LEGEND, LEGEND_STEP = 500, 50


@frozen(kw_only=True)
class Pair:
    """One thing, and its places before and after."""

    name: str
    before: tuple[float, float]
    after: tuple[float, float]


def pair_chart(
    *,
    title: str,
    subtitle: str,
    pairs: Sequence[Pair],
    x_title: str,
    y_title: str,
    foot: Sequence[str],
    names: tuple[str, str] = ("by age", "learned"),
) -> str:
    """Return the chart, with a legend that has the figures."""

    def words(pair: Pair) -> str:
        return "  to  ".join(
            f"{number(polls)} {x_title}, {number(delay)} s" for polls, delay in (pair.before, pair.after)
        )

    places = [place for pair in pairs for place in (pair.before, pair.after)]
    x = LogAxis.around((place[0] for place in places), LEFT + 12, RIGHT - 12)
    y = LogAxis.around((place[1] for place in places), BOTTOM, TOP)
    drawing = Drawing(
        width=WIDTH,
        height=HEIGHT,
        title=title,
        subtitle=subtitle,
        description=" ".join(f"{pair.name}: {words(pair)}." for pair in pairs),
    )
    for value in y.ticks():
        drawing.grid(LEFT, y(value), RIGHT, y(value))
        drawing.text(LEFT - 8, y(value) + 4, f"{value:,.10g}", anchor="end")
    for value in x.ticks():
        drawing.grid(x(value), TOP, x(value), BOTTOM)
        drawing.text(x(value), BOTTOM + 20, number(round(value)), anchor="middle")
    drawing.text(0, TOP - 14, y_title, css="note")
    drawing.text((LEFT + RIGHT) / 2, BOTTOM + 40, x_title, css="note", anchor="middle")
    for series, pair in enumerate(pairs):
        start, end = ((x(place[0]), y(place[1])) for place in (pair.before, pair.after))
        drawing.line([start, end], series, dash="2 3")
        drawing.mark(*start, series, words=f"{pair.name}, {names[0]}", hollow=True)
        drawing.mark(*end, series, words=f"{pair.name}, {names[1]}")
        up = TOP + 14 + series * LEGEND_STEP
        drawing.mark(LEGEND + 8, up - 4, series)
        drawing.text(LEGEND + 22, up, pair.name)
        drawing.text(LEGEND + 22, up + 16, words(pair), css="note")
    for index, words_below in enumerate(reversed(foot)):
        drawing.text(0, HEIGHT - 8 - 17 * index, words_below, css="note")
    return str(drawing)
