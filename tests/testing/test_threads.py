"""A sandbox in a thread of its own: used from any thread and loop, and gone after its context."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest

from chamelaion_async import AsyncClient
from chamelaion_async.sandbox import Fault, Sandbox
from chamelaion_async.testing import sandbox_in_thread, threads


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_in_thread(job_seconds=100.0) as served:
        yield served


def read(sandbox: Sandbox, path: str) -> bytes:
    """Block this thread until an answer has come."""
    request = urllib.request.Request(f"{sandbox.base_url}{path}", headers={"x-api-key": "sk-test"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        body: bytes = answer.read()
    return body


def test_it_answers_while_the_thread_of_the_test_blocks(sandbox: Sandbox) -> None:
    job = sandbox.add_job(reference_id="dub-42")
    assert b'"queued"' in read(sandbox, "/v1/lipsync/requests/dub-42")
    sandbox.start("dub-42")
    assert b'"processing"' in read(sandbox, "/v1/lipsync/requests/dub-42")
    sandbox.fail(job.id, "no face found")
    assert b'"no face found"' in read(sandbox, "/v1/lipsync/requests/dub-42")


def test_its_properties_and_assertions_work_in_the_thread_of_the_test(sandbox: Sandbox) -> None:
    job = sandbox.add_job()
    read(sandbox, f"/v1/lipsync/requests/{job.id}")
    assert [received.status for received in sandbox.received] == [200]
    assert sandbox.jobs == {job.id: job}
    assert sandbox.deliveries == ()
    assert sandbox.count(lane="status") == 1
    with pytest.raises(AssertionError, match="expected no poll"):
        sandbox.assert_not_polled_since(sandbox.now - 100, job.id)
    sandbox.forget()
    sandbox.assert_not_polled_since(sandbox.now - 100, job.id)


def test_calls_run_in_the_thread_that_serves() -> None:
    """What they change belongs to a loop, which a call from another thread would neither wake nor exclude."""
    threads_used = []

    class NotingClock:
        def time(self) -> float:
            threads_used.append(threading.current_thread().name)
            return time.time()

    with sandbox_in_thread(clock=NotingClock()) as sandbox:
        job = sandbox.add_job()
        sandbox.finish(job.id)
        sandbox.status(job.id)
    assert {*threads_used} == {"chamelaion-sandbox"}


def test_an_error_reaches_the_thread_that_called(sandbox: Sandbox) -> None:
    with pytest.raises(KeyError):
        sandbox.finish("unknown")


async def test_its_coroutines_can_be_awaited_in_another_loop(sandbox: Sandbox) -> None:
    job = sandbox.add_job()
    async with AsyncClient("sk-test", base_url=sandbox.base_url) as client:
        polled = asyncio.create_task(sandbox.polled(job.id))
        await asyncio.sleep(0)
        sandbox.forget()  # by now, polled listens: calls are made in their order
        await client.lipsync.requests.get(job.id)
        assert await polled is sandbox.received[-1]
        await sandbox.settle()


async def test_a_cancelled_wait_for_a_poll_leaves_no_listener(sandbox: Sandbox) -> None:
    polled = asyncio.create_task(sandbox.polled("dub-42"))
    await asyncio.sleep(0)
    sandbox.forget()
    assert sandbox._journal._listeners
    polled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await polled
    async with asyncio.timeout(10):
        while sandbox._journal._listeners:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_it_can_be_stopped_and_started_for_an_outage(sandbox: Sandbox) -> None:
    url = sandbox.base_url
    await sandbox.stop()
    async with AsyncClient("sk-test", base_url=url) as client:
        with pytest.raises(OSError, match="refused"):
            await asyncio.to_thread(read, sandbox, "/health")
        await sandbox.start()
        assert sandbox.base_url == url
        await client.health.check()


async def test_a_webhook_that_is_due_by_hand_is_delivered_at_once(sandbox: Sandbox) -> None:
    job = sandbox.add_job(family="video_translate", webhook_url="https://elsewhere.example.com/")
    sandbox.finish(job.id)
    await sandbox.settle()
    assert [delivery.job_id for delivery in sandbox.deliveries] == [job.id]


def test_it_ends_with_its_context() -> None:
    before = {*threading.enumerate()}
    with sandbox_in_thread() as sandbox:
        sandbox.inject(Fault.hang())
        assert {*threading.enumerate()} > before
    assert {*threading.enumerate()} == before


def test_one_that_cannot_listen_says_so_and_leaves_no_thread(sandbox: Sandbox) -> None:
    before, port = {*threading.enumerate()}, int(sandbox.base_url.rpartition(":")[2].partition("/")[0])
    with pytest.raises(OSError, match="in use"), sandbox_in_thread(port=port):
        pass
    assert {*threading.enumerate()} == before


def test_every_public_name_of_a_sandbox_is_handed_over_or_safe_in_any_thread() -> None:
    names = {name for name in dir(Sandbox) if not name.startswith("_")}
    settings = {name for name in names if name in {field.name for field in Sandbox.__attrs_attrs__}}
    handed_over = {
        name
        for name in names
        if inspect.getattr_static(threads._ThreadSandbox, name) is not inspect.getattr_static(Sandbox, name)
    }
    assert names - settings - handed_over == {"base_url", "now"}
