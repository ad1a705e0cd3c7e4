"""Waits for one or several jobs, with a board that shows them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine, Iterable
from functools import partial
from typing import Any, TypeVar

from ...errors import ChamelaionError
from ...models import ErrorOutcome, LipsyncRequest, Outcome, RequestOutcome, VideoTranslateRequest
from .board import Board
from .errors import exit_code
from .exits import ExitCode, of_job
from .options import Requests

__all__ = ["of_outcome", "run_together", "wait_for_all", "wait_for_one"]

T = TypeVar("T")


async def wait_for_one(
    requests: Requests, board: Board, id: str, *, timeout: float | None, name: str | None = None
) -> Outcome[LipsyncRequest | VideoTranslateRequest]:
    """Wait until a request is finished, and show its changes on a board.

    Args:
        requests: The family of the request.
        board: The board.
        id: The request.
        timeout: Seconds to wait in all; None waits without end.
        name: The name of the job on the board; by default its id.

    Returns:
        The finished request, or the error that ended the wait.
    """
    name = id if name is None else name
    try:
        job = await requests.wait_until_finished(id, timeout=timeout, on_update=partial(board.job_changed, name))
    except ChamelaionError as error:
        board.wait_failed(name, error)
        return ErrorOutcome(id=name, error=error)
    return RequestOutcome(id=name, request=job)


async def wait_for_all(
    requests: Requests, board: Board, ids: Iterable[str], *, timeout: float
) -> list[Outcome[LipsyncRequest | VideoTranslateRequest]]:
    """Wait for several requests at once on a board that is not entered yet; ``math.inf`` waits without end."""
    # The option takes numbers only, and the library None for no limit.
    limit = None if timeout == math.inf else timeout
    with board:
        return await run_together(wait_for_one(requests, board, id, timeout=limit) for id in ids)


async def run_together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run coroutines at once and return their results in order; the first error cancels the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except ExceptionGroup as errors:
        # A closed pipe, or a refusal of every submission: the errors are alike, and one of them says it all.
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


def of_outcome(outcome: Outcome[LipsyncRequest | VideoTranslateRequest]) -> ExitCode:
    """Return the exit code for one id."""
    return of_job(outcome.unwrap()) if outcome.error is None else exit_code(outcome.error)
