"""Counting the suspensions of an operation, and interrupting at one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Generic, Literal, TypeVar

import attrs

from tests.faults.leftovers import Leftovers, _is_the_clients

T = TypeVar("T")

Moment = Literal["at once", "when it is done"]
"""As soon as something is awaited, or in the same turn of the loop in which it is done, before that is noticed."""

Interrupt = Callable[[], bool]
"""Does what cancels an operation, and returns whether that was still possible."""


@attrs.define(kw_only=True, eq=False)
class Steps:
    """The suspensions of all tasks that work for an operation, in the order in which they come.

    What a client does for an operation it may do in tasks of its own, so all of them count. What is interrupted is
    always the operation.

    Attributes:
        number: At which suspension to interrupt, counted from 1; None never interrupts.
        moment: When, as seen from what is awaited there.
        more: How often to cancel once more afterwards, each time that the operation awaits something.
        interrupt: What happens; by default the operation's task is cancelled.
        task: The operation's task, once it runs.
        count: Suspensions so far.
        was_reached: Whether the operation came to where it was to be interrupted.
        was_interrupted: Whether it has happened while the operation was under way.
        cancelled_again: How often it was cancelled once more.
        awaited_after: How often it awaited something after it was interrupted.
        was_raised: Whether the cancellation was raised in the operation.
        is_over: Whether nothing is to be counted any more.
    """

    number: int | None = None
    moment: Moment = "at once"
    more: int = 0
    interrupt: Interrupt | None = None
    task: asyncio.Task[Any] | None = None
    count: int = 0
    was_reached: bool = False
    was_interrupted: bool = False
    cancelled_again: int = 0
    awaited_after: int = 0
    was_raised: bool = False
    is_over: bool = False

    def suspended(self, awaited: object) -> None:
        """Take note that a task which works for the operation awaits something."""
        if self.is_over or self.task is None or self.task.done():
            return
        if self.was_interrupted:
            if asyncio.current_task() is self.task:
                self.awaited_after += 1
                if self.cancelled_again < self.more:
                    self.cancelled_again += 1
                    self._cancel()
            return
        self.count += 1
        if self.count != self.number:
            return
        self.was_reached = True
        if self.moment == "at once":
            self._interrupt()
        elif isinstance(awaited, asyncio.Future) or hasattr(awaited, "add_done_callback"):
            awaited.add_done_callback(lambda _: self._interrupt())  # before the task that awaits it adds its own
        else:
            asyncio.get_running_loop().call_soon(self._interrupt)

    def _interrupt(self) -> None:
        if self.task is None or self.task.done():
            return
        self.was_interrupted = self._cancel() if self.interrupt is None else self.interrupt()

    def _cancel(self) -> bool:
        assert self.task is not None
        return self.task.cancel()

    def raised(self, error: object) -> None:
        """Take note of what is raised in a task that works for the operation."""
        if isinstance(error, asyncio.CancelledError) and asyncio.current_task() is self.task:
            self.was_raised = True


class _Counted(Coroutine[Any, Any, T], Generic[T]):
    """A coroutine whose suspensions are counted."""

    def __init__(self, inner: Coroutine[Any, Any, T], steps: Steps) -> None:
        self._inner = inner
        self._steps = steps
        self.__name__ = self.__qualname__ = getattr(inner, "__qualname__", type(inner).__name__)

    def send(self, value: Any) -> Any:
        awaited = self._inner.send(value)
        self._steps.suspended(awaited)
        return awaited

    def throw(self, kind: Any, value: Any = None, traceback: TracebackType | None = None) -> Any:
        error = kind if value is None else value
        self._steps.raised(error)
        awaited = self._inner.throw(error)
        self._steps.suspended(awaited)
        return awaited

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Any:
        return self._inner.__await__()


class StepLeftovers(Leftovers):
    """Leftovers of a client whose steps are counted.

    Args:
        steps: Counts them.
        is_eager: Whether tasks begin while they are being made.
    """

    def __init__(self, steps: Steps, *, is_eager: bool) -> None:
        self._steps = steps
        self._options: dict[str, Any] = {"eager_start": True} if is_eager else {}

    def _make(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
    ) -> asyncio.Task[Any]:
        if _is_the_clients.get():
            coroutine = _Counted(coroutine, self._steps)
        return super()._make(loop, coroutine, **{**options, **self._options})
