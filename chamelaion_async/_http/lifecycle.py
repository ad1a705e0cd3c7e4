"""The life of a client on its event loop: what is under way, and how closing ends it.

Closing ends calls and pauses at once, leaves nothing pending, and can be told apart from a cancellation that the
caller asked for. Each call therefore runs in a scope that closing cancels, and each pause awaits a future that
closing resolves.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn

import aiohttp
from yarl import URL

from ..errors import ClientClosedError, ConfigurationError
from .proxies import Proxy, environment_proxy, session_proxy
from .session import check_session, given_session_closed, open_session
from .stop_signals import SignalListener

__all__ = ["CancelScope", "Lifecycle", "draining"]


class Lifecycle:
    """A client from its first call to its end: its loop, its session and proxy, its calls and pauses.

    Args:
        given: A session that the user passed in. It is never closed.
        proxy: The proxy for every call.
        trust_env: Whether the environment may name one.
        drain_on_signals: Whether SIGTERM and SIGINT begin draining, from the first call to the end.

    Raises:
        ConfigurationError: The session is none, or comes with a proxy beside it.
    """

    def __init__(
        self,
        given: aiohttp.ClientSession | None = None,
        *,
        proxy: Proxy | None = None,
        trust_env: bool = False,
        drain_on_signals: bool = False,
    ) -> None:
        if given is not None:
            check_session(given)
            if proxy is not None or trust_env:
                raise ConfigurationError(
                    "proxy and trust_env must not be passed with session: the session has its own; "
                    "make it with aiohttp.ClientSession(proxy=…, trust_env=…)"
                )
            proxy, trust_env = session_proxy(given), given.trust_env
        self._given = given
        self._proxy = proxy
        self._trust_env = trust_env
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._is_draining = False
        self._drain_on_signals = drain_on_signals
        self._signals: SignalListener | None = None
        self._scopes: set[CancelScope] = set()
        self._sleepers: set[asyncio.Future[bool]] = set()
        self._calls_ended: asyncio.Future[None] | None = None
        self._at_close: list[Callable[[ClientClosedError], None]] = []
        self._at_drain: list[Callable[[], None]] = []

    def __deepcopy__(self, _: object) -> NoReturn:
        raise TypeError("an AsyncClient is not copied with what holds it; make another one, or pass this one on")

    @property
    def closed(self) -> bool:
        """Whether closing has begun."""
        return self._closed

    def check(self) -> None:
        """Raise unless calls can be made here and now."""
        if self._closed:
            raise ClientClosedError("this AsyncClient is closed; make a new one")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            if self._drain_on_signals:
                self._signals = SignalListener(self.drain, loop)
        elif self._loop is not loop:
            raise _other_loop()

    @property
    def is_draining(self) -> bool:
        """Whether waits end and no new ones may begin."""
        return self._is_draining or self._closed

    def check_waits(self) -> None:
        """Raise unless waits may begin."""
        if self._signals is not None:
            self._signals.check()
        if self._is_draining and not self._closed:
            raise draining()

    def session(self) -> aiohttp.ClientSession:
        """Return the session that calls go through; the first call makes it."""
        if self._session is None:
            self._session = open_session(self._given, self._loop, through_proxy=self.may_need_proxy)
            if self._given is not None:
                # It owns no connector; without this, aiohttp would warn of an unclosed session that is not one.
                weakref.finalize(self, self._session.detach)
        elif self._given is not None and self._given.closed:
            raise given_session_closed()
        return self._session

    def session_lost(self) -> bool:
        """Whether the session that was passed in has been closed by its owner."""
        return self._given is not None and self._given.closed

    @property
    def may_need_proxy(self) -> bool:
        """Whether calls go through a proxy, or the environment may name one."""
        return self._proxy is not None or self._trust_env

    async def proxy_options(self, url: URL) -> dict[str, Any]:
        """Return the arguments that send an aiohttp call for ``url`` through its proxy, if it has one.

        Raises:
            ConfigurationError: What the environment names is no proxy.
        """
        proxy = self._proxy
        if proxy is None and self._trust_env:
            proxy = environment_proxy(url)
        return {} if proxy is None else proxy.options(url)

    async def sleep(self, seconds: float, pause: asyncio.Future[bool] | None = None) -> None:
        """Pause.

        Args:
            seconds: How long.
            pause: A new future of the caller's, who may resolve it with True to end the pause early.

        Raises:
            ClientClosedError: The client is closed, or was closed during the pause.
        """
        self.check()
        loop = asyncio.get_running_loop()
        sleeper = loop.create_future() if pause is None else pause
        timer = loop.call_later(seconds, _resolve, sleeper, True)
        self._sleepers.add(sleeper)
        try:
            slept = await sleeper
        finally:
            timer.cancel()
            self._sleepers.discard(sleeper)
        if not slept:
            raise _closed_while_waiting()

    def at_close(self, end: Callable[[ClientClosedError], None]) -> None:
        """Call ``end`` when closing begins, with the error for those who wait."""
        self._at_close.append(end)

    def at_drain(self, end: Callable[[], None]) -> None:
        """Call ``end`` in the client's loop when draining begins."""
        self._at_drain.append(end)

    def drain(self) -> None:
        """Refuse new waits from now on, and end those under way in the next turn of the loop.

        May be called in any thread and in a signal handler, which interrupts the loop anywhere. So the waits are
        ended by a callback, and the loop is woken for it as from another thread.
        """
        self._is_draining = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._end_waits)

    def _end_waits(self) -> None:
        if not self._closed:
            for end in self._at_drain:
                end()

    def call_in_loop(self, function: Callable[[str], None], argument: str) -> None:
        """Call a function in the client's loop, from any thread; after the loop has ended, do nothing."""
        if self._loop is None or self._closed:
            return
        try:
            is_here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_here = False
        if is_here:
            function(argument)
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(function, argument)

    async def aclose(self) -> None:
        """End every call and pause, wait until they have ended, and close the session. Idempotent."""
        if self._closed and not self._scopes and (self._session is None or self._session.closed):
            return
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise _other_loop()
        self._closed = True
        if self._signals is not None:
            self._signals.close()
            self._signals = None
        for sleeper in self._sleepers:
            _resolve(sleeper, False)
        for end in self._at_close:
            end(_closed_while_waiting())
        self._at_close.clear()
        try:
            await self._end_calls()
        except asyncio.CancelledError:
            await self._end_session()  # there may be no second call of aclose
            raise
        await self._end_session()

    async def _end_session(self) -> None:
        if self._session is not None:
            if self._given is None:
                await self._session.close()
            else:
                self._session.detach()

    async def _end_calls(self) -> None:
        current = asyncio.current_task()
        # A call may close its own client, from a callback, and cannot wait for its own end.
        while others := [scope for scope in self._scopes if scope.task is not current]:
            for scope in others:
                scope.cancel()
            if self._calls_ended is None or self._calls_ended.done():
                self._calls_ended = asyncio.get_running_loop().create_future()
            # Shared by all calls of aclose: cancelling one must not cancel it for the others.
            await asyncio.shield(self._calls_ended)

    def enter(self, scope: CancelScope) -> None:
        """Count a call as under way."""
        self.check()
        self._scopes.add(scope)

    def leave(self, scope: CancelScope) -> None:
        """Count a call as done."""
        self._scopes.discard(scope)
        if self._calls_ended is not None:
            _resolve(self._calls_ended, None)


