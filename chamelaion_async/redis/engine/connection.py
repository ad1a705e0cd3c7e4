"""The connection to Redis or Valkey: commands with a short time limit, and coming back after an outage.

An engine that no longer answers must not hold up what it is there to speed up. A command therefore has a quarter of
a second and no second try. After the first failure none is sent until a probe in the background is answered.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError

from .address import Address
from .clock import ServerClock
from .startup import check_engine

__all__ = ["Argument", "Engine", "EngineLost"]

logger: logging.Logger = logging.getLogger("chamelaion_async")

TIME_LIMIT: Final = 0.25
"""Seconds that a command may take, with the wait for a connection."""

CONNECTIONS: Final = 8
"""Most connections for commands, and commands under way. redis-py's pool raises once more are wanted."""

_CLOSE_LIMIT: Final = 1.0  # seconds for TLS connections to say goodbye
_LATE: Final = 0.05  # seconds by which a timer is late if the thread was busy

# Written to, so that a primary that has become a replica is no engine that is back.
_PROBE: Final = """
redis.call('SET', KEYS[1], '', 'PX', 1000)
return redis.call('TIME')
"""
_PROBE_KEY: Final = "{chamelaion:probe}"

Argument = str | bytes | int | float


class EngineLost(Exception):  # noqa: N818 - it says what happened, and never reaches a user
    """A command was not answered, or none is sent at present. Whether it was run is not known."""


