"""Whether the checks that the other modules rely on can fail."""

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


def _faults(
    document: Document,
    method: str,
    path: str,
    query: str = "",
    headers_and_body: tuple[Mapping[str, str], bytes] = (KEY, b""),
) -> list[str]:
    operation = document.find(method, path)
    assert operation is not None
    headers, body = headers_and_body
    return document.request_faults(operation, path=path, query=query, headers=headers, body=body)


@pytest.mark.parametrize(
    ("method", "path", "query", "sent"),
    [
        ("GET", "/health", "", ({}, b"")),
        ("GET", "/v1/users/me", "", ({"Authorization": "Bearer sk"}, b"")),
        ("GET", "/v1/lipsync/requests", "limit=1&offset=0&reference_id=", (KEY, b"")),
        ("GET", "/v1/lipsync/requests/a%2Fb", "", (KEY, b"")),
        ("GET", "/v1/video-translate/requests", "created_after=2026-04-07T10%3A00%3A00Z&status=queued", (KEY, b"")),
        ("GET", "/v1/video-translate/voices", "favorite=true&gender=Male", (KEY, b"")),
        ("POST", "/v1/lipsync/generate", "", _json({"inputs": INPUTS, "reference_id": "x"})),
        ("POST", "/v1/lipsync/generate-with-media", "", _form(("video", FILE), ("audio", FILE))),
        (
            "POST",
            "/v1/video-translate/generate-with-media",
            "",
            _form(("video", FILE), ("target_languages", '["de"]'), ("target_srt.de", FILE), ("config", '{"any": 1}')),
        ),
    ],
)
def test_a_request_as_documented_has_no_faults(
    document: Document, method: str, path: str, query: str, sent: tuple[Mapping[str, str], bytes]
) -> None:
    assert _faults(document, method, path, query, sent) == []


