"""Every public operation of the client, as what is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing
from functools import partial
from itertools import count
from typing import Any, Final

import attrs

from chamelaion_async import AsyncClient, LipsyncRequest, Pace, RetryPolicy, Subtitle, Upload
from chamelaion_async.sandbox import Fault, Sandbox
from tests.faults.operations import OPERATIONS
from tests.faults.setup import IDS, KEY, REFERENCE, Setup

from . import files, threads
from .files import MEDIUM, TRANSLATION
from .slow_sending import send_slowly

Act = Callable[[Setup], Awaitable[object]]
_VIDEO: Final = "https://cdn.example.com/42.mp4"
_LATE: Final = 0.002  # seconds
_GET: Final = "GET /v1/lipsync/requests/{id}"
_GENERATE: Final = "POST /v1/lipsync/generate"
_NUMBERS: Final = count()  # of submissions


def _nothing(_: Setup) -> None:
    """There is nothing to prepare, or to check."""


@attrs.frozen(kw_only=True)
class Scenario:
    """Something that is done with a client, and may be cancelled.

    Attributes:
        key: Its name.
        act: Does it, and fails unless what comes back is right.
        prepare: Makes the service ready for it.
        beside: What another task does with the same client; it has to succeed, whatever becomes of the scenario.
        is_beside_first: Whether that begins before the scenario does.
        check: Fails unless the files are as a cancellation may leave them.
        options: For the client.
        ends_later: Whether the end of what it has done comes a few turns of the loop after its own.
        has_threads: Whether it does some of its work in threads.
        is_long: Whether it awaits so much that no more than a part of it is walked with every run of the tests.
        is_slow: Whether it has pauses of seconds, which only a loop on virtual time can afford.
    """

    key: str
    act: Act
    prepare: Callable[[Setup], object] = _nothing
    beside: Act | None = None
    is_beside_first: bool = False
    check: Callable[[Setup], None] = _nothing
    options: Mapping[str, Any] = attrs.field(factory=dict)
    ends_later: bool = False
    has_threads: bool = False
    is_long: bool = False
    is_slow: bool = False


# Reads


async def _get_translation(setup: Setup) -> None:
    request = await setup.client.video_translate.requests.get(TRANSLATION)
    assert request.id == TRANSLATION


async def _list_translations(setup: Setup) -> None:
    page = await setup.client.video_translate.requests.list(limit=5)
    assert TRANSLATION in {request.id for request in page.data}


async def _iterate_translations(setup: Setup) -> None:
    async with aclosing(setup.client.video_translate.requests.iterate(page_size=1)) as requests:
        assert TRANSLATION in [request.id async for request in requests]


async def _get_many_translations(setup: Setup) -> None:
    outcomes = await setup.client.video_translate.requests.get_many([TRANSLATION, "tr-42"])
    assert [outcome.unwrap().id for outcome in outcomes.values()] == [TRANSLATION] * 2


async def _list_voices(setup: Setup) -> None:
    assert (await setup.client.video_translate.voices.list()).data


async def _iterate_voices(setup: Setup) -> None:
    async with aclosing(setup.client.video_translate.voices.iterate(page_size=2)) as voices:
        assert len([voice async for voice in voices]) > 2


async def _check_health(setup: Setup) -> None:
    assert (await setup.client.health.check()).status == "ok"


async def _me(setup: Setup) -> None:
    assert (await setup.client.users.me()).name


async def _request(setup: Setup) -> None:
    assert (await setup.client.request("GET", f"/v1/lipsync/requests/{IDS[0]}"))["id"] == IDS[0]


async def _request_raw(setup: Setup) -> None:
    assert (await setup.client.request_raw("GET", "/v1/users/me")).status == 200


async def _leave_walk(setup: Setup) -> None:
    """Leave a walk through the list after the first request, with the iterator still open."""
    requests = setup.client.lipsync.requests.iterate(page_size=2)
    async for request in requests:
        assert request.id in IDS
        break
    await requests.aclose()


_READS: Final = (
    Scenario(key="translations.get", act=_get_translation),
    Scenario(key="translations.list", act=_list_translations),
    Scenario(key="translations.iterate", act=_iterate_translations),
    Scenario(key="translations.get_many", act=_get_many_translations),
    Scenario(key="voices.list", act=_list_voices),
    Scenario(key="voices.iterate", act=_iterate_voices),
    Scenario(key="health.check", act=_check_health),
    Scenario(key="users.me", act=_me),
    Scenario(key="request", act=_request),
    Scenario(key="request_raw", act=_request_raw),
    Scenario(key="iterate, left early", act=_leave_walk),
)


# What one call may have to wait for


def _be_out_of_reach(setup: Setup) -> None:
    setup.sandbox.inject(Fault.status(503), times=4)


def _fail_once(fault: Fault, setup: Setup) -> None:
    setup.sandbox.inject(fault, times=1)


def _be_late(setup: Setup) -> None:
    setup.sandbox.inject(Fault.latency(_LATE, when="after"))


async def _read_thrice(setup: Setup) -> None:
    requests = setup.client.lipsync.requests
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(requests.get(id)) for id in IDS]
    assert [task.result().id for task in tasks] == [*IDS]


def _go_by_name(setup: Setup) -> None:
    setup.options["base_url"] = setup.options["base_url"].replace("127.0.0.1", "localhost")


_CALLS: Final = (
    # The look-up is shared by all who need it, and comes to its own end.
    Scenario(key="users.me, over a name", act=_me, prepare=_go_by_name, ends_later=True),
    Scenario(key="users.me, 500 at first", act=_me, prepare=partial(_fail_once, Fault.status(500))),
    Scenario(key="users.me, 429 at first", act=_me, prepare=partial(_fail_once, Fault.rate_limited(_LATE))),
    Scenario(key="users.me, reset at first", act=_me, prepare=partial(_fail_once, Fault.reset())),
    Scenario(key="request, dripping", act=_request, prepare=partial(_fail_once, Fault.drip(_LATE / 10, step=64))),
    Scenario(
        key="users.me, lane full",
        act=_me,
        prepare=_be_late,
        beside=_me,
        is_beside_first=True,
        options={"pace": Pace(max_concurrency=1)},
    ),
    Scenario(
        key="users.me, another behind it",
        act=_me,
        prepare=_be_late,
        beside=_me,
        options={"pace": Pace(max_concurrency=1)},
    ),
    Scenario(
        key="users.me, at a slow pace",
        act=_me,
        beside=_read_thrice,
        is_beside_first=True,
        options={"pace": Pace(max_rate=500.0, max_concurrency=2)},
    ),
    Scenario(key="get, three in a group", act=_read_thrice, options={"pace": Pace(max_concurrency=2)}),
)


# Waits


async def _wait_first(setup: Setup) -> None:
    assert (await setup.client.wait_until_finished(IDS[0], timeout=None)).is_finished


async def _wait_at_length(setup: Setup) -> None:
    """Hear of every change, which takes a while itself."""
    seen: list[str] = []

    async def update(request: Any) -> None:
        await asyncio.sleep(0)
        seen.append(request.status)

    request = await setup.client.wait_until_finished(IDS[0], on_update=update)
    assert seen[-1] == request.status == "completed"


async def _wait_for_translation(setup: Setup) -> None:
    assert (await setup.client.video_translate.requests.wait_until_finished(TRANSLATION)).is_completed


async def _wait_for_all_translations(setup: Setup) -> None:
    outcomes = await setup.client.video_translate.requests.wait_all([TRANSLATION])
    assert outcomes[TRANSLATION].unwrap().is_completed


async def _wait_by_reference(setup: Setup) -> None:
    request = await setup.client.wait_until_finished("dub-1")
    assert (request.id, request.is_finished) == (IDS[1], True)


async def _wait_nudged(setup: Setup) -> None:
    """The next look is an hour away, until the nudge brings it forward."""

    def nudge(request: LipsyncRequest) -> None:
        if not request.is_finished:
            files.end(setup, IDS[2])
            setup.client.lipsync.requests.nudge(IDS[2])

    polling = attrs.evolve(setup.options["polling"], min_interval=3600.0, max_interval=3600.0)
    request = await setup.client.wait_until_finished(IDS[2], timeout=None, polling=polling, on_update=nudge)
    assert request.is_finished


async def _take_one(outcomes: AsyncGenerator[Any, None], *, closes: bool) -> None:
    async for outcome in outcomes:
        assert outcome is not None
        break
    if closes:
        await outcomes.aclose()


async def _leave_batch(setup: Setup) -> None:
    await _take_one(setup.client.lipsync.requests.as_finished(IDS), closes=True)


async def _drop_batch(setup: Setup) -> None:
    """Leave without closing: that is the loop's to do, once nobody refers to the iterator."""
    await _take_one(setup.client.lipsync.requests.as_finished(IDS), closes=False)


