"""``RedisShared``: what users open, and pass to their clients."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from ..errors import ConfigurationError
from ..sharing import Membership
from .account import Account
from .engine import Engine, Subscription
from .membership import RedisMembership
from .replica import Replica

__all__ = ["RedisShared"]


class RedisShared:
    """Shares rate and answers among processes on one account, through Redis or Valkey.

    Open it beside the clients, in the same event loop, and close it after them. One serves many clients, with one
    account or several; each account has keys of its own::

        async with RedisShared("redis://localhost:6379/0") as shared, AsyncClient(shared=shared) as client:
            ...

    While the engine is gone, each process goes on alone, at its part of the rate, and comes back by itself: a command
    that is not answered in 0.25 seconds is given up, and the engine is tried again after 1 to 8 seconds.

    The engine holds claims for 2 seconds, which processes there are, and the rate; all keys and channels begin with
    ``{chamelaion:``. Their names are hashes that are keyed with the credentials. Answers pass through it compressed,
    and signed with a key from the credentials: whoever shares the engine but not the credentials can read them, but
    cannot forge one.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``, as redis-py takes it. Of its options, ``db``, ``username``,
            ``password``, ``client_name`` and those that begin with ``ssl_`` are allowed. Redis must be 7.0 or newer,
            Valkey 7.2 or newer; a single server or a primary with replicas, no cluster.

    Raises:
        ConfigurationError: The URL cannot be used.
    """

    def __init__(self, url: str) -> None:
        self._engine = Engine(url)
        self._subscription = Subscription(self._engine)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_open = False
        self._replicas: dict[str, Replica] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<RedisShared at {self._engine.shown}>"

    async def __aenter__(self) -> Self:
        """Connect.

        A cancellation leaves nothing behind.

        Raises:
            ConfigurationError: The engine cannot be reached in 5 seconds, refuses the credentials, is a replica, a
                node of a cluster or too old, or this was opened before.
        """
        if self._loop is not None:
            raise ConfigurationError("this RedisShared was opened before; make a new one")
        self._loop = asyncio.get_running_loop()
        await self._engine.open()
        self._subscription.start()
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave all accounts, and close the connections. Idempotent.

        Clients that are still open go on alone. It takes two seconds at most, if the engine does not answer.

        Raises:
            ConfigurationError: It belongs to another event loop.
        """
        if self._loop is None:
            return
        if self._loop is not asyncio.get_running_loop():
            raise _other_loop()
        self._is_open = False
        for tag in [*self._replicas]:
            self._leave(tag)
        try:
            while self._leaving:
                await asyncio.wait(self._leaving)
        finally:
            # After a cancellation, what still leaves ends with the connections.
            await self._subscription.aclose()
            await self._engine.aclose()

    def join(self, *, base_url: str, credentials: bytes, max_rate: float | None) -> Membership:
        """Add a client to those with the same base URL and credentials; ``AsyncClient`` calls this.

        Args:
            base_url: Where the client's calls go.
            credentials: What identifies the account.
            max_rate: Requests a second of all members together, or None to learn the limit.

        Raises:
            ConfigurationError: It is not open, or belongs to another event loop.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if self._loop is not None and loop is not self._loop:
            raise _other_loop()
        if not self._is_open:
            raise ConfigurationError(
                "this RedisShared is not open; use `async with RedisShared(url) as shared:` around the clients"
            )
        account = Account.of(base_url, credentials)
        replica = self._replicas.get(account.tag)
        if replica is None:
            replica = self._replicas[account.tag] = Replica(self._engine, self._subscription, account)
            replica.start()
        return RedisMembership(replica, replica.budget(max_rate), lambda: self._leave_if_empty(account.tag))

    def _leave_if_empty(self, tag: str) -> None:
        replica = self._replicas.get(tag)
        if replica is not None and not replica.has_members:
            self._leave(tag)

    def _leave(self, tag: str) -> None:
        task = asyncio.get_running_loop().create_task(self._replicas.pop(tag).aclose())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


def _other_loop() -> ConfigurationError:
    return ConfigurationError(
        "this RedisShared belongs to another event loop; make one in each loop, and use it and its clients there"
    )
