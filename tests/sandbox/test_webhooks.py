from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from chamelaion_async.sandbox import ManualClock, Sandbox, WallClock
from chamelaion_async.sandbox.world.webhooks import is_loopback

from .calling import TRANSLATE, Caller, Serve


class Receiver:
    """A web server that takes webhooks."""

    def __init__(self) -> None:
        self.bodies: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.status = 204
        self.held: asyncio.Event | None = None
        self.url = ""

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.bodies.put_nowait(await request.json())
        if self.held:
            await self.held.wait()
        return web.Response(status=self.status, headers={"Location": "http://192.0.2.1/"})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    runner = web.ServerRunner(web.Server(receiver.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiver
    await runner.cleanup()


def translate(sandbox: Sandbox, url: str, **settings: Any) -> str:
    return sandbox.add_job(family="video_translate", webhook_url=url, **settings).id


async def test_the_end_of_a_translation_is_reported_once(
    sandbox: Sandbox, call: Caller, clock: ManualClock, receiver: Receiver
) -> None:
    id = await call.id_of("v1/video-translate/generate", json={**TRANSLATE, "webhook_url": receiver.url})
    clock.advance(99)
    await sandbox.settle()
    assert not sandbox.deliveries

    clock.advance(1)
    payload = await receiver.bodies.get()
    clock.advance(100)
    await sandbox.settle()

    assert payload == (await call(f"v1/video-translate/requests/{id}")).json
    (delivery,) = sandbox.deliveries
    assert (delivery.job_id, delivery.url, delivery.status, delivery.error) == (id, receiver.url, 204, None)
    assert (delivery.payload, delivery.at) == (payload, clock.time() - 100)


@pytest.mark.parametrize(("end", "status"), [("finish", "completed"), ("fail", "failed")])
async def test_a_job_ended_by_hand_is_reported_at_once_and_only_once(
    sandbox: Sandbox, clock: ManualClock, receiver: Receiver, end: str, status: str
) -> None:
    id = translate(sandbox, receiver.url)
    translate(sandbox, receiver.url, job_seconds=1000)

    getattr(sandbox, end)(id)

    payload = await receiver.bodies.get()
    assert (payload["id"], payload["status"]) == (id, status)
    clock.advance(100)
    await sandbox.settle()
    assert len(sandbox.deliveries) == 1


async def test_webhooks_are_posted_in_the_order_in_which_jobs_end(
    sandbox: Sandbox, clock: ManualClock, receiver: Receiver
) -> None:
    late = translate(sandbox, receiver.url, job_seconds=50)
    early = translate(sandbox, receiver.url, job_seconds=5, fails="no speech")
    clock.advance(10)
    payload = await receiver.bodies.get()
    assert (payload["id"], payload["error_message"]) == (early, "no speech")
    clock.advance(50)
    assert (await receiver.bodies.get())["id"] == late


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://192.0.2.1/hook", "not a loopback address"),
        ("https://example.com/hook", "not a loopback address"),
        ("http://localhost.example.com/", "not a loopback address"),
        ("http://0.0.0.0/", "not a loopback address"),
        ("http://127.0.0.1:1/hook", "ClientConnectorError"),
    ],
)
async def test_a_webhook_that_cannot_be_posted_is_recorded_and_the_job_completes(
    sandbox: Sandbox, clock: ManualClock, url: str, error: str
) -> None:
    id = translate(sandbox, url)
    clock.advance(100)

    await sandbox.settle()

    (delivery,) = sandbox.deliveries
    assert delivery.status is None
    assert error in (delivery.error or "")
    assert sandbox.status(id) == "completed"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://127.8.8.8/x", "http://[::1]/", "http://localhost:9/"])
def test_loopback_is_recognised(url: str) -> None:
    assert is_loopback(url)


async def test_a_redirect_is_not_followed(sandbox: Sandbox, clock: ManualClock, receiver: Receiver) -> None:
    receiver.status = 307
    translate(sandbox, receiver.url)
    clock.advance(100)

    await sandbox.settle()

    assert sandbox.deliveries[0].status == 307


async def test_a_webhook_is_posted_by_the_wall_clock(serve: Serve, receiver: Receiver) -> None:
    sandbox, _ = await serve(clock=WallClock(), job_seconds=0.05)
    id = translate(sandbox, receiver.url)

    assert (await receiver.bodies.get())["id"] == id


async def test_any_other_clock_is_read_again_and_again(serve: Serve, receiver: Receiver) -> None:
    class ForeignClock:
        now = 1000.0

        def time(self) -> float:
            return self.now

    clock = ForeignClock()
    sandbox, call = await serve(clock=clock)
    id = translate(sandbox, receiver.url)
    assert (await call("health")).status == 200  # by now the sandbox has read the clock
    clock.now += 100

    assert (await receiver.bodies.get())["id"] == id


async def test_a_stop_does_not_wait_for_a_receiver_that_does_not_answer(
    sandbox: Sandbox, clock: ManualClock, receiver: Receiver
) -> None:
    receiver.held = asyncio.Event()
    translate(sandbox, receiver.url)
    clock.advance(100)
    await receiver.bodies.get()

    async with asyncio.timeout(1):
        await sandbox.stop()

    assert not sandbox.deliveries
    receiver.held.set()


async def test_a_webhook_that_is_due_while_stopped_is_posted_after_the_next_start(
    sandbox: Sandbox, clock: ManualClock, receiver: Receiver
) -> None:
    id = translate(sandbox, receiver.url)
    await sandbox.stop()
    clock.advance(100)
    assert receiver.bodies.empty()

    await sandbox.start()

    assert (await receiver.bodies.get())["id"] == id