class CancelScope:
    """A call under way, which closing the client cancels.

    The task is cancelled as ``asyncio.timeout`` does it: counted, so that a cancellation which the caller asked for
    is told apart and passes through unchanged. Time limits are aiohttp's.
    """

    __slots__ = ("_cancelling", "_is_cancelled", "_lifecycle", "task")

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise ConfigurationError("calls of AsyncClient must be made from a coroutine that runs as a task")
        self.task: asyncio.Task[Any] = task
        self._is_cancelled = False
        # A task may have been cancelled before, and go on in a ``finally``: that is not for this scope to take back.
        self._cancelling = task.cancelling()
        self._lifecycle.enter(self)

    def cancel(self) -> None:
        """Cancel the call; it ends with ``ClientClosedError``."""
        if not self._is_cancelled:
            self._is_cancelled = True
            self.task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lifecycle.leave(self)
        ours = self._is_cancelled and self.task.uncancel() <= self._cancelling
        if error is None:
            return
        if isinstance(error, asyncio.CancelledError):
            if ours:
                raise ClientClosedError("the AsyncClient was closed during this call") from None
            if self._lifecycle.session_lost() and not self.task.cancelling():
                # aiohttp cancels calls that wait for a connection of a session that closes; no caller asked for it.
                raise given_session_closed() from error
        elif ours and isinstance(error, Exception) and not isinstance(error, ClientClosedError):
            raise ClientClosedError("the AsyncClient was closed during this call") from error


def _other_loop() -> ConfigurationError:
    return ConfigurationError(
        "this AsyncClient belongs to another event loop; make one client in each loop and use it there"
    )


def _closed_while_waiting() -> ClientClosedError:
    return ClientClosedError("the AsyncClient was closed while this was waiting")


def draining() -> ClientClosedError:
    """Return the error of a wait that ends, or may not begin, since the client is draining."""
    return ClientClosedError(
        "this AsyncClient is draining, so it ends its waits and begins no new ones; "
        "the jobs go on, wait again with another client"
    )


def _resolve(future: asyncio.Future[Any], value: object) -> None:
    if not future.done():
        future.set_result(value)
