import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from chamelaion_async.sandbox import ManualClock, Sandbox, WallClock
from chamelaion_async.sandbox.world.webhooks import is_loopback

Serve = Callable[..., Awaitable[tuple[Sandbox, aiohttp.ClientSession]]]


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
    server = web.Server(receiver.handle)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiver
    await runner.cleanup()


def translate(sandbox: Sandbox, url: str, **settings: Any) -> str:
    return sandbox.add_job(family="video_translate", webhook_url=url, **settings).id


async def test_the_end_of_a_translation_is_reported_once(
    sandbox: Sandbox, session: aiohttp.ClientSession, clock: ManualClock, receiver: Receiver
) -> None:
    body = {
        "inputs": [{"type": "video", "url": "https://a.example/b.mp4"}],
        "target_languages": ["de"],
        "webhook_url": receiver.url,
    }
    async with session.post("v1/video-translate/generate", json=body) as response:
        id = (await response.json())["request_id"]
    clock.advance(99)
    await sandbox.settle()
    assert not sandbox.deliveries

    clock.advance(1)
    payload = await receiver.bodies.get()
    clock.advance(100)
    await sandbox.settle()

    async with session.get(f"v1/video-translate/requests/{id}") as response:
        assert payload == await response.json()
    (delivery,) = sandbox.deliveries
    assert (delivery.job_id, delivery.url, delivery.status, delivery.error) == (id, receiver.url, 204, None)
    assert delivery.payload == payload
    assert delivery.at == clock.time() - 100


async def test_a_failure_is_reported_too(sandbox: Sandbox, clock: ManualClock, receiver: Receiver) -> None:
    translate(sandbox, receiver.url, fails="no speech")
    clock.advance(100)

    payload = await receiver.bodies.get()

    assert (payload["status"], payload["error_message"]) == ("failed", "no speech")


@pytest.mark.parametrize("end", ["finish", "fail"])
async def test_a_job_ended_by_hand_is_reported_at_once_and_once(
    sandbox: Sandbox, clock: ManualClock, receiver: Receiver, end: str
) -> None:
    id = translate(sandbox, receiver.url)
    translate(sandbox, receiver.url, job_seconds=1000)

    getattr(sandbox, end)(id)

    assert (await receiver.bodies.get())["id"] == id
    clock.advance(100)
    await sandbox.settle()
    assert len(sandbox.deliveries) == 1


async def test_webhooks_come_in_the_order_in_which_jobs_end(
    sandbox: Sandbox, clock: ManualClock, receiver: Receiver
) -> None:
    late = translate(sandbox, receiver.url, job_seconds=50)
    early = translate(sandbox, receiver.url, job_seconds=5)
    clock.advance(10)
    assert (await receiver.bodies.get())["id"] == early
    clock.advance(50)
    assert (await receiver.bodies.get())["id"] == late


@pytest.mark.parametrize(
    "url",
    ["http://192.0.2.1/hook", "https://example.com/hook", "http://localhost.example.com/", "http://0.0.0.0/"],
)
async def test_a_stranger_is_never_called_and_the_job_runs_all_the_same(
    sandbox: Sandbox, clock: ManualClock, url: str
) -> None:
    id = translate(sandbox, url)
    clock.advance(100)

    await sandbox.settle()

    (delivery,) = sandbox.deliveries
    assert (delivery.status, delivery.error) == (None, "not a loopback address")
    assert sandbox.status(id) == "completed"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://127.8.8.8/x", "http://[::1]/", "http://localhost:9/"])
def test_loopback_is_recognised(url: str) -> None:
    assert is_loopback(url)


async def test_a_receiver_that_is_not_there_is_recorded(sandbox: Sandbox, clock: ManualClock) -> None:
    translate(sandbox, "http://127.0.0.1:1/hook")
    clock.advance(100)

    await sandbox.settle()

    (delivery,) = sandbox.deliveries
    assert delivery.status is None
    assert delivery.error is not None
    assert "ClientConnectorError" in delivery.error


async def test_a_redirect_is_not_followed(sandbox: Sandbox, clock: ManualClock, receiver: Receiver) -> None:
    receiver.status = 307
    translate(sandbox, receiver.url)
    clock.advance(100)

    await sandbox.settle()

    assert sandbox.deliveries[0].status == 307


async def test_the_wall_clock_delivers_by_itself(serve: Serve, receiver: Receiver) -> None:
    sandbox, _ = await serve(clock=WallClock(), job_seconds=0.05)
    id = translate(sandbox, receiver.url)

    assert (await receiver.bodies.get())["id"] == id


async def test_a_clock_that_says_nothing_when_it_moves_is_looked_at(serve: Serve, receiver: Receiver) -> None:
    class Foreign:
        now = 1000.0

        def time(self) -> float:
            return self.now

    clock = Foreign()
    sandbox, session = await serve(clock=clock)
    id = translate(sandbox, receiver.url)
    async with session.get("health") as response:  # by now the sandbox has looked at the clock
        assert response.status == 200
    clock.now += 100

    assert (await receiver.bodies.get())["id"] == id


async def test_stopping_does_not_wait_for_a_receiver_that_does_not_answer(
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


async def test_what_was_not_due_before_a_stop_is_delivered_after_the_next_start(
    sandbox: Sandbox, clock: ManualClock, receiver: Receiver
) -> None:
    id = translate(sandbox, receiver.url)
    await sandbox.stop()
    clock.advance(100)
    assert receiver.bodies.empty()

    await sandbox.start()

    assert (await receiver.bodies.get())["id"] == id
