"""Whether a request got a connection, which not every connector or proxy says in its errors.

A connector of another package may raise anything (those of aiohttp-socks raise neither ``ClientError`` nor
``OSError``), and a proxy may drop the connection before it has made a tunnel. aiohttp's errors are certain only where
aiohttp itself failed to connect. The order of its trace signals is certain everywhere: a request that began to make a
connection and never got one was not sent.
"""

from __future__ import annotations

from contextvars import ContextVar
from types import SimpleNamespace
from typing import Final

import aiohttp

__all__ = ["NotConnectedError", "trace", "translate"]

_BEGAN: Final = "began to make a connection"
_CONNECTED: Final = "has a connection"

# What the request of this context has done so far. Not in trace_request_ctx: the traces of a given session expect
# their own value there.
_progress: ContextVar[set[str]] = ContextVar("chamelaion_async_progress")


class NotConnectedError(aiohttp.ClientConnectionError):
    """There was no connection, so nothing was sent."""


async def translate(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request, as a middleware of aiohttp; errors are aiohttp's, and say what is certain."""
    progress = set[str]()
    token = _progress.set(progress)
    try:
        return await send(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError):
        raise  # these say by themselves that there was no connection
    except Exception as error:
        if _CONNECTED in progress:
            raise
        if _BEGAN in progress:
            raise NotConnectedError(_reason(error)) from error.with_traceback(None)  # its frames hold the proxy
        if isinstance(error, (aiohttp.ClientError, OSError)):
            raise
        # From a connector that sends no signals.
        raise aiohttp.ClientConnectionError(_reason(error)) from error.with_traceback(None)
    finally:
        _progress.reset(token)


def trace() -> aiohttp.TraceConfig:
    """Return the trace settings that ``translate`` needs; they come before all others of the session."""
    config = aiohttp.TraceConfig()
    config.on_connection_create_start.append(_began)
    config.on_connection_create_end.append(_connected)
    config.on_connection_reuseconn.append(_connected)
    config.freeze()
    return config


async def _began(_session: aiohttp.ClientSession, _context: SimpleNamespace, _params: object) -> None:
    _progress.get().add(_BEGAN)


async def _connected(_session: aiohttp.ClientSession, _context: SimpleNamespace, _params: object) -> None:
    _progress.get().add(_CONNECTED)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
