"""What an operation may be cancelled by other than by hand: a time limit, and a group of tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import attrs

from tests.faults.stage import Stage

from .point import Play


class SiblingError(Exception):
    """What makes a group of tasks fail."""


Around = Callable[[Play, Stage], Awaitable[object]]


async def limited(play: Play, stage: Stage) -> None:
    """Run out of time: the limit says so, in its own words, and its task is none the worse for it."""
    raised: Exception | None = None
    try:
        async with asyncio.timeout(None) as limit:
            play.steps.strike = partial(_run_out, limit)
            await play.scene.act(stage)
    except TimeoutError as error:
        raised = error
    _check_limit(play, limit, raised)


async def limited_twice(play: Play, stage: Stage) -> None:
    """Run out of the time of the outer of two limits: the inner one has no part in it."""
    raised: Exception | None = None
    try:
        async with asyncio.timeout(None) as outer, asyncio.timeout(3600.0) as inner:
            play.steps.strike = partial(_run_out, outer)
            await play.scene.act(stage)
    except TimeoutError as error:
        raised = error
    _check_limit(play, outer, raised)
    assert not inner.expired()


def _check_limit(play: Play, limit: asyncio.Timeout, raised: Exception | None) -> None:
    if raised is None:
        assert not play.steps.is_told, "the cancellation was lost"
    else:
        assert type(raised) is TimeoutError, repr(raised)
        assert limit.expired()


def _run_out(limit: asyncio.Timeout) -> bool:
    limit.reschedule(asyncio.get_running_loop().time())
    return True


async def beside_a_sibling(play: Play, stage: Stage) -> None:
    """Be a task of a group in which another one fails: that one's error is all that comes out."""
    await _with_sibling(play, stage, is_child=True)


async def over_a_child(play: Play, stage: Stage) -> None:
    """Be the body of a group in which a task fails."""
    await _with_sibling(play, stage, is_child=False)


async def _with_sibling(play: Play, stage: Stage, *, is_child: bool) -> None:
    fails: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail() -> bool:
        if fails.done():
            return False
        fails.set_exception(SiblingError())
        return True

    play.steps.strike = fail

    async def sibling() -> None:
        await fails

    is_through = False
    errors: tuple[Exception, ...] = ()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(sibling())
            if is_child:
                await group.create_task(_as_task(play, stage))
            else:
                await play.scene.act(stage)
            is_through = True
            if not play.steps.has_struck:
                fails.set_result(None)
    except ExceptionGroup as error:
        errors = error.exceptions
    assert [type(error) for error in errors] == [SiblingError] * play.steps.has_struck, repr(errors)
    task = asyncio.current_task()
    if is_through and task is not None and task.cancelling():
        task.uncancel()  # before Python 3.13, a group forgets to, where a task of it fails as late as this


async def _as_task(play: Play, stage: Stage) -> Any:
    return await play.scene.act(stage)


@attrs.frozen
class Surrounded:
    """Plays a scene within something that cancels it, and goes on in the same task.

    Args:
        around: What that is.
    """

    around: Around

    async def __call__(self, play: Play) -> None:
        """Be cancelled from around: nothing is left, and neither the task nor the client is the worse for it."""

        async def act(stage: Stage) -> None:
            await self.around(play, stage)
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0
            play.steps.is_over = True
            if play.scene.beside is None:
                await play.check_nothing_is_left(but=task)
            play.scene.check(stage)
            await play.scene.act(stage)

        (await play.act(act)).result()
        await play.check_nothing_is_left()
