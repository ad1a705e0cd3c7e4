"""Processes on one account, as several ``RedisShared`` in one loop: nothing of ours is shared between two of them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

import attrs

from chamelaion_async.redis import RedisShared
from chamelaion_async.sharing import Membership

BASE_URL = "https://api.example.com/api"


async def eventually(condition: Callable[[], bool], within: float = 1.0) -> float:
    """Wait for something that comes by itself, and return the seconds that it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - a test has no event for it
            await asyncio.sleep(0.002)
    return loop.time() - began


@attrs.define(eq=False)
class Recorder:
    """A listener that keeps what it receives."""

    answers: list[tuple[str, bytes | None]] = attrs.Factory(list)
    began: list[float] = attrs.Factory(list)
    nudges: list[str] = attrs.Factory(list)
    losses: int = 0

    def on_published(self, reading: str, payload: bytes | None, began: float) -> None:
        self.answers.append((reading, payload))
        self.began.append(began)

    def on_nudge(self, id: str) -> None:
        self.nudges.append(id)

    def on_lost(self) -> None:
        self.losses += 1


@attrs.define(eq=False)
class Process:
    """One process with one client."""

    shared: RedisShared
    member: Membership
    heard: Recorder


class Processes:
    """Makes processes on the account of one test."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.credentials = secrets.token_bytes(16)
        self.made: list[RedisShared] = []

    async def start(self) -> Process:
        """Start one."""
        shared = RedisShared(self.url)
        await shared.__aenter__()
        self.made.append(shared)
        return self.join(shared)

    async def start_together(self, count: int) -> list[Process]:
        """Start several, and return once each knows of the others."""
        processes = [await self.start() for _ in range(count)]
        await self.together(processes)
        return processes

    async def together(self, processes: list[Process], within: float = 1.0) -> float:
        """Wait until each is not alone."""
        return await eventually(lambda: all(process.member.peers for process in processes), within)

    def join(self, shared: RedisShared) -> Process:
        """Add a client to a process."""
        member = shared.join(base_url=BASE_URL, credentials=self.credentials, max_rate=None)
        heard = Recorder()
        member.attach(heard)
        return Process(shared, member, heard)

    async def end(self) -> None:
        """End all."""
        for shared in self.made:
            await shared.aclose()
