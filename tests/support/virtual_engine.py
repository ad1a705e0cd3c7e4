"""An engine for tests on virtual time: the scripts run on a real server, but its clock is the loop's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import redis

from chamelaion_async.redis.engine import EngineLost

_CLOCK = 'redis.call("TIME")'


class VirtualEngine:
    """Runs scripts as ``Engine`` does.

    Args:
        client: A connection to the server.

    Attributes:
        latency: Seconds that a command takes, half of them on its way there.
        processes: How many share the account.
        commands: How many commands were sent.
        ahead: Seconds by which the server's clock is ahead of the loop's.
        is_deaf: Whether commands are lost although the engine counts as live.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.latency = 0.0
        self.processes = 1
        self.commands = 0
        self.ahead = 1.7e9
        self.is_deaf = False
        self._is_live = True
        self._callbacks: list[Callable[[], None]] = []
        self._scripts: dict[str, Any] = {}

    @property
    def is_live(self) -> bool:
        return self._is_live

    @is_live.setter
    def is_live(self, value: bool) -> None:
        self._is_live = value
        for callback in [*self._callbacks]:
            callback()

    def at_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    @property
    def listeners(self) -> int:
        return len(self._callbacks)

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str]) -> Any:
        self.commands += 1
        if script not in self._scripts:
            assert script.count(_CLOCK) == 1
            self._scripts[script] = self._client.register_script(script.replace(_CLOCK, "{ ARGV[2], ARGV[3] }"))
        await asyncio.sleep(self.latency / 2)
        if self.is_deaf or not self._is_live:
            raise EngineLost("no answer")
        seconds, fraction = divmod(asyncio.get_running_loop().time() + self.ahead, 1)
        answer = self._scripts[script](keys=list(keys), args=[*args, int(seconds), int(fraction * 1e6)])
        await asyncio.sleep(self.latency / 2)
        return answer
