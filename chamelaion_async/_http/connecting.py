"""Whether a call got a connection, told of connectors and proxies whose errors do not say so.

A connector of another package may raise anything (those of aiohttp-socks raise neither ``ClientError`` nor
``OSError``), and a proxy may drop the connection before it has made a tunnel. aiohttp's errors are certain only where
aiohttp itself failed to connect. What is certain everywhere is the order of its trace signals: a call that began to
make a connection and never got one has sent nothing.
"""

from __future__ import annotations

from contextvars import ContextVar
from types import SimpleNamespace

import aiohttp
import attrs

__all__ = ["NotConnectedError", "trace", "translate"]


class NotConnectedError(aiohttp.ClientConnectionError):
    """No connection came about, so nothing was sent."""


@attrs.define
class _Progress:
    """How far one request has come.

    Attributes:
        has_begun: Whether a connection was asked for.
        has_connection: Whether there was one.
    """

    has_begun: bool = False
    has_connection: bool = False


# Not trace_request_ctx: the trace settings of a given session would find ours where they expect theirs.
_progress: ContextVar[_Progress] = ContextVar("chamelaion_async_progress")


async def translate(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request, as a middleware of aiohttp, so that its errors are those of aiohttp and say what is certain."""
    progress = _Progress()
    token = _progress.set(progress)
    try:
        return await send(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError):
        raise  # these are as certain
    except Exception as error:
        if progress.has_connection:
            raise
        if progress.has_begun:
            raise NotConnectedError(_reason(error)) from error.with_traceback(None)  # its frames hold the proxy
        if isinstance(error, (aiohttp.ClientError, OSError)):
            raise
        # From a connector that sends no signals.
        raise aiohttp.ClientConnectionError(_reason(error)) from error.with_traceback(None)
    finally:
        _progress.reset(token)


def trace() -> aiohttp.TraceConfig:
    """Return the trace settings that ``translate`` needs; they must stand before all others of the session."""
    config = aiohttp.TraceConfig()
    config.on_connection_create_start.append(_begun)
    config.on_connection_create_end.append(_connected)
    config.on_connection_reuseconn.append(_connected)
    config.freeze()
    return config


async def _begun(_session: aiohttp.ClientSession, _context: SimpleNamespace, _params: object) -> None:
    _progress.get().has_begun = True


async def _connected(_session: aiohttp.ClientSession, _context: SimpleNamespace, _params: object) -> None:
    _progress.get().has_connection = True


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
