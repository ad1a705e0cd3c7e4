from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from chamelaion_async.sandbox import ManualClock, Sandbox

Serve = Callable[..., Awaitable[tuple[Sandbox, aiohttp.ClientSession]]]


async def look(session: aiohttp.ClientSession) -> tuple[int, str | None]:
    async with session.get("v1/users/me") as response:
        return response.status, response.headers.get("Retry-After")


async def test_requests_beyond_the_rate_are_refused_in_the_documented_words(serve: Serve) -> None:
    _, session = await serve(rate_limit=2)
    assert [(await look(session))[0] for _ in range(2)] == [200, 200]

    async with session.get("v1/users/me") as response:
        assert (response.status, await response.json()) == (429, {"error": "rate limit exceeded"})


async def test_the_rate_holds_in_every_second_and_not_from_one_to_the_next(serve: Serve, clock: ManualClock) -> None:
    _, session = await serve(rate_limit=2)
    await look(session)
    clock.advance(0.9)
    await look(session)
    assert (await look(session))[0] == 429

    clock.advance(0.1)
    assert [(await look(session))[0] for _ in range(2)] == [200, 429]
    clock.advance(0.9)
    assert [(await look(session))[0] for _ in range(2)] == [200, 429]


async def test_a_rate_below_one_is_one_request_in_longer_than_a_second(serve: Serve, clock: ManualClock) -> None:
    _, session = await serve(rate_limit=0.25)
    assert (await look(session))[0] == 200
    clock.advance(3.9)
    assert await look(session) == (429, "1")
    clock.advance(0.1)
    assert (await look(session))[0] == 200


@pytest.mark.parametrize(
    ("retry_after", "header"), [("auto", "7"), (None, None), (1.5, "1.5"), (-1, "-1"), ("soon", "soon")]
)
async def test_retry_after_is_computed_left_out_or_sent_as_given(
    serve: Serve, clock: ManualClock, lipsync_body: dict[str, Any], retry_after: object, header: str | None
) -> None:
    _, session = await serve(generate_limit=1, retry_after=retry_after)
    async with session.post("v1/lipsync/generate", json=lipsync_body) as response:
        assert response.status == 200
    clock.advance(53.5)

    async with session.post("v1/lipsync/generate", json=lipsync_body) as response:
        assert (response.status, response.headers.get("Retry-After")) == (429, header)


async def test_each_lane_has_a_limit_of_its_own(serve: Serve, lipsync_body: dict[str, Any]) -> None:
    sandbox, session = await serve(rate_limit=1, generate_limit=2)
    for _ in range(2):
        async with session.post("v1/lipsync/generate", json=lipsync_body) as response:
            assert response.status == 200
    assert (await look(session))[0] == 200

    async with session.post("v1/lipsync/generate", json=lipsync_body) as response:
        assert response.status == 429
    assert len(sandbox.jobs) == 2


@pytest.mark.parametrize(
    "path",
    [
        "v1/users/me",
        "v1/lipsync/requests",
        "v1/lipsync/requests/dub-episode-42",
        "v1/video-translate/requests",
        "v1/video-translate/requests/x",
        "v1/video-translate/voices",
    ],
)
async def test_everything_that_reads_is_in_the_status_lane(serve: Serve, path: str) -> None:
    sandbox, session = await serve(rate_limit=1)
    await look(session)

    async with session.get(path) as response:
        assert response.status == 429
    assert sandbox.count(lane="status") == 2


@pytest.mark.parametrize(
    "path",
    [
        "v1/lipsync/generate",
        "v1/lipsync/generate-with-media",
        "v1/video-translate/generate",
        "v1/video-translate/generate-with-media",
    ],
)
async def test_everything_that_starts_a_job_is_in_the_generation_lane(
    serve: Serve, lipsync_body: dict[str, Any], path: str
) -> None:
    sandbox, session = await serve(generate_limit=1)
    async with session.post("v1/lipsync/generate", json=lipsync_body):
        pass

    async with session.post(path) as response:
        assert response.status == 429
    assert sandbox.count(lane="generate") == 2


async def test_health_and_downloads_and_strangers_are_not_counted(serve: Serve) -> None:
    sandbox, session = await serve(rate_limit=1)
    for path in ("health", "output/6f82a2d8.mp4"):
        async with session.get(path) as response:
            assert response.status == 200
    async with (
        aiohttp.ClientSession() as stranger,
        stranger.get(f"{sandbox.base_url}/v1/users/me") as response,
    ):
        assert response.status == 401

    assert await look(session) == (200, None)