@pytest.mark.parametrize(
    ("path", "query", "fault"),
    [
        ("/v1/lipsync/requests", "page=1", "there is no parameter page"),
        ("/v1/lipsync/requests", "limit=ten", "limit $: 'ten' is not of type 'integer'"),
        ("/v1/lipsync/requests", "limit=1.0", "limit $: '1.0' is not of type 'integer'"),
        ("/v1/lipsync/requests", "limit=0", "limit $: 0 is less than the minimum of 1"),
        ("/v1/lipsync/requests", "offset=1&offset=2", "the parameter offset comes more than once"),
        ("/v1/video-translate/requests", "status=done", "status $: 'done' is not one of"),
        ("/v1/video-translate/requests", "created_after=2026-04-07", "created_after $: '2026-04-07' is not a"),
        (
            "/v1/video-translate/requests",
            "created_before=2026-04-07T10:00:00",
            "created_before $: '2026-04-07T10:00:00' is not a 'date-time'",
        ),
        ("/v1/video-translate/voices", "favorite=True", "favorite $: 'True' is not of type 'boolean'"),
        ("/v1/lipsync/requests/%2E%2E", "", "'%2E%2E' is no {id}"),
    ],
)
def test_a_wrong_parameter_is_found(document: Document, path: str, query: str, fault: str) -> None:
    (found,) = _faults(document, "GET", path, query)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, "$: 'inputs' is a required property"),
        ({"inputs": INPUTS, "webhook_url": "https://example.com"}, "$: Additional properties are not allowed"),
        ({"inputs": [{**INPUTS[0], "size": 1}, INPUTS[1]]}, "$.inputs[0]: Additional properties are not allowed"),
        ({"inputs": INPUTS[:1]}, "$.inputs: "),
        (
            {"inputs": [INPUTS[0], {"type": "audio", "url": "not a url"}]},
            "$.inputs[1].url: 'not a url' is not a 'uri'",
        ),
        ({"inputs": [INPUTS[0], {"type": "image", "url": "https://x.y"}]}, "$.inputs[1].type: 'image' is not one of"),
        ({"inputs": INPUTS, "reference_id": None}, "$.reference_id: None is not of type 'string'"),
        ({"inputs": INPUTS, "disable_active_speaker_detection": "true"}, "$.disable_active_speaker_detection: "),
    ],
)
def test_a_wrong_body_is_found(document: Document, body: object, fault: str) -> None:
    (found,) = _faults(document, "POST", "/v1/lipsync/generate", "", _json(body))
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        ([("video", FILE)], "the part target_languages is missing"),
        ([("target_languages", '["de"]')], "the part video is missing"),
        ([("video", FILE), ("target_languages", '["de"]'), ("audio", FILE)], "there is no part audio"),
        ([("video", FILE), ("video", FILE), ("target_languages", '["de"]')], "the part video comes more than once"),
        ([("video", "text"), ("target_languages", '["de"]')], "the part video is a file without a name"),
        (
            [("video", FILE), ("target_languages", ("l.json", b'["de"]'))],
            "the part target_languages is sent as a file",
        ),
        ([("video", FILE), ("target_languages", '"de"')], "target_languages $: 'de' is not of type 'array'"),
        ([("video", FILE), ("target_languages", "[]")], "target_languages $: "),
        (
            [("video", FILE), ("target_languages", '["de"]'), ("config", '{"speaker_voices": 1}')],
            "config $.speaker_voices: 1 is not of type 'object'",
        ),
        ([("video", FILE), ("target_languages", '["de"]'), ("formality", "True")], "formality $: 'True' is not of"),
        ([("video", FILE), ("target_languages", '["de"]'), ("model", "best")], "model $: 'best' is not one of"),
        (
            [("video", FILE), ("target_languages", '["de"]'), ("target_srt.de", "1")],
            "the part target_srt.de is a file",
        ),
    ],
)
def test_a_wrong_form_is_found(
    document: Document, parts: list[tuple[str, str | tuple[str, bytes]]], fault: str
) -> None:
    (found,) = _faults(document, "POST", "/v1/video-translate/generate-with-media", "", _form(*parts))
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("method", "path", "sent", "fault"),
    [
        ("GET", "/v1/users/me", ({}, b""), "no credentials are sent"),
        ("GET", "/v1/users/me", ({"x-api-key": ""}, b""), "no credentials are sent"),
        ("GET", "/v1/users/me", ({"Authorization": "Basic c2s="}, b""), "no credentials are sent"),
        ("GET", "/v1/users/me", ({"Authorization": "sk"}, b""), "no credentials are sent"),
        ("GET", "/health", (KEY, b""), "x-api-key is sent where no credentials are needed"),
        ("GET", "/health", ({"Authorization": "Bearer sk"}, b""), "Authorization is sent where no credentials"),
        ("GET", "/v1/users/me", _json({}), "a body of application/json is sent where there is none"),
        ("POST", "/v1/lipsync/generate", _form(("video", FILE)), "the content type is multipart/form-data"),
        ("POST", "/v1/lipsync/generate-with-media", _json({}), "the content type is application/json"),
        ("POST", "/v1/lipsync/generate", (KEY, b"{}"), "the content type is None"),
    ],
)
def test_wrong_credentials_and_content_types_are_found(
    document: Document, method: str, path: str, sent: tuple[Mapping[str, str], bytes], fault: str
) -> None:
    (found,) = _faults(document, method, path, "", sent)
    assert found.startswith(fault)


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/v1/lipsync/requests/x"), ("GET", "/v1/lipsync/requests/")])
def test_what_is_not_documented_is_no_operation(document: Document, method: str, path: str) -> None:
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


def test_an_undocumented_status_is_found(document: Document) -> None:
    assert document.answer_faults("users.me", 404, "application/json", b'{"error": "x"}') != []


def test_a_wrong_content_type_is_found(document: Document) -> None:
    assert document.answer_faults("users.me", 200, "text/html", b'{"name": "x"}') != []


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


def test_answers_are_made_up_only_where_the_document_shows_none(document: Document) -> None:
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
    assert [_faults(document, "POST", path, "", _json(body)) for path, body in bodies] == [[], []]
