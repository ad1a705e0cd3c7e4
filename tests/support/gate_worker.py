"""One process before a gate, for tests with real ones: ``python gate_worker.py`` with JSON as its argument.

Prints a line once it is connected, and reads from its input when all processes start, by the machine's clock that no
process sets. Then it prints JSON: when each permit was had, in seconds after that, and how many commands that took.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from chamelaion_async.redis.engine import Engine
from chamelaion_async.redis.gate import SharedBudget


class _Counting:
    """An engine that counts its commands."""

    processes = 4

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.commands = 0

    @property
    def is_live(self) -> bool:
        return self._engine.is_live

    def at_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self._engine.at_change(callback)

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str]) -> Any:
        self.commands += 1
        return await self._engine.run(script, keys, args)


async def work(url: str, prefix: str, rate: float, callers: int, seconds: float) -> dict[str, Any]:
    """Take permits for a while."""
    engine = Engine(url)
    await engine.open()
    counting = _Counting(engine)
    budget = SharedBudget(counting, prefix, rate)
    times: list[float] = []

    async def call() -> None:
        while True:
            await budget.acquire("status")
            times.append(time.monotonic() - begins)

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    begins = float(await asyncio.to_thread(sys.stdin.readline))
    await asyncio.sleep(begins - time.monotonic())
    tasks = [asyncio.create_task(call()) for _ in range(callers)]
    await asyncio.sleep(begins + seconds - time.monotonic())
    commands = counting.commands
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    budget.close()
    await budget.wait_closed()
    await engine.aclose()
    return {"times": [moment for moment in times if moment < seconds], "commands": commands}


class _SkewedLoop(asyncio.SelectorEventLoop):
    """A loop, in a process whose clocks are off."""

    skew = 0.0

    def time(self) -> float:
        return super().time() + self.skew


def main() -> None:
    options = json.loads(sys.argv[1])
    skew = _SkewedLoop.skew = options.pop("skew")
    true_time = time.time
    time.time = lambda: true_time() + skew
    loop = _SkewedLoop()
    sys.stdout.write(json.dumps(loop.run_until_complete(work(**options))))
    loop.close()


if __name__ == "__main__":
    main()
