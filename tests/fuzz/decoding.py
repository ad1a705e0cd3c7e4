"""Bodies of successful answers: each becomes the promised model or ``InvalidResponseError``, and nothing else."""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs

from chamelaion_async._http.call import Call
from chamelaion_async._http.lifecycle import Lifecycle
from chamelaion_async._http.transport import ONCE, Transport
from chamelaion_async.errors import InvalidResponseError, RequestFailedError
from chamelaion_async.loading.source import HttpSource
from chamelaion_async.models import (
    GenerateAccepted,
    Health,
    LipsyncRequest,
    Page,
    Pagination,
    RawResponse,
    User,
    VideoTranslateRequest,
    Voice,
)

from .leaks import CREDENTIALS, KEY, assert_nothing_leaks
from .target import Target

_MAX_TEXT = 1300
_MAX_EXCERPT = 512

MODELS: dict[str, Any] = {
    "lipsync": LipsyncRequest,
    "translation": VideoTranslateRequest,
    "accepted": GenerateAccepted,
    "user": User,
    "health": Health,
    "lipsyncs": Page[LipsyncRequest],
    "translations": Page[VideoTranslateRequest],
    "voices": Page[Voice],
}


_TRANSPORT = Transport(
    lifecycle=Lifecycle(),
    lanes={},
    base_url="https://api.example.com",
    credentials=CREDENTIALS,
    headers={},
    timeout=1.0,
    retry=ONCE,
)
_SOURCE: HttpSource[LipsyncRequest] = HttpSource(transport=_TRANSPORT, path="/v1/x", model=LipsyncRequest)
_CALL = Call(method="GET", path="/v1/x")


def _check(data: bytes) -> None:
    """Read the body as the model that the first line names, or as each of them."""
    name, _, body = data.partition(b"\n")
    named = _READINGS.get(name.decode("latin-1"))
    for check in [named] if named else _READINGS.values():
        check(body)


def _check_model(model: Any, body: bytes) -> None:
    try:
        made = _TRANSPORT.structure(_CALL, _response(body), model)
    except InvalidResponseError as error:
        _check_error(error, body)
    else:
        assert _conforms(made, model), made
        for job in getattr(made, "data", [made]):
            if isinstance(job, (LipsyncRequest, VideoTranslateRequest)):
                _use(job)


def _check_sweep(body: bytes) -> None:
    """Read a page as the waits do: its frame at once, its records one by one."""
    try:
        page = _SOURCE.page_of(_CALL, _response(body))
    except InvalidResponseError as error:
        _check_error(error, body)
        return
    assert _conforms(page.pagination, Pagination)
    assert page.is_newest_first in (True, False, None)
    for id, record in page.records:
        assert type(id) is str
        with suppress(ValueError):  # it is read on its own then, and its error raised
            assert _conforms(page.make(record), LipsyncRequest)


def _response(body: bytes) -> RawResponse:
    return RawResponse(status=200, headers={}, body=body, attempts=1)


def _check_error(error: InvalidResponseError, body: bytes) -> None:
    assert len(str(error)) <= _MAX_TEXT
    assert len(error.excerpt) <= _MAX_EXCERPT
    assert error.status == 200
    assert_nothing_leaks(error, body)


def _use(job: LipsyncRequest | VideoTranslateRequest) -> None:
    """Ask a job all that it can be asked."""
    assert job.is_finished or not (job.is_completed or job.is_failed)
    assert (job.duration is None) == (job.started_at is None or job.finished_at is None)
    assert (job.queue_time is None) == (job.started_at is None)
    with suppress(RequestFailedError):
        job.raise_for_failure()
        assert job.is_completed or not job.is_finished


def _conforms(value: Any, hint: Any) -> bool:
    """Whether a value is of the type that the annotation promises to the reader of the model."""
    origin, inner = get_origin(hint) or hint, get_args(hint)
    if hint is Any:
        return True
    if origin in (types.UnionType, Union):
        return any(_conforms(value, option) for option in inner)
    if origin is list:
        return type(value) is list and all(_conforms(item, inner[0]) for item in value)
    if origin is Mapping:
        return type(value) is dict and all(
            _conforms(key, inner[0]) and _conforms(item, inner[1]) for key, item in value.items()
        )
    if attrs.has(origin):
        hints, records = _hints(origin), dict(zip(getattr(origin, "__parameters__", ()), inner, strict=True))
        return type(value) is origin and all(
            _conforms(getattr(value, name), _filled(hints[name], records)) for name in hints
        )
    if origin is datetime:
        return type(value) is datetime and value.tzinfo is UTC
    return type(value) is origin


@cache
def _hints(model: Any) -> dict[str, Any]:
    return get_type_hints(model)


def _filled(hint: Any, records: dict[Any, Any]) -> Any:
    """Put the type of the records into ``list[T]``."""
    variables = [it for it in get_args(hint) if isinstance(it, TypeVar)]
    return hint[records[variables[0]]] if variables else hint


