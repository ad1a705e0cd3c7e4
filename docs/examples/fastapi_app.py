"""Live pages of lip sync jobs with FastAPI, sse-starlette and uvicorn. Start it with ``uvicorn fastapi_app:app``."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import live
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from problems import explain
from sse_starlette import EventSourceResponse

from chamelaion_async import AsyncClient, ChamelaionError

PAGES = Path(__file__).parent / "pages"


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, AsyncClient]]:
    # One client for the process. It drains when the process is to stop: uvicorn waits for streams, they for jobs.
    async with AsyncClient(os.environ["CHAMELAION_API_KEY"], polling=live.POLLING, drain_on_signals=True) as client:
        yield {"client": client}


app = FastAPI(lifespan=lifespan)
app.mount("/pages", StaticFiles(directory=PAGES))


def client_of(request: Request) -> AsyncClient:
    client: AsyncClient = request.state.client
    return client


Client = Annotated[AsyncClient, Depends(client_of)]


@app.exception_handler(ChamelaionError)
async def say_what_is_wrong(_: Request, error: ChamelaionError) -> JSONResponse:
    problem = explain(error)
    return JSONResponse(problem.to_dict(), problem.status)


@app.post("/api/jobs", status_code=201)
async def submit(request: Request, client: Client) -> dict[str, str]:
    async with request.form() as form:
        return {"id": await live.submit(client, form.get("video"), form.get("audio"))}


@app.get("/api/jobs")
async def latest(client: Client) -> list[dict[str, Any]]:
    page = await client.lipsync.requests.list(limit=50)
    return [live.view(client, job) for job in page.data]


@app.get("/api/jobs/{id}")
async def one(client: Client, id: str) -> dict[str, Any]:
    return live.view(client, await client.lipsync.requests.get(id))


@app.get("/api/jobs/{id}/events")
async def follow_one(client: Client, id: str) -> EventSourceResponse:
    return await stream(live.one(client, id))


@app.get("/api/events")
async def follow_many(client: Client, id: Annotated[list[str], Query(default_factory=list)]) -> EventSourceResponse:
    return await stream(live.many(client, id))


@app.post("/hooks/{id}", status_code=204)
async def nudge(client: Client, id: str) -> Response:
    # Anyone may call this, so the call is not believed. It brings the next poll forward, if this job is waited for.
    client.lipsync.requests.nudge(id)
    return Response(status_code=204)


@app.get("/", include_in_schema=False)
@app.get("/jobs", include_in_schema=False)
@app.get("/jobs/{id}", include_in_schema=False)
async def page(request: Request) -> FileResponse:
    names = {"/": "index.html", "/jobs": "jobs.html"}
    return FileResponse(PAGES / names.get(request.url.path, "job.html"))


async def stream(events: AsyncGenerator[live.Event]) -> EventSourceResponse:
    begun = await live.begin(events)

    async def messages() -> AsyncIterator[dict[str, str]]:
        # When the visitor leaves, sse-starlette cancels this, and aclosing ends the polls.
        async with aclosing(begun):
            async for name, data in begun:
                yield {"event": name, "data": json.dumps(data)}

    return EventSourceResponse(messages())
