"""Every public operation of the client, as what is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing
from functools import partial
from itertools import count
from operator import attrgetter
from typing import Any, Final, TypeVar

import attrs

from chamelaion_async import (
    AsyncClient,
    LipsyncRequest,
    Outcome,
    Pace,
    RetryPolicy,
    Subtitle,
    Upload,
    VideoTranslateRequest,
)
from chamelaion_async.sandbox import Fault, Sandbox
from tests.faults.operations import OPERATIONS
from tests.faults.setup import IDS, KEY, REFERENCE, Setup

from . import files, threads
from .files import MEDIUM, TRANSLATION
from .slow_sending import send_slowly

T = TypeVar("T")
Act = Callable[[Setup], Awaitable[object]]
_VIDEO: Final = "https://cdn.example.com/42.mp4"
_LATE: Final = 0.002  # seconds
_GET: Final = "GET /v1/lipsync/requests/{id}"
_GENERATE: Final = "POST /v1/lipsync/generate"
_NUMBERS: Final = count()  # of submissions


def _nothing(_: Setup) -> None:
    """There is nothing to prepare, or to check."""


@attrs.frozen
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
        is_long: Whether it awaits so much that each run of the tests walks through a part of it only.
        is_slow: Whether it has pauses of seconds, which only a loop on virtual time can afford.
    """

    key: str
    act: Act
    prepare: Callable[[Setup], object] = attrs.field(default=_nothing, kw_only=True)
    beside: Act | None = attrs.field(default=None, kw_only=True)
    is_beside_first: bool = attrs.field(default=False, kw_only=True)
    check: Callable[[Setup], None] = attrs.field(default=_nothing, kw_only=True)
    options: Mapping[str, Any] = attrs.field(factory=dict, kw_only=True)
    ends_later: bool = attrs.field(default=False, kw_only=True)
    has_threads: bool = attrs.field(default=False, kw_only=True)
    is_long: bool = attrs.field(default=False, kw_only=True)
    is_slow: bool = attrs.field(default=False, kw_only=True)


def _call(call: Callable[[Any], Awaitable[Any]], is_right: Callable[[Any], object], of: str = "") -> Act:
    """Return what makes a call of the client, or of a part of it, and fails unless the result is right."""

    async def act(setup: Setup) -> None:
        result = await call(attrgetter(of)(setup.client) if of else setup.client)
        assert is_right(result), result

    return act


async def _all(items: AsyncGenerator[T, None]) -> list[T]:
    async with aclosing(items):
        return [item async for item in items]


async def _take_one(items: AsyncGenerator[Any, None], *, closes: bool = True) -> None:
    """Leave after the first item; without closing, that is the loop's to do once nothing refers to the iterator."""
    try:
        async for item in items:
            assert item is not None
            break
    finally:
        if closes:
            await items.aclose()
        del items  # the task of a cancelled operation keeps this frame


_requests = partial(_call, of="lipsync.requests")
_translations = partial(_call, of="video_translate.requests")
_voices = partial(_call, of="video_translate.voices")
_me = _call(lambda client: client.users.me(), lambda user: user.name)
_request = _call(lambda it: it.request("GET", f"/v1/lipsync/requests/{IDS[0]}"), lambda job: job["id"] == IDS[0])


def _has_translation(requests: list[VideoTranslateRequest]) -> bool:
    return TRANSLATION in {request.id for request in requests}


def _are_of_one(outcomes: dict[str, Outcome[VideoTranslateRequest]]) -> bool:
    return {outcome.unwrap().id for outcome in outcomes.values()} == {TRANSLATION}