async def _leave_watch(setup: Setup) -> None:
    await _take_one(setup.client.lipsync.requests.watch(IDS[0]), closes=True)


async def _drop_watch(setup: Setup) -> None:
    await _take_one(setup.client.lipsync.requests.watch(IDS[0]), closes=False)


async def _wait_for_all_and_one(setup: Setup) -> None:
    requests = setup.client.lipsync.requests
    outcomes = await requests.wait_all([*IDS, "dub-0", "of nobody"])
    assert [outcome.error is None for outcome in outcomes.values()] == [True] * 4 + [False]


async def _run_out_of_time(setup: Setup) -> None:
    outcomes = await setup.client.lipsync.requests.wait_all(IDS, timeout=0.0)
    assert set(outcomes) == set(IDS)


_WAITS: Final = (
    Scenario(key="wait, telling of changes", act=_wait_at_length),
    Scenario(key="translations.wait", act=_wait_for_translation),
    Scenario(key="translations.wait_all", act=_wait_for_all_translations),
    Scenario(key="wait, by reference", act=_wait_by_reference),
    Scenario(key="wait, nudged", act=_wait_nudged),
    Scenario(key="wait, 503 at first", act=_wait_first, prepare=partial(_fail_once, Fault.status(503))),
    Scenario(key="wait, out of reach at first", act=_wait_first, prepare=_be_out_of_reach, is_slow=True),
    Scenario(key="wait, 429 at first", act=_wait_first, prepare=partial(_fail_once, Fault.rate_limited(_LATE))),
    Scenario(key="wait, another for the same behind it", act=_wait_first, beside=_wait_first),
    Scenario(key="wait, another for the same before it", act=_wait_first, beside=_wait_first, is_beside_first=True),
    Scenario(key="wait, a batch beside it", act=_wait_first, beside=_wait_for_all_and_one),
    Scenario(key="wait_all, a wait beside it", act=_wait_for_all_and_one, beside=_wait_first),
    Scenario(key="wait_all, out of time", act=_run_out_of_time),
    Scenario(key="as_finished, left early", act=_leave_batch),
    Scenario(key="as_finished, dropped", act=_drop_batch, ends_later=True),
    Scenario(key="watch, left early", act=_leave_watch),
    Scenario(key="watch, dropped", act=_drop_watch, ends_later=True),
)


