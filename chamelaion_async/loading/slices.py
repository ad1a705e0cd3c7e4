"""Work on very many items without holding the loop: a slice in each turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import chain, islice
from typing import Final, TypeVar

__all__ = ["SLICE", "in_slices"]

T = TypeVar("T")

SLICE: Final = 250
"""How many items one callback handles before other callbacks of the loop run."""


def in_slices(items: Iterable[T], handle: Callable[[T], object]) -> None:
    """Handle the first slice of items now, and each further one in a later turn of the loop."""
    rest = iter(items)
    for item in islice(rest, SLICE):
        handle(item)
    for item in rest:
        asyncio.get_running_loop().call_soon(in_slices, chain([item], rest), handle)
        return
