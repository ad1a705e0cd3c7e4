"""Turns of a loop, and what a test may not leave on it."""

from __future__ import annotations

import asyncio

_TURNS = 10


async def turns(count: int) -> None:
    """Let the loop turn a few times, in no time."""
    for _ in range(count):
        await asyncio.sleep(0)


async def tasks_left() -> list[str]:
    """Return the tasks that still run on this loop, but for the current one."""
    for _ in range(_TURNS):
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if not left:
            break
        await asyncio.sleep(0)
    return sorted(map(repr, left))
