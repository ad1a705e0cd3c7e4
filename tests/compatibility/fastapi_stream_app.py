"""An application of FastAPI's that streams the changes of a job in each of the ways that there are."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import sse_starlette
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from chamelaion_async import AsyncClient


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, object]]:
    async with AsyncClient("sk-key", base_url=os.environ["SANDBOX"], drain_on_signals=True) as client:
        yield {"client": client}
    print("closed", flush=True)  # noqa: T201 - the test reads it


app = FastAPI(lifespan=lifespan)


async def events(request: Request) -> AsyncIterator[tuple[str, str]]:
    async with aclosing(request.state.client.lipsync.requests.watch("job")) as changes:
        async for job in changes:
            yield "job", job.status
    yield "end", ""


@app.get("/streaming-response")
async def plain(request: Request) -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        async for name, data in events(request):
            yield f"event: {name}\ndata: {data}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


@app.get("/sse-starlette")
async def from_starlette(request: Request) -> sse_starlette.EventSourceResponse:
    async def messages() -> AsyncIterator[dict[str, str]]:
        async for name, data in events(request):
            yield {"event": name, "data": data}

    return sse_starlette.EventSourceResponse(messages())


@app.get("/fastapi-sse", response_class=EventSourceResponse)
async def own(request: Request) -> AsyncIterator[ServerSentEvent]:
    async for name, data in events(request):
        yield ServerSentEvent(event=name, data=data)