_READS: Final = (
    Scenario("translations.get", _translations(lambda it: it.get(TRANSLATION), lambda job: job.id == TRANSLATION)),
    Scenario(
        "translations.list", _translations(lambda it: it.list(limit=5), lambda page: _has_translation(page.data))
    ),
    Scenario("translations.iterate", _translations(lambda it: _all(it.iterate(page_size=1)), _has_translation)),
    Scenario("translations.get_many", _translations(lambda it: it.get_many([TRANSLATION, "tr-42"]), _are_of_one)),
    Scenario("voices.list", _voices(lambda it: it.list(), lambda page: page.data)),
    Scenario("voices.iterate", _voices(lambda it: _all(it.iterate(page_size=2)), lambda voices: len(voices) > 2)),
    Scenario("health.check", _call(lambda it: it.check(), lambda health: health.status == "ok", of="health")),
    Scenario("users.me", _me),
    Scenario("request", _request),
    Scenario("request_raw", _call(lambda it: it.request_raw("GET", "/v1/users/me"), lambda raw: raw.status == 200)),
    Scenario("iterate, left early", lambda setup: _take_one(setup.client.lipsync.requests.iterate(page_size=2))),
)


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


_ONE_AT_ONCE: Final = {"pace": Pace(max_concurrency=1)}
_CALLS: Final = (
    # The look-up of the name is shared by all calls, and comes to its own end.
    Scenario("users.me, over a name", _me, prepare=_go_by_name, ends_later=True),
    Scenario("users.me, 500 at first", _me, prepare=partial(_fail_once, Fault.status(500))),
    Scenario("users.me, 429 at first", _me, prepare=partial(_fail_once, Fault.rate_limited(_LATE))),
    Scenario("users.me, reset at first", _me, prepare=partial(_fail_once, Fault.reset())),
    Scenario("request, dripping", _request, prepare=partial(_fail_once, Fault.drip(_LATE / 10, step=64))),
    Scenario("users.me, lane full", _me, prepare=_be_late, beside=_me, is_beside_first=True, options=_ONE_AT_ONCE),
    Scenario("users.me, another behind it", _me, prepare=_be_late, beside=_me, options=_ONE_AT_ONCE),
    Scenario(
        "users.me, at a slow pace",
        _me,
        beside=_read_thrice,
        is_beside_first=True,
        options={"pace": Pace(max_rate=500.0, max_concurrency=2)},
    ),
    Scenario("get, three in a group", _read_thrice, options={"pace": Pace(max_concurrency=2)}),
)


_is_completed = attrgetter("is_completed")
_wait_first = _call(lambda it: it.wait_until_finished(IDS[0], timeout=None), _is_completed)


async def _wait_at_length(setup: Setup) -> None:
    """Await ``on_update`` at every change."""
    seen: list[str] = []

    async def update(request: Any) -> None:
        await asyncio.sleep(0)
        seen.append(request.status)

    request = await setup.client.wait_until_finished(IDS[0], on_update=update)
    assert seen[-1] == request.status == "completed"


async def _wait_nudged(setup: Setup) -> None:
    """The next poll is an hour away, until the nudge brings it forward."""

    def nudge(request: LipsyncRequest) -> None:
        if not request.is_finished:
            files.end(setup, IDS[2])
            setup.client.lipsync.requests.nudge(IDS[2])

    polling = attrs.evolve(setup.options["polling"], min_interval=3600.0, max_interval=3600.0)
    request = await setup.client.wait_until_finished(IDS[2], timeout=None, polling=polling, on_update=nudge)
    assert request.is_finished


def _batch(setup: Setup) -> AsyncGenerator[Any, None]:
    return setup.client.lipsync.requests.as_finished(IDS)


def _watch(setup: Setup) -> AsyncGenerator[Any, None]:
    return setup.client.lipsync.requests.watch(IDS[0])


async def _wait_for_all_and_one(setup: Setup) -> None:
    requests = setup.client.lipsync.requests
    outcomes = await requests.wait_all([*IDS, "dub-0", "unknown"])
    assert [outcome.error is None for outcome in outcomes.values()] == [True] * 4 + [False]


