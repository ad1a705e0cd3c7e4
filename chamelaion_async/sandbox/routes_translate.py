"""Video translation: both ways to start a job, both ways to read it, and the voices."""

from collections.abc import Mapping
from typing import Any

from .answers import Answer, ApiError, json_answer
from .bodies import read_json
from .forms import Form, read_form
from .jobs import Upload
from .pages import page_window
from .routing import Call, Route
from .translate_filter import translate_filter
from .validation import (
    check_translate,
    check_translate_options,
    failure_of,
    invalid_body,
    json_object,
    json_value,
    video_url,
)
from .views import translate_view
from .voices import matching_voices

_TEXTS = ("model", "reference_id", "source_language", "webhook_url")
_FLAGS = ("disable_background_audio", "disable_lip_sync", "formality")
_TARGET_SRT = "target_srt."


async def generate(call: Call) -> Answer:
    """POST /v1/video-translate/generate."""
    body = call.received.body = await read_json(call.request)
    check_translate(body)
    return _accept(call, body, failure_of(video_url(body)), {})


async def generate_with_media(call: Call) -> Answer:
    """POST /v1/video-translate/generate-with-media."""
    form = await read_form(call.request, call.service.spool)
    call.received.body = form.described()
    try:
        video = form.file("video")
        body = _body(form)
        check_translate_options(body)
        return _accept(call, body, failure_of(video.filename), form.files)
    except ApiError:
        form.discard()
        raise


async def get_request(call: Call) -> Answer:
    """GET /v1/video-translate/requests/{id}; that a reference_id will do as well is assumed."""
    job = call.service.stores["video_translate"].find(call.tail)
    if job is None:
        raise ApiError(404, "video translate request not found")
    return json_answer(translate_view(job, now=call.now, origin=call.service.origin))


async def list_requests(call: Call) -> Answer:
    """GET /v1/video-translate/requests."""
    query = call.received.query
    window = page_window(query, cap=call.service.page_cap)
    seen_at = call.now - call.service.list_stale
    jobs, total = call.service.stores["video_translate"].page(
        now=call.now,
        limit=window.limit,
        offset=window.offset,
        reference_id=query.get("reference_id") or None,
        keep=translate_filter(query, now=seen_at),
    )
    data = [translate_view(job, now=seen_at, origin=call.service.origin) for job in jobs]
    return json_answer({"data": data, "pagination": window.pagination(total)})


async def list_voices(call: Call) -> Answer:
    """GET /v1/video-translate/voices."""
    window = page_window(call.received.query, cap=call.service.page_cap)
    voices = matching_voices(call.received.query)
    page = voices[window.offset : window.offset + window.limit]
    return json_answer({"voices": page, "pagination": window.pagination(len(voices))})


def _accept(call: Call, body: Mapping[str, Any], error_message: str | None, uploads: Mapping[str, Upload]) -> Answer:
    job = call.service.accept(
        "video_translate",
        now=call.service.clock.time(),
        reference_id=body.get("reference_id") or None,
        error_message=error_message,
        payload={name: value for name, value in body.items() if value is not None},
        uploads=uploads,
        webhook_url=body.get("webhook_url"),
    )
    call.received.job_id = job.id
    return json_answer({"status": "success", "request_id": job.id})


def _body(form: Form) -> dict[str, Any]:
    body: dict[str, Any] = {name: form.fields[name] for name in _TEXTS if name in form.fields}
    body |= {name: form.flag(name) for name in _FLAGS if name in form.fields}
    body["target_languages"] = json_value(form.fields.get("target_languages", "null"))
    config = json_object(form.fields.get("config", "{}"))
    if "source_srt" in form.files:
        config["source_srt"] = _subtitle(form.files["source_srt"])
    targets = {name: file for name, file in form.files.items() if name.startswith(_TARGET_SRT)}
    if targets:
        config["target_srts"] = {
            **config.get("target_srts", {}),
            **{
                name.removeprefix(_TARGET_SRT): {
                    **_subtitle(file),
                    "language": name.removeprefix(_TARGET_SRT),
                }
                for name, file in targets.items()
            },
        }
    return {**body, "config": config}


def _subtitle(file: Upload) -> dict[str, str]:
    try:
        return {"content": file.path.read_text("utf-8"), "file_name": file.filename}
    except UnicodeDecodeError:
        raise invalid_body() from None


ROUTES = (
    Route(method="POST", template="/v1/video-translate/generate", handler=generate, lane="generate"),
    Route(
        method="POST",
        template="/v1/video-translate/generate-with-media",
        handler=generate_with_media,
        lane="generate",
    ),
    Route(method="GET", template="/v1/video-translate/requests", handler=list_requests, lane="status"),
    Route(method="GET", template="/v1/video-translate/requests/{id}", handler=get_request, lane="status"),
    Route(method="GET", template="/v1/video-translate/voices", handler=list_voices, lane="status"),
)
