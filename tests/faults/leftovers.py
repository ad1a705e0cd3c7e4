"""What a cell must not leave behind: tasks, open files and sockets, and warnings of any kind."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import warnings
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from weakref import WeakSet

_TURNS = 20
_LIMIT = 2.0  # seconds of real time
_OPEN_FILES = Path("/proc/self/fd")
_is_the_clients: ContextVar[bool] = ContextVar("_is_the_clients", default=False)


class Leftovers:
    """Sees what is made and not cleared away, from entering to leaving.

    Tasks are told apart by the context that they were made in: the service's run in another one than the client's.
    """

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._complaints: list[str] = []
        self._files = _open_files()
        gc.freeze()  # what was there before need not be looked through again, cell after cell
        self._caught = warnings.catch_warnings(record=True)
        self._warnings = self._caught.__enter__() or []
        warnings.simplefilter("always")
        self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        self._loop.set_task_factory(self._make)  # type: ignore[arg-type]  # typeshed wants a generic callable
        self._loop.set_exception_handler(lambda _, context: self._complaints.append(str(context)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.set_task_factory(None)
        self._loop.set_exception_handler(None)
        sys.unraisablehook = self._hook
        self._caught.__exit__(kind, error, traceback)

    @contextmanager
    def client_at_work(self) -> Iterator[None]:
        """Count the tasks that are made meanwhile as the client's."""
        token = _is_the_clients.set(True)
        try:
            yield
        finally:
            _is_the_clients.reset(token)

    def tasks(self) -> list[str]:
        """Return the client's tasks that are not done."""
        return [repr(task) for task in self._tasks if not task.done()]

    async def rest(self) -> list[str]:
        """Return what else is left, once everything has been closed."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)  # a transport closes its socket a turn after it was closed itself
        gc.collect()
        await asyncio.sleep(0)
        patience = time.monotonic() + _LIMIT
        while _open_files().keys() - self._files.keys() and time.monotonic() < patience:
            time.sleep(0.001)  # noqa: ASYNC251 - a thread may still be opening what is no longer wanted
            await asyncio.sleep(0)
        current = asyncio.current_task()
        left = [repr(task) for task in asyncio.all_tasks() if task is not current]
        now_open = _open_files()
        left += [f"{now_open[number]} ({number})" for number in now_open.keys() - self._files.keys()]
        return [*left, *self._complaints, *(str(warning.message) for warning in self._warnings)]

    def _make(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=loop, **options)
        if _is_the_clients.get():
            self._tasks.add(task)
        return task

    def _unraisable(self, happened: sys.UnraisableHookArgs) -> None:
        self._complaints.append(f"{happened.err_msg}: {happened.exc_value!r} in {happened.object!r}")


def _open_files() -> dict[str, str]:
    """Return what is open by number; nothing where the system does not show it."""
    if not _OPEN_FILES.is_dir():
        return {}
    found = {}
    for entry in _OPEN_FILES.iterdir():
        try:
            found[entry.name] = str(entry.readlink())
        except OSError:  # the folder itself was open while it was read
            continue
    return found
