"""What is done while something goes wrong: every operation of the client, each with what makes its result right."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Final, Literal

import attrs

from chamelaion_async import ChamelaionError, GenerateAccepted, LipsyncRequest, Outcome

from .setup import IDS, OUTPUT, REFERENCE, Setup

Kind = Literal["read", "wait", "paid", "file"]
Errors = Sequence[ChamelaionError]
"""The errors in the outcomes of a batch; none when all is well."""

_GET: Final = "GET /v1/lipsync/requests/{id}"
_LIST: Final = "GET /v1/lipsync/requests"
_GENERATE: Final = "POST /v1/lipsync/generate"
_WITH_MEDIA: Final = "POST /v1/lipsync/generate-with-media"
_OUTPUT: Final = "GET /output/{name:path}"
_WAIT: Final = 90.0
_VIDEO: Final = "https://cdn.example.com/42.mp4"
_AUDIO: Final = "https://cdn.example.com/42.wav"


@attrs.frozen
class Operation:
    """One operation.

    Attributes:
        key: Its name in the rules.
        kind: What is at stake.
        route: Where a fault meets it.
        run: Does it, and fails unless an answer is right; raises what the client raises.
        deadline: Seconds that it may take at most, whatever happens.
        hits: How many of its requests a fault hits that passes.
        after: How many requests the fault lets pass first.
        title: Its name in the documentation.
    """

    key: str
    kind: Kind
    route: str
    run: Callable[[Setup], Awaitable[Errors]]
    deadline: float
    hits: int = attrs.field(default=1, kw_only=True)
    after: int = attrs.field(default=0, kw_only=True)
    title: str = attrs.field(default=attrs.Factory(lambda self: f"`{self.key}`", takes_self=True), kw_only=True)


async def _get(setup: Setup) -> Errors:
    request = await setup.client.lipsync.requests.get(IDS[0])
    assert request.id == IDS[0]
    return ()


async def _list(setup: Setup) -> Errors:
    page = await setup.client.lipsync.requests.list()
    assert {request.id for request in page.data} == set(IDS)
    return ()


async def _iterate(setup: Setup) -> Errors:
    async with aclosing(setup.client.lipsync.requests.iterate(page_size=2)) as requests:
        assert sorted([request.id async for request in requests]) == sorted(IDS)
    return ()


async def _get_many(setup: Setup) -> Errors:
    outcomes = await setup.client.lipsync.requests.get_many(IDS)
    assert tuple(outcomes) == IDS
    return _errors(outcomes.values())


async def _wait(setup: Setup) -> Errors:
    request = await setup.client.wait_until_finished(IDS[0], timeout=_WAIT)
    assert request.id == IDS[0]
    assert request.is_finished
    return ()


async def _watch(setup: Setup) -> Errors:
    async with aclosing(setup.client.lipsync.requests.watch(IDS[0], timeout=_WAIT)) as requests:
        seen = [request async for request in requests]
    assert {request.id for request in seen} == {IDS[0]}
    assert [request.is_finished for request in seen] == [False] * (len(seen) - 1) + [True]
    return ()


async def _as_finished(setup: Setup) -> Errors:
    async with aclosing(setup.client.lipsync.requests.as_finished(IDS, timeout=_WAIT)) as found:
        outcomes = [outcome async for outcome in found]
    assert sorted(outcome.id for outcome in outcomes) == sorted(IDS)
    assert all(outcome.request.is_finished for outcome in outcomes if outcome.request is not None)
    return _errors(outcomes)


async def _wait_all(setup: Setup) -> Errors:
    outcomes = await setup.client.lipsync.requests.wait_all(IDS, timeout=_WAIT)
    assert tuple(outcomes) == IDS
    assert all(outcome.request.is_finished for outcome in outcomes.values() if outcome.request is not None)
    return _errors(outcomes.values())


def _errors(outcomes: Iterable[Outcome[LipsyncRequest]]) -> Errors:
    return [outcome.error for outcome in outcomes if outcome.error is not None]


async def _generate(setup: Setup) -> Errors:
    accepted = await setup.client.lipsync.generate(video=_VIDEO, audio=_AUDIO, reference_id=REFERENCE)
    return _check_accepted(setup, accepted)


async def _generate_unnamed(setup: Setup) -> Errors:
    return _check_accepted(setup, await setup.client.lipsync.generate(video=_VIDEO, audio=_AUDIO))


async def _generate_with_media(setup: Setup) -> Errors:
    video, audio = setup.folder / "video.mp4", setup.folder / "audio.wav"
    video.write_bytes(OUTPUT * 100)
    audio.write_bytes(OUTPUT)
    accepted = await setup.client.lipsync.generate_with_media(video=video, audio=audio, reference_id=REFERENCE)
    return _check_accepted(setup, accepted)


def _check_accepted(setup: Setup, accepted: GenerateAccepted) -> Errors:
    assert accepted.request_id in setup.sandbox.jobs
    return ()


async def _download(setup: Setup) -> Errors:
    path = await setup.client.download(setup.output_url, setup.output_file)
    assert path == setup.output_file
    return ()


# Three attempts of 60 s, and as many pauses of at most 60 s as lie between them, for the lane and for the call.
_CALL: Final = 3 * 60.0 + 2 * 60.0 + 10.0
# Ten refusals for each id, which take turns in what the lane lets through, a little later than the service ordered.
_BATCH: Final = len(IDS) * 10 * (60.0 + 8.0)

OPERATIONS: Final = (
    Operation("get", "read", _GET, _get, _CALL),
    Operation("get_many", "read", "GET *", _get_many, _BATCH),
    Operation("list", "read", _LIST, _list, _CALL),
    Operation("iterate", "read", _LIST, _iterate, 2 * _CALL),
    Operation("wait", "wait", "GET *", _wait, _WAIT + 2, title="`wait_until_finished`"),
    Operation("watch", "wait", "GET *", _watch, _WAIT + 2, after=1),
    Operation("as_finished", "wait", "GET *", _as_finished, _WAIT + 2),
    Operation("wait_all", "wait", "GET *", _wait_all, _WAIT + 2, after=3),
    Operation("generate", "paid", _GENERATE, _generate, 2 * _CALL),
    Operation("generate_with_media", "paid", _WITH_MEDIA, _generate_with_media, 2 * _CALL),
    Operation("generate_blind", "paid", "*", _generate, 2 * _CALL, hits=2, title="`generate`, list struck too"),
    Operation(
        "generate_unnamed", "paid", _GENERATE, _generate_unnamed, _CALL, title="`generate` without `reference_id`"
    ),
    Operation("download", "file", _OUTPUT, _download, 1200.0),
)
