"""Downloads. Where the real service stores its output is not documented; assumed: it needs no key there.

Assumed too are the errors: 404 until the job has completed, 403 once the URL has expired.
"""

from .answers import Answer, ApiError
from .jobs import Job
from .outputs import artifact, lipsync_output
from .ranges import Content, download
from .routing import Call, Route


async def get_output(call: Call) -> Answer:
    """GET and HEAD /output/NAME.mp4, /output/ID/LANGUAGE/NAME."""
    return download(_content(call), call.request.headers, method=call.received.method)


def _content(call: Call) -> Content:
    head, _, name = call.tail.rpartition("/")
    folder, _, language = head.partition("/")
    content = None
    if not head:
        content = lipsync_output(_completed(call.service.stores["lipsync"].find_output(name), call.now))
    elif language:
        translation = _completed(call.service.stores["video_translate"].find_output(folder), call.now)
        content = artifact(translation, language, name)
    if content is None:
        raise ApiError(404, "not found")
    return content


def _completed(job: Job | None, now: float) -> Job:
    if job is None or job.status(now) != "completed":
        raise ApiError(404, "not found")
    if job.output_expired:
        raise ApiError(403, "url expired")
    return job


ROUTES = tuple(
    Route(method=method, template="/output/{name:path}", handler=get_output, needs_key=False)
    for method in ("GET", "HEAD")
)
