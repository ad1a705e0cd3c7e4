"""From the first call to closing: which loop a client belongs to, how it ends what is under way, what it leaves."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import aiohttp
import pytest
from aioresponses import aioresponses

from chamelaion_async import (
    APIConnectionError,
    APITimeoutError,
    AsyncClient,
    ClientClosedError,
    ConfigurationError,
    InternalServerError,
    NotFoundError,
    Pace,
    RetryPolicy,
)
from chamelaion_async._http.lifecycle import CancelScope, Lifecycle
from chamelaion_async.sandbox import Fault, Sandbox

BASE_URL = "https://api.example.com/api"
ME = f"{BASE_URL}/v1/users/me"
ONCE = RetryPolicy(attempts=1)
RawServer = Callable[[Callable[[bytes, asyncio.StreamWriter], Any]], Any]
Call = Callable[[AsyncClient], Coroutine[Any, Any, Any]]


class Silence(NamedTuple):
    """A server that never answers: its base URL, and whether a request has arrived."""

    base_url: str
    asked: asyncio.Event


@pytest.fixture
async def silence(raw_server: RawServer) -> Silence:
    asked = asyncio.Event()

    async def exchange(_: bytes, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.get_running_loop().create_future()

    return Silence(await raw_server(exchange), asked)


@pytest.fixture
def elsewhere() -> Iterator[Sandbox]:
    """The sandbox on a loop in another thread, so that the loops of the test hold nothing of it."""
    started: threading.Event = threading.Event()
    sandbox = Sandbox(job_seconds=3600)
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        stop.append(lambda: loop.call_soon_threadsafe(over.set))
        async with sandbox:
            started.set()
            await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    started.wait(5)
    yield sandbox
    stop[0]()
    thread.join(5)


async def get(client: AsyncClient) -> Any:
    return await client.users.me()


async def post(client: AsyncClient) -> Any:
    return await client.request("POST", "/v1/lipsync/generate", json={})


async def wait(client: AsyncClient) -> Any:
    return await client.wait_until_finished("dub-1", timeout=None)


async def throttled(client: AsyncClient) -> Any:
    return await client.request("GET", "/v1/throttled")


def begin_closing(client: AsyncClient) -> None:
    """Close in this very turn of the loop, up to where closing has to wait for something."""
    closing = client.aclose()
    with contextlib.suppress(StopIteration):
        closing.send(None)
    closing.close()


CALLS = pytest.mark.parametrize("call", [get, post, wait])


def test_a_client_made_where_no_loop_runs_works_in_the_loop_that_uses_it(elsewhere: Sandbox) -> None:
    client = AsyncClient("sk-key", base_url=elsewhere.base_url)

    async def main() -> str:
        async with client:
            return (await client.users.me()).name

    assert asyncio.run(main()) == "production-key"


async def test_no_session_is_made_before_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    monkeypatch.setattr(aiohttp, "ClientSession", lambda *_, **__: made.append(1))
    async with AsyncClient("sk-key", base_url=BASE_URL):
        pass

    assert made == []


async def test_calls_at_once_share_one_session(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[aiohttp.ClientSession] = []
    original = aiohttp.ClientSession.__init__

    def counted(self: aiohttp.ClientSession, *args: Any, **kwargs: Any) -> None:
        made.append(self)
        original(self, *args, **kwargs)

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", counted)
    async with AsyncClient("sk-key", base_url=sandbox.base_url) as client:
        await asyncio.gather(*(client.users.me() for _ in range(20)))

    assert len(made) == 1


@pytest.mark.parametrize("error", [None, KeyError])
async def test_the_context_manager_closes_the_client(error: type[Exception] | None) -> None:
    client = AsyncClient("sk-key")
    with contextlib.suppress(KeyError):
        async with client:
            if error is not None:
                raise error

    assert client.is_closed


@pytest.mark.parametrize("is_used", [True, False])
async def test_closing_twice_is_harmless(sandbox: Sandbox, is_used: bool) -> None:
    client = AsyncClient("sk-key", base_url=sandbox.base_url)
    if is_used:
        await client.users.me()
    await client.aclose()
    await client.aclose()

    assert client.is_closed


async def test_closing_several_times_at_once_ends_for_all_of_them(silence: Silence) -> None:
    client = AsyncClient("sk-key", base_url=silence.base_url)
    call = asyncio.create_task(client.users.me())
    await silence.asked.wait()

    async with asyncio.timeout(2):
        await asyncio.gather(*(client.aclose() for _ in range(5)))

    assert isinstance((await asyncio.gather(call, return_exceptions=True))[0], ClientClosedError)


async def test_closing_goes_on_when_one_of_the_closing_tasks_is_cancelled(silence: Silence) -> None:
    client = AsyncClient("sk-key", base_url=silence.base_url)
    call = asyncio.create_task(client.users.me())
    await silence.asked.wait()
    first, second = asyncio.create_task(client.aclose()), asyncio.create_task(client.aclose())
    await asyncio.sleep(0)
    first.cancel()

    async with asyncio.timeout(2):
        results = await asyncio.gather(first, second, call, return_exceptions=True)

    assert [type(result) for result in results] == [asyncio.CancelledError, type(None), ClientClosedError]


def test_closing_again_in_another_loop_is_harmless(elsewhere: Sandbox) -> None:
    client = AsyncClient("sk-key", base_url=elsewhere.base_url)

    async def use() -> None:
        async with client:
            await client.users.me()

    asyncio.run(use())
    asyncio.run(client.aclose())

    assert client.is_closed


async def test_reopening_is_an_error() -> None:
    client = AsyncClient("sk-key")
    await client.aclose()

    with pytest.raises(ClientClosedError, match="make a new one"):
        await client.__aenter__()


@pytest.mark.parametrize("call", [get, post, wait, lambda client: client.health.check()])
async def test_a_closed_client_says_so_and_sends_nothing(mock: aioresponses, call: Call) -> None:
    client = AsyncClient("sk-key", base_url=BASE_URL)
    await client.aclose()

    with pytest.raises(ClientClosedError, match="closed"):
        await call(client)

    assert mock.requests == {}


@CALLS
async def test_closing_ends_a_call_under_way_at_once(silence: Silence, call: Call) -> None:
    client = AsyncClient("sk-key", base_url=silence.base_url)
    task = asyncio.create_task(call(client))
    await silence.asked.wait()

    async with asyncio.timeout(1):
        await client.aclose()
        with pytest.raises(ClientClosedError):
            await task


async def test_closing_ends_a_call_whose_answer_is_half_read(raw_server: RawServer) -> None:
    half = asyncio.Event()

    async def exchange(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        half.set()
        await asyncio.get_running_loop().create_future()

    client = AsyncClient("sk-key", base_url=await raw_server(exchange))
    task = asyncio.create_task(client.users.me())
    await half.wait()

    async with asyncio.timeout(1):
        await client.aclose()
        with pytest.raises(ClientClosedError):
            await task


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("call", "after", "pace"),
    [(wait, 100.5, Pace()), (throttled, 1.0, Pace()), (get, 1.0, Pace(max_rate=0.01))],
    ids=["between polls", "before a retry", "for a permit"],
)
async def test_closing_ends_a_pause_at_once(mock: aioresponses, call: Call, after: float, pace: Pace) -> None:
    job = {"id": "dub-1", "status": "queued", "created_at": "2026-04-07T10:00:00Z"}
    mock.get(f"{BASE_URL}/v1/lipsync/requests/dub-1", payload=job, repeat=True)
    mock.get(f"{BASE_URL}/v1/throttled", status=429, headers={"Retry-After": "30"}, repeat=True)
    mock.get(ME, payload={"name": "k"}, repeat=True)
    loop = asyncio.get_running_loop()
    client = AsyncClient("sk-key", base_url=BASE_URL, pace=pace)
    first = asyncio.create_task(get(client))  # which takes the permit where there is one
    await asyncio.sleep(0)
    task = asyncio.create_task(call(client))
    await asyncio.sleep(after)
    began = loop.time()
    await client.aclose()
    with pytest.raises(ClientClosedError):
        await task

    assert (loop.time(), (await first).name) == (began, "k")


@pytest.mark.parametrize("of_session", [False, True], ids=["lane", "connections of a given session"])
async def test_closing_ends_calls_that_queue(silence: Silence, of_session: bool) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        pace = Pace() if of_session else Pace(max_concurrency=1)
        client = AsyncClient("sk-key", base_url=silence.base_url, pace=pace, session=session if of_session else None)
        tasks = [asyncio.create_task(client.users.me()) for _ in range(5)]
        await silence.asked.wait()

        async with asyncio.timeout(1):
            await client.aclose()
            results = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(result) for result in results] == [ClientClosedError] * 5


async def test_a_task_and_its_timeouts_go_on_after_the_client_was_closed_under_it(silence: Silence) -> None:
    client = AsyncClient("sk-key", base_url=silence.base_url)

    async def survivor() -> int:
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises(ClientClosedError):
            await client.users.me()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.get_running_loop().create_future()
        return task.cancelling()

    task = asyncio.create_task(survivor())
    await silence.asked.wait()
    await client.aclose()

    assert await task == 0


async def test_closing_under_a_task_group_does_not_cancel_the_task_of_the_group(silence: Silence) -> None:
    client = AsyncClient("sk-key", base_url=silence.base_url)

    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(client.users.me())

    task = asyncio.create_task(group())
    await silence.asked.wait()
    await client.aclose()

    with pytest.raises(BaseExceptionGroup) as caught:
        await task
    assert caught.group_contains(ClientClosedError)


@CALLS
async def test_a_cancellation_by_the_caller_stays_one(silence: Silence, call: Call) -> None:
    async with AsyncClient("sk-key", base_url=silence.base_url) as client:
        task = asyncio.create_task(call(client))
        await silence.asked.wait()
        task.cancel("mine")

        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("first", ["cancel", "close"])
@pytest.mark.parametrize("call", [get, post, wait, "pause"])
async def test_a_cancellation_at_the_same_time_as_closing_stays_one(
    sandbox: Sandbox, silence: Silence, call: Call | str, first: str
) -> None:
    sandbox.inject(Fault.rate_limited(30))
    in_pause = call == "pause"
    client = AsyncClient("sk-key", base_url=(sandbox if in_pause else silence).base_url)
    task = asyncio.create_task((get if isinstance(call, str) else call)(client))
    if in_pause:
        while not client._transport.lifecycle._sleepers:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.001)
    else:
        await silence.asked.wait()
    if first == "cancel":
        task.cancel()
    begin_closing(client)
    if first == "close":
        task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task

    await client.aclose()


async def test_a_timeout_of_the_caller_at_the_same_time_as_closing_stays_one(silence: Silence) -> None:
    client = AsyncClient("sk-key", base_url=silence.base_url)
    limits: list[asyncio.Timeout] = []

    async def limited() -> None:
        async with asyncio.timeout(None) as limit:
            limits.append(limit)
            await client.users.me()

    task = asyncio.create_task(limited())
    await silence.asked.wait()
    limits[0].reschedule(0)  # long past: fires in the next turn of the loop
    closing = asyncio.create_task(client.aclose())

    with pytest.raises((TimeoutError, ClientClosedError)):
        await task
    await closing


async def test_a_task_that_has_survived_a_cancellation_gets_the_error_of_closing(silence: Silence) -> None:
    client = AsyncClient("sk-key", base_url=silence.base_url)
    ready = asyncio.Event()

    async def stubborn() -> None:
        try:
            ready.set()
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await client.users.me()

    task = asyncio.create_task(stubborn())
    await ready.wait()
    task.cancel()
    await silence.asked.wait()
    await client.aclose()

    with pytest.raises(ClientClosedError):
        await task


async def test_cancelling_one_call_leaves_the_others(raw_server: RawServer) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def exchange(_: bytes, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await answer.wait()
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"name": "k"}')

    async with AsyncClient("sk-key", base_url=await raw_server(exchange)) as client:
        first, second = asyncio.create_task(client.users.me()), asyncio.create_task(client.users.me())
        await asked.wait()
        first.cancel()
        answer.set()
        results = await asyncio.gather(first, second, return_exceptions=True)

    assert [type(result).__name__ for result in results] == ["CancelledError", "User"]


@pytest.mark.virtual_time
async def test_a_cancelled_call_frees_its_slot_in_the_lane(mock: aioresponses) -> None:
    answers: Iterator[Awaitable[None]] = iter([_forever(), asyncio.sleep(0)])

    async def answer(*_: Any, **__: Any) -> None:
        await next(answers)

    mock.get(ME, payload={"name": "k"}, callback=answer, repeat=True)
    async with AsyncClient("sk-key", base_url=BASE_URL, pace=Pace(max_concurrency=1)) as client:
        first = asyncio.create_task(client.users.me())
        await asyncio.sleep(1)
        second = asyncio.create_task(client.users.me())
        await asyncio.sleep(1)
        first.cancel()

        async with asyncio.timeout(1):
            assert (await second).name == "k"


async def _forever() -> None:
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("queued", [1, 2, 3])
async def test_a_cancellation_when_a_slot_becomes_free_stays_one(mock: aioresponses, queued: int) -> None:
    first_may_end = asyncio.get_running_loop().create_future()

    async def held(*_: Any, **__: Any) -> None:
        await first_may_end

    mock.get(ME, callback=held)
    mock.get(ME, payload={"name": "k"}, repeat=True)
    async with AsyncClient("sk-key", base_url=BASE_URL, pace=Pace(max_concurrency=1), retry=ONCE) as client:
        holder = asyncio.create_task(client.request_raw("GET", "/v1/users/me"))
        waiting = [asyncio.create_task(client.users.me()) for _ in range(queued)]
        for _ in range(5):
            await asyncio.sleep(0)
        first_may_end.set_result(None)
        for task in waiting:
            task.cancel()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        await holder

        assert [type(result) for result in results] == [asyncio.CancelledError] * queued


@pytest.mark.parametrize("turns", range(12))
async def test_a_lane_loses_no_slot_to_a_cancellation_at_any_moment(mock: aioresponses, turns: int) -> None:
    mock.get(ME, payload={"name": "k"}, repeat=True)
    async with AsyncClient("sk-key", base_url=BASE_URL, pace=Pace(max_concurrency=1)) as client:
        tasks = [asyncio.create_task(client.users.me()) for _ in range(4)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

        async with asyncio.timeout(1):
            assert (await client.users.me()).name == "k"


def test_a_second_loop_after_the_first_is_a_clear_error(elsewhere: Sandbox) -> None:
    client = AsyncClient("sk-key", base_url=elsewhere.base_url)

    async def main() -> None:
        async with AsyncClient("sk-key", base_url=elsewhere.base_url):
            await client.users.me()

    async def close() -> None:
        # What the first loop left open is its own; here the sockets are closed so that no warning disturbs.
        session = client._transport.lifecycle._session
        assert session is not None
        await session.close()

    with asyncio.Runner() as first:
        first.run(main())
        with asyncio.Runner() as second, pytest.raises(ConfigurationError, match="belongs to another event loop"):
            second.run(main())
        first.run(close())


@pytest.mark.parametrize("is_used", [True, False], ids=["used", "entered"])
@pytest.mark.parametrize("call", [get, AsyncClient.aclose], ids=["a call", "closing"])
def test_another_loop_in_a_thread_is_a_clear_error_and_closes_nothing(
    elsewhere: Sandbox, call: Call, is_used: bool
) -> None:
    async def main() -> str:
        async with AsyncClient("sk-key", base_url=elsewhere.base_url) as client:
            if is_used:
                await client.users.me()
            with ThreadPoolExecutor(1) as pool:
                other = asyncio.get_running_loop().run_in_executor(pool, lambda: asyncio.run(call(client)))
                with pytest.raises(ConfigurationError, match="belongs to another event loop"):
                    await other
            return (await client.users.me()).name

    assert asyncio.run(main()) == "production-key"


async def test_a_call_outside_a_task_is_a_clear_error(mock: aioresponses) -> None:
    outcome: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    async with AsyncClient("sk-key", base_url=BASE_URL) as client:

        def step() -> None:
            coroutine = client.users.me()
            try:
                coroutine.send(None)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is checked below
                outcome.set_result(error)
            else:
                coroutine.close()
                outcome.set_result(None)

        asyncio.get_running_loop().call_soon(step)

        assert isinstance(await outcome, ConfigurationError)


@pytest.fixture
def unclean(elsewhere: Sandbox) -> Callable[[Callable[[AsyncClient, Sandbox], Awaitable[None]]], list[str]]:
    """Run a scene with a client on a new loop, and return what was left when the client had closed."""

    def run(scene: Callable[[AsyncClient, Sandbox], Awaitable[None]]) -> list[str]:
        left: list[str] = []

        async def main() -> None:
            async with AsyncClient("sk-key", base_url=elsewhere.base_url, retry=ONCE, timeout=5) as client:
                await scene(client, elsewhere)
            await asyncio.sleep(0)
            left.extend(repr(task) for task in asyncio.all_tasks() - {asyncio.current_task()})
            left.extend(_open_transports())

        asyncio.run(main())
        gc.collect()  # an unclosed session or socket would warn now, which is an error here
        return left

    return run


def _open_transports() -> list[str]:
    loop = asyncio.get_running_loop()
    return [
        repr(transport)
        for transport in gc.get_objects()
        if isinstance(transport, asyncio.Transport)
        and getattr(transport, "_loop", None) is loop
        and not transport.is_closing()
    ]


async def quiet_calls(client: AsyncClient, sandbox: Sandbox) -> None:
    await asyncio.gather(*(client.users.me() for _ in range(10)))


async def failed_calls(client: AsyncClient, sandbox: Sandbox) -> None:
    with pytest.raises(NotFoundError):
        await client.lipsync.requests.get("unknown")
    sandbox.inject(Fault.status(500), times=1)
    with pytest.raises(InternalServerError):
        await client.users.me()


async def broken_calls(client: AsyncClient, sandbox: Sandbox) -> None:
    for fault in (Fault.reset(), Fault.close(), Fault.truncate(5)):
        sandbox.inject(fault, times=2)
        with pytest.raises(APIConnectionError):
            await client.users.me()
        sandbox.clear_faults()


async def timed_out_calls(client: AsyncClient, sandbox: Sandbox) -> None:
    sandbox.inject(Fault.hang(), times=1)
    with pytest.raises(APITimeoutError):
        await client.with_options(timeout=0.05).users.me()


async def cancelled_calls(client: AsyncClient, sandbox: Sandbox) -> None:
    tasks = [asyncio.create_task(call(client)) for call in (get, post, wait)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def calls_under_way(client: AsyncClient, sandbox: Sandbox) -> None:
    sandbox.inject(Fault.hang())
    tasks = [asyncio.create_task(call(client)) for call in (get, post, wait)]
    while sandbox.count() < 3:  # noqa: ASYNC110 - it runs in another thread
        await asyncio.sleep(0)
    await client.aclose()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(result, ClientClosedError)


async def a_wait_in_its_pause(client: AsyncClient, sandbox: Sandbox) -> None:
    job = sandbox.add_job()
    seen = asyncio.Event()
    task = asyncio.create_task(client.wait_until_finished(job.id, on_update=lambda _: seen.set()))
    await seen.wait()
    await client.aclose()
    with pytest.raises(ClientClosedError):
        await task


SCENES = [
    quiet_calls,
    failed_calls,
    broken_calls,
    timed_out_calls,
    cancelled_calls,
    calls_under_way,
    a_wait_in_its_pause,
]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_nothing_is_left_when_a_client_has_closed(
    unclean: Callable[[Any], list[str]], scene: Callable[[AsyncClient, Sandbox], Awaitable[None]]
) -> None:
    assert unclean(scene) == []


def test_many_clients_one_after_the_other_leave_no_sockets(elsewhere: Sandbox) -> None:
    async def main() -> None:
        for _ in range(20):
            async with AsyncClient("sk-key", base_url=elsewhere.base_url) as client:
                await client.users.me()

    asyncio.run(main())
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    asyncio.run(main())

    assert len(os.listdir("/proc/self/fd")) - before < 10  # noqa: PTH208 - the sandbox may lag a little behind


async def test_a_call_that_fails_while_closing_ends_it_says_that_the_client_was_closed() -> None:
    lifecycle = Lifecycle()

    async def call() -> None:
        with CancelScope(lifecycle):
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                raise OSError("the connection is gone") from None

    task = asyncio.create_task(call())
    await asyncio.sleep(0)
    await lifecycle.aclose()

    with pytest.raises(ClientClosedError, match="closed during this call") as caught:
        await task
    assert isinstance(caught.value.__cause__, OSError)


async def test_a_closed_client_is_freed(sandbox: Sandbox) -> None:
    client = AsyncClient("sk-key", base_url=sandbox.base_url)
    await client.users.me()
    await client.aclose()
    lifecycle = weakref.ref(client._transport.lifecycle)
    del client
    gc.collect()

    assert lifecycle() is None


async def test_a_client_that_made_no_call_leaves_no_warning_when_it_is_dropped() -> None:
    client = AsyncClient("sk-key")
    del client
    gc.collect()


async def test_many_calls_leave_no_record_of_themselves(mock: aioresponses) -> None:
    mock.get(ME, payload={"name": "k"}, repeat=True)
    async with AsyncClient("sk-key", base_url=BASE_URL) as client:
        for _ in range(50):
            await client.users.me()

        assert (len(client._transport.lifecycle._scopes), len(client._transport.lifecycle._sleepers)) == (0, 0)
