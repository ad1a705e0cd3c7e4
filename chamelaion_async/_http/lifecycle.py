"""The life of a client on its event loop: the aiohttp session, and everything that is under way on it.

Closing must end calls and waits at once, leave nothing pending, and be told apart from the caller's own
cancellation. Each call therefore runs in a scope that closing cancels, and each pause is a future that closing
resolves.
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
from .connecting import trace, translate
from .proxies import Proxy, environment_proxy, session_proxy

__all__ = ["Alarm", "CancelScope", "Lifecycle", "given_session_closed"]

_KEEPALIVE = 60.0  # seconds; aiohttp's 15 would reconnect between any two polls at the longest interval
_GATEWAY_FAILURES = frozenset({502, 503, 504})


class Alarm:
    """Ends a pause before its time."""

    __slots__ = ("waiter",)

    def __init__(self) -> None:
        self.waiter: asyncio.Future[bool] | None = None

    def ring(self) -> None:
        """End the pause, if there is one."""
        if self.waiter is not None:
            _resolve(self.waiter, True)


class Lifecycle:
    """The session of a client, made on first use in the running loop."""

    def __init__(
        self,
        given: aiohttp.ClientSession | None = None,
        *,
        proxy: Proxy | None = None,
        trust_env: bool = False,
    ) -> None:
        if given is not None:
            _check_session(given)
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
        self._scopes: set[CancelScope] = set()
        self._sleepers: set[asyncio.Future[bool]] = set()
        self._drained: asyncio.Future[None] | None = None
        self._at_close: list[Callable[[ClientClosedError], None]] = []

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
        elif self._loop is not loop:
            raise _other_loop()

    def session(self) -> aiohttp.ClientSession:
        """Return the session that calls go through."""
        if self._session is None:
            self._session = self._open()
        elif self._given is not None and self._given.closed:
            raise given_session_closed()
        return self._session

    def _open(self) -> aiohttp.ClientSession:
        """Make a session of our own settings; from one that was given, only the connector and its proxy are used.

        Session-wide headers, cookies, credentials, ``raise_for_status`` or ``base_url`` cannot be taken off a single
        call, so a given session is never called itself. Nor do its middlewares run: they would see the key, and one
        that repeats requests would pay for a submission twice.
        """
        given = self._given
        settings: dict[str, Any] = {}
        if given is not None:
            if given.closed:
                raise given_session_closed()
            if getattr(given, "_loop", self._loop) is not self._loop:
                raise _given_session_of_another_loop()
            settings["connector_owner"] = False
        if self._has_foreign_parts:
            settings["middlewares"] = (translate,)
        connector = given.connector if given is not None else None
        try:
            session = aiohttp.ClientSession(
                # The lanes bound what is under way; a second limit here would only hide waiting in the pool.
                connector=connector or aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE),
                cookie_jar=aiohttp.DummyCookieJar(),
                requote_redirect_url=False,  # a redirected download may be signed to the byte
                response_class=_Response,
                **settings,
            )
        except RuntimeError as error:
            raise _given_session_of_another_loop() from error
        # aiohttp would send GET, PUT and DELETE a second time after a lost connection, unseen and uncounted.
        session._retry_connection = False  # noqa: SLF001 - there is no public switch
        if self._has_foreign_parts:
            traces = _joined(given.trace_configs if given is not None else [], session.trace_configs)
            session._trace_configs = [trace(), *traces]  # noqa: SLF001 - what is passed in comes on top of others
        if given is not None:
            # It owns nothing; without this, aiohttp would warn of an unclosed session that is not one.
            weakref.finalize(self, session.detach)
        return session

    @property
    def _has_foreign_parts(self) -> bool:
        """Whether code that is not aiohttp's, or a proxy, makes the connections."""
        return self._given is not None or self.may_need_proxy

    @property
    def may_need_proxy(self) -> bool:
        """Whether calls go through a proxy, or take one from the environment."""
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

    async def sleep(self, seconds: float, alarm: Alarm | None = None) -> None:
        """Pause; closing the client ends the pause with ``ClientClosedError``, ringing the alarm ends it quietly."""
        self.check()
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        timer = loop.call_later(seconds, _resolve, waiter, True)
        self._sleepers.add(waiter)
        if alarm is not None:
            alarm.waiter = waiter
        try:
            slept = await waiter
        finally:
            timer.cancel()
            self._sleepers.discard(waiter)
        if not slept:
            raise _closed_while_waiting()

    def at_close(self, end: Callable[[ClientClosedError], None]) -> None:
        """Call ``end`` when closing begins, with the error for whoever waits."""
        self._at_close.append(end)

    def call_in_loop(self, function: Callable[[str], None], argument: str) -> None:
        """Call from whichever thread this is in the loop that the client lives in, if it still does."""
        if self._loop is None or self._closed:
            return
        try:
            is_here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_here = False
        if is_here:
            function(argument)
        else:
            with contextlib.suppress(RuntimeError):  # that loop has come to its end
                self._loop.call_soon_threadsafe(function, argument)

    async def aclose(self) -> None:
        """End every call and pause, wait until they are gone, and close the session. Idempotent."""
        if self._closed and not self._scopes and (self._session is None or self._session.closed):
            return
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise _other_loop()
        self._closed = True
        for waiter in self._sleepers:
            _resolve(waiter, False)
        for end in self._at_close:
            end(_closed_while_waiting())
        self._at_close.clear()
        try:
            await self._drain()
        except asyncio.CancelledError:
            await self._end_session()  # nobody may come to close the client once more
            raise
        await self._end_session()

    async def _end_session(self) -> None:
        if self._session is not None:
            if self._given is None:
                await self._session.close()
            else:
                self._session.detach()

    async def _drain(self) -> None:
        current = asyncio.current_task()
        while others := [scope for scope in self._scopes if scope.task is not current]:
            for scope in others:
                scope.close()
            if self._drained is None or self._drained.done():
                self._drained = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._drained)

    def enter(self, scope: CancelScope) -> None:
        """Count a call as under way."""
        self.check()
        self._scopes.add(scope)

    def leave(self, scope: CancelScope) -> None:
        """Count a call as done."""
        self._scopes.discard(scope)
        if self._drained is not None:
            _resolve(self._drained, None)

    def session_lost(self) -> bool:
        """Whether the session that was given has been closed by its owner."""
        return self._given is not None and self._given.closed


