"""Video translation: two ways to start a job, one request, and the list of requests."""

from typing import Any, Final

from ..world.jobs import Upload
from .answers import Answer, json_answer
from .bodies import invalid_body, json_object, json_value, read_json
from .calls import Call, Route
from .forms import Form, reading_form
from .pages import jobs_page
from .translate_filter import translate_filter
from .validation import TRANSLATE_FLAGS, TRANSLATE_TEXTS, check_translate, check_translate_options, video_url
from .views import translate_view

FAMILY: Final = "video_translate"
_TARGET_SRT = "target_srt."


async def generate(call: Call) -> Answer:
    """POST /v1/video-translate/generate."""
    body = call.received.body = await read_json(call.request)
    check_translate(body)
    return call.start_job(FAMILY, video=video_url(body), payload=body, webhook_url=body.get("webhook_url"))


async def generate_with_media(call: Call) -> Answer:
    """POST /v1/video-translate/generate-with-media."""
    async with reading_form(call) as form:
        video = form.file("video")
        body = _body(form)
        check_translate_options(body)
        return call.start_job(
            FAMILY, video=video.filename, payload=body, uploads=form.files, webhook_url=body.get("webhook_url")
        )


async def get_request(call: Call) -> Answer:
    """GET /v1/video-translate/requests/{id}."""
    return json_answer(translate_view(call.job(FAMILY), now=call.now, origin=call.world.origin))


async def list_requests(call: Call) -> Answer:
    """GET /v1/video-translate/requests."""
    query = call.received.query
    keep = translate_filter(query, now=call.now - call.world.settings.list_stale)
    return jobs_page(call, FAMILY, translate_view, query=query, keep=keep)


def _body(form: Form) -> dict[str, Any]:
    body: dict[str, Any] = {name: form.fields[name] for name in TRANSLATE_TEXTS if name in form.fields}
    body |= {name: form.flag(name) for name in TRANSLATE_FLAGS if name in form.fields}
    body["target_languages"] = json_value(form.fields.get("target_languages", "null"))
    config = body["config"] = json_object(form.fields.get("config", "{}"))
    if "source_srt" in form.files:
        config["source_srt"] = _subtitle(form.files["source_srt"])
    for name, file in form.files.items():
        if name.startswith(_TARGET_SRT):
            language = name.removeprefix(_TARGET_SRT)
            targets = config.setdefault("target_srts", {})
            if not isinstance(targets, dict):
                raise invalid_body()
            targets[language] = {**_subtitle(file), "language": language}
    return body


def _subtitle(file: Upload) -> dict[str, str]:
    try:
        return {"content": file.path.read_text("utf-8"), "file_name": file.filename}
    except UnicodeDecodeError:
        raise invalid_body() from None


ROUTES = (
    Route(method="POST", template="/v1/video-translate/generate", endpoint=generate, lane="generate"),
    Route(
        method="POST",
        template="/v1/video-translate/generate-with-media",
        endpoint=generate_with_media,
        lane="generate",
    ),
    Route(method="GET", template="/v1/video-translate/requests", endpoint=list_requests, lane="status"),
    Route(method="GET", template="/v1/video-translate/requests/{id}", endpoint=get_request, lane="status"),
)
