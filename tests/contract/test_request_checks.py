"""The checks of the other modules find what is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from .document import MADE_UP, Document, parse_form

KEY = {"x-api-key": "sk"}
INPUTS = [
    {"type": "video", "url": "https://example.com/v.mp4"},
    {"type": "audio", "url": "https://example.com/a.wav"},
]
FILE = ("v.mp4", b"\x00\r\n--\xff")


def _json(value: object) -> tuple[Mapping[str, str], bytes]:
    return {**KEY, "Content-Type": "application/json"}, json.dumps(value).encode()


def _form(*parts: tuple[str, str | tuple[str, bytes]]) -> tuple[Mapping[str, str], bytes]:
    body = b""
    for name, content in parts:
        file_name, data = content if isinstance(content, tuple) else (None, content.encode())
        named = "" if file_name is None else f'; filename="{file_name}"'
        body += f'--edge\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + data + b"\r\n"
    return {**KEY, "Content-Type": "multipart/form-data; boundary=edge"}, body + b"--edge--\r\n"


def _faults(document: Document, target: str, sent: tuple[Mapping[str, str], bytes] = (KEY, b"")) -> list[str]:
    """Return what is wrong with a request to a target such as "GET /v1/lipsync/requests?limit=1"."""
    method, _, address = target.partition(" ")
    path, _, query = address.partition("?")
    operation = document.find(method, path)
    assert operation is not None
    headers, body = sent
    return document.request_faults(operation, path=path, query=query, headers=headers, body=body)


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("GET /health", ({}, b"")),
        ("GET /v1/users/me", ({"Authorization": "Bearer sk"}, b"")),
        ("GET /v1/lipsync/requests?limit=1&offset=0&reference_id=", (KEY, b"")),
        ("GET /v1/lipsync/requests/a%2Fb", (KEY, b"")),
        ("GET /v1/video-translate/requests?created_after=2026-04-07T10%3A00%3A00Z&status=queued", (KEY, b"")),
        ("GET /v1/video-translate/voices?favorite=true&gender=Male", (KEY, b"")),
        ("POST /v1/lipsync/generate", _json({"inputs": INPUTS, "reference_id": "x"})),
        ("POST /v1/lipsync/generate-with-media", _form(("video", FILE), ("audio", FILE))),
        (
            "POST /v1/video-translate/generate-with-media",
            _form(("video", FILE), ("target_languages", '["de"]'), ("target_srt.de", FILE), ("config", '{"any": 1}')),
        ),
    ],
)
def test_a_request_as_documented_has_no_faults(
    document: Document, target: str, sent: tuple[Mapping[str, str], bytes]
) -> None:
    assert _faults(document, target, sent) == []


LIPSYNC, TRANSLATE = "POST /v1/lipsync/generate", "POST /v1/video-translate/generate-with-media"
LISTS, ME = "GET /v1/video-translate/requests", "GET /v1/users/me"
LANGUAGES = ("target_languages", '["de"]')
INPUT = {"type": "audio", "url": "https://x.y"}


@pytest.mark.parametrize(
    ("target", "sent", "fault"),
    [
        ("GET /v1/lipsync/requests?page=1", None, "there is no parameter page"),
        ("GET /v1/lipsync/requests?limit=ten", None, "limit $: 'ten' is not of type 'integer'"),
        ("GET /v1/lipsync/requests?limit=1.0", None, "limit $: '1.0' is not of type 'integer'"),
        ("GET /v1/lipsync/requests?limit=0", None, "limit $: 0 is less than the minimum of 1"),
        ("GET /v1/lipsync/requests?offset=1&offset=2", None, "the parameter offset comes more than once"),
        (f"{LISTS}?status=done", None, "status $: 'done' is not one of"),
        (f"{LISTS}?created_after=2026-04-07", None, "created_after $: '2026-04-07' is not a"),
        (f"{LISTS}?created_before=2026-04-07T10:00:00", None, "created_before $: '2026-04-07T10:00:00' is not a"),
        ("GET /v1/video-translate/voices?favorite=True", None, "favorite $: 'True' is not of type 'boolean'"),
        ("GET /v1/lipsync/requests/%2E%2E", None, "'%2E%2E' is no {id}"),
        (LIPSYNC, _json({}), "$: 'inputs' is a required property"),
        (
            LIPSYNC,
            _json({"inputs": INPUTS, "webhook_url": "https://x.y"}),
            "$: Additional properties are not allowed",
        ),
        (LIPSYNC, _json({"inputs": [{**INPUTS[0], "size": 1}, INPUTS[1]]}), "$.inputs[0]: Additional properties"),
        (LIPSYNC, _json({"inputs": INPUTS[:1]}), "$.inputs: "),
        (LIPSYNC, _json({"inputs": [INPUTS[0], {**INPUT, "url": "no url"}]}), "$.inputs[1].url: 'no url' is not a"),
        (LIPSYNC, _json({"inputs": [INPUTS[0], {**INPUT, "type": "image"}]}), "$.inputs[1].type: 'image' is not one"),
        (LIPSYNC, _json({"inputs": INPUTS, "reference_id": None}), "$.reference_id: None is not of type 'string'"),
        (
            LIPSYNC,
            _json({"inputs": INPUTS, "disable_active_speaker_detection": "true"}),
            "$.disable_active_speaker_detection: ",
        ),
        (TRANSLATE, _form(("video", FILE)), "the part target_languages is missing"),
        (TRANSLATE, _form(LANGUAGES), "the part video is missing"),
        (TRANSLATE, _form(("video", FILE), LANGUAGES, ("audio", FILE)), "there is no part audio"),
        (TRANSLATE, _form(("video", FILE), ("video", FILE), LANGUAGES), "the part video comes more than once"),
        (TRANSLATE, _form(("video", "text"), LANGUAGES), "the part video is a file without a name"),
        (
            TRANSLATE,
            _form(("video", FILE), ("target_languages", ("l.json", b'["de"]'))),
            "the part target_languages is sent as a file",
        ),
        (TRANSLATE, _form(("video", FILE), ("target_languages", '"de"')), "target_languages $: 'de' is not of type"),
        (TRANSLATE, _form(("video", FILE), ("target_languages", "[]")), "target_languages $: "),
        (
            TRANSLATE,
            _form(("video", FILE), LANGUAGES, ("config", '{"speaker_voices": 1}')),
            "config $.speaker_voices: 1 is not of type 'object'",
        ),
        (TRANSLATE, _form(("video", FILE), LANGUAGES, ("formality", "True")), "formality $: 'True' is not of"),
        (TRANSLATE, _form(("video", FILE), LANGUAGES, ("model", "best")), "model $: 'best' is not one of"),
        (TRANSLATE, _form(("video", FILE), LANGUAGES, ("target_srt.de", "1")), "the part target_srt.de is a file"),
        (ME, ({}, b""), "no credentials are sent"),
        (ME, ({"x-api-key": ""}, b""), "no credentials are sent"),
        (ME, ({"Authorization": "Basic c2s="}, b""), "no credentials are sent"),
        (ME, ({"Authorization": "sk"}, b""), "no credentials are sent"),
        ("GET /health", (KEY, b""), "x-api-key is sent where no credentials are needed"),
        ("GET /health", ({"Authorization": "Bearer sk"}, b""), "Authorization is sent where no credentials"),
        (ME, _json({}), "a body of application/json is sent where there is none"),
        (LIPSYNC, _form(("video", FILE)), "the content type is multipart/form-data"),
        (TRANSLATE, _json({}), "the content type is application/json"),
        (LIPSYNC, (KEY, b"{}"), "the content type is None"),
    ],
)
def test_what_is_wrong_with_a_request_is_found(
    document: Document, target: str, sent: tuple[Mapping[str, str], bytes] | None, fault: str
) -> None:
    (found,) = _faults(document, target, sent or (KEY, b""))
    assert found.startswith(fault)


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/v1/lipsync/requests/x"), ("GET", "/v1/lipsync/requests/")])
def test_an_undocumented_path_or_method_is_no_operation(document: Document, method: str, path: str) -> None:
    assert document.find(method, path) is None


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"id": "6f82a2d8"}, "$.id: '6f82a2d8' is not a 'uuid'"),
        ({"created_at": "2026-04-07 10:00"}, "$.created_at: '2026-04-07 10:00' is not a 'date-time'"),
        ({"output_url": None}, "$.output_url: None is not of type 'string'"),
        ({"output_url": "/output/1.mp4"}, "$.output_url: '/output/1.mp4' is not a 'uri'"),
        ({"progress": 50}, "$: Additional properties are not allowed"),
    ],
)
def test_a_wrong_answer_is_found(document: Document, change: Mapping[str, Any], fault: str) -> None:
    answer = {**document.example("lipsync.requests.get"), **change}
    (found,) = document.answer_faults("lipsync.requests.get", 200, "application/json", json.dumps(answer).encode())
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [(404, "application/json", b'{"error": "x"}'), (200, "text/html", b'{"name": "x"}')],
)
def test_an_undocumented_status_or_content_type_is_found(
    document: Document, status: int, content_type: str, body: bytes
) -> None:
    assert document.answer_faults("users.me", status, content_type, body) != []


def test_a_form_is_taken_apart_byte_for_byte() -> None:
    data = bytes(range(256)) + b"\r\n\r\n--edg\r\r\n\n"
    headers, body = _form(("video", ("ü.mp4", data)), ("reference_id", "täxt"))
    video, reference = parse_form(headers["Content-Type"], body)
    assert video.content == data
    assert (reference.name, reference.content.decode(), reference.file_name) == ("reference_id", "täxt", None)


def _examples(document: Document) -> list[tuple[str, int, str | None]]:
    return [
        (operation.id, status, name)
        for operation in document.operations.values()
        for status in operation.statuses
        for name in document.response(operation.id, status)["content"]["application/json"].get("examples", [None])
    ]


def test_every_example_of_the_document_is_what_its_own_schemas_say(document: Document) -> None:
    faults = {
        (operation, status, name): document.answer_faults(
            operation, status, "application/json", json.dumps(document.example(operation, status, name)).encode()
        )
        for operation, status, name in _examples(document)
    }
    assert {key: found for key, found in faults.items() if found} == {}
    assert len(faults) > 50


def test_answers_are_made_up_only_if_the_document_shows_none(document: Document) -> None:
    shown = {
        operation.id
        for operation in document.operations.values()
        if {"example", "examples"} & set(document.response(operation.id, 200)["content"]["application/json"])
    }
    assert shown | set(MADE_UP) == set(document.operations)
    assert shown & set(MADE_UP) == set()


def test_the_examples_of_request_bodies_have_no_faults(document: Document) -> None:
    bodies = [
        (operation.template, operation.spec["requestBody"]["content"]["application/json"]["example"])
        for operation in document.operations.values()
        if operation.media_type == "application/json"
    ]
    assert [_faults(document, f"POST {path}", _json(body)) for path, body in bodies] == [[], []]
