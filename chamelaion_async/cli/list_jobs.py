"""``list``: the jobs of the account."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from ..errors import ConfigurationError
from ..models import Job
from .exits import ExitCode
from .family import Family
from .listings import Column, Listing
from .options import Flag, Service
from .records import recording
from .text import result, seconds, timestamp

__all__ = ["list_jobs"]

_COLUMNS: Final = (
    Column[Job]("Id", lambda job: job.id),
    Column[Job]("Status", lambda job: job.status),
    Column[Job]("Created", lambda job: timestamp(job.created_at)),
    Column[Job]("Took", lambda job: seconds(job.duration)),
    Column[Job]("Reference", lambda job: "-" if job.reference_id is None else job.reference_id),
    Column[Job]("Result", lambda job: result(job) if job.is_finished else "-", is_wide=True),
)


async def list_jobs(
    *,
    family: Family = "lipsync",
    limit: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    offset: Annotated[int | None, Parameter(validator=Number(gte=0))] = None,
    all: Flag = False,
    reference_id: str | None = None,
    status: str | None = None,
    source_language: str | None = None,
    target_language: str | None = None,
    created_after: str | None = None,
    created_before: str | None = None,
    json: Flag = False,
    service: Service | None = None,
) -> int:
    """List the requests of the account.

    Shows a table on a terminal, and elsewhere lines of id, status, time of creation, duration, reference id and
    result, with tabs between them. Exits with 0, 2 if the command line, the settings or the credentials are wrong, 3
    if the service cannot be reached.

    Args:
        family: What kind of requests to list.
        limit: Size of the page; with --all that of each page. The service may lower it. Default: the service's.
        offset: Number of requests to skip.
        all: List all of them, page after page.
        reference_id: Only requests with exactly this reference id.
        status: Only those in this status, such as completed. Translations only, like all that follow.
        source_language: Only those from this language.
        target_language: Only those into this language.
        created_after: Only those created after this time, such as 2026-04-07 or 2026-04-07T12:00; UTC unless it says
            otherwise.
        created_before: Only those created before this time.
        json: Print one JSON object a line for each request, with the names of the API.
        service: Which service to call, and with which credentials.
    """
    with recording(None, json=json):
        if all and offset is not None:
            raise ConfigurationError("--all begins at the first request, so it goes without --offset")
        filters: dict[str, Any] = {
            "status": status,
            "source_language": source_language,
            "target_language": target_language,
            "created_after": _time("--created-after", created_after),
            "created_before": _time("--created-before", created_before),
        }
        given = [f"--{name.replace('_', '-')}" for name, value in filters.items() if value is not None]
        if family == "lipsync":
            if given:
                raise ConfigurationError(f"{', '.join(given)}: for translations only; add --family translate")
            filters = {}
        filters["reference_id"] = reference_id
        listing = Listing[Job](columns=_COLUMNS, json=json)
        async with (service or Service()).client() as client:
            requests = client.lipsync.requests if family == "lipsync" else client.video_translate.requests
            if all:
                await listing.show_all(requests.iterate(page_size=limit, **filters))
            else:
                listing.show_page(await requests.list(limit=limit, offset=offset, **filters))
    return ExitCode.OK


def _time(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{option} takes a time such as 2026-04-07T12:00, not {text!r}") from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
