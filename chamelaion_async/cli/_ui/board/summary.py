"""What became of many jobs, in a few lines: how they ended, why some failed, and how long they took. Pure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from statistics import median
from typing import Final

from ....errors import ChamelaionError, WaitTimeoutError
from ....models import Job
from ..errors import label
from ..text import clock_time, result, short_time

__all__ = ["summary_lines"]

_REASONS: Final = 5  # shown one by one
_BINS: Final = 12
_ENOUGH: Final = 5  # jobs from which on a histogram says more than their median
_BARS: Final = {
    False: " \u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588",
    True: " .:-=+*%#",
}
_CHANGING: Final = re.compile(r"https?://\S+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
"""The parts of a reason that differ from job to job: URLs and UUIDs."""


def summary_lines(
    total: int,
    jobs: Collection[Job],
    errors: Collection[ChamelaionError],
    *,
    elapsed: float,
    requests: int | None = None,
    ascii_only: bool = False,
) -> list[str]:
    """Return the lines.

    Args:
        total: How many jobs were waited for.
        jobs: Those that were read, as they were read last.
        errors: The errors that ended waits. A job whose wait timed out is still open.
        elapsed: Seconds that the wait took.
        requests: How many requests it used, or None if that was not counted.
        ascii_only: Whether the terminal shows no other characters.
    """
    finished = [job for job in jobs if job.is_finished]
    failed = [job for job in finished if not job.is_completed]
    labels = Counter(label(error) for error in errors if not isinstance(error, WaitTimeoutError))
    counts = {
        "completed": len(finished) - len(failed),
        "failed": len(failed),
        **labels,
        "still open": total - len(finished) - labels.total(),
    }
    ends = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    lines = [f"{total} jobs in {clock_time(elapsed)}: {ends}"]
    reasons = Counter(_CHANGING.sub("...", result(job)) for job in failed).most_common()
    lines += _titled("failed", [f"{count} x {reason}" for reason, count in reasons[:_REASONS]])
    if len(reasons) > _REASONS:
        others = sum(count for _, count in reasons[_REASONS:])
        lines.append(f"         {others} for {len(reasons) - _REASONS} other reasons")
    for title, times in (
        ("queued", [job.queue_time for job in finished if job.queue_time is not None]),
        ("took", [job.duration for job in finished if job.duration is not None]),
    ):
        if times:
            lines += _titled(title, [_spread(times, _BARS[ascii_only])])
    if requests is not None:
        lines += _titled("used", [f"{requests} requests, {_ratio(requests / total)} a job"])
    return lines


def _titled(title: str, texts: Iterable[str]) -> list[str]:
    return [f"{'' if number else title:<8} {text}" for number, text in enumerate(texts)]


def _ratio(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2g}"


def _spread(times: Sequence[timedelta], bars: str) -> str:
    """Return the median, the 95th percentile (by nearest rank) and a histogram of some durations."""
    ordered = sorted(times)
    middle, high = median(time.total_seconds() for time in ordered), ordered[math.ceil(0.95 * len(ordered)) - 1]
    text = f"median {short_time(timedelta(seconds=middle))}, 95 % within {short_time(high)}"
    low, span = ordered[0], ordered[-1] - ordered[0]
    if len(ordered) < _ENOUGH or not span:
        return text
    counts = Counter(min(int((time - low) / span * _BINS), _BINS - 1) for time in ordered)
    most = max(counts.values())
    # A bin with a job in it is never blank.
    shown = "".join(bars[math.ceil(counts[number] / most * (len(bars) - 1))] for number in range(_BINS))
    return f"{text}  [{shown}] {short_time(low)} to {short_time(ordered[-1])}"
