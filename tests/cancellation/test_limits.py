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


@each_operation
async def test_ours_comes_out_of_a_block_with_more_time(
    client: AsyncClient, act: Act, kind: type[ChamelaionError], tmp_path: Path
) -> None:
    with pytest.raises(kind) as caught:
        async with asyncio.timeout(LIMIT + 3) as limit:
            await act(client, tmp_path)

    assert not limit.expired()
    assert not isinstance(caught.value.__context__, asyncio.CancelledError) or caught.value.__cause__ is not None
    check_task_is_not_being_cancelled()
    await asyncio.sleep(10 * LIMIT)


@each_operation
async def test_the_callers_comes_out_of_its_block_as_what_it_is(
    client: AsyncClient, act: Act, kind: type[ChamelaionError], tmp_path: Path
) -> None:
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(LIMIT - 1) as limit:
            await act(client, tmp_path)

    assert limit.expired()
    assert type(caught.value) is TimeoutError
    check_task_is_not_being_cancelled()
    await asyncio.sleep(10 * LIMIT)


@pytest.mark.parametrize("difference", [-1e-9, 0.0, 1e-9])
@each_operation
async def test_in_the_same_moment_one_of_them_comes_out_and_nothing_more(
    client: AsyncClient, act: Act, kind: type[ChamelaionError], difference: float, tmp_path: Path
) -> None:
    with pytest.raises((TimeoutError, kind)) as caught:
        async with asyncio.timeout(LIMIT + difference) as limit:
            await act(client, tmp_path)

    assert type(caught.value) is TimeoutError or isinstance(caught.value, kind)
    assert limit.expired() or isinstance(caught.value, kind)
    check_task_is_not_being_cancelled()
    await asyncio.sleep(10 * LIMIT)


@each_operation
async def test_of_two_blocks_the_one_that_ran_out_says_so(
    client: AsyncClient, act: Act, kind: type[ChamelaionError], tmp_path: Path
) -> None:
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(LIMIT - 2) as outer, asyncio.timeout(LIMIT - 1) as inner:
            await act(client, tmp_path)

    assert (outer.expired(), inner.expired()) == (True, False)
    assert type(caught.value) is TimeoutError
    check_task_is_not_being_cancelled()


@each_operation
async def test_ours_ends_a_group_with_all_that_is_in_it(
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
