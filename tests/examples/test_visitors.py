"""Many visitors of one job, visitors who leave, and a stop while they watch; without a browser."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from chamelaion_async.sandbox import Fault, Sandbox

from .running import APPS, App, Received, events, never_ending, reads, running, visitor

pytestmark = pytest.mark.asyncio(loop_scope="package")

SLACK = 3.0
"""Times that a second may take on a machine that does much else meanwhile."""


async def watch(session: aiohttp.ClientSession, app: App, id: str) -> float:
    """Follow a job to its end, and return when that was known."""
    async with session.get(f"{app.url}/api/jobs/{id}/events") as answer:
        received = [event async for event in events(answer)]
    assert [event.name for event in received[-2:]] == ["job", "end"]
    assert received[-2].data["status"] == "completed"
    return received[-1].at


async def reads_for(visitors: int, name: str) -> tuple[int, float]:
    """Return how often a job of four seconds is read for its visitors, and the spread of its end in seconds."""
    async with Sandbox(job_seconds=4) as service, running(name, service) as app, visitor() as session:
        job = service.add_job()
        known = await asyncio.gather(*(watch(session, app, job.id) for _ in range(visitors)))
        return reads(service, job.id), max(known) - min(known)


async def test_a_hundred_visitors_cost_what_one_costs() -> None:
    measured = await asyncio.gather(*(reads_for(visitors, name) for name in APPS for visitors in (1, 100)))
    for (one, _), (hundred, spread) in zip(measured[::2], measured[1::2], strict=True):
        assert hundred <= 1.1 * one + 1  # pauses between polls vary by a tenth
        assert spread < 1.0


async def leave_all(app: App, service: Sandbox) -> None:
    job = service.add_job()
    async with visitor() as session:
        answers = [await session.get(f"{app.url}/api/jobs/{job.id}/events") for _ in range(100)]
        for answer in answers:
            assert (await anext(events(answer))).data["status"] == "processing"
        before = reads(service, job.id)
        await asyncio.sleep(1.3)
        assert reads(service, job.id) > before
        for answer in answers:
            answer.close()
        await asyncio.sleep(0.5)
        before = reads(service, job.id)
        await asyncio.sleep(1.5)
        assert reads(service, job.id) == before


async def test_polls_end_when_all_visitors_have_left(apps: dict[str, App], service: Sandbox) -> None:
    await asyncio.gather(*(leave_all(app, service) for app in apps.values()))


async def leave(app: App, path: str, after: float, *, reset: bool) -> None:
    """Ask for something, and close or reset the connection a little later."""
    _, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await asyncio.sleep(after)
    if reset:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def test_a_visitor_may_leave_at_any_moment(service: Sandbox) -> None:
    """``running`` checks that the applications print no traceback."""
    ids = [service.add_job(job_seconds=0).id, service.add_job().id]
    paths = [*(f"/api/jobs/{id}/events" for id in ids), f"/api/events?id={ids[0]}", "/api/jobs", "/jobs"]

    async def visit(name: str) -> None:
        async with running(name, service) as app:
            # One after the other: in a crowd, only the few moments before the answers begin would be hit.
            for path in paths:
                for number in range(30):
                    await leave(app, path, number * 0.0005, reset=number % 2 == 0)

    await asyncio.gather(*(visit(name) for name in APPS))


async def test_a_submission_goes_on_when_its_visitor_leaves(app: App, service: Sandbox) -> None:
    service.forget()
    fault = service.inject(Fault.latency(0.6), route="POST /v1/lipsync/generate")
    with contextlib.suppress(TimeoutError):
        async with visitor() as session, asyncio.timeout(0.3):
            form = {"video": "https://cdn.example.com/42.mp4", "audio": "https://cdn.example.com/42-ja.wav"}
            await session.post(f"{app.url}/api/jobs", data=form)
    await asyncio.sleep(0.8)
    fault.remove()
    assert service.count(lane="generate", status=200) == 1


async def test_a_stream_of_no_jobs_ends_at_once(app: App) -> None:
    async with visitor() as session, session.get(f"{app.url}/api/events") as answer:
        assert [event.name async for event in events(answer)] == ["end"]


async def test_a_file_of_the_server_that_a_visitor_names_is_not_sent(app: App, service: Sandbox) -> None:
    service.forget()
    form = aiohttp.FormData({"audio": __file__})
    form.add_field("video", b"a video", filename="42.mp4", content_type="video/mp4")
    async with visitor() as session, session.post(f"{app.url}/api/jobs", data=form) as answer:
        assert answer.status == 400
    assert service.count(lane="generate") == 0


async def test_a_call_of_the_webhook_brings_the_next_poll_forward(app: App, service: Sandbox) -> None:
    job = service.add_job(created_at=time.time() - 3600)  # the next poll would be twelve seconds later
    async with visitor() as session, session.get(f"{app.url}/api/jobs/{job.id}/events") as answer:
        stream = events(answer)
        assert (await anext(stream)).data["status"] == "processing"
        service.finish(job.id)
        since = time.monotonic()
        async with session.post(f"{app.url}/hooks/{job.id}") as call:
            assert call.status == 204
        assert (await anext(stream)).data["status"] == "completed"
        assert time.monotonic() - since < SLACK


async def _names(stream: AsyncIterator[Received]) -> list[str]:
    """Return the names of the events that still come. A server that stops may cut a stream off."""
    names = []
    with contextlib.suppress(aiohttp.ClientPayloadError):
        async for event in stream:
            names.append(event.name)  # noqa: PERF401 - those before the end count as well
    return names


@pytest.mark.parametrize("name", APPS)
async def test_it_stops_within_a_second_while_streams_are_open(name: str) -> None:
    async with never_ending() as service, running(name, service) as app, visitor() as session:
        ids = [service.add_job().id for _ in range(3)]
        paths = [f"/api/jobs/{ids[0]}/events", f"/api/jobs/{ids[1]}/events", "/api/events?id=" + "&id=".join(ids)]
        answers = [await session.get(f"{app.url}{path}") for path in paths]
        streams = [events(answer) for answer in answers]
        for stream in streams:
            assert (await anext(stream)).name == "job"
        since = time.monotonic()
        stopping = asyncio.create_task(app.stop())
        rest = [name for stream in streams for name in await _names(stream)]
        output = await stopping
        took = time.monotonic() - since
    assert took < 1.0 * SLACK
    assert "end" not in rest  # or browsers would not come back
    assert "Traceback" not in output
