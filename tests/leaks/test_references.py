"""What a caller keeps of a client, a request or an error, refers to nothing else of it."""

from __future__ import annotations

import asyncio
import gc
import types
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from chamelaion_async import AsyncClient, ChamelaionError, PollPolicy, RetryPolicy
from chamelaion_async._http.lifecycle import Lifecycle
from chamelaion_async.loading.loader import Loader

from .api import BASE_URL, OUTPUT_URL, StatelessApi, refusal, uuid
from .connections import HANG

pytestmark = pytest.mark.virtual_time

_LARGE: Final = 50_000
ID: Final = uuid(7)
MEDIA: Final[dict[str, Any]] = {"video": "https://cdn.test/v.mp4", "audio": "https://cdn.test/a.wav"}
HASTY: Final = PollPolicy(outage_budget=3.0, request_timeout=1.0, not_found_grace=0.0, max_interval=1.0)

FAILURES: Final[dict[str, bytes | Exception]] = {
    "refused": refusal(500, "x" * _LARGE),
    "unknown": refusal(404, "x" * _LARGE),
    "unreadable": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (_LARGE, b"x" * _LARGE),
    "broken off": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (10 * _LARGE, b"x" * _LARGE),
    "no HTTP": b"no HTTP\r\n\r\n",
    "reset": ConnectionResetError("reset"),
    "silent": HANG,
}


def behind(error: BaseException, *, doors: tuple[type[Any], ...] = ()) -> list[Any]:
    """Return all that an error keeps alive.

    Args:
        error: What is kept.
        doors: What is not followed further.
    """
    # What every module holds anyway is not the error's doing, and the frames of a test are its own.
    walls = (type, types.ModuleType, types.BuiltinFunctionType, asyncio.AbstractEventLoop, StatelessApi, *doors)
    found: dict[int, Any] = {}
    todo: list[Any] = [error]
    while todo:
        thing = todo.pop()
        if id(thing) in found or isinstance(thing, walls):
            continue
        if isinstance(thing, types.FrameType) and "tests" in Path(thing.f_code.co_filename).parts:
            continue
        found[id(thing)] = thing
        if isinstance(thing, types.FunctionType):
            todo += thing.__closure__ or ()
        elif isinstance(thing, types.FrameType):
            todo += thing.f_locals.values()
        else:
            todo += gc.get_referents(thing)
    return [*found.values()]


def is_large(thing: object) -> bool:
    """Whether it may be the body of an answer; an error holds the message of one, up to its full length."""
    return isinstance(thing, bytes | bytearray) and len(thing) >= _LARGE


ANSWERS: Final = (aiohttp.ClientResponse, aiohttp.StreamReader)
CLIENT: Final = (*ANSWERS, aiohttp.ClientSession, AsyncClient, Lifecycle, Loader)


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_the_error_of_an_outcome_holds_nothing_of_the_client(
    client: AsyncClient, api: StatelessApi, failure: bytes | Exception
) -> None:
    api.trouble = lambda _: failure
    outcomes = await client.lipsync.requests.wait_all([ID, uuid(8)], polling=HASTY)
    for outcome in outcomes.values():
        error = outcome.error
        assert error is not None
        assert [thing for thing in behind(error) if isinstance(thing, CLIENT) or is_large(thing)] == []


async def waiting(client: AsyncClient, _: Path) -> object:
    return await client.wait_until_finished(ID, polling=HASTY, timeout=5.0)


async def reading(client: AsyncClient, _: Path) -> object:
    return await client.lipsync.requests.get(ID)


async def submitting(client: AsyncClient, _: Path) -> object:
    return await client.lipsync.generate(**MEDIA, reference_id="dub-42")


async def uploading(client: AsyncClient, _: Path) -> object:
    return await client.lipsync.generate_with_media(video=b"v", audio=b"a")


async def downloading(client: AsyncClient, folder: Path) -> object:
    return await client.download(OUTPUT_URL, folder / "out.mp4")


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("call", [waiting, reading, submitting, uploading, downloading])
async def test_an_error_holds_no_answer(
    client: AsyncClient,
    api: StatelessApi,
    tmp_path: Path,
    call: Callable[[AsyncClient, Path], Awaitable[object]],
    failure: bytes | Exception,
) -> None:
    hasty = client.with_options(retry=RetryPolicy(attempts=2, initial=0.0, max=0.0), timeout=1.0)
    api.trouble = lambda _: failure
    try:
        await call(hasty, tmp_path)
    except ChamelaionError as error:
        # The frame of the method that was called holds the client, whatever is done about the frames below it.
        kept = behind(error, doors=(Lifecycle, Loader, aiohttp.ClientSession))
        assert [thing for thing in kept if isinstance(thing, ANSWERS) or is_large(thing)] == []
    else:
        # Bytes that are no JSON are a good output.
        assert (call, failure) == (downloading, FAILURES["unreadable"])


async def test_a_client_that_is_closed_is_freed_without_the_collector(api: StatelessApi) -> None:
    gc.collect()
    gc.disable()
    try:
        client = AsyncClient("sk-test-key", base_url=BASE_URL)
        api.finished = 8
        await client.wait_until_finished(ID)
        await client.aclose()
        seen = weakref.ref(client)
        del client

        assert seen() is None
    finally:
        gc.enable()


async def test_nothing_of_a_client_that_is_closed_outlives_the_next_collection(api: StatelessApi) -> None:
    api.finished = 8
    async with AsyncClient("sk-test-key", base_url=BASE_URL) as client:
        await client.wait_until_finished(ID)
        lifecycle = client._transport.lifecycle
        seen: list[weakref.ref[Any]] = [weakref.ref(lifecycle), weakref.ref(lifecycle.session())]
        del lifecycle
    del client
    gc.collect()

    assert [each() for each in seen] == [None, None]
