"""The aiohttp session of a client: how it is made, and what it takes from a session that the user passed in."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from ..errors import ClientClosedError, ConfigurationError
from .connecting import trace, translate

__all__ = ["check_session", "given_session_closed", "open_session"]

_KEEPALIVE = 60.0  # seconds; aiohttp's 15 would reconnect between any two polls at the longest interval
_GATEWAY_FAILURES = frozenset({502, 503, 504})


def check_session(session: object) -> None:
    """Refuse what is no session of aiohttp, such as a wrapper around one."""
    if not isinstance(session, aiohttp.ClientSession):
        kind = type(session)
        raise ConfigurationError(
            f"session must be an aiohttp.ClientSession, not {kind.__module__}.{kind.__qualname__}; "
            "of a wrapper, pass the session that it wraps"
        )


def open_session(
    given: aiohttp.ClientSession | None, loop: asyncio.AbstractEventLoop | None, *, through_proxy: bool
) -> aiohttp.ClientSession:
    """Make a session with settings of our own; of one that was passed in, use the connector and the traces.

    Session-wide headers, cookies, credentials, ``raise_for_status`` or ``base_url`` cannot be switched off for a
    single call, so a given session never sends a call itself. Its middlewares do not run either: they would see the
    key, and one that repeats requests would pay for a submission twice.

    Args:
        given: The session that the user passed in.
        loop: The loop that the client lives in.
        through_proxy: Whether calls may go through a proxy.
    """
    settings: dict[str, Any] = {}
    if given is not None:
        if given.closed:
            raise given_session_closed()
        # A new session takes the loop of its connector, and would not notice: aiohttp 3.14.5 checks it only if both
        # are passed.
        if getattr(given, "_loop", loop) is not loop:
            raise ConfigurationError(
                "the aiohttp session passed in belongs to another event loop; make it in the loop that uses it"
            )
        settings = {"connector": given.connector, "connector_owner": False}
    else:
        # The lanes bound what is under way; a second limit here would only hide waiting in the pool.
        settings = {"connector": aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE)}
    # Errors of aiohttp's own connector, without a proxy, say by themselves whether anything was sent.
    needs_translation = given is not None or through_proxy
    if needs_translation:
        settings["middlewares"] = (translate,)
    session = aiohttp.ClientSession(
        # A cookie of one answer would change what later calls mean.
        cookie_jar=aiohttp.DummyCookieJar(),
        requote_redirect_url=False,  # a redirected download may be signed to the byte
        response_class=_Response,
        **settings,
    )
    # aiohttp would send GET, PUT and DELETE a second time after a lost connection, unseen and uncounted.
    session._retry_connection = False  # noqa: SLF001 - there is no public switch
    if needs_translation:
        traces = _without_repetition(given.trace_configs if given is not None else [], session.trace_configs)
        session._trace_configs = [trace(), *traces]  # noqa: SLF001 - what is passed in comes on top of others
    return session


class _Response(aiohttp.ClientResponse):
    """A response that closes its connection if a gateway could not reach the service behind it.

    A load balancer keeps a connection on one instance. If that instance is being drained, it answers 503 on the
    connections that it has, while new ones reach the others.
    """

    def __repr__(self) -> str:
        # aiohttp 3.14.5 keeps the headers as None if they are shown before they are here, and then fails the call.
        return super().__repr__() if self._headers is not None else f"<{type(self).__name__} that is under way>"

    async def start(self, connection: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        protocol = connection.protocol
        await super().start(connection)
        if self.status in _GATEWAY_FAILURES and protocol is not None:
            if connection.protocol is None:
                protocol.close()  # the answer is complete, so the connection is back in the pool already
            else:
                protocol.force_close()
        return self


def _without_repetition(
    given: list[aiohttp.TraceConfig], added: list[aiohttp.TraceConfig]
) -> list[aiohttp.TraceConfig]:
    """Return the traces of a given session, and those that instrumentation adds to every new session, each once.

    OpenTelemetry and Sentry make new trace settings for each session, from the same functions.
    """
    known = {_handlers(config) for config in given}
    return [*given, *(config for config in added if _handlers(config) not in known)]


def _handlers(config: aiohttp.TraceConfig) -> tuple[object, ...]:
    signals = (getattr(config, name) for name in dir(config) if name.startswith("on_"))
    return tuple(getattr(handler, "__code__", handler) for signal in signals for handler in signal)


def given_session_closed() -> ClientClosedError:
    """Return the error for a call whose session was closed by its owner."""
    return ClientClosedError(
        "the aiohttp session passed to AsyncClient is closed; keep it open while the client is in use, "
        "or pass none and let the client make its own"
    )
