"""The API document and what it says of a request or an answer. Nothing here knows the package or its sandbox."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from email import message_from_bytes
from email.message import Message
from email.policy import HTTP
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import yaml
from attrs import frozen
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

PATH = Path(__file__).with_name("openapi.yaml")
_ADDRESS = "urn:chamelaion"

TRANSLATION: Mapping[str, Any] = {
    "id": "9d3a0d2e-5f0f-4c9b-8a10-4b1f0c6f7a55",
    "target_languages": ["de"],
    "disable_background_audio": False,
    "disable_lip_sync": True,
    "formality": True,
    "model": "expressive",
    "config": {"speaker_voices": {"0": "voice-id"}},
    "status": "completed",
    "created_at": "2026-04-07T10:00:00Z",
    "started_at": "2026-04-07T10:00:05Z",
    "finished_at": "2026-04-07T10:01:30.5Z",
    "error_message": None,
    "outputs": {
        "de": {
            "video": "https://storage.chamelaion.com/output/de.mp4",
            "audio": "https://storage.chamelaion.com/output/de.wav",
            "srt": "https://storage.chamelaion.com/output/de.srt",
        }
    },
    "reference_id": "dub-44",
    "source_language": "en",
    "webhook_url": "https://example.com/webhooks/video-translate",
}
VOICE: Mapping[str, Any] = {
    "voice_id": "voice-id",
    "name": "Ada",
    "default_name": "Adelaide",
    "description": "A calm voice",
    "language": "en",
    "application": "narration",
    "gender": "Female",
    "is_favorite": True,
}
MADE_UP: Mapping[str, Any] = {
    "video_translate.requests.get": TRANSLATION,
    "video_translate.requests.list": {"data": [TRANSLATION], "pagination": {"limit": 20, "offset": 0, "total": 1}},
    "video_translate.voices.list": {"voices": [VOICE], "pagination": {"limit": 20, "offset": 0, "total": 1}},
}
"""Answers for which the document shows no example; its schemas decide whether they will do."""


@frozen(kw_only=True)
class Part:
    """One part of a form."""

    name: str
    file_name: str | None
    content: bytes


@frozen(kw_only=True)
class Operation:
    """One method of one path."""

    id: str
    method: str
    template: str
    spec: Mapping[str, Any]

    def matches(self, method: str, path: str) -> bool:
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(self.template))
        return method == self.method and re.fullmatch(pattern, path) is not None

    @property
    def parameters(self) -> Mapping[str, Mapping[str, Any]]:
        return {each["name"]: each for each in self.spec.get("parameters", []) if each["in"] == "query"}

    @property
    def media_type(self) -> str | None:
        """What the body travels as, None where there is no body."""
        return next(iter(self.spec["requestBody"]["content"]), None) if "requestBody" in self.spec else None

    @property
    def statuses(self) -> Sequence[int]:
        return [int(status) for status in self.spec["responses"]]


class Document:
    """The OpenAPI document, in which an object has only the properties that are written down.

    The document leaves objects open, as the API may grow. What we send and what the sandbox answers must not.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content
        resource = Resource.from_contents(_closed(content), default_specification=DRAFT202012)
        self._registry = Registry().with_resource(_ADDRESS, resource)
        self.operations: Mapping[str, Operation] = {
            spec["operationId"]: Operation(
                id=spec["operationId"], method=method.upper(), template=template, spec=spec
            )
            for template, methods in content["paths"].items()
            for method, spec in methods.items()
        }

    @property
    def base_path(self) -> str:
        address: str = self.content["servers"][0]["url"]
        return urlsplit(address).path

    def resolve(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """Follow a ``$ref``, if it is one."""
        if "$ref" not in value:
            return value
        found: Any = self.content
        for step in value["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        return self.resolve(found)

    def find(self, method: str, path: str) -> Operation | None:
        """Return the operation that a path below the base path leads to; a name goes before a parameter."""
        found = [each for each in self.operations.values() if each.matches(method, path)]
        return min(found, key=lambda each: each.template.count("{"), default=None)

    def response(self, operation: str, status: int) -> Mapping[str, Any]:
        return self.resolve(self.operations[operation].spec["responses"][str(status)])

    def example(self, operation: str, status: int = 200, name: str | None = None) -> Any:
        """Return a copy of the answer that the document shows, or of the one made up for want of it."""
        media = self.response(operation, status)["content"]["application/json"]
        if "example" in media:
            return copy.deepcopy(media["example"])
        if "examples" in media:
            examples = media["examples"]
            return copy.deepcopy(examples[name or next(iter(examples))]["value"])
        return copy.deepcopy(MADE_UP[operation])

    def texts(self, operation: str, status: int) -> Sequence[str]:
        """Return the error texts that a description enumerates, none if it enumerates none."""
        _, colon, listed = self.response(operation, status)["description"].partition("One of:")
        return [" ".join(text.split()) for text in listed.split("·")] if colon else []

    def answer_faults(self, operation: str, status: int, content_type: str | None, body: bytes) -> list[str]:
        """Return what is wrong with an answer."""
        if status not in self.operations[operation].statuses:
            return [f"{operation} does not document the status {status}"]
        if content_type != "application/json":
            return [f"the content type is {content_type}"]
        schema = self.response(operation, status)["content"]["application/json"]["schema"]
        return self.faults(schema, json.loads(body))

    def request_faults(
        self, operation: Operation, *, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> list[str]:
        """Return what is wrong with a request.

        Args:
            operation: what it is meant for.
            path: percent-encoded, below the base path.
            query: still encoded.
            headers: looked up without regard to case.
            body: as it came.
        """
        return [
            *_path_faults(operation, path),
            *self._query_faults(operation, query),
            *self._credential_faults(operation, headers),
            *self._body_faults(operation, headers, body),
        ]

    def faults(self, schema: Mapping[str, Any], value: object) -> list[str]:
        """Return what a schema of the document has against a value."""
        validator = Draft202012Validator(
            _absolute(_closed(schema)),
            registry=self._registry,
            format_checker=Draft202012Validator.FORMAT_CHECKER,
        )
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]

    def _query_faults(self, operation: Operation, query: str) -> Iterator[str]:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
        names = [name for name, _ in pairs]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"the parameter {name} comes more than once"
        for name, text in pairs:
            if name not in operation.parameters:
                yield f"there is no parameter {name}"
                continue
            schema = operation.parameters[name]["schema"]
            yield from (f"{name} {fault}" for fault in self.faults(schema, _read(text, schema)))
        for name, parameter in operation.parameters.items():
            if parameter.get("required") and name not in names:
                yield f"the parameter {name} is missing"

    def _credential_faults(self, operation: Operation, headers: Mapping[str, str]) -> Iterator[str]:
        alternatives = operation.spec.get("security", self.content["security"])
        schemes = self.content["components"]["securitySchemes"]
        if not alternatives:
            carried = [name for name in ("Authorization", "x-api-key", "Cookie") if name in headers]
            yield from (f"{name} is sent where no credentials are needed" for name in carried)
        elif not any(all(_is_met(schemes[name], headers) for name in each) for each in alternatives):
            yield "no credentials are sent, or not as any security scheme has it"

    def _body_faults(self, operation: Operation, headers: Mapping[str, str], body: bytes) -> Iterator[str]:
        content_type = headers.get("Content-Type")
        if operation.media_type is None:
            if body or content_type is not None:
                yield f"a body of {content_type} is sent where there is none"
            return
        if content_type is None or content_type.partition(";")[0] != operation.media_type:
            yield f"the content type is {content_type}"
            return
        schema = operation.spec["requestBody"]["content"][operation.media_type]["schema"]
        if operation.media_type == "application/json":
            yield from self.faults(schema, json.loads(body))
        else:
            yield from self._form_faults(schema, parse_form(content_type, body))

    def _form_faults(self, schema: Mapping[str, Any], parts: Sequence[Part]) -> Iterator[str]:
        names = [part.name for part in parts]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"the part {name} comes more than once"
        for name in schema["required"]:
            if name not in names:
                yield f"the part {name} is missing"
        for part in parts:
            known = schema["properties"].get(part.name)
            if known is None and schema.get("additionalProperties") and part.name.startswith("target_srt."):
                # Only the summary says so: each target subtitle file travels in a part named target_srt.LANGUAGE.
                known = {"type": "string", "format": "binary"}
            if known is None:
                yield f"there is no part {part.name}"
            elif known.get("format") == "binary":
                if part.file_name is None:
                    yield f"the part {part.name} is a file without a name"
            elif part.file_name is not None:
                yield f"the part {part.name} is sent as a file"
            else:
                yield from (f"{part.name} {fault}" for fault in self._field_faults(part, known))

    def _field_faults(self, part: Part, schema: Mapping[str, Any]) -> list[str]:
        text = part.content.decode()
        faults = self.faults(schema, _read(text, schema))
        if schema.get("description", "").startswith("JSON"):
            # What the JSON text must hold, only the body of the other call says.
            same = self.content["components"]["schemas"]["VideoTranslateGenerateBody"]["properties"][part.name]
            faults += self.faults(same, json.loads(text))
        return faults


def parse_form(content_type: str, body: bytes) -> Sequence[Part]:
    """Take a form apart with the parser for mail, which shares nothing with any HTTP library."""
    form = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=HTTP)
    return [_part(each) for each in form.iter_parts()]


@cache
def load() -> Document:
    """Return the document beside this file."""
    return Document(yaml.safe_load(PATH.read_text("utf-8")))


def _part(message: Message) -> Part:
    name = message.get_param("name", header="content-disposition")
    content = message.get_payload(decode=True)
    if not isinstance(name, str) or not isinstance(content, bytes):
        raise TypeError(f"a part without a name or content: {message.items()}")
    return Part(name=name, file_name=message.get_filename(), content=content)


def _closed(value: Any) -> Any:
    """Let an object have no properties but the ones that are written down, unless it says that it has."""
    if isinstance(value, Mapping):
        closed = {name: _closed(each) for name, each in value.items()}
        if value.get("type") == "object" and "properties" in value:
            closed.setdefault("additionalProperties", False)
        return closed
    return [_closed(each) for each in value] if isinstance(value, list) else value


def _absolute(value: Any) -> Any:
    """Let a schema that was taken out of the document still refer to it."""
    if isinstance(value, dict):
        return {name: f"{_ADDRESS}{each}" if name == "$ref" else _absolute(each) for name, each in value.items()}
    return [_absolute(each) for each in value] if isinstance(value, list) else value


def _read(text: str, schema: Mapping[str, Any]) -> object:
    """Read a parameter or form field as the type that it should have; what cannot be read stays text."""
    if schema["type"] == "integer" and re.fullmatch(r"-?\d+", text, re.ASCII):
        return int(text)
    if schema["type"] == "boolean" and text in {"true", "false"}:
        return text == "true"
    return text


def _path_faults(operation: Operation, path: str) -> Iterator[str]:
    for expected, segment in zip(operation.template.split("/"), path.split("/"), strict=True):
        if expected.startswith("{") and unquote(segment, errors="strict") in {"", ".", ".."}:
            yield f"{segment!r} is no {expected}"


def _is_met(scheme: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    if scheme["type"] == "apiKey":
        return bool(headers.get(scheme["name"]))
    return re.fullmatch(r"Bearer \S+", headers.get("Authorization", "")) is not None
