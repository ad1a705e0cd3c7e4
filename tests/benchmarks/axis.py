"""A logarithmic axis: the place of a value, and the values to label."""

from __future__ import annotations

import math
from collections.abc import Iterable

from attrs import define


@define
class LogAxis:
    """Maps the values from ``low`` to ``high`` to the pixels from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def around(cls, values: Iterable[float], start: float, end: float) -> LogAxis:
        """Return an axis from the round number below the values to the one above."""
        values = list(values)
        low, high = _round_below(min(values)), _round_above(max(values))
        return cls(low, high if high > low else low * 10, start, end)

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return powers of ten, or 1, 2 and 5 times these where there would be few."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        digits = (1, 2, 5) if math.log10(self.high / self.low) <= 2.5 else (1,)
        found = [float(f"{digit}e{power}") for power in range(first, last + 1) for digit in digits]
        return [value for value in found if self.low * 0.999 <= value <= self.high * 1.001]


def _round_below(value: float) -> float:
    power = math.floor(math.log10(value))
    return max(float(f"{digit}e{power}") for digit in (1, 2, 5) if float(f"{digit}e{power}") <= value)


def _round_above(value: float) -> float:
    power = math.floor(math.log10(value))
    return min(float(f"{digit}e{power}") for digit in (1, 2, 5, 10) if float(f"{digit}e{power}") >= value)