# Submissions


async def _generate_translation(setup: Setup) -> None:
    accepted = await setup.client.video_translate.generate(
        video=_VIDEO, target_languages=["de"], reference_id=REFERENCE, source_srt=Subtitle(content="1\n")
    )
    assert accepted.request_id in setup.sandbox.jobs


async def _post_raw(setup: Setup) -> None:
    body = {"inputs": [{"type": kind, "url": _VIDEO} for kind in ("video", "audio")]}
    accepted = await setup.client.request("POST", "/v1/lipsync/generate", json=body)
    assert accepted["request_id"] in setup.sandbox.jobs


async def _upload_paths(setup: Setup) -> None:
    video, audio = files.media(setup)
    accepted = await setup.client.lipsync.generate_with_media(video=video, audio=audio, reference_id=REFERENCE)
    assert accepted.request_id in setup.sandbox.jobs


async def _upload_open_file(setup: Setup) -> None:
    """What is the caller's stays open, and is left where it stood."""
    video, _ = files.media(setup)
    with video.open("rb") as file:
        file.seek(7)
        try:
            accepted = await setup.client.lipsync.generate_with_media(video=file, audio=MEDIUM[:9])
            assert accepted.request_id in setup.sandbox.jobs
        finally:
            task = asyncio.current_task()
            if task is not None and task.cancelling() < 2:  # whoever is cancelled once more does not wait for this
                assert file.tell() == 7
                file.seek(3)
                await threads.all_done()
                assert file.tell() == 3


