"""Downloads: the uploaded video, or a clip that says that nothing was done.

Where the real service stores its output is not documented. Assumed: no key is needed there; the answer is 404 until
the job has completed, and 403 once the URL has expired.
"""

from collections.abc import Callable
from pathlib import Path

from .. import clips
from ..world.jobs import Job
from ..world.timestamps import http_date
from .answers import Answer, ApiError, FileSlice
from .calls import Call, Route
from .ranges import Content, download


async def get_output(call: Call) -> Answer:
    """GET and HEAD /output/NAME.mp4, /output/ID/LANGUAGE/NAME."""
    return download(_content(call), call.request.headers, method=call.received.method)


def _content(call: Call) -> Content:
    head, _, name = call.tail.rpartition("/")
    folder, _, language = head.partition("/")
    if not head:
        job = _completed(call.world.stores["lipsync"].find_output(name), call.now)
        return _video(job, clips.lipsync_video)
    job = _completed(call.world.stores["video_translate"].find_output(folder), call.now)
    if language in job.payload["target_languages"]:
        if name == "video.mp4":
            return _video(job, clips.translated_video)
        if name == "audio.wav":
            return _of(job, clips.silence(), "audio/wav")
        if name == "subtitles.srt":
            return _of(job, clips.subtitles(language), "application/x-subrip")
    raise ApiError(404, "not found")


def _completed(job: Job | None, now: float) -> Job:
    if job is None or job.status(now) != "completed":
        raise ApiError(404, "not found")
    if job.output_expired:
        raise ApiError(403, "url expired")
    return job


def _video(job: Job, clip: Callable[[], bytes]) -> Content:
    if job.output is not None:
        return _of(job, job.output, "video/mp4")
    upload = job.uploads.get("video")
    # A stop of the sandbox removes the uploads; the job stays.
    if upload is not None and upload.path.exists():
        return _of(job, upload.path, upload.content_type)
    return _of(job, clip(), "video/mp4")


def _of(job: Job, data: bytes | Path, content_type: str) -> Content:
    body = FileSlice(path=data, start=0, length=data.stat().st_size) if isinstance(data, Path) else data
    return Content(
        data=body,
        content_type=content_type,
        etag=f'"{job.id}-{job.output_version}-{len(body)}"',
        last_modified=http_date(job.finished_at if job.output_changed_at is None else job.output_changed_at),
    )


ROUTES = tuple(
    Route(method=method, template="/output/{name:path}", endpoint=get_output, needs_key=False)
    for method in ("GET", "HEAD")
)