_WAITS: Final = (
    Scenario("wait, telling of changes", _wait_at_length),
    Scenario("translations.wait", _translations(lambda it: it.wait_until_finished(TRANSLATION), _is_completed)),
    Scenario("translations.wait_all", _translations(lambda it: it.wait_all([TRANSLATION]), _are_of_one)),
    Scenario("wait, by reference", _call(lambda it: it.wait_until_finished("dub-1"), lambda job: job.id == IDS[1])),
    Scenario("wait, nudged", _wait_nudged),
    Scenario("wait, 503 at first", _wait_first, prepare=partial(_fail_once, Fault.status(503))),
    Scenario("wait, out of reach at first", _wait_first, prepare=_be_out_of_reach, is_slow=True),
    Scenario("wait, 429 at first", _wait_first, prepare=partial(_fail_once, Fault.rate_limited(_LATE))),
    Scenario("wait, another for the same behind it", _wait_first, beside=_wait_first),
    Scenario("wait, another for the same before it", _wait_first, beside=_wait_first, is_beside_first=True),
    Scenario("wait, a batch beside it", _wait_first, beside=_wait_for_all_and_one),
    Scenario("wait_all, a wait beside it", _wait_for_all_and_one, beside=_wait_first),
    Scenario(
        "wait_all, out of time", _requests(lambda it: it.wait_all(IDS, timeout=0.0), lambda found: {*found} == {*IDS})
    ),
    Scenario("as_finished, left early", lambda setup: _take_one(_batch(setup))),
    Scenario("as_finished, dropped", lambda setup: _take_one(_batch(setup), closes=False), ends_later=True),
    Scenario("watch_many, left early", lambda setup: _take_one(setup.client.lipsync.requests.watch_many(IDS))),
    Scenario("watch, left early", lambda setup: _take_one(_watch(setup))),
    Scenario("watch, dropped", lambda setup: _take_one(_watch(setup), closes=False), ends_later=True),
)


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
    """The caller's file stays open, and is left at its position."""
    video, _ = files.media(setup)
    with video.open("rb") as file:
        file.seek(7)
        try:
            accepted = await setup.client.lipsync.generate_with_media(video=file, audio=MEDIUM[:9])
            assert accepted.request_id in setup.sandbox.jobs
        finally:
            task = asyncio.current_task()
            # A caller that is cancelled once more does not wait for this.
            if task is not None and task.cancelling() < 2:
                assert file.tell() == 7
                file.seek(3)
                await threads.all_done()
                assert file.tell() == 3


async def _upload_chunks(setup: Setup) -> None:
    """The caller's generator is closed before the call returns."""
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
    Scenario("translations.generate", _generate_translation),
    Scenario("request, POST", _post_raw),
    Scenario("generate, 429 at first", _generate, prepare=_refuse_once),
    Scenario("generate, answer lost", _generate, prepare=_lose_the_answer, is_slow=True),
    Scenario("generate_with_media, paths", _upload_paths, prepare=send_slowly, has_threads=True),
    Scenario("generate_with_media, open file", _upload_open_file, prepare=send_slowly, has_threads=True),
    Scenario("generate_with_media, chunks", _upload_chunks, prepare=send_slowly),
)

_FILES: Final = (
    Scenario("download", files.download, prepare=files.finish, check=files.check_part, has_threads=True),
    Scenario(
        "download, resumed", files.download, prepare=files.leave_a_part, check=files.check_part, has_threads=True
    ),
    Scenario(
        "download, broken off at first",
        files.download,
        prepare=files.break_off,
        check=files.check_part,
        has_threads=True,
    ),
    Scenario(
        "download, a translation",
        files.download_translation,
        prepare=files.finish,
        check=files.check_folder,
        has_threads=True,
    ),
)


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
    Scenario("async with AsyncClient", _enter),
    Scenario("async with Sandbox", _serve_nobody),
    Scenario("async with Sandbox, at work", _serve, is_long=True),
)

_OF_THE_MATRIX: Final = ("get", "get_many", "list", "iterate", "wait", "watch", "as_finished", "wait_all")
_PAID_OF_THE_MATRIX: Final = ("generate", "generate_unnamed")

SCENARIOS: Final = (
    *(
        Scenario(operation.key, operation.run)
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
