"""What a cell of the matrix is played on: a sandbox, settings for a client, and a time that costs none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import attrs

from chamelaion_async import AsyncClient
from chamelaion_async.sandbox import Fault, Sandbox
from chamelaion_async.sandbox.world.timestamps import http_date

KEY: Final = "sk-key-of-the-matrix"
EPOCH: Final = 1_775_563_200.0
IDS: Final = tuple(f"00000000-0000-4000-8000-00000000000{number}" for number in range(3))
OUTPUT: Final = bytes(range(256)) * 2
REFERENCE: Final = "dub-42"


@attrs.define
class LoopClock:
    """The service's clock: it goes with the loop, and can be set wrong."""

    offset: float = 0.0

    def time(self) -> float:
        """Return seconds since the epoch."""
        return EPOCH + asyncio.get_running_loop().time() + self.offset


@attrs.define(kw_only=True, eq=False)
class Setup:
    """One cell, before and while it is played.

    Attributes:
        sandbox: The service.
        clock: Its clock.
        folder: For files, empty.
        route: Where a fault meets the operation.
        times: How many requests it hits, or None for all.
        after: How many it lets pass first.
        stack: What is to be cleared away when the cell is over.
        options: For the client; a fault may change them.
        before: What is to be done with the client before the operation.
        is_bound_elsewhere: Whether the client belongs to another loop, and is closed there.
        slack: Seconds that pass without being the client's fault.
        client: The client, once it is made.
    """

    sandbox: Sandbox
    clock: LoopClock
    folder: Path
    route: str
    times: int | None
    after: int
    stack: AsyncExitStack
    options: dict[str, Any] = attrs.field(factory=dict)
    before: list[Callable[[], Awaitable[object]]] = attrs.field(factory=list)
    is_bound_elsewhere: bool = False
    slack: float = 0.0
    client: AsyncClient = attrs.field(init=False)

    @property
    def stays(self) -> bool:
        """Whether the fault stays."""
        return self.times is None

    @property
    def port(self) -> int:
        """Where the sandbox listens."""
        return int(self.sandbox.base_url.rpartition(":")[2].removesuffix("/api"))

    @property
    def output_url(self) -> str:
        """The output of the first job, by the way that the client goes."""
        base_url: str = self.options["base_url"]
        return f"{base_url.removesuffix('/api')}/output/{IDS[0]}.mp4"

    @property
    def output_file(self) -> Path:
        """Where a download goes."""
        return self.folder / "output.mp4"

    def date(self, seconds: float) -> str:
        """Return an HTTP date, so many seconds from now by the service's clock."""
        return http_date(self.clock.time() + seconds)

    def inject(self, fault: Fault) -> None:
        """Let a fault hit the requests of the operation."""
        self.sandbox.inject(fault, route=self.route, times=self.times, after=self.after)

    def later(self, seconds: float, act: Callable[[], Awaitable[object]]) -> None:
        """Do something while the operation is under way."""

        has_begun = False

        async def wait_and_act() -> None:
            nonlocal has_begun
            await asyncio.sleep(seconds)
            has_begun = True
            await act()

        task = asyncio.get_running_loop().create_task(wait_and_act())

        async def end() -> None:
            if not has_begun:
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self.stack.push_async_callback(end)
