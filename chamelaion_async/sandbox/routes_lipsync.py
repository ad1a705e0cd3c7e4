"""Lip sync: both ways to start a job, and both ways to read it."""

from .answers import Answer, ApiError, json_answer
from .bodies import read_json
from .forms import read_form
from .jobs import Job
from .pages import page_window
from .routing import Call, Route
from .validation import check_lipsync, failure_of, video_url
from .views import lipsync_view


async def generate(call: Call) -> Answer:
    """POST /v1/lipsync/generate."""
    body = call.received.body = await read_json(call.request)
    check_lipsync(body)
    return _accepted(
        call,
        call.service.accept(
            "lipsync",
            now=call.now,
            reference_id=body.get("reference_id") or None,
            error_message=failure_of(video_url(body)),
            payload=body,
            uploads={},
        ),
    )


async def generate_with_media(call: Call) -> Answer:
    """POST /v1/lipsync/generate-with-media."""
    form = await read_form(call.request, call.service.spool)
    call.received.body = form.described()
    try:
        video = form.file("video")
        form.file("audio")
        flag = form.flag("disable_active_speaker_detection")
        options = {"reference_id": form.fields.get("reference_id"), "disable_active_speaker_detection": flag}
        job = call.service.accept(
            "lipsync",
            now=call.service.clock.time(),
            reference_id=form.fields.get("reference_id") or None,
            error_message=failure_of(video.filename),
            payload=options,
            uploads=form.files,
        )
    except ApiError:
        form.discard()
        raise
    return _accepted(call, job)


async def get_request(call: Call) -> Answer:
    """GET /v1/lipsync/requests/{id}."""
    job = call.service.stores["lipsync"].find(call.tail)
    if job is None:
        raise ApiError(404, "lipsync request not found")
    return json_answer(lipsync_view(job, now=call.now, origin=call.service.origin))


async def list_requests(call: Call) -> Answer:
    """GET /v1/lipsync/requests."""
    query = call.received.query
    window = page_window(query, cap=call.service.page_cap)
    jobs, total = call.service.stores["lipsync"].page(
        now=call.now, limit=window.limit, offset=window.offset, reference_id=query.get("reference_id") or None
    )
    seen_at = call.now - call.service.list_stale
    data = [lipsync_view(job, now=seen_at, origin=call.service.origin) for job in jobs]
    return json_answer({"data": data, "pagination": window.pagination(total)})


def _accepted(call: Call, job: Job) -> Answer:
    call.received.job_id = job.id
    return json_answer({"status": "success", "request_id": job.id})


ROUTES = (
    Route(method="POST", template="/v1/lipsync/generate", handler=generate, lane="generate"),
    Route(
        method="POST",
        template="/v1/lipsync/generate-with-media",
        handler=generate_with_media,
        lane="generate",
    ),
    Route(method="GET", template="/v1/lipsync/requests", handler=list_requests, lane="status"),
    Route(method="GET", template="/v1/lipsync/requests/{id}", handler=get_request, lane="status"),
)
