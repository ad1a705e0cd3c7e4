"""The clock of everything that waits: that of the running loop, which no change of the system's time moves."""

from __future__ import annotations

import asyncio

__all__ = ["loop_time"]


def loop_time() -> float:
    """Return the loop's time in seconds."""
    return asyncio.get_running_loop().time()
