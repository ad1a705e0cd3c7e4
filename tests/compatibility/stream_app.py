"""An ASGI application without a framework that streams the changes of a job, for servers to run."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

from aiohttp import web

from chamelaion_async import AsyncClient

Message = Mapping[str, Any]
CLIENT = web.AppKey("client", AsyncClient)


def make_client() -> AsyncClient:
    return AsyncClient("sk-key", base_url=os.environ["SANDBOX"], drain_on_signals=True)


client: AsyncClient | None = make_client() if os.environ["MADE"] == "on import" else None


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    global client  # one client for the process, as a lifespan has it
    if scope["type"] == "lifespan":
        await receive()
        if os.environ["MADE"] == "in the lifespan of a worker":
            signal.signal(signal.SIGTERM, lambda *_: None)
        async with client or make_client() as client:
            print("started", flush=True)  # noqa: T201 - the test reads it
            await send({"type": "lifespan.startup.complete"})
            await receive()
        print("closed", flush=True)  # noqa: T201 - the test reads it
        await send({"type": "lifespan.shutdown.complete"})
        return
    assert client is not None
    await send({"type": "http.response.start", "status": 200, "headers": []})
    async with aclosing(client.lipsync.requests.watch("job")) as changes:
        async for job in changes:
            await send({"type": "http.response.body", "body": f"data: {job.status}\n\n".encode(), "more_body": True})
    await send({"type": "http.response.body", "body": b"event: end\n\n"})


async def own_client(application: web.Application) -> Any:
    async with client or make_client() as made:
        application[CLIENT] = made
        yield
    print("closed", flush=True)  # noqa: T201 - the test reads it


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    async with aclosing(request.app[CLIENT].lipsync.requests.watch("job")) as changes:
        async for job in changes:
            await response.write(f"data: {job.status}\n\n".encode())
    await response.write(b"event: end\n\n")
    return response


if __name__ == "__main__":
    application = web.Application()
    application.cleanup_ctx.append(own_client)
    application.add_routes([web.get("/", stream)])
    web.run_app(application, host="127.0.0.1", port=int(os.environ["PORT"]), print=None)
