"""Times, sizes and text from outside as a terminal shows them, without control characters."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from ...models import Job, VideoTranslateRequest

__all__ = [
    "clean",
    "clock_time",
    "column_width",
    "one_line",
    "part",
    "result",
    "seconds",
    "short_time",
    "size",
    "summary",
    "time_left",
    "timestamp",
]

_WIDEST: Final = 40
_ANY_MOMENT: Final = 2.0  # seconds
# Each as: below this many seconds, the unit, its seconds, and the step to which people round it.
_SPOKEN: Final = (
    (9.5, "s", 1, 1),
    (57.5, "s", 1, 5),
    (9.5 * 60, "min", 60, 1),
    (57.5 * 60, "min", 60, 5),
    (9.75 * 3600, "h", 3600, 0.5),
    (float("inf"), "h", 3600, 1),
)


def clean(text: str) -> str:
    r"""Return text with each character that is not printable as its escape, such as ``\x1b``.

    Ids, messages and URLs come from outside. A control sequence could redraw the screen, and a mark of writing
    direction could show another URL than the real one.
    """
    # isprintable is False for controls, for marks of direction and for lone surrogates.
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def one_line(text: str) -> str:
    """Return clean text in which each run of white space is one space."""
    return clean(" ".join(text.split()))


def column_width(names: Iterable[str]) -> int:
    """Return the width of a column of names; a very long name exceeds it, so that the others stay narrow."""
    return min(max((len(clean(name)) for name in names), default=0), _WIDEST)


def seconds(span: timedelta | None) -> str:
    """Return a duration, such as ``4.2 s`` or ``3 min 05 s``; a dash for None."""
    if span is None:
        return "-"
    total = span.total_seconds()
    if round(total, 1) < 60:
        return f"{total:.1f} s"
    minutes, rest = divmod(round(total), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def clock_time(span: float) -> str:
    """Return seconds as a clock shows them, such as ``1:05`` or ``2:00:00``."""
    minutes, rest = divmod(int(span), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def short_time(span: timedelta) -> str:
    """Return a duration in few columns, such as ``4.2 s`` or ``3:05``."""
    return clock_time(span.total_seconds()) if span >= timedelta(minutes=1) else seconds(span)


def time_left(remaining: float) -> str:
    """Return about how long it takes until an end, such as ``about 40 s left``.

    Args:
        remaining: Seconds.
    """
    if remaining < _ANY_MOMENT:
        return "any moment"
    unit, length, step = next(row[1:] for row in _SPOKEN if remaining < row[0])
    count = max(round(remaining / length / step), 1) * step
    return f"about {count:g} {unit} left"


def size(count: int) -> str:
    """Return a number of bytes, such as ``12.3 MB``."""
    if count < 1000:
        return f"{count} bytes"
    amount, units = count / 1000, iter(("kB", "MB", "GB"))
    unit = next(units)
    while amount >= 999.95 and unit != "GB":
        amount, unit = amount / 1000, next(units)
    return f"{amount:.1f} {unit}"


def part(count: int, total: int | None) -> str:
    """Return how many bytes there are, such as ``1.2 MB of 12.3 MB``; ``total`` is None if it is not known."""
    return size(count) if total is None else f"{size(count)} of {size(total)}"


def timestamp(time: datetime) -> str:
    """Return a time in UTC, to the second."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def summary(job: Job) -> str:
    """Return the times of a job, and its result if it is finished."""
    parts = []
    if job.queue_time is not None:
        parts.append(f"queued {seconds(job.queue_time)}")
    if job.duration is not None:
        parts.append(f"took {seconds(job.duration)}")
    if job.is_finished:
        parts.append(result(job))
    return "  ".join(parts)


def result(job: Job) -> str:
    """Return the output URLs of a finished job, or the reason why there is none."""
    if isinstance(job, VideoTranslateRequest) and job.is_completed and job.outputs:
        return "  ".join(f"{clean(language)} {clean(output.video)}" for language, output in job.outputs.items())
    if job.is_completed:
        return clean(getattr(job, "output_url", None) or "no output URL")
    return clean(job.error_message or "the service gave no reason")
