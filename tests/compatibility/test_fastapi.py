"""FastAPI: what a route may return, and what FastAPI makes of a model that is returned as it is."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pydantic
import pytest
from fastapi import FastAPI, Request
from fastapi.exceptions import FastAPIError

from chamelaion_async import AsyncClient, LipsyncRequest
from chamelaion_async.sandbox import Sandbox
from tests.support.inner_suite import ini, run


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The application with its lifespan, in the loop of the test."""
    async with app.router.lifespan_context(app) as state:
        transport = httpx.ASGITransport(with_state(app, state), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
            yield http


def with_state(app: FastAPI, state: Any) -> Any:
    """Return the application with what its lifespan yields, as a server passes it on."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": {**state}}, receive, send)

    return call


class Few(pydantic.BaseModel):
    """The fields that an application of its own shows."""

    status: str
    created_at: datetime


def client_of(request: Request) -> AsyncClient:
    client: AsyncClient = request.state.client
    return client


def make_app(sandbox: Sandbox) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, AsyncClient]]:
        async with AsyncClient("sk-test", base_url=sandbox.base_url) as client:
            yield {"client": client}

    app = FastAPI(lifespan=lifespan)

    @app.get("/jobs/{id}")
    async def one(request: Request, id: str) -> dict[str, Any]:
        return (await client_of(request).lipsync.requests.get(id)).to_dict()

    @app.get("/jobs")
    async def page(request: Request) -> dict[str, Any]:
        return (await client_of(request).lipsync.requests.list(limit=2)).to_dict()

    @app.get("/some")
    async def some(request: Request, ids: str) -> list[dict[str, Any]]:
        outcomes = await client_of(request).lipsync.requests.get_many(ids.split(","))
        return [outcome.to_dict() for outcome in outcomes.values()]

    @app.get("/voices")
    async def voices(request: Request) -> dict[str, Any]:
        return (await client_of(request).video_translate.voices.list(limit=1)).to_dict()

    @app.get("/few/{id}", response_model=Few)
    async def few(request: Request, id: str) -> dict[str, Any]:
        return (await client_of(request).lipsync.requests.get(id)).to_dict()

    @app.get("/bare/{id}", response_model=None)
    async def bare(request: Request, id: str) -> LipsyncRequest:
        return await client_of(request).lipsync.requests.get(id)

    return app


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with served(make_app(sandbox)) as client:
        yield client


async def from_the_api(sandbox: Sandbox, path: str) -> Any:
    async with httpx.AsyncClient() as direct:
        answer = await direct.get(f"{sandbox.base_url}{path}", headers={"x-api-key": "sk-test"})
    return answer.json()


async def test_a_route_may_return_the_dict_of_a_request(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    job = sandbox.add_job(reference_id="dub-42", job_seconds=0)
    answer = await http.get("/jobs/dub-42")
    assert answer.status_code == 200
    wanted = await from_the_api(sandbox, f"/v1/lipsync/requests/{job.id}")
    assert {name: value for name, value in answer.json().items() if value is not None} == {
        name: value for name, value in wanted.items() if value is not None
    }


async def test_a_route_may_return_the_dict_of_a_page(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    ids = [sandbox.add_job().id for _ in range(3)]
    page = (await http.get("/jobs")).json()
    assert [job["id"] for job in page["data"]] == ids[:0:-1]
    assert page["pagination"] == (await from_the_api(sandbox, "/v1/lipsync/requests?limit=2"))["pagination"]


async def test_a_page_of_voices_comes_out_as_the_api_has_it(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    assert (await http.get("/voices")).json() == await from_the_api(sandbox, "/v1/video-translate/voices?limit=1")


async def test_a_route_may_return_the_dicts_of_outcomes(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    job = sandbox.add_job(job_seconds=0)
    found, missing = (await http.get("/some", params={"ids": f"{job.id},unknown"})).json()
    assert (found["id"], found["request"]["status"], found["error"]) == (job.id, "completed", None)
    assert (missing["id"], missing["request"], missing["error"]["type"]) == ("unknown", None, "NotFoundError")


async def test_a_model_of_pydantic_may_choose_fields(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    job = sandbox.add_job(job_seconds=0)
    whole, chosen = [(await http.get(f"/{route}/{job.id}")).json() for route in ("jobs", "few")]
    assert chosen == {"status": "completed", "created_at": whole["created_at"]}


async def test_a_model_as_it_is_cannot_be_returned(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """As any attrs class; once FastAPI serializes them, the page on web applications can say so."""
    assert (await http.get(f"/bare/{sandbox.add_job().id}")).status_code == 500


def test_a_route_that_promises_a_model_is_refused_when_it_is_made() -> None:
    with pytest.raises(FastAPIError, match="LipsyncRequest"):

        @FastAPI().get("/jobs/{id}")
        async def one(id: str) -> LipsyncRequest:
            raise NotImplementedError


APP = """
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request

from chamelaion_async import AsyncClient

@asynccontextmanager
async def lifespan(app):
    async with AsyncClient() as client:
        yield {"client": client}

app = FastAPI(lifespan=lifespan)

@app.post("/dubs/{name}")
async def dub(request: Request, name: str) -> dict[str, Any]:
    client, url = request.state.client, f"https://cdn.example.com/{name}"
    job = await client.lipsync.generate(video=f"{url}.mp4", audio=f"{url}.wav", reference_id=name)
    return (await client.wait_until_finished(job.request_id, timeout=7200)).to_dict()
"""
TESTING = Path(__file__).parents[2] / "docs" / "howto" / "testing.md"


def test_the_tests_that_the_docs_show_for_fastapi_pass(pytester: pytest.Pytester) -> None:
    shown = re.findall(r"<!-- not run: FastAPI [^\n]*-->\n```python\n(.*?)```", TESTING.read_text("utf-8"), re.DOTALL)
    with_a_client, in_the_loop = shown
    settings = ini("auto").replace("= error", "= ignore")  # Starlette's TestClient warns of httpx, and wants httpx2
    done = run(pytester, ini=settings, app=APP, test_with_a_client=with_a_client, test_in_the_loop=in_the_loop)
    done.assert_outcomes(passed=2)
