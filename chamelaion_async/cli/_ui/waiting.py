"""Waits for one or several jobs, with a board that shows them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine, Iterable
from contextlib import aclosing, suppress
from typing import Any, Literal, TypeAlias, TypeVar

import attrs

from ...config import PollPolicy
from ...errors import ChamelaionError, NotFoundError, WaitError
from ...models import ErrorOutcome, LipsyncRequest, Outcome, VideoTranslateRequest
from .board import Board
from .errors import exit_code
from .exits import ExitCode, of_job
from .options import POLLING, Requests
from .recent import RecentRequests

__all__ = ["AnyOutcome", "Until", "Wait", "of_outcome", "run_together", "wait_for_all"]

T = TypeVar("T")
AnyOutcome: TypeAlias = Outcome[LipsyncRequest] | Outcome[VideoTranslateRequest]
Until = Literal["all", "any", "failure"]


async def wait_for_all(
    requests: Requests, board: Board, ids: Iterable[str], *, timeout: float, polling: PollPolicy = POLLING
) -> list[AnyOutcome]:
    """Wait for several requests at once on a board that is not entered yet.

    Args:
        requests: The family of the requests.
        board: The board.
        ids: The requests, each once.
        timeout: Seconds to wait in all; ``math.inf`` waits without end.
        polling: How often to poll.

    Returns:
        An outcome for each id.

    Raises:
        ChamelaionError: An error that concerns all of several ids, such as wrong credentials.
    """
    return await Wait(requests=requests, board=board, names=[*ids], polling=polling).run(timeout)


class _EnoughError(Exception):
    """Nothing needs to be waited for any more."""


@attrs.define(kw_only=True)
class Wait:
    """A wait for several requests on a board that is not entered yet.

    Attributes:
        requests: The family of the requests.
        board: The board.
        names: The ids, each once.
        until: Whether to wait for all of them, for any that finishes, or for the first failure or error.
        recent: Tells for which ids a 404 is final at once; by default it may mean "not yet" for all of them.
        polling: How often to poll.
        outcomes: What has been found out so far.
    """

    requests: Requests
    board: Board
    names: list[str]
    until: Until = "all"
    recent: RecentRequests | None = None
    polling: PollPolicy = POLLING
    outcomes: dict[str, AnyOutcome] = attrs.field(init=False, factory=dict)
    _seen: set[str] = attrs.field(init=False, factory=set)

    @property
    def open(self) -> list[str]:
        """The ids of requests that may not have finished, so that another wait is of use."""
        errors = {id: outcome.error for id, outcome in self.outcomes.items()}
        return [id for id in self.names if id not in errors or isinstance(errors[id], WaitError)]

    async def run(self, timeout: float) -> list[AnyOutcome]:
        """Wait, at most for so many seconds; ``math.inf`` waits without end.

        Returns:
            An outcome for each id; none for those that were still open when ``until`` ended the wait.

        Raises:
            ChamelaionError: An error that concerns all of several ids, such as wrong credentials.
        """
        with self.board:
            await self._run(asyncio.get_running_loop().time() + timeout)
        return [self.outcomes[name] for name in self.names if name in self.outcomes]

    async def _run(self, ends: float) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                await self._follow(self.names, ends, group, confirms=self.recent is not None)
        except ExceptionGroup as errors:
            error = errors.exceptions[0]
            if any(isinstance(each, _EnoughError) for each in errors.exceptions):
                return
            if len(self.names) > 1 or not isinstance(error, ChamelaionError):
                raise error from None
            with suppress(_EnoughError):
                self._show(ErrorOutcome(id=self.names[0], error=error))

    async def _follow(self, names: list[str], ends: float, group: asyncio.TaskGroup, *, confirms: bool) -> None:
        """Show the changes of requests; with ``confirms``, each 404 comes at once and is confirmed in a task."""
        left = None if ends == math.inf else max(ends - asyncio.get_running_loop().time(), 0.0)
        polling = attrs.evolve(self.polling, not_found_grace=0.0) if confirms else self.polling
        async with aclosing(self.requests.watch_many(names, timeout=left, polling=polling)) as outcomes:
            async for outcome in outcomes:
                if confirms and isinstance(outcome.error, NotFoundError):
                    group.create_task(self._confirm(outcome, ends, group))
                else:
                    self._show(outcome)

    async def _confirm(self, outcome: AnyOutcome, ends: float, group: asyncio.TaskGroup) -> None:
        """Show a 404, unless it may mean "not yet": then wait on."""
        name = outcome.id
        if name in self._seen or self.recent is None or await self.recent.may_hold(name):
            await self._follow([name], ends, group, confirms=False)
        else:
            self._show(outcome)

    def _show(self, outcome: AnyOutcome) -> None:
        name, job = outcome.id, outcome.request
        if job is not None:
            self._seen.add(name)
            self.board.job_changed(name, job)
        elif outcome.error is not None:
            self.board.wait_failed(name, outcome.error)
        if job is not None and not job.is_finished:
            return
        self.outcomes[name] = outcome
        is_success = job is not None and job.is_completed
        if (self.until == "any" and job is not None) or (self.until == "failure" and not is_success):
            raise _EnoughError


async def run_together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run coroutines at once and return their results in order; the first error cancels the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except ExceptionGroup as errors:
        # A closed pipe, or a refusal of every submission: the errors are alike, and one of them says it all.
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


def of_outcome(outcome: AnyOutcome) -> ExitCode:
    """Return the exit code for one id."""
    return of_job(outcome.unwrap()) if outcome.error is None else exit_code(outcome.error)
