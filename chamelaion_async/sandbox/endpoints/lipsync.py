"""Lip sync: two ways to start a job, one request, and the list of requests."""

from .answers import Answer, json_answer
from .bodies import read_json
from .calls import Call, Route
from .forms import reading_form
from .pages import jobs_page
from .validation import check_lipsync, video_url
from .views import lipsync_view


async def generate(call: Call) -> Answer:
    """POST /v1/lipsync/generate."""
    body = call.received.body = await read_json(call.request)
    check_lipsync(body)
    return call.start_job("lipsync", video=video_url(body), payload=body)


async def generate_with_media(call: Call) -> Answer:
    """POST /v1/lipsync/generate-with-media."""
    async with reading_form(call) as form:
        video = form.file("video")
        form.file("audio")
        flag = form.flag("disable_active_speaker_detection")
        payload = {"reference_id": form.fields.get("reference_id"), "disable_active_speaker_detection": flag}
        return call.start_job("lipsync", video=video.filename, payload=payload, uploads=form.files)


async def get_request(call: Call) -> Answer:
    """GET /v1/lipsync/requests/{id}."""
    return json_answer(lipsync_view(call.job("lipsync"), now=call.now, origin=call.world.origin))


async def list_requests(call: Call) -> Answer:
    """GET /v1/lipsync/requests."""
    return jobs_page(call, "lipsync", lipsync_view, query=call.received.query)


ROUTES = (
    Route(method="POST", template="/v1/lipsync/generate", endpoint=generate, lane="generate"),
    Route(method="POST", template="/v1/lipsync/generate-with-media", endpoint=generate_with_media, lane="generate"),
    Route(method="GET", template="/v1/lipsync/requests", endpoint=list_requests, lane="status"),
    Route(method="GET", template="/v1/lipsync/requests/{id}", endpoint=get_request, lane="status"),
)
