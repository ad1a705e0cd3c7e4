"""A sandbox in a thread of its own, so that it answers whatever the test and its event loop are busy with."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, TypeVar, overload

from attrs import define, field

from ..sandbox import Delivery, Job, Received, Sandbox

__all__ = ["sandbox_in_thread"]

T = TypeVar("T")

_METHODS = (
    "add_job",
    "advance",
    "assert_not_polled_since",
    "assert_submitted",
    "change_output",
    "clear_faults",
    "count",
    "expire_output",
    "fail",
    "finish",
    "forget",
    "inject",
    "revoke",
    "status",
)


@contextmanager
def sandbox_in_thread(**settings: Any) -> Iterator[Sandbox]:
    """Serve a sandbox from a thread and an event loop of its own, within the context.

    For tests that are no coroutines, such as those with the ``TestClient`` of Starlette, and for tests that block
    their event loop. All methods and properties may be used in any thread and any loop.

    Args:
        settings: Those of ``Sandbox``.
    """
    sandbox = _ThreadSandbox(**settings)
    started: Future[None] = Future()
    thread = threading.Thread(target=sandbox.serve, args=[started], name="chamelaion-sandbox", daemon=True)
    thread.start()
    try:
        started.result()
        try:
            yield sandbox
        finally:
            sandbox.end()
    finally:
        thread.join()


@define(kw_only=True, eq=False)
class _ThreadSandbox(Sandbox):
    """Hands each call over to the loop that serves, and returns what it returned or raised there."""

    _loop: asyncio.AbstractEventLoop = field(init=False, repr=False)
    _ended: asyncio.Event = field(init=False, factory=asyncio.Event, repr=False)
    _ident: int = field(init=False, default=0, repr=False)

    def serve(self, started: Future[None]) -> None:
        """Serve in this thread until ``end``."""
        asyncio.run(self._serve(started))

    async def _serve(self, started: Future[None]) -> None:
        self._loop, self._ident = asyncio.get_running_loop(), threading.get_ident()
        try:
            await super().start()
        except BaseException as error:  # noqa: BLE001 - raised in the thread that starts this one
            started.set_exception(error)
            return
        started.set_result(None)
        try:
            await self._ended.wait()
        finally:
            await super().stop()

    def end(self) -> None:
        """Let ``serve`` return."""
        self._loop.call_soon_threadsafe(self._ended.set)

    def _call(self, function: Callable[[], T]) -> T:
        if threading.get_ident() == self._ident:
            return function()
        done: Future[T] = Future()

        def call() -> None:
            try:
                done.set_result(function())
            except BaseException as error:  # noqa: BLE001 - raised in the thread that called
                done.set_exception(error)

        self._loop.call_soon_threadsafe(call)
        return done.result()

    async def _await(self, awaited: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(awaited, self._loop))

    @overload
    def start(self) -> Coroutine[Any, Any, None]: ...

    @overload
    def start(self, id: str) -> Job: ...

    def start(self, id: str | None = None) -> Coroutine[Any, Any, None] | Job:
        if id is None:
            return self._await(super().start())
        return self._call(partial(super().start, id))

    async def stop(self) -> None:
        await self._await(super().stop())

    async def settle(self) -> None:
        await self._await(super().settle())

    async def polled(self, id: str, *, times: int = 1, timeout: float = 30.0) -> Received:
        return await self._await(super().polled(id, times=times, timeout=timeout))

    @property
    def received(self) -> Sequence[Received]:
        return self._call(lambda: super(_ThreadSandbox, self).received)

    @property
    def deliveries(self) -> Sequence[Delivery]:
        return self._call(lambda: super(_ThreadSandbox, self).deliveries)

    @property
    def jobs(self) -> Mapping[str, Job]:
        return self._call(lambda: super(_ThreadSandbox, self).jobs)


def _handed_over(name: str) -> Callable[..., Any]:
    method = getattr(Sandbox, name)

    @wraps(method)
    def call(self: _ThreadSandbox, *args: Any, **options: Any) -> Any:
        return self._call(partial(method, self, *args, **options))

    return call


for _name in _METHODS:
    setattr(_ThreadSandbox, _name, _handed_over(_name))
