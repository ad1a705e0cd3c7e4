"""The event loops that operations are cancelled on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import attrs

from chamelaion_async.testing import VirtualTimeLoop

from .threads import SingleThread, busy_threads, free_threads

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Loop:
    """One kind of loop.

    Attributes:
        key: How tests name it.
        make: Makes one.
        threads: Makes what its threads are.
        is_eager: Whether a task begins while it is being made.
        is_virtual: Whether its time costs none.
    """

    key: str
    make: Callable[[], asyncio.AbstractEventLoop] = VirtualTimeLoop
    threads: Callable[[], ThreadPoolExecutor] = free_threads
    is_eager: bool = False
    is_virtual: bool = True

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run to the end on a fresh loop of this kind."""
        with asyncio.Runner(loop_factory=self.make) as runner:
            runner.get_loop().set_default_executor(self.threads())
            runner.run(_warm_up())
            return runner.run(main)


async def _warm_up() -> None:
    """Let the loop open now what it opens with its first server and keeps to its end."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    server.close()
    await server.wait_closed()


DEFAULT: Final = Loop(key="default")
BUSY_THREADS: Final = Loop(key="default, busy threads", threads=busy_threads)
LOOPS: Final = [DEFAULT]
if sys.version_info >= (3, 12):
    LOOPS.append(Loop(key="eager", is_eager=True))
if sys.platform != "win32":
    import uvloop

    LOOPS.append(Loop(key="uvloop", make=uvloop.new_event_loop, threads=SingleThread, is_virtual=False))
