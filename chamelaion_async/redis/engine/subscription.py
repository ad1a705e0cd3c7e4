"""The subscription to all channels of a ``RedisShared``, on one connection, which is made again when it is lost.

redis-py's own iterator ends for good some seconds into an outage, so this is a loop of its own: connect, listen until
the connection fails, and begin again.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from .connection import Engine

__all__ = ["Subscriber", "Subscription"]

logger: logging.Logger = logging.getLogger("chamelaion_async")

PING: Final = 1.0
"""Seconds between two pings; a connection on which nothing comes for two of them is given up."""

_CONNECT_LIMIT: Final = 1.0
_EVERY: Final = b"{chamelaion:every}"  # a subscription without any channel cannot be pinged


class Subscriber(Protocol):
    """Receives what comes on a channel."""

    def on_message(self, data: bytes) -> None:
        """Receive a message."""

    def on_subscribed(self) -> None:
        """Receive that messages come from now on. What was sent since the last one may be lost."""

    def on_unsubscribed(self) -> None:
        """Receive that no messages come for the time being."""


class Subscription:
    """Listens to the channels of all accounts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._wanted: dict[bytes, Subscriber] = {}
        self._connection = engine.connection()
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._heard = False
        self._confirmed = False

    def start(self) -> None:
        """Begin to listen."""
        self._engine.at_change(self._changed.set)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def add(self, channel: str, subscriber: Subscriber) -> None:
        """Listen to a channel."""
        self._wanted[channel.encode()] = subscriber
        self._changed.set()

    def remove(self, channel: str, subscriber: Subscriber) -> None:
        """Do not listen to a channel any more, unless another subscriber does by now."""
        if self._wanted.get(channel.encode()) is subscriber:
            del self._wanted[channel.encode()]
            self._changed.set()

    async def aclose(self) -> None:
        """Stop listening."""
        self._wanted.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began, self._confirmed = loop.time(), False
            try:
                await self._listen()
            except (RedisConnectionError, OSError) as error:
                logger.debug("the subscription at %s ended: %s", self._engine.shown, error)
            except RedisError as error:
                self._engine.warn_once(f"the subscription was refused, so this process shares nothing: {error}")
            except Exception as error:  # noqa: BLE001 - whatever is wrong, this process must not stay deaf for good
                self._engine.warn_once(f"the subscription failed: {error!r}")
            if self._confirmed and loop.time() - began > PING:
                continue  # it worked until now: most likely it does again at once
            for subscriber in [*self._wanted.values()]:
                subscriber.on_unsubscribed()
            if self._engine.is_live:
                await asyncio.sleep(PING)
            while not self._engine.is_live:
                self._changed.clear()
                await self._changed.wait()

    async def _listen(self) -> None:
        connection = self._connection
        writing: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(_CONNECT_LIMIT) as limit:
                connect: Callable[[], Awaitable[None]] = connection.connect
                await connect()
                writing = asyncio.get_running_loop().create_task(self._write(connection, limit))
                while True:
                    # Infinity is redis-py's word for no limit of its own.
                    answer = await connection.read_response(timeout=math.inf, disconnect_on_error=False)
                    self._heard = True
                    self._take(answer)
                    if self._confirmed and limit.when() is not None and not limit.expired():
                        limit.reschedule(None)
        finally:
            if writing is not None:
                writing.cancel()
                await asyncio.wait([writing])
            await connection.disconnect(nowait=True)

    async def _write(self, connection: AbstractConnection, limit: asyncio.Timeout) -> None:
        """Subscribe to what is wanted, and ping."""
        loop = asyncio.get_running_loop()
        subscribed: dict[bytes, Subscriber | None] = {}
        unheard = 0
        with suppress(RedisError, OSError):  # the reader sees that the connection has ended
            while True:
                self._changed.clear()
                wanted: dict[bytes, Subscriber | None] = {_EVERY: None, **self._wanted}
                # A new subscriber of the same channel has it confirmed again.
                if more := dict(wanted.items() - subscribed.items()):
                    await connection.send_command("SUBSCRIBE", *more)
                if less := subscribed.keys() - wanted.keys():
                    await connection.send_command("UNSUBSCRIBE", *less)
                subscribed = wanted
                await connection.send_command("PING")
                self._heard = False
                try:
                    async with asyncio.timeout(PING):
                        await self._changed.wait()
                except TimeoutError:
                    # Twice: if this thread was busy, the answer may be there, still to be read.
                    unheard = 0 if self._heard else unheard + 1
                    if unheard == 2:
                        limit.reschedule(loop.time())

    def _take(self, answer: Any) -> None:
        kind, channel, data = answer if len(answer) == 3 else (*answer, None)
        if kind == b"subscribe":
            self._confirmed = True
        subscriber = self._wanted.get(channel)
        if subscriber is None:
            return
        if kind == b"message":
            subscriber.on_message(data)
        elif kind == b"subscribe":
            subscriber.on_subscribed()
