"""No object of the package has a repr that raises, in any state: error trackers and debuggers show all of them."""

from __future__ import annotations

import asyncio
import gc
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest

from chamelaion_async import AsyncClient, ChamelaionError, PollPolicy, WaitError
from chamelaion_async.sandbox import Fault, ManualClock, Sandbox

QUICK = PollPolicy(min_interval=0.01, max_interval=0.02, not_found_grace=0.05)


def ours() -> Iterator[object]:
    """Give each object of the package that the garbage collector knows, classes aside."""
    for thing in gc.get_objects():
        module = getattr(type(thing), "__module__", None)
        if isinstance(module, str) and module.startswith("chamelaion_async") and not isinstance(thing, type):
            yield thing


def shown() -> list[str]:
    """Return what the objects show; a repr that raises fails the test here."""
    return [repr(thing) for thing in ours()]


async def jobs(client: AsyncClient, count: int) -> list[str]:
    made = [
        await client.lipsync.generate(video="https://e.example/v.mp4", audio="https://e.example/a.wav")
        for _ in range(count)
    ]
    return [each.request_id for each in made]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A sandbox whose jobs do not end."""
    async with Sandbox(clock=ManualClock()) as served:
        yield served


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
    """A client of it."""
    async with AsyncClient("sk-test-key", base_url=sandbox.base_url) as made:
        yield made


async def test_none_raises_while_waits_and_batches_go_on(client: AsyncClient) -> None:
    ids = await jobs(client, 4)
    waiting = asyncio.create_task(client.wait_until_finished(ids[0], polling=QUICK))
    async with aclosing(client.lipsync.requests.as_finished(ids, timeout=0.3, polling=QUICK)) as outcomes:
        async for outcome in outcomes:
            assert shown()
            assert repr(outcome)
    assert len(shown()) > 10
    waiting.cancel()
    await asyncio.wait([waiting])
    assert shown()


@pytest.mark.parametrize("fault", [None, Fault.status(503), Fault.status(404)], ids=["deadline", "503", "404"])
async def test_none_raises_in_the_traceback_of_a_wait_that_is_over(
    sandbox: Sandbox, client: AsyncClient, fault: Fault | None
) -> None:
    (id,) = await jobs(client, 1)
    if fault is not None:
        sandbox.inject(fault, route="GET *")
    with pytest.raises(ChamelaionError) as caught:
        await client.wait_until_finished(id, timeout=0.1, polling=QUICK)
    lines = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "repr() failed" not in lines
    assert shown()
    assert isinstance(caught.value, WaitError) or fault is not None
