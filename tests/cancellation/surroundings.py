"""What an operation may be cancelled by other than by hand: a time limit, and a group of tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import attrs

from tests.faults.setup import Setup

from .point import Run


class SiblingError(Exception):
    """What makes a group of tasks fail."""


Around = Callable[[Run, Setup], Awaitable[object]]


async def limited(run: Run, setup: Setup) -> None:
    """Run out of time: the limit says so, in its own words, and its task is none the worse for it."""
    raised: Exception | None = None
    try:
        async with asyncio.timeout(None) as limit:
            run.steps.interrupt = partial(_run_out, limit)
            await run.scenario.act(setup)
    except TimeoutError as error:
        raised = error
    _check_limit(run, limit, raised)


async def limited_twice(run: Run, setup: Setup) -> None:
    """Run out of the time of the outer of two limits: the inner one has no part in it."""
    raised: Exception | None = None
    try:
        async with asyncio.timeout(None) as outer, asyncio.timeout(3600.0) as inner:
            run.steps.interrupt = partial(_run_out, outer)
            await run.scenario.act(setup)
    except TimeoutError as error:
        raised = error
    _check_limit(run, outer, raised)
    assert not inner.expired()


def _check_limit(run: Run, limit: asyncio.Timeout, raised: Exception | None) -> None:
    if raised is None:
        assert not run.steps.was_raised, "the cancellation was lost"
    else:
        assert type(raised) is TimeoutError, repr(raised)
        assert limit.expired()


def _run_out(limit: asyncio.Timeout) -> bool:
    limit.reschedule(asyncio.get_running_loop().time())
    return True


async def beside_a_sibling(run: Run, setup: Setup) -> None:
    """Be a task of a group in which another one fails: that one's error is all that comes out."""
    await _with_sibling(run, setup, is_child=True)


async def over_a_child(run: Run, setup: Setup) -> None:
    """Be the body of a group in which a task fails."""
    await _with_sibling(run, setup, is_child=False)


async def _with_sibling(run: Run, setup: Setup, *, is_child: bool) -> None:
    fails: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail() -> bool:
        if fails.done():
            return False
        fails.set_exception(SiblingError())
        return True

    run.steps.interrupt = fail

    async def sibling() -> None:
        await fails

    is_through = False
    errors: tuple[Exception, ...] = ()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(sibling())
            if is_child:
                await group.create_task(_as_task(run, setup))
            else:
                await run.scenario.act(setup)
            is_through = True
            if not run.steps.was_interrupted:
                fails.set_result(None)
    except ExceptionGroup as error:
        errors = error.exceptions
    assert [type(error) for error in errors] == [SiblingError] * run.steps.was_interrupted, repr(errors)
    task = asyncio.current_task()
    if is_through and task is not None and task.cancelling():
        task.uncancel()  # before Python 3.13, a group forgets to, where a task of it fails as late as this


async def _as_task(run: Run, setup: Setup) -> Any:
    return await run.scenario.act(setup)


@attrs.frozen
class Surrounded:
    """Plays a scenario within something that cancels it, and goes on in the same task.

    Args:
        around: What that is.
    """

    around: Around

    async def __call__(self, run: Run) -> None:
        """Be cancelled from around: nothing is left, and neither the task nor the client is the worse for it."""

        async def act(setup: Setup) -> None:
            await self.around(run, setup)
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0
            run.steps.is_over = True
            if run.scenario.beside is None:
                await run.check_nothing_is_left(but=task)
            run.scenario.check(setup)
            await run.scenario.act(setup)

        (await run.act(act)).result()
        await run.check_nothing_is_left()
