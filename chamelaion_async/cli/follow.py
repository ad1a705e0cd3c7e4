"""Waiting for jobs while a board shows them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from ..errors import ChamelaionError
from ..models import Job, Outcome
from .boards import Board, LineBoard, RecordBoard
from .family import Requests
from .live import LiveBoard
from .output import is_live

__all__ = ["all_of", "follow", "follow_all", "make_board"]

J = TypeVar("J", bound=Job)
T = TypeVar("T")


def make_board(names: Sequence[str], *, json: bool = False) -> Board:
    """Return the board that suits stdout."""
    if json:
        return RecordBoard()
    return LiveBoard(names) if is_live() else LineBoard(names, clock=time.monotonic)


async def follow(
    requests: Requests[J], board: Board, id: str, *, timeout: float | None, name: str | None = None
) -> Outcome[J]:
    """Wait until a request is finished, and show on the board how it fares.

    Args:
        requests: The family of the request.
        board: Shows.
        id: What to wait for.
        timeout: Seconds to wait in all, None without end.
        name: What the job goes by on the board; default its id.

    Returns:
        What became of it; an error of the wait is part of that.
    """
    name = id if name is None else name
    try:
        job = await requests.wait_until_finished(id, timeout=timeout, on_update=partial(board.changed, name))
    except ChamelaionError as error:
        board.gave_up(name, error)
        return Outcome(id=name, error=error)
    return Outcome(id=name, request=job)


async def follow_all(requests: Requests[J], board: Board, ids: Iterable[str], *, timeout: float) -> list[Outcome[J]]:
    """Wait for several requests side by side, ``math.inf`` seconds for no limit; the board is entered and left."""
    limit = None if timeout == math.inf else timeout
    with board:
        return await all_of(follow(requests, board, id, timeout=limit) for id in ids)


async def all_of(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run coroutines side by side and return what they return, in their order; the first error ends all of them."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except ExceptionGroup as errors:
        # A closed pipe, or a refusal that all of them met: one of them tells it.
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
