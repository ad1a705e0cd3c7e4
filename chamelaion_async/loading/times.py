"""Times of the running loop's clock, in seconds."""

from __future__ import annotations

import asyncio
from typing import Final

__all__ = ["ALWAYS", "NEVER", "now"]

ALWAYS: Final = float("-inf")
"""A time that has always passed."""

NEVER: Final = float("inf")
"""A time that does not come."""


def now() -> float:
    """Return the loop's time."""
    return asyncio.get_running_loop().time()
