"""Live pages of lip sync jobs with aiohttp.web. Start it with ``python aiohttp_app.py``."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path

import live
from aiohttp import web
from aiohttp.typedefs import Handler
from problems import explain

from chamelaion_async import AsyncClient, ChamelaionError

PAGES = Path(__file__).parent / "pages"
CLIENT = web.AppKey("client", AsyncClient)
SUBMISSIONS = web.AppKey("submissions", set[asyncio.Task[str]])
LARGEST_FORM = 2 * 1024**3  # bytes; aiohttp's default is 2 MiB
routes = web.RouteTableDef()


async def own_client(app: web.Application) -> AsyncIterator[None]:
    app[SUBMISSIONS] = set()
    async with AsyncClient(os.environ["CHAMELAION_API_KEY"], polling=live.POLLING, drain_on_signals=True) as client:
        app[CLIENT] = client
        yield
        await asyncio.gather(*app[SUBMISSIONS], return_exceptions=True)


@web.middleware
async def say_what_is_wrong(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ChamelaionError as error:
        problem = explain(error)
        return web.json_response(problem.to_dict(), status=problem.status)


@routes.post("/api/jobs")
async def submit(request: web.Request) -> web.Response:
    form = await request.post()
    # `handler_cancellation` cancels this too when the visitor leaves, and a job that was paid for might get lost.
    task = asyncio.create_task(live.submit(request.app[CLIENT], form.get("video"), form.get("audio")))
    request.app[SUBMISSIONS].add(task)
    task.add_done_callback(request.app[SUBMISSIONS].discard)
    return web.json_response({"id": await asyncio.shield(task)}, status=201)


@routes.get("/api/jobs")
async def latest(request: web.Request) -> web.Response:
    page = await request.app[CLIENT].lipsync.requests.list(limit=50)
    return web.json_response([live.view(request.app[CLIENT], job) for job in page.data])


@routes.get("/api/jobs/{id}")
async def one(request: web.Request) -> web.Response:
    job = await request.app[CLIENT].lipsync.requests.get(request.match_info["id"])
    return web.json_response(live.view(request.app[CLIENT], job))


@routes.get("/api/jobs/{id}/events")
async def follow_one(request: web.Request) -> web.StreamResponse:
    return await stream(request, live.one(request.app[CLIENT], request.match_info["id"]))


@routes.get("/api/events")
async def follow_many(request: web.Request) -> web.StreamResponse:
    return await stream(request, live.many(request.app[CLIENT], request.query.getall("id", [])))


@routes.post("/hooks/{id}")
async def nudge(request: web.Request) -> web.Response:
    # Anyone may call this, so the call is not believed. It brings the next poll forward, if this job is waited for.
    request.app[CLIENT].lipsync.requests.nudge(request.match_info["id"])
    return web.Response(status=204)


@routes.get("/")
@routes.get("/jobs")
@routes.get("/jobs/{id}")
async def page(request: web.Request) -> web.FileResponse:
    names = {"/": "index.html", "/jobs": "jobs.html"}
    return web.FileResponse(PAGES / names.get(request.path, "job.html"))


async def stream(request: web.Request, events: AsyncGenerator[live.Event]) -> web.StreamResponse:
    begun = await live.begin(events)
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",  # nginx would hold events back
        }
    )
    # When the visitor leaves, aiohttp cancels the handler, or a write fails. Both ways, aclosing ends the polls.
    with suppress(ConnectionResetError):
        async with aclosing(begun):
            await response.prepare(request)
            async for name, data in begun:
                await response.write(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())
    return response


def make_app() -> web.Application:
    app = web.Application(middlewares=[say_what_is_wrong], client_max_size=LARGEST_FORM)
    app.cleanup_ctx.append(own_client)
    app.add_routes([*routes, web.static("/pages", PAGES)])
    return app


if __name__ == "__main__":
    # Without handler_cancellation, a stream would go on until its next write, after its visitor has left.
    web.run_app(make_app(), host="127.0.0.1", port=int(os.environ.get("PORT", "8000")), handler_cancellation=True)
