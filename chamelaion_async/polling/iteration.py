"""The async iterators of a batch: outcomes as they come, and unchanged requests again after some seconds of silence.

An async generator ends when its ``anext`` is cancelled, and the caller could not go on after
``asyncio.wait_for(anext(changes), 15)``. Here all that a later ``anext`` needs is in objects, and nothing is taken
from the batch before it can be returned. So a cancelled ``anext`` loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from types import TracebackType
from typing import Final, Generic, TypeVar

from .._http.clock import loop_time
from ..config import check_seconds
from ..loading.times import NEVER
from ..models import Job, Outcome
from .batch import Batch
from .open_waits import OpenWaits

__all__ = ["BatchIterator", "check_every"]

J = TypeVar("J", bound=Job)
T = TypeVar("T")

_BUSY: Final = 0.005  # seconds for which items are handed over before other tasks run
_BEGUN: Final = object()


def check_every(every: float | None) -> float | None:
    """Return the seconds of silence after which a request comes again, or say what is wrong with them."""
    return None if every is None else check_seconds("every", every, positive=True)


class BatchIterator(AsyncGenerator[T, None], Generic[J, T]):
    """Iterates over the outcomes of a batch, in the order in which they become known.

    It begins with the first ``anext``. It ends the batch when the last request is finished, at an error, by
    ``aclose()``, or when the last reference to it goes.

    Args:
        batch: Waits for the requests.
        ids: The ids, each once.
        show: Makes an item of an outcome.
        raises: Whether an outcome with an error ends the iterator, which raises the error.
        every: Seconds without an item of a request after which it comes again, or None.
        waits: The open waits that the batch is one of, or None if draining the client does not end it.
    """

    def __init__(
        self,
        batch: Batch[J],
        ids: Iterable[str],
        *,
        show: Callable[[Outcome[J]], T],
        raises: bool = False,
        every: float | None = None,
        waits: OpenWaits | None = None,
    ) -> None:
        self._batch = batch
        self._ids = ids
        self._show = show
        self._raises = raises
        self._every = every
        self._waits = waits
        self._shown_at: dict[str, float] = {}  # requests that are not finished, the longest silent first
        self._beginning: Iterator[None] | None = None
        self._ending: AsyncGenerator[None, None] | None = None
        self._is_awaited = False
        self._is_closed = False
        self._since = 0.0

    async def __anext__(self) -> T:
        if self._is_awaited:
            raise RuntimeError("another task awaits the next item of this iterator; make an iterator for each task")
        self._is_awaited = True
        try:
            return await self._next()
        finally:
            self._is_awaited = False
            del self  # a traceback that is kept, as by a cancelled task, must not keep the polls going

    async def asend(self, _: None, /) -> T:
        """Return the next item, as ``anext`` does."""
        return await self.__anext__()

    async def athrow(
        self,
        typ: type[BaseException] | BaseException,
        val: BaseException | object = None,
        tb: TracebackType | None = None,
        /,
    ) -> T:
        """Close the iterator, and raise the exception."""
        await self.aclose()
        if isinstance(typ, BaseException):
            raise typ
        raise val.with_traceback(tb) if isinstance(val, BaseException) else typ

    async def aclose(self) -> None:
        """Stop the polls. An ``anext`` that is awaited meanwhile ends as if the last request was finished."""
        self._is_closed = True
        await self._end()

    async def _next(self) -> T:
        batch = self._batch
        try:
            if not self._is_closed:
                await self._begin()
            while not self._is_closed:
                if loop_time() - self._since > _BUSY:
                    await asyncio.sleep(0)
                    self._since = loop_time()
                # From here to the return nothing is awaited, or a cancellation would lose the item.
                outcome = batch.take() or self._silent()
                if outcome is not None and outcome.error is not None and self._raises:
                    batch.fail(outcome.error)
                elif outcome is not None:
                    self._note(outcome)
                    return self._show(outcome)
                elif batch.has_failed or batch.is_over:
                    await self._finish()
                else:
                    await batch.wait_for_news(self._next_silent())
                    self._since = loop_time()
            raise StopAsyncIteration
        finally:
            del self, batch  # as above

    async def _finish(self) -> None:
        """End the batch, and raise the error that ended it, if one did."""
        await self._end()
        self._is_closed = True
        error = self._batch.take_error()
        if error is not None:
            try:
                raise error
            finally:
                del self, error  # a cycle: its traceback holds this frame

    async def _begin(self) -> None:
        if self._ending is None:
            if self._waits is not None:
                self._waits.check()
            self._ending = _ending(self._batch, self._waits)
            # Known to the event loop from here on, which closes it when the last reference to this iterator goes.
            await anext(self._ending)
        if self._beginning is None:
            self._beginning, self._since = self._batch.begin(self._ids), loop_time()
        while not self._is_closed and next(self._beginning, _BEGUN) is not _BEGUN:
            await asyncio.sleep(0)
            self._since = loop_time()

    async def _end(self) -> None:
        if self._ending is not None:
            await self._ending.aclose()

    def _note(self, outcome: Outcome[J]) -> None:
        """Record that a request is shown now, if it may have to be shown again."""
        if self._every is None:
            return
        self._shown_at.pop(outcome.id, None)  # what is put in again comes last
        if outcome.request is not None and not outcome.request.is_finished:
            self._shown_at[outcome.id] = loop_time()

    def _next_silent(self) -> float:
        """Return when a request will have been silent for long enough."""
        if self._every is None or not self._shown_at:
            return NEVER
        return next(iter(self._shown_at.values())) + self._every

    def _silent(self) -> Outcome[J] | None:
        """Return a request that has been silent for long enough, as it was last read."""
        if self._next_silent() > loop_time():
            return None
        return self._batch.shown_again(next(iter(self._shown_at)))


async def _ending(batch: Batch[J], waits: OpenWaits | None) -> AsyncGenerator[None, None]:
    """End a batch when this is closed, by its iterator or by the event loop."""
    if waits is not None:
        waits.add(batch)
    try:
        yield
    finally:
        if waits is not None:
            waits.discard(batch)
        await batch.end()
