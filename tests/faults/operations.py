"""What is done while something goes wrong: every operation of the client, each with what makes its result right."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Final, Literal

import attrs

from chamelaion_async import ChamelaionError, GenerateAccepted, LipsyncRequest, Outcome

from .stage import IDS, OUTPUT, REFERENCE, Stage

Kind = Literal["read", "wait", "paid", "file"]
Errors = Sequence[ChamelaionError]
"""What a batch tells of single jobs; none when all is well."""

_GET: Final = "GET /v1/lipsync/requests/{id}"
_LIST: Final = "GET /v1/lipsync/requests"
_GENERATE: Final = "POST /v1/lipsync/generate"
_WITH_MEDIA: Final = "POST /v1/lipsync/generate-with-media"
_OUTPUT: Final = "GET /output/{name:path}"
_WAIT: Final = 90.0
_VIDEO: Final = "https://cdn.example.com/42.mp4"
_AUDIO: Final = "https://cdn.example.com/42.wav"


@attrs.frozen(kw_only=True)
class Operation:
    """One operation.

    Attributes:
        key: How rules name it.
        title: How the documentation names it.
        kind: What is at stake.
        route: What a fault has to strike to meet it.
        run: Does it, and fails unless an answer is right; raises what the client raises.
        deadline: Seconds that it may take at most, whatever happens.
        strikes: How many of its requests a fault strikes that passes.
        after: How many of them it lets pass first.
    """

    key: str
    title: str
    kind: Kind
    route: str
    run: Callable[[Stage], Awaitable[Errors]]
    deadline: float
    strikes: int = 1
    after: int = 0


async def _get(stage: Stage) -> Errors:
    request = await stage.client.lipsync.requests.get(IDS[0])
    assert request.id == IDS[0]
    return ()


async def _list(stage: Stage) -> Errors:
    page = await stage.client.lipsync.requests.list()
    assert {request.id for request in page.data} == set(IDS)
    return ()


async def _iterate(stage: Stage) -> Errors:
    async with aclosing(stage.client.lipsync.requests.iterate(page_size=2)) as requests:
        assert sorted([request.id async for request in requests]) == sorted(IDS)
    return ()


async def _get_many(stage: Stage) -> Errors:
    outcomes = await stage.client.lipsync.requests.get_many(IDS)
    assert tuple(outcomes) == IDS
    return _errors(outcomes.values())


async def _wait(stage: Stage) -> Errors:
    request = await stage.client.wait_until_finished(IDS[0], timeout=_WAIT)
    assert request.id == IDS[0]
    assert request.is_finished
    return ()


async def _watch(stage: Stage) -> Errors:
    async with aclosing(stage.client.lipsync.requests.watch(IDS[0], timeout=_WAIT)) as requests:
        seen = [request async for request in requests]
    assert {request.id for request in seen} == {IDS[0]}
    assert [request.is_finished for request in seen] == [False] * (len(seen) - 1) + [True]
    return ()


async def _as_finished(stage: Stage) -> Errors:
    async with aclosing(stage.client.lipsync.requests.as_finished(IDS, timeout=_WAIT)) as found:
        outcomes = [outcome async for outcome in found]
    assert sorted(outcome.id for outcome in outcomes) == sorted(IDS)
    assert all(outcome.request.is_finished for outcome in outcomes if outcome.request is not None)
    return _errors(outcomes)


async def _wait_all(stage: Stage) -> Errors:
    outcomes = await stage.client.lipsync.requests.wait_all(IDS, timeout=_WAIT)
    assert tuple(outcomes) == IDS
    assert all(outcome.request.is_finished for outcome in outcomes.values() if outcome.request is not None)
    return _errors(outcomes.values())


def _errors(outcomes: Iterable[Outcome[LipsyncRequest]]) -> Errors:
    return [outcome.error for outcome in outcomes if outcome.error is not None]


async def _generate(stage: Stage) -> Errors:
    accepted = await stage.client.lipsync.generate(video=_VIDEO, audio=_AUDIO, reference_id=REFERENCE)
    return _check_accepted(stage, accepted)


async def _generate_unnamed(stage: Stage) -> Errors:
    return _check_accepted(stage, await stage.client.lipsync.generate(video=_VIDEO, audio=_AUDIO))


async def _generate_with_media(stage: Stage) -> Errors:
    video, audio = stage.folder / "video.mp4", stage.folder / "audio.wav"
    video.write_bytes(OUTPUT * 100)
    audio.write_bytes(OUTPUT)
    accepted = await stage.client.lipsync.generate_with_media(video=video, audio=audio, reference_id=REFERENCE)
    return _check_accepted(stage, accepted)


def _check_accepted(stage: Stage, accepted: GenerateAccepted) -> Errors:
    assert accepted.request_id in stage.sandbox.jobs
    return ()


async def _download(stage: Stage) -> Errors:
    path = await stage.client.download(stage.output_url, stage.output_file)
    assert path == stage.output_file
    return ()


# Three attempts of 60 s, and as many pauses of at most 60 s as lie between them, for the lane and for the call.
_CALL: Final = 3 * 60.0 + 2 * 60.0 + 10.0
# Ten refusals for each id, which take turns in what the lane lets through, a little later than it was told.
_BATCH: Final = len(IDS) * 10 * (60.0 + 8.0)

OPERATIONS: Final = (
    Operation(key="get", title="`get`", kind="read", route=_GET, run=_get, deadline=_CALL),
    Operation(key="get_many", title="`get_many`", kind="read", route="GET *", run=_get_many, deadline=_BATCH),
    Operation(key="list", title="`list`", kind="read", route=_LIST, run=_list, deadline=_CALL),
    Operation(key="iterate", title="`iterate`", kind="read", route=_LIST, run=_iterate, deadline=2 * _CALL),
    Operation(key="wait", title="`wait_until_finished`", kind="wait", route="GET *", run=_wait, deadline=_WAIT + 2),
    Operation(key="watch", title="`watch`", kind="wait", route="GET *", run=_watch, deadline=_WAIT + 2, after=1),
    Operation(
        key="as_finished", title="`as_finished`", kind="wait", route="GET *", run=_as_finished, deadline=_WAIT + 2
    ),
    Operation(
        key="wait_all", title="`wait_all`", kind="wait", route="GET *", run=_wait_all, deadline=_WAIT + 2, after=3
    ),
    Operation(key="generate", title="`generate`", kind="paid", route=_GENERATE, run=_generate, deadline=2 * _CALL),
    Operation(
        key="generate_with_media",
        title="`generate_with_media`",
        kind="paid",
        route=_WITH_MEDIA,
        run=_generate_with_media,
        deadline=2 * _CALL,
    ),
    Operation(
        key="generate_blind",
        title="`generate`, list struck too",
        kind="paid",
        route="*",
        run=_generate,
        deadline=2 * _CALL,
        strikes=2,
    ),
    Operation(
        key="generate_unnamed",
        title="`generate` without `reference_id`",
        kind="paid",
        route=_GENERATE,
        run=_generate_unnamed,
        deadline=_CALL,
    ),
    Operation(key="download", title="`download`", kind="file", route=_OUTPUT, run=_download, deadline=1200.0),
)
