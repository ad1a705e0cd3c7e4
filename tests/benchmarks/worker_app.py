"""A web application for uvicorn: a page that follows one job over server-sent events, and a webhook.

Its environment has the ``BASE_URL`` of the service, and the ``ENGINE`` that its workers share through, if they do.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack
from typing import Any

from chamelaion_async import AsyncClient

Message = MutableMapping[str, Any]
_clients: list[AsyncClient] = []


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer ``/events/ID`` with a stream, and ``/webhook/ID`` with nothing."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    _, kind, id = scope["path"].split("/")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if kind == "webhook":
        _clients[0].lipsync.requests.nudge(id)
    else:
        async for request in _clients[0].lipsync.requests.watch(id):
            finished_at = "" if request.finished_at is None else request.finished_at.timestamp()
            body = f"{request.status} {finished_at}\n".encode()
            await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _live(receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    async with AsyncExitStack() as stack:
        shared = None
        if url := os.environ.get("ENGINE"):
            # Imported here, since workers that share nothing do without.
            from chamelaion_async.redis import RedisShared

            shared = await stack.enter_async_context(RedisShared(url))
        client = AsyncClient("key", base_url=os.environ["BASE_URL"], shared=shared)
        _clients.append(await stack.enter_async_context(client))
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})