class CancelScope:
    """A call under way, which closing the client ends.

    Closing cancels the task as ``asyncio.timeout`` would: counted, so that a cancellation which the caller asked for
    is told apart and goes through as it is. Time limits are aiohttp's.
    """

    __slots__ = ("_cancelling", "_closing", "_connection", "task")

    def __init__(self, connection: Lifecycle) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise ConfigurationError("calls of AsyncClient must be made from a coroutine that runs as a task")
        self.task = task
        self._closing = False
        self._cancelling = task.cancelling()
        self._connection.enter(self)

    def close(self) -> None:
        """End the call; it leaves with ``ClientClosedError``."""
        if not self._closing:
            self._closing = True
            self.task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.leave(self)
        ours = self._closing and self.task.uncancel() <= self._cancelling
        if error is None:
            return
        if isinstance(error, asyncio.CancelledError):
            if ours:
                raise ClientClosedError("the AsyncClient was closed during this call") from None
            if self._connection.session_lost() and not self.task.cancelling():
                # aiohttp cancels whoever queues for a connection of a session that closes: nobody asked for it.
                raise given_session_closed() from error
        elif ours and isinstance(error, Exception) and not isinstance(error, ClientClosedError):
            raise ClientClosedError("the AsyncClient was closed during this call") from error


class _Response(aiohttp.ClientResponse):
    """An answer that gives up its connection where a gateway could not reach the service behind it.

    A load balancer keeps a connection on one instance. If that instance is being drained, it goes on to answer 503
    on the connections that it has, while new ones reach the others.
    """

    def __repr__(self) -> str:
        # aiohttp 3.14.5 keeps the headers as None if they are shown before they are here, and then fails the call.
        return super().__repr__() if self._headers is not None else f"<{type(self).__name__} that is under way>"

    async def start(self, connection: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        protocol = connection.protocol
        await super().start(connection)
        if self.status in _GATEWAY_FAILURES and protocol is not None:
            if connection.protocol is None:
                protocol.close()  # the answer came whole, so that the pool has the connection already
            else:
                protocol.force_close()
        return self


def _joined(given: list[aiohttp.TraceConfig], added: list[aiohttp.TraceConfig]) -> list[aiohttp.TraceConfig]:
    """Return the traces of a given session, and those that instrumentation adds to every new session, each once.

    OpenTelemetry and Sentry make new trace settings for each session, from the same functions.
    """
    known = {_handlers(config) for config in given}
    return [*given, *(config for config in added if _handlers(config) not in known)]


def _handlers(config: aiohttp.TraceConfig) -> tuple[object, ...]:
    signals = (getattr(config, name) for name in dir(config) if name.startswith("on_"))
    return tuple(getattr(handler, "__code__", handler) for signal in signals for handler in signal)


def _other_loop() -> ConfigurationError:
    return ConfigurationError(
        "this AsyncClient belongs to another event loop; make one client in each loop and use it there"
    )


def given_session_closed() -> ClientClosedError:
    """Return the error for a call whose session was closed by its owner."""
    return ClientClosedError(
        "the aiohttp session passed to AsyncClient is closed; keep it open while the client is in use, "
        "or pass none and let the client make its own"
    )


def _closed_while_waiting() -> ClientClosedError:
    return ClientClosedError("the AsyncClient was closed while this was waiting")


def _check_session(session: object) -> None:
    if not isinstance(session, aiohttp.ClientSession):
        kind = type(session)
        raise ConfigurationError(
            f"session must be an aiohttp.ClientSession, not {kind.__module__}.{kind.__qualname__}; "
            "of a wrapper, pass the session that it wraps"
        )


def _given_session_of_another_loop() -> ConfigurationError:
    return ConfigurationError(
        "the aiohttp session passed in belongs to another event loop; make it in the loop that uses it"
    )


def _resolve(future: asyncio.Future[Any], value: object) -> None:
    if not future.done():
        future.set_result(value)
