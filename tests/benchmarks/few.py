"""A few jobs on a server without a limit: ``as_finished`` beside a GET of each every five seconds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import conversation
from conversation import Work
from goals import Goal

JOBS = 50
CUT_OFF = 60.0


def measure(short: bool) -> list[dict[str, Any]]:
    """Return a row for each way. Both run at once, each with a server of its own, and leave the machine idle."""
    work = Work(jobs=JOBS, rate_limit=None)
    with ThreadPoolExecutor(2) as pool:
        return list(
            pool.map(lambda way: conversation.run(way, work, cut_off=CUT_OFF), ("as_finished", "fixed_poll_by_hand"))
        )


def goals(rows: list[dict[str, Any]]) -> list[Goal]:
    """Return the bounds for ours: sooner, and with no more requests."""
    ours, fixed = rows
    ratio = round(ours["delay_mean_s"] / fixed["delay_mean_s"], 3)
    return [
        Goal(what="found", measured=ours["found"], at_least=JOBS),
        Goal(what="mean delay over that of the fixed poll", measured=ratio, at_most=0.6),
        Goal(what="requests", measured=ours["requests"], at_most=fixed["requests"]),
    ]