async def _upload_chunks(setup: Setup) -> None:
    """What is the caller's generator is closed before he hears of the end."""
    begun, closed = [], []

    async def chunks() -> AsyncGenerator[bytes, None]:
        begun.append(1)
        try:
            for start in range(0, len(MEDIUM), len(MEDIUM) // 2):
                await asyncio.sleep(0)
                yield MEDIUM[start : start + len(MEDIUM) // 2]
        finally:
            closed.append(1)

    try:
        accepted = await setup.client.video_translate.generate_with_media(
            video=Upload(chunks, size=len(MEDIUM)), target_languages=["de"], source_srt=b"1\n"
        )
        assert accepted.request_id in setup.sandbox.jobs
    finally:
        assert closed == begun


def _lose_the_answer(setup: Setup) -> None:
    setup.sandbox.inject(Fault.reset("after"), route=_GENERATE, times=1)


def _refuse_once(setup: Setup) -> None:
    setup.sandbox.inject(Fault.rate_limited(_LATE), route=_GENERATE, times=1)


async def _generate(setup: Setup) -> None:
    """Take a name of its own: one that a cancelled submission has left in doubt would stay in doubt for an hour."""
    name = f"{REFERENCE}-{next(_NUMBERS)}"
    accepted = await setup.client.lipsync.generate(video=_VIDEO, audio=_VIDEO, reference_id=name)
    assert accepted.request_id in setup.sandbox.jobs


_SUBMISSIONS: Final = (
    Scenario(key="translations.generate", act=_generate_translation),
    Scenario(key="request, POST", act=_post_raw),
    Scenario(key="generate, 429 at first", act=_generate, prepare=_refuse_once),
    Scenario(key="generate, answer lost", act=_generate, prepare=_lose_the_answer, is_slow=True),
    Scenario(key="generate_with_media, paths", act=_upload_paths, prepare=send_slowly, has_threads=True),
    Scenario(key="generate_with_media, open file", act=_upload_open_file, prepare=send_slowly, has_threads=True),
    Scenario(key="generate_with_media, chunks", act=_upload_chunks, prepare=send_slowly),
)

# Files

_FILES: Final = (
    Scenario(key="download", act=files.download, prepare=files.finish, check=files.check_part, has_threads=True),
    Scenario(
        key="download, resumed",
        act=files.download,
        prepare=files.leave_a_part,
        check=files.check_part,
        has_threads=True,
    ),
    Scenario(
        key="download, broken off at first",
        act=files.download,
        prepare=files.break_off,
        check=files.check_part,
        has_threads=True,
    ),
    Scenario(
        key="download, a translation",
        act=files.download_translation,
        prepare=files.finish,
        check=files.check_folder,
        has_threads=True,
    ),
)


# The client itself


async def _enter(setup: Setup) -> None:
    """Make a client, use it and close it, with a call still under way."""
    async with AsyncClient(KEY, **setup.options) as client:
        await client.users.me()
        calls = [asyncio.ensure_future(client.lipsync.requests.get(id)) for id in IDS]
        for call in calls:
            call.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.sleep(0)


async def _serve_nobody(_: Setup) -> None:
    async with Sandbox() as sandbox:
        assert sandbox.base_url


async def _serve(setup: Setup) -> None:
    """Start a sandbox, and stop it with a call, an upload and a webhook under way."""
    async with AsyncExitStack() as stack:
        sandbox = Sandbox()
        clients: list[AsyncClient] = []

        async def close() -> None:
            for client in clients:
                await client.aclose()

        stack.push_async_callback(close)
        await stack.enter_async_context(sandbox)
        client = AsyncClient(KEY, base_url=sandbox.base_url)
        clients.append(client)
        await client.lipsync.generate_with_media(video=MEDIUM[:9], audio=MEDIUM[:9])
        sandbox.inject(Fault.hang())
        call = asyncio.ensure_future(client.users.me())
        call.add_done_callback(lambda done: done.cancelled() or done.exception())
        sandbox.add_job(family="video_translate", job_seconds=0.0, webhook_url=f"{sandbox.base_url}/v1/users/me")
        while sandbox.count() < 3:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)


_LIFE: Final = (
    Scenario(key="async with AsyncClient", act=_enter),
    Scenario(key="async with Sandbox", act=_serve_nobody),
    Scenario(key="async with Sandbox, at work", act=_serve, is_long=True),
)

_OF_THE_MATRIX: Final = ("get", "get_many", "list", "iterate", "wait", "watch", "as_finished", "wait_all")
_PAID_OF_THE_MATRIX: Final = ("generate", "generate_unnamed")

SCENARIOS: Final = (
    *(
        Scenario(key=operation.key, act=operation.run)
        for operation in OPERATIONS
        if operation.key in (*_OF_THE_MATRIX, *_PAID_OF_THE_MATRIX)
    ),
    *_READS,
    *_CALLS,
    *_WAITS,
    *_SUBMISSIONS,
    *_FILES,
    *_LIFE,
)

FAST_RETRY: Final = RetryPolicy(initial=_LATE, max=2 * _LATE)
