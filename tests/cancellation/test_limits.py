"""The client's own time limits and those of the caller are raised apart, whichever comes first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from chamelaion_async import (
    APITimeoutError,
    AsyncClient,
    ChamelaionError,
    DownloadError,
    PollPolicy,
    RetryPolicy,
    WaitTimeoutError,
)
from chamelaion_async.sandbox import Fault, Sandbox

pytestmark = pytest.mark.virtual_time

LIMIT = 4.0
Act = Callable[[AsyncClient, Path], Awaitable[Any]]


async def watch(client: AsyncClient) -> None:
    async for _request in client.lipsync.requests.watch("dub-42", timeout=LIMIT):
        """It is seen, and stays as it is."""


async def wait_all(client: AsyncClient) -> None:
    outcomes = await client.lipsync.requests.wait_all(["dub-42"], timeout=LIMIT)
    outcomes["dub-42"].unwrap()


def output_of(client: AsyncClient) -> str:
    return f"{client.base_url.removesuffix('/api')}/output/{'0' * 8}.mp4"


HANGING: dict[str, tuple[Act, type[ChamelaionError]]] = {
    "get": (lambda client, _: client.users.me(), APITimeoutError),
    "post": (lambda client, _: client.request("POST", "/v1/lipsync/generate", json={}), APITimeoutError),
    "upload": (lambda client, _: client.lipsync.generate_with_media(video=b"v", audio=b"a"), ChamelaionError),
    "wait": (lambda client, _: client.wait_until_finished("dub-42", timeout=LIMIT), WaitTimeoutError),
    "watch": (lambda client, _: watch(client), WaitTimeoutError),
    "wait_all": (lambda client, _: wait_all(client), WaitTimeoutError),
    "download": (lambda client, folder: client.download(output_of(client), folder / "out.mp4"), DownloadError),
}
each_operation = pytest.mark.parametrize(("act", "kind"), HANGING.values(), ids=HANGING)


@pytest.fixture
async def client() -> AsyncIterator[AsyncClient]:
    """A client of a service that never answers."""
    polling = PollPolicy(request_timeout=LIMIT, outage_budget=10 * LIMIT)
    async with Sandbox() as sandbox:
        sandbox.inject(Fault.hang())
        async with AsyncClient(
            "sk-key", base_url=sandbox.base_url, timeout=LIMIT, retry=RetryPolicy(attempts=1), polling=polling
        ) as made:
            yield made


def check_task_is_not_being_cancelled() -> None:
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@pytest.mark.parametrize("difference", [-1.0, -1e-9, 0.0, 1e-9, 3.0])
@each_operation
async def test_the_limit_that_comes_first_is_raised_as_what_it_is(
    client: AsyncClient, act: Act, kind: type[ChamelaionError], difference: float, tmp_path: Path
) -> None:
    """In the same moment, either of them may come out, and nothing else."""
    expected = TimeoutError if difference <= -1 else kind if difference >= 1 else (TimeoutError, kind)
    with pytest.raises(expected) as caught:
        async with asyncio.timeout(LIMIT + difference) as limit:
            await act(client, tmp_path)

    error = caught.value
    if difference > -1 and isinstance(error, kind):
        assert not limit.expired() or difference < 1
        assert not isinstance(error.__context__, asyncio.CancelledError) or error.__cause__ is not None
    else:
        assert (type(error), limit.expired()) == (TimeoutError, True)
    check_task_is_not_being_cancelled()
    await asyncio.sleep(10 * LIMIT)


@each_operation
async def test_of_two_blocks_the_one_that_ran_out_raises(
    client: AsyncClient, act: Act, kind: type[ChamelaionError], tmp_path: Path
) -> None:
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(LIMIT - 2) as outer, asyncio.timeout(LIMIT - 1) as inner:
            await act(client, tmp_path)

    assert (outer.expired(), inner.expired()) == (True, False)
    assert type(caught.value) is TimeoutError
    check_task_is_not_being_cancelled()


@each_operation
async def test_the_clients_own_limit_ends_a_group_with_all_its_tasks(
    client: AsyncClient, act: Act, kind: type[ChamelaionError], tmp_path: Path
) -> None:
    async def together() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(client.wait_until_finished("dub-43", timeout=None))
            await act(client, tmp_path)

    with pytest.raises(ExceptionGroup) as caught:
        await together()

    assert [isinstance(error, kind) for error in caught.value.exceptions] == [True]
    check_task_is_not_being_cancelled()
