"""How long a job will still take, given how long others took. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import attrs

__all__ = ["NO_FORECAST", "Forecast", "make_forecast"]

_BAND: Final = (0.1, 0.9)
_TAIL: Final = tuple((2 * number + 1) / 20 for number in range(10))
_TAIL_WEIGHT: Final = 1.0


@attrs.frozen(kw_only=True)
class Forecast:
    """How long a job will still take, in seconds. Without samples it is false, and the times are None.

    Attributes:
        remaining: The median: half of such jobs take longer.
        low: Only one such job in ten ends earlier.
        high: Only one such job in ten ends later. Between the two lie 80 %.
        samples: How many finished jobs it was made from.
    """

    remaining: float | None
    low: float | None
    high: float | None
    samples: int

    def __bool__(self) -> bool:
        return self.samples > 0


NO_FORECAST: Final = Forecast(remaining=None, low=None, high=None, samples=0)


def make_forecast(remaining: Iterable[tuple[float, float]], waited: float, usual: float, samples: int) -> Forecast:
    """Return the forecast for a job, from what other jobs still took when they were as old.

    To these comes a tail: whatever has taken some time may as well take the same time again, or ten times as long. It
    weighs little while many jobs took longer, and is all that is left for a job that takes longer than any before,
    whose forecast so grows with its age.

    Args:
        remaining: Seconds that each of the others still took, none of them negative, and how much it counts.
        waited: Seconds that the job has taken so far.
        usual: Seconds that such jobs usually take.
        samples: How many finished jobs are known.
    """
    length = max(waited, usual)
    tail = [(length * part / (1 - part), _TAIL_WEIGHT / len(_TAIL)) for part in _TAIL]
    values = sorted([*remaining, *tail])
    low, middle, high = (_quantile(values, part) for part in (_BAND[0], 0.5, _BAND[1]))
    return Forecast(remaining=middle, low=low, high=high, samples=samples)


def _quantile(values: Sequence[tuple[float, float]], part: float) -> float:
    """Return the value below which a part of the weight lies, between the two values that are the nearest."""
    total = sum(weight for _, weight in values)
    wanted, below, previous = part * total, 0.0, None
    for value, weight in values:
        middle = below + weight / 2
        if middle >= wanted:
            if previous is None:
                return value
            last, at = previous
            return last + (value - last) * (wanted - at) / (middle - at)
        previous = (value, middle)
        below += weight
    return values[-1][0]