_READINGS: dict[str, Callable[[bytes], None]] = {
    **{name: partial(_check_model, model) for name, model in MODELS.items()},
    "sweep": _check_sweep,
}
_ANSWERS: dict[str, Any] = json.loads("""{
"lipsync": {
    "id": "6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8", "status": "completed", "created_at": "2026-04-07T10:00:00Z",
    "reference_id": "dub-42", "started_at": "2026-04-07T10:00:01.5+02:00", "unknown": [1, 2.5, true, {"a": null}],
    "finished_at": "2026-04-07T10:01:00.123456789Z", "error_message": null, "output_url": "https://x.example/a.mp4"
},
"translation": {
    "id": "9d3a", "status": "failed", "created_at": "2026-04-07T10:00:00Z", "error_message": "no speech",
    "target_languages": ["de", "ja"], "model": "expressive", "config": {"a": [null, 1.5, {"b": "c"}]},
    "disable_background_audio": false, "disable_lip_sync": true, "formality": false, "source_language": "en",
    "outputs": {"de": {"video": "https://x/v", "audio": "https://x/a", "srt": "https://x/s"}}, "webhook_url": null
},
"voice": {
    "voice_id": "v-1", "name": "Ada", "default_name": "Ada", "description": "Größe", "language": "de",
    "application": "dubbing", "gender": "female", "is_favorite": true
},
"accepted": {"request_id": "6f82a2d8", "status": "success"},
"user": {"name": "production-key"},
"health": {"status": "ok"},
"pagination": {"limit": 20, "offset": 0, "total": 2}
}""")
_LIPSYNC, _TRANSLATION = _ANSWERS["lipsync"], _ANSWERS["translation"]
_VOICE, _PAGINATION = _ANSWERS.pop("voice"), _ANSWERS.pop("pagination")
_PAGES = {
    "lipsyncs": {"data": [_LIPSYNC, {**_LIPSYNC, "id": "b"}]},
    "translations": {"data": [_TRANSLATION]},
    "voices": {"voices": [_VOICE]},
    "sweep": {"data": [_LIPSYNC, {**_LIPSYNC, "created_at": "2026-04-07T09:00:00Z"}]},
}
_ANSWERS |= {name: {**page, "pagination": _PAGINATION} for name, page in _PAGES.items()}
_ESCAPED_KEY = "".join(f"\\u{ord(character):04x}" for character in KEY)
_SEEDS = [
    *(f"{name}\n{json.dumps(answer)}".encode() for name, answer in _ANSWERS.items()),
    *(f"{name}\n".encode() + json.dumps(answer).encode("utf-16") for name, answer in _ANSWERS.items()),
    *(f"{name}\n\ufeff{json.dumps(answer)}".encode() for name, answer in _ANSWERS.items()),
    *(json.dumps(answer).encode() for answer in _ANSWERS.values()),
    *(
        f"lipsync\n{json.dumps({**_LIPSYNC, 'created_at': time})}".encode()
        for time in (KEY, f"at the time of {KEY}", "0001-01-01T00:00:00+23:59")
    ),
    f"lipsyncs\n{json.dumps({'data': [], 'pagination': {**_PAGINATION, 'limit': True}})}".encode(),
    f"translation\n{json.dumps({**_TRANSLATION, 'outputs': {KEY: {}}})}".encode(),
    b"translation\n" + json.dumps(_TRANSLATION).encode().replace(b"[null", b"[" * 900 + b"]" * 900 + b",[null"),
    f"translation\n{json.dumps({**_TRANSLATION, 'outputs': {'l' * 8000: 5}})}".encode(),
    b"\n" + b"[" * 2000,
    b'\n{"error": "x"}',
    b"\n5",
    b"\n<html><h1>Bad Gateway</h1></html>",
]
_VALUES = """
    null true false 0 -0 -1 1.0 1.5 1e5 1e999 -1e999 1E-999 NaN Infinity -Infinity nan 01 +1 .5 5. 0x1
    9223372036854775808 18446744073709551616 -9223372036854775809 "" "a" "\\u0000" "\\ud800" "\\udc00\\ud800"
    "\\ud83d\\ude00" "\\" 'a'
    [] {} [[]] [{}] [null] [1,] {,} {null:1} {1:2} // /**/ undefined
    "2026-04-07" "2026-04-07T10:00:00" "2026-04-07t10:00:00z"
    "2026-04-07T10:00:00+24:00" "2026-W15-2T10:00" "0001-01-01T00:00:00+23:59" "9999-12-31T23:59:59.999999999-23:59"
    "2026-04-07T10:00:00,5Z" "20260407T100000Z" "2026-02-30T10:00:00Z" "2026-04-07T24:00:00Z" "2026-04-07T23:59:60Z"
    "\u0662\u0660\u0662\u0666-04-07T10:00:00Z" "2026-04-07T10:00:00+00:00:00.000001" "1775556000" "\xe9\ud7ff\ue000"
"""
_WORDS = [
    *(value.encode() for value in _VALUES.split()),
    *(f'"{name}":'.encode() for answer in (_LIPSYNC, _TRANSLATION, _VOICE, _PAGINATION) for name in answer),
    *(f'"{name}":null,'.encode() for name in ("id", "data", "voices", "outputs", "pagination", "__class__")),
    *(f"{name}\n".encode() for name in _READINGS),
    *(character.encode() for character in '[]{}",:\\'),
    *(b"1" * digits for digits in (30, 400, 4300, 4301)),
    *(b"0." + b"1" * digits + b"e" + b"9" * 3 for digits in (30, 5000)),
    *(b'"' + letter.encode() * 8000 + b'"' for letter in ("x", "é", "\\n", "\\ud800")),
    *(bracket * times for bracket in (b"[", b'{"a":', b'{"config":', b"]", b"}") for times in (10, 600, 2000)),
    *(f"{quote}{key}{quote}".encode() for key in (KEY, _ESCAPED_KEY) for quote in ("", '"')),
]

DECODING = Target(name="decoding", check=_check, seeds=_SEEDS, words=_WORDS)
