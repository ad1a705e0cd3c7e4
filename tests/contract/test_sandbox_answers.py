"""The sandbox answers what the document describes, in every field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest

from chamelaion_async.sandbox import Fault, ManualClock, Sandbox

from .document import Document, load

INPUTS = [
    {"type": "video", "url": "https://cdn.example.com/v.mp4"},
    {"type": "audio", "url": "https://cdn.example.com/a.wav"},
]
EXAMPLE_ID = "6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8"
TRANSLATION_ID = "9d3a0d2e-5f0f-4c9b-8a10-4b1f0c6f7a55"
OPERATIONS = sorted(load().operations)
PROTECTED = [name for name in OPERATIONS if name != "health.check"]
GENERATIONS = [name for name in OPERATIONS if "generate" in name]
FAMILIES = ["lipsync", "video_translate"]


def _form(*names: str) -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    for name in names:
        form.add_field(name, b"media", filename=f"{name}.bin")
    form.add_field("target_languages", '["de"]')
    return form


def _request(document: Document, operation: str) -> dict[str, Any]:
    """Return what calls an operation successfully."""
    spec = document.operations[operation]
    call: dict[str, Any] = {
        "method": spec.method,
        "url": spec.template[1:].replace("{id}", EXAMPLE_ID if "lipsync" in operation else TRANSLATION_ID),
    }
    if spec.media_type == "application/json":
        call["json"] = spec.spec["requestBody"]["content"]["application/json"]["example"]
    elif spec.media_type is not None:
        call["data"] = _form("video", "audio")
    return call


def _session(sandbox: Sandbox) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(f"{sandbox.base_url}/", headers={"x-api-key": "any-key"})


async def _answer(
    document: Document, session: aiohttp.ClientSession, operation: str, status: int = 200, **call: Any
) -> Any:
    """Call, check the answer against the document, and return its JSON."""
    async with session.request(**{**_request(document, operation), **call}) as response:
        body = await response.read()
        assert response.status == status, body
        assert document.answer_faults(operation, status, response.headers.get("Content-Type"), body) == []
    return json.loads(body)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_successful_answer_is_as_documented(
    document: Document, session: aiohttp.ClientSession, operation: str
) -> None:
    assert await _answer(document, session, operation)


@pytest.mark.parametrize("operation", ["health.check", "users.me"])
async def test_a_fixed_answer_is_the_documented_example(
    document: Document, session: aiohttp.ClientSession, operation: str
) -> None:
    assert await _answer(document, session, operation) == document.example(operation)


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("completed", [EXAMPLE_ID, EXAMPLE_ID.upper(), "dub-episode-42"]),
        ("failed", ["a1b2c3d4-e5f6-7890-abcd-ef1234567890", "dub-episode-43"]),
    ],
)
async def test_the_documented_lip_sync_requests_answer_by_either_id(
    document: Document, sandbox: Sandbox, session: aiohttp.ClientSession, name: str, ids: list[str]
) -> None:
    expected = document.example("lipsync.requests.get", name=name)
    if "output_url" in expected:
        # The one thing that cannot be as documented: the sandbox serves its output itself.
        expected["output_url"] = f"{sandbox.base_url.removesuffix('/api')}/output/6f82a2d8.mp4"
    for id in ids:
        assert await _answer(document, session, "lipsync.requests.get", url=f"v1/lipsync/requests/{id}") == expected


@pytest.mark.parametrize("operation", GENERATIONS)
async def test_the_id_that_was_accepted_leads_to_the_request(
    document: Document, session: aiohttp.ClientSession, operation: str
) -> None:
    family = operation.partition(".")[0]
    accepted = await _answer(document, session, operation)
    path = f"v1/{family.replace('_', '-')}/requests/{accepted['request_id']}"
    request = await _answer(document, session, f"{family}.requests.get", url=path)
    assert (request["id"], request["status"]) == (accepted["request_id"], "queued")


TRANSLATION = {
    "target_languages": ["de", "pt-BR"],
    "model": "classic",
    "source_language": "en",
    "disable_background_audio": True,
    "disable_lip_sync": True,
    "formality": True,
    "config": {"speaker_voices": {"0": "v"}, "source_srt": {"content": "1"}, "x-new": [1]},
    "webhook_url": "https://example.com/hook",
    "reference_id": "dub-1",
}


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(
    ("family", "fields"),
    [
        ("lipsync", {}),
        ("lipsync", {"reference_id": "dub-1"}),
        ("video_translate", {}),
        ("video_translate", TRANSLATION),
    ],
)
@pytest.mark.parametrize("age", [0, 9.999, 10, 20, 99.5, 100, 100.25])
async def test_a_request_is_as_documented_at_any_age(
    document: Document,
    sandbox: Sandbox,
    clock: ManualClock,
    session: aiohttp.ClientSession,
    age: float,
    family: Any,
    fields: Mapping[str, Any],
    fails: bool,
) -> None:
    job = sandbox.add_job(family=family, fails=fails, **fields)
    clock.advance(age)
    path = f"v1/{family.replace('_', '-')}/requests/{job.id}"
    request = await _answer(document, session, f"{family}.requests.get", url=path)
    assert {name: request[name] for name in fields} == fields
    assert (request["status"] in {"completed", "failed"}) == (age >= 100)
    assert (await _answer(document, session, f"{family}.requests.list"))["data"] == [request]


async def test_the_config_of_a_form_is_as_documented(document: Document, session: aiohttp.ClientSession) -> None:
    form = _form("video", "source_srt", "target_srt.de")
    form.add_field("config", '{"speaker_voices": {"0": "v"}}')
    accepted = await _answer(document, session, "video_translate.generate_with_media", data=form)
    path = f"v1/video-translate/requests/{accepted['request_id']}"
    request = await _answer(document, session, "video_translate.requests.get", url=path)
    assert set(request["config"]) == {"speaker_voices", "source_srt", "target_srts"}


LISTS = [name for name in OPERATIONS if name.endswith(".list")]


@pytest.mark.parametrize("operation", LISTS)
@pytest.mark.parametrize(
    ("query", "limit", "offset"),
    [
        ({}, 20, 0),
        ({"limit": "1"}, 1, 0),
        *(({"limit": str(number)}, 100, 0) for number in (101, 10**18, 2**64, 10**30)),
        *(({"limit": "3", "offset": str(number)}, 3, number) for number in (50, 10**18, 2**64, 10**30)),
    ],
)
async def test_a_page_is_as_documented(
    document: Document,
    sandbox: Sandbox,
    session: aiohttp.ClientSession,
    operation: str,
    query: dict[str, str],
    limit: int,
    offset: int,
) -> None:
    for number in range(23):
        sandbox.add_job(reference_id=f"dub-{number}")
        sandbox.add_job(family="video_translate")
    page = await _answer(document, session, operation, params=query)
    total = page["pagination"]["total"]
    assert page["pagination"] == {"limit": limit, "offset": offset, "total": total}
    assert total > 20
    assert len(page.get("data", page.get("voices"))) == max(0, min(limit, total - offset))


def _queries() -> list[tuple[str, str, str]]:
    """List each filter with a value that its schema allows."""
    document = load()
    found = []
    for operation in LISTS:
        for name, parameter in document.operations[operation].parameters.items():
            schema = parameter["schema"]
            if "enum" in schema:
                found += [(operation, name, value) for value in schema["enum"]]
            elif schema.get("format") == "date-time":
                times = ("2026-04-07T12:00:00Z", "2026-04-07t12:00:00.123456789z", "2026-04-07T12:00:00-05:30")
                found += [(operation, name, value) for value in (*times, "0001-01-01T00:00:00Z")]
            elif schema["type"] == "boolean":
                found += [(operation, name, value) for value in ("true", "false")]
            elif schema["type"] == "integer":
                found += [(operation, name, "1"), (operation, name, "007")]
            else:
                found += [(operation, name, value) for value in ("", "de", "ü &=%", "\x00")]
    return found


@pytest.mark.parametrize(("operation", "name", "value"), _queries())
async def test_a_filter_takes_what_its_schema_allows(
    document: Document, sandbox: Sandbox, session: aiohttp.ClientSession, operation: str, name: str, value: str
) -> None:
    sandbox.add_job(reference_id="de")
    sandbox.add_job(family="video_translate", source_language="de")
    await _answer(document, session, operation, params={name: value})


TEXTS_401: list[tuple[Mapping[str, str], str]] = [
    ({}, "missing authorization header"),
    ({"Authorization": "Basic c2s="}, "invalid authorization format"),
    ({"Authorization": "Bearer"}, "missing token"),
    ({"x-api-key": ""}, "missing token"),
    ({"x-api-key": "stranger"}, "invalid token"),
    ({"Authorization": "Bearer stranger"}, "invalid token"),
    ({"x-api-key": "revoked"}, "unauthorized"),
]


@pytest.mark.parametrize("operation", PROTECTED)
@pytest.mark.parametrize(("headers", "text"), TEXTS_401)
async def test_each_documented_401_is_given(
    document: Document, operation: str, headers: Mapping[str, str], text: str
) -> None:
    async with Sandbox(keys=["sk", "revoked"]) as sandbox:
        sandbox.revoke("revoked")
        async with aiohttp.ClientSession(f"{sandbox.base_url}/", headers=headers) as session:
            assert await _answer(document, session, operation, 401) == {"error": text}


def test_no_documented_401_is_left_out(document: Document) -> None:
    for operation in PROTECTED:
        assert {text for _, text in TEXTS_401} == set(document.texts(operation, 401))


LIPSYNC_400: list[tuple[str, Mapping[str, Any], str]] = [
    ("lipsync.generate", {"json": []}, "invalid request body"),
    ("lipsync.generate", {"json": {"inputs": [{"type": "video", "url": "nowhere"}]}}, "invalid request body"),
    ("lipsync.generate", {"json": None, "data": b"{}"}, "content-type must be application/json"),
    ("lipsync.generate", {"json": {"inputs": INPUTS[1:]}}, "expected exactly one video input"),
    ("lipsync.generate", {"json": {"inputs": INPUTS[:1]}}, "expected exactly one audio input"),
    (
        "lipsync.generate",
        {"json": {"inputs": [INPUTS[0], {"type": "image", "url": "https://x.y"}]}},
        'input type must be "video" or "audio"',
    ),
    ("lipsync.generate_with_media", {"data": None, "json": {}}, "content-type must be multipart/form-data"),
    ("lipsync.generate_with_media", {"data": ("audio",)}, "video file is required"),
    ("lipsync.generate_with_media", {"data": ("video",)}, "audio file is required"),
]


@pytest.mark.parametrize(("operation", "call", "text"), LIPSYNC_400)
async def test_each_documented_400_of_lip_sync_is_given(
    document: Document, session: aiohttp.ClientSession, operation: str, call: Mapping[str, Any], text: str
) -> None:
    data = call.get("data")
    call = {**call, "data": _form(*data)} if isinstance(data, tuple) else call
    assert await _answer(document, session, operation, 400, **call) == {"error": text}
    assert text in document.texts(operation, 400)


@pytest.mark.parametrize(
    ("operation", "call"),
    [("video_translate.generate", {"json": []}), ("video_translate.generate_with_media", {"data": None, "json": {}})],
)
async def test_a_refused_translation_is_the_documented_400(
    document: Document, session: aiohttp.ClientSession, operation: str, call: Mapping[str, Any]
) -> None:
    assert await _answer(document, session, operation, 400, **call)


def test_no_documented_400_of_lip_sync_is_left_out(document: Document) -> None:
    given = {(operation, text) for operation, _, text in LIPSYNC_400}
    assert given == {
        (operation, text)
        for operation in ("lipsync.generate", "lipsync.generate_with_media")
        for text in document.texts(operation, 400)
    }


@pytest.mark.parametrize("family", FAMILIES)
async def test_an_unknown_id_is_the_documented_404(
    document: Document, session: aiohttp.ClientSession, family: str
) -> None:
    path = f"v1/{family.replace('_', '-')}/requests/nobody"
    operation = f"{family}.requests.get"
    assert await _answer(document, session, operation, 404, url=path) == document.example(operation, 404)


@pytest.mark.parametrize("operation", GENERATIONS)
async def test_a_used_up_quota_is_the_documented_412(document: Document, operation: str) -> None:
    async with Sandbox(token_limit=0) as sandbox, _session(sandbox) as session:
        assert await _answer(document, session, operation, 412) == document.example(operation, 412)


@pytest.mark.parametrize("operation", PROTECTED)
async def test_too_many_calls_are_the_documented_429(document: Document, clock: ManualClock, operation: str) -> None:
    async with Sandbox(rate_limit=1, generate_limit=1, clock=clock) as sandbox, _session(sandbox) as session:
        await _answer(document, session, operation)
        assert await _answer(document, session, operation, 429) == document.example(operation, 429)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_failing_service_is_the_documented_500(
    document: Document, sandbox: Sandbox, session: aiohttp.ClientSession, operation: str
) -> None:
    sandbox.inject(Fault.status(500, "internal error"))
    assert await _answer(document, session, operation, 500) == document.example(operation, 500)
