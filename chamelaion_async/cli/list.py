"""``list``: the jobs of the account."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final

from ..errors import ConfigurationError
from ..models import Job
from ._ui.columns import Column
from ._ui.exits import ExitCode
from ._ui.json_records import error_as_record
from ._ui.list_table import ListTable
from ._ui.options import Family, Flag, Offset, PageSize, ServiceOptions
from ._ui.printing import print_note
from ._ui.text import result, seconds, short_time, timestamp

__all__ = ["list_requests"]


def _created(job: Job) -> str:
    return timestamp(job.created_at).removesuffix(" UTC")[:-3]


def _took(job: Job) -> str:
    return "-" if job.duration is None else short_time(job.duration)


_COLUMNS: Final = (
    Column[Job]("Id", lambda job: job.id),
    Column[Job]("Status", lambda job: job.status),
    Column[Job]("Created", lambda job: timestamp(job.created_at), short=_created),
    Column[Job]("Took", lambda job: seconds(job.duration), short=_took),
    Column[Job](
        "Reference",
        lambda job: "-" if job.reference_id is None else job.reference_id,
        short=lambda job: job.reference_id or "",
        may_move=True,
    ),
    Column[Job]("Result", lambda job: result(job) if job.is_finished else "-", is_wide=True),
)


async def list_requests(
    *,
    family: Family = "lipsync",
    limit: PageSize = None,
    offset: Offset = None,
    all: Flag = False,
    reference_id: str | None = None,
    status: str | None = None,
    source_language: str | None = None,
    target_language: str | None = None,
    created_after: str | None = None,
    created_before: str | None = None,
    json: Flag = False,
    service: ServiceOptions | None = None,
) -> int:
    """List the requests of the account.

    Shows a table on a terminal, elsewhere tab-separated lines: id, status, creation time, duration, reference id,
    result. Exit codes: 0 success, 2 wrong arguments, settings or credentials, 3 no answer. Example: chamelaion-async
    list --all --status failed

    Args:
        family: Kind of request: lipsync, the default, or translate.
        limit: Requests on a page. The service may lower it.
        offset: Number of requests to skip.
        all: List all requests, page after page.
        reference_id: Only requests with exactly this reference id.
        status: Only requests with this status; lip sync: with --all.
        source_language: Only translations from this language.
        target_language: Only translations into this language.
        created_after: Only translations created after 2026-04-07T12:00 UTC.
        created_before: Only translations created before such a time.
        json: Print each request as a line of JSON.
        service: The service to call, and its credentials.
    """
    with error_as_record(None, json=json):
        if all and offset is not None:
            raise ConfigurationError("--all starts at the first request and cannot be combined with --offset")
        filters: dict[str, Any] = {
            "status": status,
            "source_language": source_language,
            "target_language": target_language,
            "created_after": _time("--created-after", created_after),
            "created_before": _time("--created-before", created_before),
        }
        matches = None
        if family == "lipsync" and status is not None and all:
            matches, filters["status"] = status, None
        given = [f"--{name.replace('_', '-')}" for name, value in filters.items() if value is not None]
        if family == "lipsync":
            if given:
                raise ConfigurationError(f"{', '.join(given)}: for translations only; add {_what_helps(given)}")
            filters = {}
        filters["reference_id"] = reference_id
        table = ListTable[Job](columns=_COLUMNS, json=json, note=lambda job: result(job) if job.is_failed else "")
        async with (service or ServiceOptions()).client() as client:
            requests = client.lipsync.requests if family == "lipsync" else client.video_translate.requests
            if all:
                await table.show_all(_matching(requests.iterate(page_size=limit, **filters), matches))
            else:
                table.show_page(await requests.list(limit=limit, offset=offset, **filters))
    return ExitCode.OK


def _what_helps(given: list[str]) -> str:
    # The API filters translations only by status, and the command can do it where it reads the whole list.
    return "--all" if given == ["--status"] else "--family translate"


async def _matching(jobs: AsyncIterator[Job], status: str | None) -> AsyncIterator[Job]:
    """Yield the jobs that have the status, or all of them for None; print a note if none has it."""
    seen = found = 0
    async for job in jobs:
        seen += 1
        if status is None or job.status == status:
            found += 1
            yield job
    if seen and not found:
        print_note(f"none of {seen} requests has the status {status}")


def _time(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{option} takes a time such as 2026-04-07T12:00, not {text!r}") from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
