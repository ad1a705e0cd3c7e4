"""Submitting a lip sync: what goes over the wire, what is refused before, and what each answer becomes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aioresponses import aioresponses
from yarl import URL

from chamelaion_async import (
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    ChamelaionError,
    ConfigurationError,
    GenerateAccepted,
    NotFoundError,
    QuotaExceededError,
    RateLimitError,
    RetryPolicy,
    SubmissionUncertainError,
)
from chamelaion_async.sandbox import Fault, Sandbox

BASE_URL = "https://api.example.com/api"
LIST = "GET /v1/lipsync/requests"
VIDEO = "https://cdn.example.com/episodes/42.mp4"
AUDIO = "https://cdn.example.com/dubs/42-japanese.wav"
INPUTS = [{"type": "video", "url": VIDEO}, {"type": "audio", "url": AUDIO}]
SWIFT = RetryPolicy(initial=0.01, max=0.02)

OPTIONS: list[dict[str, Any]] = [
    {},
    {"reference_id": "日本語 a/b?c#d"},
    {"disable_active_speaker_detection": True},
    {"disable_active_speaker_detection": False},
    {"reference_id": "dub-42", "disable_active_speaker_detection": True},
]
NONE = {"reference_id": None, "disable_active_speaker_detection": None}
options = pytest.mark.parametrize(("asked", "sent"), [*((each, each) for each in OPTIONS), (NONE, {})], ids=ascii)

BAD_URLS = [
    "",
    " ",
    "42.mp4",
    "/films/42.mp4",
    "C:\\films\\42.mp4",
    "cdn.example.com/42.mp4",
    "//cdn.example.com/42.mp4",
    "file:///films/42.mp4",
    "ftp://cdn.example.com/42.mp4",
    "s3://bucket/42.mp4",
    "data:video/mp4;base64,AAAA",
    "javascript:alert(1)",
    "http://",
    "https:///42.mp4",
    "https:cdn.example.com/42.mp4",
    "https://?x",
    "https://#x",
    "https://:443/42.mp4",
    "https://cdn.example.com:99999/42.mp4",
    "https://cdn.example.com:port/42.mp4",
    "http://[::1/42.mp4",
    " https://cdn.example.com/42.mp4",
    "https://cdn.example.com/42.mp4\n",
    "https://cdn.example.com/4\r\n2.mp4",
    "https://cdn.example.com/4\x002.mp4",
    "https://cdn .example.com/42.mp4",
    "https://cdn.example.com/\ud800.mp4",
    None,
    42,
    True,
    b"https://cdn.example.com/42.mp4",
    Path("/films/42.mp4"),
    URL("https://cdn.example.com/42.mp4"),
    ["https://cdn.example.com/42.mp4"],
]
bad_urls = pytest.mark.parametrize("url", BAD_URLS, ids=ascii)

GOOD_URLS = [
    "http://cdn.example.com/42.mp4",
    "HTTPS://CDN.example.com/42.mp4",
    "https://cdn.example.com:8443/42.mp4?X-Amz-Signature=ab%2Fcd%3D&x=%20#t=1",
    "https://203.0.113.7/42.mp4",
    "https://[2001:db8::1]/42.mp4",
    "https://müsic.example/42.mp4",
    "https://cdn.example.com/42%202.mp4",
    "https://cdn.example.com",
]

BAD_REFERENCES = ["", ".", "..", "\ud800", "dub-\udfff", "x" * 513, "ü" * 513, 42, True, b"dub-42", ["dub-42"]]
bad_references = pytest.mark.parametrize("reference_id", BAD_REFERENCES, ids=lambda value: ascii(value)[:20])

BAD_REQUESTS = [
    "invalid request body",
    "content-type must be application/json",
    "expected exactly one video input",
    "expected exactly one audio input",
    'input type must be "video" or "audio"',
]
BAD_UPLOADS = ["content-type must be multipart/form-data", "video file is required", "audio file is required"]
UNAUTHORIZED = [
    "missing authorization header",
    "invalid authorization format",
    "missing token",
    "invalid token",
    "unauthorized",
]
REFUSALS: list[tuple[int, str, type[ChamelaionError]]] = [
    *((400, text, BadRequestError) for text in [*BAD_REQUESTS, *BAD_UPLOADS]),
    *((401, text, AuthenticationError) for text in UNAUTHORIZED),
    (412, "token limit reached", QuotaExceededError),
]
refusals = pytest.mark.parametrize(("status", "text", "kind"), REFUSALS)

GENERATE = "POST /v1/lipsync/generate"
GENERATE_WITH_MEDIA = "POST /v1/lipsync/generate-with-media"
both = pytest.mark.parametrize("route", [GENERATE, GENERATE_WITH_MEDIA])
REFERENCES = pytest.mark.parametrize("reference_id", ["dub-42", None])


async def generate(client: AsyncClient, route: str, **options: Any) -> GenerateAccepted:
    if route == GENERATE:
        return await client.lipsync.generate(**{"video": VIDEO, "audio": AUDIO, **options})
    return await client.lipsync.generate_with_media(**{"video": b"film", "audio": b"sound", **options})


def posted(sandbox: Sandbox) -> list[Any]:
    return [received.body for received in sandbox.received if received.method == "POST"]


@options
async def test_the_body_is_the_documented_one(
    sandbox: Sandbox, sandbox_client: AsyncClient, asked: dict[str, Any], sent: dict[str, Any]
) -> None:
    await generate(sandbox_client, GENERATE, **asked)

    assert posted(sandbox) == [{"inputs": INPUTS, **sent}]


@options
async def test_the_form_is_the_documented_one(
    sandbox: Sandbox, sandbox_client: AsyncClient, tmp_path: Path, asked: dict[str, Any], sent: dict[str, Any]
) -> None:
    video, audio = tmp_path / "42.mp4", tmp_path / "42.wav"
    video.write_bytes(b"film")
    audio.write_bytes(b"sound")

    await generate(sandbox_client, GENERATE_WITH_MEDIA, video=video, audio=str(audio), **asked)

    [form] = posted(sandbox)
    files = {name: (form[name]["filename"], form[name]["size"]) for name in ("video", "audio")}
    assert files == {"video": ("42.mp4", 4), "audio": ("42.wav", 5)}
    texts = {name: {True: "true", False: "false"}.get(value, value) for name, value in sent.items()}
    assert {name: form[name] for name in form if name not in files} == texts


@pytest.mark.parametrize(
    ("route", "content_type"), [(GENERATE, "application/json"), (GENERATE_WITH_MEDIA, "multipart/form-data")]
)
async def test_a_submission_without_a_reference_is_a_single_request(
    sandbox: Sandbox, sandbox_client: AsyncClient, route: str, content_type: str
) -> None:
    accepted = await generate(sandbox_client, route)

    assert accepted == GenerateAccepted(request_id=next(iter(sandbox.jobs)), status="success")
    [received] = sandbox.received
    headers = received.headers
    assert (received.route, headers["Content-Type"].partition(";")[0], headers["x-api-key"]) == (
        route,
        content_type,
        "sk-test-key",
    )


@both
async def test_a_submission_with_a_reference_reads_the_list_first(
    sandbox: Sandbox, sandbox_client: AsyncClient, route: str
) -> None:
    await generate(sandbox_client, route, reference_id="dub 42")

    assert [(r.route, r.query.get("reference_id")) for r in sandbox.received] == [(LIST, "dub 42"), (route, None)]


async def test_what_was_submitted_can_be_waited_for_by_either_id() -> None:
    async with Sandbox(job_seconds=0.0) as sandbox, AsyncClient("sk-key", base_url=sandbox.base_url) as client:
        accepted = await generate(client, GENERATE, reference_id="dub-42")

        by_id = await client.wait_until_finished(accepted.request_id)
        assert (by_id.is_completed, await client.wait_until_finished("dub-42")) == (True, by_id)


@bad_urls
@pytest.mark.parametrize("name", ["video", "audio"])
async def test_a_source_that_is_no_http_url_is_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, name: str, url: Any
) -> None:
    with pytest.raises(ConfigurationError, match=name):
        await generate(sandbox_client, GENERATE, **{name: url, "reference_id": "dub-42"})

    assert sandbox.received == ()


@pytest.mark.parametrize("url", GOOD_URLS, ids=ascii)
async def test_an_http_url_is_sent_unchanged(sandbox: Sandbox, sandbox_client: AsyncClient, url: str) -> None:
    await generate(sandbox_client, GENERATE, video=url)

    assert posted(sandbox)[0]["inputs"][0] == {"type": "video", "url": url}


async def test_a_file_in_place_of_a_url_is_refused_with_the_method_for_files(sandbox_client: AsyncClient) -> None:
    with pytest.raises(ConfigurationError, match="generate_with_media"):
        await generate(sandbox_client, GENERATE, video="42.mp4")


async def test_credentials_in_a_refused_url_are_not_repeated(sandbox_client: AsyncClient) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await generate(sandbox_client, GENERATE, video="ftp://me:hunter2@cdn.example.com/42.mp4")

    assert "hunter2" not in str(caught.value)


@both
@bad_references
async def test_an_impossible_reference_is_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, route: str, reference_id: Any
) -> None:
    with pytest.raises(ConfigurationError):
        await generate(sandbox_client, route, reference_id=reference_id)

    assert sandbox.received == ()


@both
@REFERENCES
async def test_a_submission_without_credentials_is_refused_before_anything_is_sent(
    sandbox: Sandbox, route: str, reference_id: str | None
) -> None:
    async with AsyncClient(base_url=sandbox.base_url) as client:
        with pytest.raises(ConfigurationError, match="credentials"):
            await generate(client, route, reference_id=reference_id)

    assert sandbox.received == ()


@both
@REFERENCES
@refusals
async def test_a_refusal_is_raised_as_its_class_and_not_repeated(
    sandbox: Sandbox,
    sandbox_client: AsyncClient,
    route: str,
    reference_id: str | None,
    status: int,
    text: str,
    kind: type[ChamelaionError],
) -> None:
    sandbox.inject(Fault.status(status, text), route=route)

    with pytest.raises(kind) as caught:
        await generate(sandbox_client, route, reference_id=reference_id)

    assert (type(caught.value), getattr(caught.value, "message", None)) == (kind, text)
    assert sandbox.count(route) == 1


@both
@REFERENCES
@pytest.mark.parametrize("retry_after", [None, 0, "0.01"])
async def test_a_429_is_repeated_since_it_was_certainly_not_accepted(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, route: str, reference_id: str | None, retry_after: str | None
) -> None:
    monkeypatch.setattr("chamelaion_async._http.rate._PAUSE", 0.01)
    sandbox.inject(Fault.rate_limited(retry_after), route=route, times=2)

    async with AsyncClient("sk-key", base_url=sandbox.base_url, retry=SWIFT) as client:
        accepted = await generate(client, route, reference_id=reference_id)

    assert (sandbox.count(route), list(sandbox.jobs)) == (3, [accepted.request_id])


@both
@REFERENCES
async def test_a_429_that_lasts_is_raised_and_leaves_nothing_uncertain(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, route: str, reference_id: str | None
) -> None:
    monkeypatch.setattr("chamelaion_async._http.rate._PAUSE", 0.01)
    sandbox.inject(Fault.rate_limited(0), route=route)

    async with AsyncClient("sk-key", base_url=sandbox.base_url, retry=SWIFT) as client:
        with pytest.raises(RateLimitError):
            await generate(client, route, reference_id=reference_id)

    assert (sandbox.count(route), len(sandbox.jobs)) == (3, 0)


async def test_a_429_that_asks_for_more_than_the_policy_allows_is_raised_at_once(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.rate_limited(3600), route=GENERATE)

    async with AsyncClient("sk-key", base_url=sandbox.base_url) as client:
        with pytest.raises(RateLimitError) as caught:
            await generate(client, GENERATE)

    assert (caught.value.retry_after, sandbox.count(GENERATE)) == (3600.0, 1)


@pytest.mark.virtual_time
async def test_a_429_is_waited_out_for_as_long_as_the_service_asks(client: AsyncClient, mock: aioresponses) -> None:
    url = f"{BASE_URL}/v1/lipsync/generate"
    mock.post(url, status=429, headers={"Retry-After": "7"}, payload={"error": "rate limit exceeded"})
    mock.post(url, payload={"status": "success", "request_id": "r-1"})

    began = asyncio.get_running_loop().time()

    assert (await generate(client, GENERATE)).request_id == "r-1"
    assert asyncio.get_running_loop().time() - began == pytest.approx(7.0)


UNCLEAR = {
    "500": Fault.status(500),
    "502": Fault.status(502, b"<html>bad gateway</html>"),
    "503": Fault.status(503),
    "504": Fault.status(504),
    "reset": Fault.reset(),
    "closed": Fault.close(),
    "HTML": Fault.body(b"<html>", content_type="text/html"),
    "nothing": Fault.body(b""),
    "no id": Fault.body(b'{"status": "success"}'),
    "empty id": Fault.body(b'{"status": "success", "request_id": ""}'),
    "null id": Fault.body(b'{"status": "success", "request_id": null}'),
    "a list": Fault.body(b"[]"),
    "no HTTP": Fault.garbage(),
    "broken off": Fault.truncate(5),
}


@both
@pytest.mark.parametrize("fault", list(UNCLEAR.values()), ids=list(UNCLEAR))
async def test_without_a_reference_a_lost_answer_is_uncertain_and_not_repeated(
    sandbox: Sandbox, sandbox_client: AsyncClient, route: str, fault: Fault
) -> None:
    sandbox.inject(fault, route=route)

    with pytest.raises(SubmissionUncertainError):
        await generate(sandbox_client, route)

    assert sandbox.count(route) == 1


@both
async def test_a_redirect_is_not_followed(sandbox: Sandbox, sandbox_client: AsyncClient, route: str) -> None:
    sandbox.inject(Fault.redirect("https://elsewhere.example/api"), route=route)

    with pytest.raises(ChamelaionError, match=r"elsewhere\.example"):
        await generate(sandbox_client, route)

    assert sandbox.count(route) == 1


async def test_a_wrong_base_url_is_not_uncertain(sandbox: Sandbox) -> None:
    async with AsyncClient("sk-key", base_url=f"{sandbox.base_url}/wrong") as client:
        with pytest.raises(NotFoundError):
            await generate(client, GENERATE)
