from __future__ import annotations

import aiohttp
import pytest

from chamelaion_async.sandbox import ManualClock

from .calling import LIPSYNC, Caller, Serve

ME = "v1/users/me"
GENERATE = "POST v1/lipsync/generate"


async def test_requests_beyond_the_rate_are_refused_with_the_documented_text(serve: Serve) -> None:
    _, call = await serve(rate_limit=2)

    assert [(await call(ME)).status for _ in range(2)] == [200, 200]
    assert (await call(ME)).answer == (429, {"error": "rate limit exceeded"})


async def test_the_rate_holds_for_every_period_of_a_second(serve: Serve, clock: ManualClock) -> None:
    _, call = await serve(rate_limit=2)
    seen = []
    for pause, calls in [(0, 1), (0.9, 2), (0.1, 2), (0.9, 2)]:
        clock.advance(pause)
        seen.append([(await call(ME)).status for _ in range(calls)])

    assert seen == [[200], [200, 429], [200, 429], [200, 429]]


async def test_a_rate_below_one_is_one_request_in_more_than_a_second(serve: Serve, clock: ManualClock) -> None:
    _, call = await serve(rate_limit=0.25)
    assert (await call(ME)).status == 200
    clock.advance(3.9)
    refused = await call(ME)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
    clock.advance(0.1)
    assert (await call(ME)).status == 200


@pytest.mark.parametrize(
    ("retry_after", "header"), [("auto", "7"), (None, None), (1.5, "1.5"), (-1, "-1"), ("soon", "soon")]
)
async def test_retry_after_is_computed_left_out_or_sent_as_given(
    serve: Serve, clock: ManualClock, retry_after: object, header: str | None
) -> None:
    _, call = await serve(generate_limit=1, retry_after=retry_after)
    assert (await call(GENERATE, json=LIPSYNC)).status == 200
    clock.advance(53.5)

    refused = await call(GENERATE, json=LIPSYNC)
    assert (refused.status, refused.headers.get("Retry-After")) == (429, header)


async def test_each_lane_has_a_limit_of_its_own(serve: Serve) -> None:
    sandbox, call = await serve(rate_limit=1, generate_limit=2)

    assert [(await call(GENERATE, json=LIPSYNC)).status for _ in range(2)] == [200, 200]
    assert (await call(ME)).status == 200
    assert (await call(GENERATE, json=LIPSYNC)).status == 429
    assert len(sandbox.jobs) == 2


@pytest.mark.parametrize(
    ("lane", "first", "target"),
    [
        ("status", ME, ME),
        ("status", ME, "v1/lipsync/requests"),
        ("status", ME, "v1/lipsync/requests/dub-episode-42"),
        ("status", ME, "v1/video-translate/requests"),
        ("status", ME, "v1/video-translate/requests/x"),
        ("status", ME, "v1/video-translate/voices"),
        ("generate", GENERATE, GENERATE),
        ("generate", GENERATE, "POST v1/lipsync/generate-with-media"),
        ("generate", GENERATE, "POST v1/video-translate/generate"),
        ("generate", GENERATE, "POST v1/video-translate/generate-with-media"),
    ],
)
async def test_reading_and_starting_jobs_are_counted_in_a_lane_each(
    serve: Serve, lane: str, first: str, target: str
) -> None:
    sandbox, call = await serve(**{"rate_limit" if lane == "status" else "generate_limit": 1})
    await call(first)

    assert (await call(target)).status == 429
    assert sandbox.count(lane=lane) == 2


async def test_health_downloads_and_calls_without_a_key_are_not_counted(serve: Serve) -> None:
    sandbox, call = await serve(rate_limit=1)
    async with aiohttp.ClientSession(f"{sandbox.base_url}/") as session:
        assert (await Caller(session)(ME)).status == 401

    assert [(await call(path)).status for path in ("health", "output/6f82a2d8.mp4", ME)] == [200, 200, 200]
