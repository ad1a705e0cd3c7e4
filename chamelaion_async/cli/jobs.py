"""``get`` and ``wait``: how lip sync jobs stand."""

from __future__ import annotations

import math
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from ..errors import ChamelaionError
from ..models import LipsyncRequest
from . import exits
from .follow import all_of, follow, make_board
from .options import Service
from .output import complain, say
from .records import error_record, job_record
from .text import clean, result, seconds, timestamp
from .words import about

__all__ = ["get", "wait"]

Json = Annotated[bool, Parameter(negative="", show_default=False)]


async def get(
    id: str,
    /,
    *,
    timeout: Annotated[float, Parameter(validator=Number(gt=0))] = 60.0,
    json: Json = False,
    service: Service | None = None,
) -> int:
    """Show how a lip sync request stands now.

    Exits with 0 if it is completed or still under way, 1 if it failed or is not known, 2 if the command line, the
    settings or the credentials are wrong, 3 if the service cannot be reached.

    Args:
        id: UUID of the request, or the reference id it was submitted with.
        timeout: Seconds for one attempt; up to three are made.
        json: Print one JSON object, with the names of the API; for an error one with id, error and message.
        service: Which service to call, and as whom.
    """
    async with (service or Service()).client(timeout=timeout) as client:
        try:
            job = await client.lipsync.requests.get(id)
        except ChamelaionError as error:
            if json:
                say(error_record(id, error))
            complain(about(id, error))
            return exits.of_error(error)
    if json:
        say(job_record(job))
    else:
        for name, value in _facts(job):
            say(f"{name:<10} {value}")
    return exits.of_job(job)


async def wait(
    ids: list[str],
    /,
    *,
    timeout: Annotated[float, Parameter(validator=Number(gte=0))] = 600.0,
    json: Json = False,
    service: Service | None = None,
) -> int:
    """Wait until lip sync requests are completed or failed.

    Shows a table on a terminal, and elsewhere a line for each change. Exits with 0 if all are completed, 1 if one
    failed or is not known, 2 if the command line, the settings or the credentials are wrong, 3 if one did not finish
    in time or the service cannot be reached. If several hold, 2 goes before 3 before 1.

    Args:
        ids: UUIDs of the requests, or the reference ids they were submitted with. One given twice counts once.
        timeout: Seconds to wait in all; 0 looks once, inf waits for ever.
        json: Print one JSON object a line for each id, in the order of finishing, with the names of the API; for an
            error one with id, error and message.
        service: Which service to call, and as whom.
    """
    limit = None if timeout == math.inf else timeout
    names = list(dict.fromkeys(ids))
    async with (service or Service()).client() as client:
        with make_board(names, json=json) as board:
            outcomes = await all_of(follow(client, board, name, timeout=limit) for name in names)
    return exits.worst(exits.of_outcome(outcome) for outcome in outcomes)


def _facts(job: LipsyncRequest) -> list[tuple[str, str]]:
    facts = [("id", clean(job.id))]
    if job.reference_id is not None:
        facts.append(("reference", clean(job.reference_id)))
    facts += [("status", clean(job.status)), ("created", timestamp(job.created_at))]
    if job.queue_time is not None:
        facts.append(("queued", seconds(job.queue_time)))
    if job.duration is not None:
        facts.append(("took", seconds(job.duration)))
    if job.is_finished:
        facts.append(("output" if job.is_completed else "reason", result(job)))
    return facts