class Engine:
    """One Redis or Valkey server, for all clients of a ``RedisShared``.

    Attributes:
        clock: Compares the engine's clock with this loop's.
    """

    def __init__(self, url: str) -> None:
        self._address = Address.of(url)
        self.clock: ServerClock = ServerClock()
        self._redis: Redis | None = None
        # A queue, not a semaphore: a cancelled `get` has taken nothing, so that no turn can get lost.
        self._turns: asyncio.Queue[int] = asyncio.Queue()
        for turn in range(CONNECTIONS):
            self._turns.put_nowait(turn)
        self._live = False
        self._rejoining: asyncio.Task[None] | None = None
        self._digests: dict[str, str] = {}
        self._at_change: dict[object, Callable[[], None]] = {}
        self._warned: set[str] = set()

    async def open(self) -> None:
        """Connect, and check that the engine is one to share through.

        Raises:
            ConfigurationError: It cannot be reached, refuses the credentials, or lacks what is needed.
        """
        options = {**self._address.pool_options(), **_settings()}
        # One more, for the probe.
        self._redis = Redis.from_pool(ConnectionPool(max_connections=CONNECTIONS + 1, **options))
        try:
            await check_engine(self._redis, self._address.shown)
            await self._probe()
        except BaseException:
            await self.aclose()
            raise
        self._live = True

    @property
    def is_live(self) -> bool:
        """Whether commands are sent."""
        return self._live

    @property
    def shown(self) -> str:
        """Host and port, for messages."""
        return self._address.shown

    def at_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call a function whenever ``is_live`` has changed, and return the function that ends that, once or twice."""
        key = object()
        self._at_change[key] = callback
        return partial(self._forget, key)

    async def run(self, script: str, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Run a Lua script, once at most, and return its answer as redis-py gives it.

        Args:
            script: Its text.
            keys: The keys that it uses.
            args: Its further arguments.

        Raises:
            EngineLost: No answer came in a quarter of a second, the engine refused the command, or it is known to be
                gone. A cancelled caller may have run the script, too.
        """
        self._check()
        # Those who wait here do not use up their quarter of a second; when the engine goes, all of them end.
        turn = await self._turns.get()
        try:
            return await self._run_now(script, keys, args)
        finally:
            self._turns.put_nowait(turn)

    def connection(self) -> AbstractConnection:
        """Make a connection of its own, which is not open yet, such as for a subscription."""
        return self._address.connection(**_settings())

    def warn_once(self, text: str) -> None:
        """Log a warning, unless the same one has been logged."""
        if text not in self._warned:
            self._warned.add(text)
            logger.warning("%s: %s", self.shown, text)

    async def aclose(self) -> None:
        """End all connections. Idempotent."""
        self._live = False
        self._at_change.clear()
        if self._rejoining is not None:
            self._rejoining.cancel()
            await asyncio.wait([self._rejoining])
            self._rejoining = None
        if self._redis is not None:
            redis, self._redis = self._redis, None
            with suppress(TimeoutError, RedisError, OSError):
                async with asyncio.timeout(_CLOSE_LIMIT):
                    await redis.aclose()

    def _check(self) -> None:
        if not self._live:
            raise EngineLost(f"{self.shown} is gone")

    async def _run_now(self, script: str, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        self._check()
        try:
            return await self._run(script, keys, args)
        except TimeoutError:
            self._lose(f"no answer in {TIME_LIMIT} s", pause=_pause(0))
            raise EngineLost(f"{self.shown} did not answer in {TIME_LIMIT} s") from None
        except ResponseError as error:
            if type(error) is ResponseError:
                # A script failed, on a key of another type for one. The next command may well succeed.
                self.warn_once(f"a command failed: {error}")
            else:
                self._lose(str(error), pause=_pause(0))
            raise EngineLost(str(error)) from error
        except (RedisError, OSError) as error:
            # An engine that has closed its connections may be back already.
            self._lose(str(error), pause=0 if isinstance(error, RedisConnectionError) else _pause(0))
            raise EngineLost(str(error)) from error

    async def _run(self, script: str, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        assert self._redis is not None  # noqa: S101 - for type checkers: live means open
        execute: Callable[..., Awaitable[Any]] = self._redis.execute_command
        digest = self._digests.get(script)
        if digest is None:
            digest = self._digests[script] = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        async with _time_limit():
            try:
                return await execute("EVALSHA", digest, len(keys), *keys, *args)
            except NoScriptError:
                return await execute("EVAL", script, len(keys), *keys, *args)

    async def _probe(self) -> None:
        loop = asyncio.get_running_loop()
        sent = loop.time()
        seconds, microseconds = await self._run(_PROBE, [_PROBE_KEY], [])
        self.clock.note(sent, loop.time(), int(seconds) + int(microseconds) / 1e6)

    async def _probe_afresh(self) -> None:
        """Probe through a new connection, since the name of the host may lead to another server now."""
        assert self._redis is not None  # noqa: S101 - for type checkers: aclose ends the task first
        async with asyncio.timeout(_CLOSE_LIMIT):
            await self._redis.connection_pool.disconnect(inuse_connections=False)
        await self._probe()

    def _lose(self, reason: str, *, pause: float) -> None:
        if not self._live:
            return
        self._live = False
        logger.warning("%s is gone (%s); until it is back, this process shares nothing", self.shown, reason)
        self._rejoining = asyncio.get_running_loop().create_task(self._rejoin(pause))
        self._tell_change()

    async def _rejoin(self, pause: float) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            await asyncio.sleep(pause)
            try:
                await self._probe_afresh()
            except (TimeoutError, RedisError, OSError):
                pause = _pause(loop.time() - began)
            else:
                break
        self._live = True
        logger.info("%s is back after %.1f s", self.shown, loop.time() - began)
        self._tell_change()

    def _forget(self, key: object) -> None:
        self._at_change.pop(key, None)

    def _tell_change(self) -> None:
        for callback in [*self._at_change.values()]:
            callback()


def _settings() -> dict[str, Any]:
    """Return what every connection is made with; the URL cannot change it."""
    return {
        "retry": Retry(NoBackoff(), 0),
        # With a timeout of redis-py's, every write is a task of its own. The limit of each command is ours.
        "socket_timeout": None,
        "socket_connect_timeout": 5.0,
        # Answers are the same in both protocols, and this one needs no HELLO.
        "protocol": 2,
        "driver_info": None,
    }


def _pause(outage: float) -> float:
    """Return the seconds before the next probe: a fifth of the outage so far, from 1 to 8."""
    return min(max(1.0, outage / 5), 8.0)


@asynccontextmanager
async def _time_limit() -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    due = loop.time() + TIME_LIMIT
    async with asyncio.timeout(None) as limit:
        timer = loop.call_at(due, _expire, loop, limit, due)
        try:
            yield
        finally:
            timer.cancel()


def _expire(loop: asyncio.AbstractEventLoop, limit: asyncio.Timeout, due: float) -> None:
    # If the timer itself is late, the thread was busy, and the answer may be there, still to be read.
    now = loop.time()
    limit.reschedule(now + _LATE if now > due + _LATE else now)
