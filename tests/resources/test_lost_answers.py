"""Submissions to the sandbox, which loses answers: over HTTP, through the client and its views."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import pytest

from chamelaion_async import (
    APIConnectionError,
    AsyncClient,
    ClientClosedError,
    GenerateAccepted,
    Pace,
    QuotaExceededError,
    RateLimitError,
    RetryPolicy,
    SubmissionUncertainError,
)
from chamelaion_async._http.paging import PAGE_SIZE
from chamelaion_async.sandbox import Fault, Sandbox
from tests.conftest import RefusePages

T = TypeVar("T")
Generate = Callable[..., Awaitable[GenerateAccepted]]

REFERENCE = "dub-42"
GENERATE = "POST /v1/lipsync/generate"
GENERATE_WITH_MEDIA = "POST /v1/lipsync/generate-with-media"
TRANSLATE = "POST /v1/video-translate/generate"
LIST = "GET /v1/lipsync/requests"
VIDEO = "https://cdn.example.com/42.mp4"
AUDIO = "https://cdn.example.com/42.wav"
SWIFT = RetryPolicy(initial=0.01, max=0.02)


async def lipsync(client: AsyncClient, reference_id: str = REFERENCE) -> GenerateAccepted:
    return await client.lipsync.generate(video=VIDEO, audio=AUDIO, reference_id=reference_id)


async def lipsync_upload(client: AsyncClient, reference_id: str = REFERENCE) -> GenerateAccepted:
    return await client.lipsync.generate_with_media(video=b"v" * 5000, audio=b"a" * 3000, reference_id=reference_id)


async def translation(client: AsyncClient, reference_id: str = REFERENCE) -> GenerateAccepted:
    return await client.video_translate.generate(video=VIDEO, target_languages=["de"], reference_id=reference_id)


async def translation_upload(client: AsyncClient, reference_id: str = REFERENCE) -> GenerateAccepted:
    return await client.video_translate.generate_with_media(
        video=b"v", target_languages=["de"], reference_id=reference_id
    )


generates = pytest.mark.parametrize(
    ("route", "generate"),
    [
        (GENERATE, lipsync),
        (GENERATE_WITH_MEDIA, lipsync_upload),
        (TRANSLATE, translation),
        ("POST /v1/video-translate/generate-with-media", translation_upload),
    ],
    ids=["lip sync", "lip sync, uploaded", "translation", "translation, uploaded"],
)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chamelaion_async.resources.submission.SEARCH_PAUSES", (0.0, 0.01, 0.02))


async def all_of(calls: list[Coroutine[Any, Any, T]], at_a_time: int = 50) -> list[T]:
    slots = asyncio.Semaphore(at_a_time)

    async def one(call: Coroutine[Any, Any, T]) -> T:
        async with slots:
            return await call

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(call)) for call in calls]
    return [task.result() for task in tasks]


def references(sandbox: Sandbox, ids: list[str]) -> list[str | None]:
    return [sandbox.jobs[id].reference_id for id in ids]


@pytest.mark.parametrize(
    ("route", "generate", "number", "older"),
    [(GENERATE, lipsync, 500, 0), (GENERATE, lipsync, 100, 10), (GENERATE_WITH_MEDIA, lipsync_upload, 50, 0)],
    ids=["500", "100 with older jobs", "50 uploads"],
)
async def test_each_submission_is_one_job_though_30_of_100_answers_are_dropped(
    sandbox: Sandbox,
    sandbox_client: AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    route: str,
    generate: Callable[..., Coroutine[Any, Any, GenerateAccepted]],
    number: int,
    older: int,
) -> None:
    # Of 500 submissions, one or two would be lost five times in a row, and be uncertain.
    monkeypatch.setattr("chamelaion_async.resources.submission._ATTEMPTS", 12)
    names = [f"dub-{n}" for n in range(number)]
    before = {sandbox.add_job(reference_id=name).id for name in names for _ in range(older)}
    # Half of them before and half of them after the job was started.
    sandbox.inject(Fault.reset(when="before"), route=route, probability=0.15)
    sandbox.inject(Fault.reset(when="after"), route=route, probability=0.15 / 0.85)

    accepted = await all_of([generate(sandbox_client, name) for name in names])

    ids = [each.request_id for each in accepted]
    dropped = [received for received in sandbox.received if received.route == route and received.faults]
    assert len(dropped) > number / 10  # else this shows nothing
    assert (set(ids) & before, len(sandbox.jobs) - len(before), references(sandbox, ids)) == (set(), number, names)
    uploads = Counter(upload.size for id in ids for upload in sandbox.jobs[id].uploads.values())
    assert uploads == ({} if route == GENERATE else {5000: number, 3000: number})


FAULTS = [
    *(
        make(when=when)
        for make in (Fault.reset, Fault.close, Fault.garbage, Fault.hang)
        for when in ("before", "after")
    ),
    *(Fault.status(500, when=when) for when in ("before", "after")),
    Fault.close(when="answered"),
    Fault.truncate(10),
    Fault.status(502, b"<html>", when="after"),
    Fault.status(504, when="after"),
    Fault.body(b"<html>", when="after"),
    Fault.rate_limited(0),
]


async def test_no_mixture_of_faults_makes_a_reference_pay_twice(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A 429 that comes at random, whatever the rate, would slow the lane to a crawl.
    monkeypatch.setattr("chamelaion_async._http.rate.AdaptiveRate.throttled", lambda *_: None)
    for left, fault in zip(range(len(FAULTS) + 10, 0, -1), FAULTS, strict=False):
        sandbox.inject(fault, route=GENERATE, probability=1 / left)
    sandbox.inject(Fault.status(500), route=LIST, probability=0.02)
    names = [f"dub-{n}" for n in range(300)]

    async def one(client: AsyncClient, name: str) -> str | None:
        try:
            return (await lipsync(client, name)).request_id
        except (SubmissionUncertainError, RateLimitError):
            return None

    async with AsyncClient("sk-key", base_url=sandbox.base_url, timeout=0.4, retry=SWIFT) as client:
        ids = await all_of([one(client, name) for name in names])

    returned = {name: id for name, id in zip(names, ids, strict=True) if id is not None}
    assert max(Counter(job.reference_id for job in sandbox.jobs.values()).values()) == 1
    assert references(sandbox, list(returned.values())) == list(returned)


@pytest.mark.parametrize(
    ("fault", "list_lag", "is_found", "jobs"),
    [
        (Fault.hang(when="after"), 0.0, True, 1),
        (Fault.hang(when="before"), 0.0, False, 0),
        (Fault.truncate(10), 3600.0, False, 1),
    ],
    ids=["timed out, accepted", "timed out, not accepted", "accepted, and broken off"],
)
async def test_what_the_service_may_have_accepted_is_submitted_once(
    fault: Fault, list_lag: float, is_found: bool, jobs: int
) -> None:
    async with (
        Sandbox(list_lag=list_lag) as sandbox,
        AsyncClient("sk-key", base_url=sandbox.base_url, timeout=0.1, retry=SWIFT) as client,
    ):
        sandbox.inject(fault, route=GENERATE)
        try:
            found = [(await lipsync(client)).request_id]
        except SubmissionUncertainError:
            found = []

        assert (found, sandbox.count(GENERATE), len(sandbox.jobs)) == ([*sandbox.jobs] if is_found else [], 1, jobs)


async def test_an_outage_of_the_service_is_not_uncertain(sandbox: Sandbox) -> None:
    async with AsyncClient("sk-key", base_url=sandbox.base_url, retry=SWIFT) as client:
        await sandbox.stop()
        with pytest.raises(APIConnectionError) as caught:
            await lipsync(client)

    assert caught.value.sent == "no"


async def test_a_closed_client_leaves_nothing_open(sandbox: Sandbox) -> None:
    client = AsyncClient("sk-key", base_url=sandbox.base_url)
    await client.aclose()

    with pytest.raises(ClientClosedError) as caught:
        await client.lipsync.generate(video=VIDEO, audio=AUDIO)

    assert not hasattr(caught.value, "__notes__")


async def test_a_client_closed_during_the_search_says_so(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.reset(when="after"), route=GENERATE)
    searching = sandbox.inject(Fault.hang(), route=LIST, after=1)
    async with AsyncClient("sk-key", base_url=sandbox.base_url) as client:
        task = asyncio.create_task(lipsync(client))
        async with asyncio.timeout(5):
            while not searching.hits:
                await client.health.check()
        await client.aclose()

        with pytest.raises(ClientClosedError):
            await task


async def test_views_of_a_client_know_of_each_others_submissions(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    sandbox.inject(Fault.reset(when="after"), route=GENERATE, times=2)
    view = sandbox_client.with_options(timeout=5.0)

    results = await asyncio.gather(lipsync(sandbox_client), lipsync(view), return_exceptions=True)

    assert ([type(result) for result in results], len(sandbox.jobs)) == ([SubmissionUncertainError] * 2, 2)


@generates
async def test_views_of_a_client_know_which_jobs_were_returned(
    sandbox: Sandbox, sandbox_client: AsyncClient, route: str, generate: Generate
) -> None:
    """The list does not show the first job before the second submission, and shows it afterwards."""
    first = await generate(sandbox_client)
    empty = b'{"data": [], "pagination": {"limit": 100, "offset": 0, "total": 0}}'
    family = route.removeprefix("POST ").rpartition("/")[0]
    sandbox.inject(Fault.body(empty), route=f"GET {family}/requests", times=1)
    sandbox.inject(Fault.status(504), route=route, times=1)

    with pytest.raises(SubmissionUncertainError):
        await generate(sandbox_client.with_options(timeout=5.0))

    assert list(sandbox.jobs) == [first.request_id]


async def test_views_of_a_client_know_which_references_are_uncertain(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    sandbox.inject(Fault.status(504, when="before"), route=GENERATE, times=1)
    sandbox.inject(Fault.reset(when="after"), route=GENERATE, times=1)

    for client in (sandbox_client.with_options(timeout=5.0), sandbox_client):
        with pytest.raises(SubmissionUncertainError):
            await lipsync(client)


async def test_a_lip_sync_and_a_translation_at_once_may_share_a_reference(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    """Each family has a list of its own."""
    sandbox.inject(Fault.reset(when="after"), route=GENERATE, times=1)

    accepted, _ = await asyncio.gather(lipsync(sandbox_client), translation(sandbox_client))

    assert sandbox.jobs[accepted.request_id].family == "lipsync"


async def test_an_uncertain_lip_sync_says_nothing_of_a_translation(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    sandbox.inject(Fault.status(504, when="after"), route=GENERATE, times=1)
    sandbox.inject(Fault.reset(when="after"), route=TRANSLATE, times=1)
    sandbox.inject(Fault.status(500), route=LIST)
    with pytest.raises(SubmissionUncertainError):
        await lipsync(sandbox_client)

    accepted = await translation(sandbox_client)

    assert sandbox.jobs[accepted.request_id].family == "video_translate"


@generates
async def test_a_used_up_quota_may_be_the_effect_of_a_lost_submission(route: str, generate: Generate) -> None:
    async with (
        Sandbox(list_lag=30, token_limit=1) as sandbox,
        AsyncClient("sk-key", base_url=sandbox.base_url) as client,
    ):
        sandbox.inject(Fault.reset(when="after"), route=route, times=1)

        with pytest.raises(SubmissionUncertainError) as caught:
            await generate(client)

    assert (type(caught.value.__cause__), caught.value.reference_id) == (QuotaExceededError, REFERENCE)
    assert (len(sandbox.jobs), sandbox.count(route)) == (1, 2)


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("largest", [99, 20, 5])
@generates
async def test_a_job_is_found_in_a_list_that_refuses_large_pages(
    sandbox: Sandbox,
    sandbox_client: AsyncClient,
    refuse_pages: RefusePages,
    route: str,
    generate: Generate,
    largest: int,
    status: int,
) -> None:
    refuse_pages(largest, status)
    sandbox.inject(Fault.reset(when="after"), route=route, times=1)

    accepted = await generate(sandbox_client)

    assert list(sandbox.jobs) == [accepted.request_id]


async def test_the_page_size_that_a_list_takes_is_remembered(
    sandbox_client: AsyncClient, refuse_pages: RefusePages
) -> None:
    limits = refuse_pages(20, 400)

    for number in range(3):
        await lipsync(sandbox_client, f"dub-{number}")

    assert limits == [str(PAGE_SIZE), "20", "20", "20"]


@pytest.mark.parametrize("reference_id", ["dub 42", "a/b&c=d#e?f", "../x", "日本語 🎬", "100%", "a+b"])
async def test_a_lost_job_is_found_under_an_odd_reference(
    sandbox: Sandbox, sandbox_client: AsyncClient, reference_id: str
) -> None:
    sandbox.inject(Fault.reset(when="after"), route=GENERATE, times=1)

    accepted = await lipsync(sandbox_client, reference_id)

    assert [(job.id, job.reference_id) for job in sandbox.jobs.values()] == [(accepted.request_id, reference_id)]


async def test_a_429_of_the_list_beforehand_does_not_stop_a_submission(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    """Reads and submissions have lanes of their own: a service may limit the one and take the other."""
    sandbox.inject(Fault.rate_limited(0), route=LIST, times=1)

    await lipsync(sandbox_client)

    assert len(sandbox.jobs) == 1


async def test_a_lane_of_one_slot_does_not_block_searches(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.reset(when="after"), route=GENERATE)
    async with AsyncClient("sk-key", base_url=sandbox.base_url, pace=Pace(max_concurrency=1)) as client:
        async with asyncio.timeout(10):
            accepted = await asyncio.gather(*(lipsync(client, f"dub-{n}") for n in range(20)))

    assert {each.request_id for each in accepted} == set(sandbox.jobs)
