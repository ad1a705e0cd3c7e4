"""Many jobs, 20 requests a second: how late each client knows of their ends, and with how many requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import conversation
from conversation import Work
from goals import Goal

CUT_OFF = 150.0
"""Seconds after which a client that still waits is cut off."""
PAGE = 100
OURS, WAITS, SWEEP = "as_finished", "separate_waits", "sweep_by_hand"
GETS, VENDOR_AIOHTTP, VENDOR_HTTPX = "get_loops_by_hand", "get_loops_vendor_aiohttp", "get_loops_vendor_httpx"
ALL = (OURS, WAITS, SWEEP, GETS, VENDOR_AIOHTTP, VENDOR_HTTPX)

Cases = tuple[tuple[int, str], ...]
TURNS: tuple[Cases, ...] = (
    (*((10, way) for way in ALL), (100, OURS), (100, WAITS), (100, SWEEP)),
    ((100, GETS), (100, VENDOR_AIOHTTP), (100, VENDOR_HTTPX), (1000, GETS), (1000, VENDOR_AIOHTTP)),
    ((1000, VENDOR_HTTPX),),
    ((1000, SWEEP), (10_000, SWEEP)),
    ((1000, OURS),),
    ((1000, WAITS),),
    ((10_000, OURS),),
    ((10_000, WAITS),),
)
"""Numbers of jobs and ways to wait. Those of one turn run at once, each with a server of its own: they leave the
machine mostly idle, so this only saves time."""


def measure(short: bool) -> list[dict[str, Any]]:
    """Return a row for each number of jobs and way to wait.

    Jobs finish between 5 and 30 seconds after they were made, and the list holds 500 older ones. Loops of GETs do not
    finish with 1,000 jobs, and are not tried with more.
    """
    rows: list[dict[str, Any]] = []
    for turn in TURNS[:1] if short else TURNS:
        with ThreadPoolExecutor(len(turn)) as pool:
            rows += pool.map(lambda case: conversation.run(case[1], Work(jobs=case[0]), cut_off=CUT_OFF), turn)
    return sorted(rows, key=lambda row: (row["jobs"], ALL.index(row["way"])))


def goals(rows: list[dict[str, Any]]) -> list[Goal]:
    """Return the bounds for ours with 1,000 jobs and with 10,000."""
    by_case = {(row["way"], row["jobs"]): row for row in rows}
    found = []
    for way, requests, refused, delay in ((OURS, 400, 20, 1.0), (WAITS, 700, 40, 1.2)):
        if row := by_case.get((way, 1000)):
            found += [
                Goal(what=f"{way}, 1,000 jobs, found", measured=row["found"], at_least=1000),
                Goal(what=f"{way}, 1,000 jobs, requests", measured=row["requests"], at_most=requests),
                Goal(what=f"{way}, 1,000 jobs, 429", measured=row["status_429"], at_most=refused),
                Goal(what=f"{way}, 1,000 jobs, mean delay in s", measured=row["delay_mean_s"], at_most=delay),
            ]
    if row := by_case.get((OURS, 10_000)):
        sweep = row["jobs"] / PAGE / (Work(jobs=0).rate_limit or 1)
        found += [
            Goal(what=f"{OURS}, 10,000 jobs, found", measured=row["found"], at_least=10_000),
            Goal(
                what=f"{OURS}, 10,000 jobs, mean delay over a sweep of {sweep:g} s",
                measured=round(row["delay_mean_s"] / sweep, 3),
                at_most=0.75,
            ),
        ]
    return found
