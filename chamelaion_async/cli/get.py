"""``get``: the state of one job."""

from __future__ import annotations

from ..errors import ChamelaionError
from ..models import Job, VideoTranslateRequest
from ._ui.errors import exit_code, explain_with_id
from ._ui.exits import of_job
from ._ui.json_records import api_record, error_as_record, error_record
from ._ui.options import AttemptTimeout, Family, Flag, ServiceOptions, requests_of
from ._ui.printing import print_error, print_line
from ._ui.text import clean, result, seconds, timestamp

__all__ = ["get"]


async def get(
    id: str,
    /,
    *,
    family: Family = "lipsync",
    timeout: AttemptTimeout = 60.0,
    json: Flag = False,
    service: ServiceOptions | None = None,
) -> int:
    """Show the state of a request.

    Exit codes: 0 completed or in progress, 1 failed or not found, 2 wrong arguments, settings or credentials, 3 the
    service cannot be reached.

    Args:
        id: UUID of the request, or the reference id that it was submitted with.
        family: Kind of request: lipsync, the default, or translate.
        timeout: Seconds for one attempt of up to three, by default 60.
        json: Print one JSON object with the field names of the API. An error has id, error and message.
        service: The service to call, and its credentials.
    """
    with error_as_record(id, json=json):
        client = (service or ServiceOptions()).client(timeout=timeout)
    async with client:
        try:
            job = await requests_of(client, family).get(id)
        except ChamelaionError as error:
            print_error(explain_with_id(id, error))
            if json:
                print_line(error_record(id, error))
            return exit_code(error)
    if json:
        print_line(api_record(job))
    else:
        fields = _fields(job)
        width = max(10, *(len(name) for name, _ in fields))
        for name, value in fields:
            print_line(f"{name:<{width}} {value}")
    return of_job(job)


def _fields(job: Job) -> list[tuple[str, str]]:
    fields = [("id", clean(job.id))]
    if job.reference_id is not None:
        fields.append(("reference", clean(job.reference_id)))
    fields += [("status", clean(job.status)), ("created", timestamp(job.created_at))]
    if job.queue_time is not None:
        fields.append(("queued", seconds(job.queue_time)))
    if job.duration is not None:
        fields.append(("took", seconds(job.duration)))
    if isinstance(job, VideoTranslateRequest):
        fields.append(("languages", clean(", ".join(job.target_languages))))
        for language, output in (job.outputs or {}).items():
            name = clean(language)
            fields += [
                (f"{name} video", clean(output.video)),
                (f"{name} audio", clean(output.audio)),
                (f"{name} srt", clean(output.srt)),
            ]
    if job.is_finished and not getattr(job, "outputs", None):
        fields.append(("output" if job.is_completed else "reason", result(job)))
    return fields
