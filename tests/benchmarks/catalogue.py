"""Which benchmarks there are, and what is expected of those that only measure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import few
import get_many
import imports
import many
import media
import memory
import overhead
import throughput
from attrs import frozen
from goals import Goal

Rows = list[dict[str, Any]]


@frozen(kw_only=True)
class Benchmark:
    """One benchmark.

    Args:
        title: What it measures, in a line.
        measure: Runs it, in full or short.
        goals: What is expected of its rows.
        needs_vendor: Whether the vendor's client takes part.
    """

    title: str
    measure: Callable[[bool], Rows]
    goals: Callable[[Rows], list[Goal]]
    needs_vendor: bool = False


def _ratios(of: str, at_most: float) -> Callable[[Rows], list[Goal]]:
    def goals(rows: Rows) -> list[Goal]:
        return [
            Goal(
                what=f"{of}, {row['at_once']} at once" if "at_once" in row else of,
                measured=row["ratio"],
                at_most=at_most,
            )
            for row in rows
        ]

    return goals


def _media_goals(rows: Rows) -> list[Goal]:
    bounds = {"peak_growth_mib": 32.0, "gap_max_ms": 50.0}
    return [
        Goal(what=f"{row['what']}, {figure}", measured=row[figure], at_most=bound)
        for row in rows
        for figure, bound in bounds.items()
    ]


CATALOGUE = {
    "overhead": Benchmark(
        title="CPU of one get",
        measure=lambda _short: overhead.measure(),
        goals=_ratios("CPU of a get over aiohttp by hand", 1.18),
    ),
    "imports": Benchmark(
        title="CPU of the import",
        measure=lambda _short: imports.measure(),
        goals=_ratios("CPU of the import over that of aiohttp", 1.25),
    ),
    "media": Benchmark(
        title="Large files up and down",
        measure=lambda short: list(map(dict, media.measure(64 if short else 1024))),
        goals=_media_goals,
    ),
    "throughput": Benchmark(
        title="Single requests read a second",
        measure=lambda short: throughput.measure(short=short),
        goals=throughput.goals,
        needs_vendor=True,
    ),
    "get_many": Benchmark(
        title="One look at 10,000 requests",
        measure=lambda short: get_many.measure(short=short),
        goals=get_many.goals,
    ),
    "memory": Benchmark(
        title="Memory and the event loop with very many waits",
        measure=lambda short: memory.measure(short=short),
        goals=memory.goals,
    ),
    "few": Benchmark(
        title="50 jobs, no rate limit",
        measure=lambda short: few.measure(short=short),
        goals=few.goals,
    ),
    "many": Benchmark(
        title="Many jobs, 20 requests a second, pages of 100",
        measure=lambda short: many.measure(short=short),
        goals=many.goals,
        needs_vendor=True,
    ),
}
