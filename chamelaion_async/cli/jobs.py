"""``get`` and ``wait``: how jobs stand."""

from __future__ import annotations

from ..errors import ChamelaionError
from ..models import Job, VideoTranslateRequest
from . import exits
from .family import Family, requests_of
from .follow import follow_all, make_board
from .options import AttemptTimeout, Flag, Service, WaitTimeout
from .output import complain, say
from .records import error_record, job_record
from .text import clean, result, seconds, timestamp
from .words import about

__all__ = ["get", "wait"]


async def get(
    id: str,
    /,
    *,
    family: Family = "lipsync",
    timeout: AttemptTimeout = 60.0,
    json: Flag = False,
    service: Service | None = None,
) -> int:
    """Show how a request stands now.

    Exits with 0 if it is completed or still under way, 1 if it failed or is not known, 2 if the command line, the
    settings or the credentials are wrong, 3 if the service cannot be reached.

    Args:
        id: UUID of the request, or the reference id it was submitted with.
        family: What kind of request it is.
        timeout: Seconds for one attempt; up to three are made.
        json: Print one JSON object, with the names of the API; for an error one with id, error and message.
        service: Which service to call, and with which credentials.
    """
    async with (service or Service()).client(timeout=timeout) as client:
        try:
            job = await requests_of(client, family).get(id)
        except ChamelaionError as error:
            complain(about(id, error))
            if json:
                say(error_record(id, error))
            return exits.of_error(error)
    if json:
        say(job_record(job))
    else:
        facts = _facts(job)
        width = max(10, *(len(name) for name, _ in facts))
        for name, value in facts:
            say(f"{name:<{width}} {value}")
    return exits.of_job(job)


async def wait(
    ids: list[str],
    /,
    *,
    family: Family = "lipsync",
    timeout: WaitTimeout = 600.0,
    json: Flag = False,
    service: Service | None = None,
) -> int:
    """Wait until requests are completed or failed.

    Shows a table on a terminal, and elsewhere a line for each change. Exits with 0 if all are completed, 1 if one
    failed or is not known, 2 if the command line, the settings or the credentials are wrong, 3 if one did not finish
    in time or the service cannot be reached. If several hold, 2 goes before 3 before 1.

    Args:
        ids: UUIDs of the requests, or the reference ids they were submitted with. One given twice counts once.
        family: What kind of requests they are.
        timeout: Seconds to wait in all; 0 polls once, inf waits without end.
        json: Print one JSON object a line for each id, in the order of finishing, with the names of the API; for an
            error one with id, error and message.
        service: Which service to call, and with which credentials.
    """
    names = list(dict.fromkeys(ids))
    async with (service or Service()).client() as client:
        board = make_board(names, json=json)
        outcomes = await follow_all(requests_of(client, family), board, names, timeout=timeout)
    return exits.worst(exits.of_outcome(outcome) for outcome in outcomes)


def _facts(job: Job) -> list[tuple[str, str]]:
    facts = [("id", clean(job.id))]
    if job.reference_id is not None:
        facts.append(("reference", clean(job.reference_id)))
    facts += [("status", clean(job.status)), ("created", timestamp(job.created_at))]
    if job.queue_time is not None:
        facts.append(("queued", seconds(job.queue_time)))
    if job.duration is not None:
        facts.append(("took", seconds(job.duration)))
    if isinstance(job, VideoTranslateRequest):
        facts.append(("languages", clean(", ".join(job.target_languages))))
        for language, output in (job.outputs or {}).items():
            name = clean(language)
            facts += [
                (f"{name} video", clean(output.video)),
                (f"{name} audio", clean(output.audio)),
                (f"{name} srt", clean(output.srt)),
            ]
    if job.is_finished and not getattr(job, "outputs", None):
        facts.append(("output" if job.is_completed else "reason", result(job)))
    return facts
