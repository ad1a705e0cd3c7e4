"""A client that waits for very many requests, and measures what the wait costs.

At the start it is given how many ``ids`` to wait for, in which ``way``, and whether the wait ends because all
``finish``, at the ``deadline``, or because it is ``cancelled``; then allocations are traced. The server is a child of
its own. It answers with one row. The memory of the ids themselves is not counted.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

from child import Child, arguments, tell

from chamelaion_async import AsyncClient, WaitTimeoutError

DEADLINE = 40.0
"""Seconds after which a wait that is to end at its deadline gives up; all must have been read before."""
ASK_EVERY = 0.5
"""Seconds between two questions to the server whether all have been read."""

Wait = Callable[[AsyncClient, list[str], float | None], Awaitable[int]]
"""Waits for all, with a timeout or without one, and returns how many have ended as they should."""


async def as_finished(client: AsyncClient, ids: list[str], timeout: float | None) -> int:
    ended = 0
    async for outcome in client.lipsync.requests.as_finished(ids, timeout=timeout):
        ended += outcome.request is not None if timeout is None else isinstance(outcome.error, WaitTimeoutError)
    return ended


async def separate_waits(client: AsyncClient, ids: list[str], timeout: float | None) -> int:
    async def wait(id: str) -> bool:
        try:
            request = await client.wait_until_finished(id, timeout=timeout)
        except WaitTimeoutError:
            return timeout is not None
        return timeout is None and request.is_finished

    return sum(await asyncio.gather(*map(wait, ids)))


WAYS: dict[str, Wait] = {"as_finished": as_finished, "separate_waits": separate_waits}


class Heartbeat:
    """The longest time by which a task that sleeps for a millisecond came back late.

    The processor time in that gap shows whether the loop was busy or the machine. The longest garbage collection is
    noted beside it, since one over very many objects holds the loop by itself.
    """

    def __init__(self) -> None:
        self.longest = self.longest_cpu = self.longest_at = self.longest_gc = 0.0
        self._started = self._collecting_since = time.perf_counter()
        self._is_off = False
        gc.callbacks.append(self._collected)

    def _collected(self, phase: str, _: object) -> None:
        if phase == "start":
            self._collecting_since = time.perf_counter()
        elif not self._is_off:
            self.longest_gc = max(self.longest_gc, time.perf_counter() - self._collecting_since)

    async def beat(self) -> None:
        while True:
            began, cpu = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.001)
            gap = time.perf_counter() - began - 0.001
            if gap > self.longest and not self._is_off:
                self.longest, self.longest_cpu = gap, time.thread_time() - cpu
                self.longest_at = began - self._started

    async def leave_out(self, work: Callable[[], int]) -> int:
        """Do something that holds the loop, without measuring it."""
        self._is_off = True
        await asyncio.sleep(0)
        result = work()
        await asyncio.sleep(0.01)
        self._is_off = False
        return result


def _resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def _all_shown(server: Child, count: int) -> None:
    shown = 0
    while shown < count:
        shown = (await asyncio.to_thread(server.ask, "counts"))["shown"]
        # After the last question too, since its answers are still under way.
        await asyncio.sleep(ASK_EVERY)


async def cost(*, way: str, ids: int, ending: Literal["finish", "deadline", "cancelled"]) -> dict[str, Any]:
    # With tracing everything is slow, so no times are measured.
    trace = ending == "cancelled"
    with Child("record_server.py", {"records": ids, "finished": False}) as server:
        served: dict[str, Any] = server.receive()
        names: list[str] = served["ids"]
        async with AsyncClient("key", base_url=served["base_url"]) as client:
            wait = partial(WAYS[way], client)
            # A small wait first, so that what is loaded and set up on first use is not counted.
            await wait(names[:200], 0.0)
            server.ask("forget")
            if trace:
                tracemalloc.start()
            size = _traced if trace else _resident
            before = size()
            heartbeat = Heartbeat()
            beating = asyncio.create_task(heartbeat.beat())
            began = time.perf_counter()
            waiting = asyncio.ensure_future(wait(names, DEADLINE if ending == "deadline" else None))
            await _all_shown(server, ids)
            seen = time.perf_counter() - began
            growth = await heartbeat.leave_out(size) - before
            if waiting.done():
                raise RuntimeError("the wait has ended before all were read")
            if ending == "finish":
                await asyncio.to_thread(server.ask, "finish")
            elif ending == "cancelled":
                waiting.cancel()
            await asyncio.wait([waiting])
            await asyncio.sleep(0.01)
            beating.cancel()
    if not waiting.cancelled() and waiting.result() != ids:
        raise RuntimeError(f"{waiting.result()} of {ids} have ended by {ending}")
    return {
        "way": way,
        "ids": ids,
        "ending": ending,
        "measured_by": "tracemalloc" if trace else "resident memory",
        "bytes_per_id": round(growth / ids),
        "all_seen_s": round(seen, 1),
        "longest_hold_ms": None if trace else round(heartbeat.longest * 1e3, 1),
        "hold_cpu_ms": None if trace else round(heartbeat.longest_cpu * 1e3, 1),
        "longest_gc_ms": None if trace else round(heartbeat.longest_gc * 1e3, 1),
        "hold_at_s": None if trace else round(heartbeat.longest_at, 1),
    }


if __name__ == "__main__":
    tell(asyncio.run(cost(**arguments())))
