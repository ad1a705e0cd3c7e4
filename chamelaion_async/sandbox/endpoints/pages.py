"""Pages of lists: limit and offset in, data and pagination out."""

from collections.abc import Callable, Mapping
from typing import Any

from ..world.jobs import Family, Job
from .answers import Answer, ApiError, json_answer
from .calls import Call

DEFAULT_LIMIT = 20
"""The documented page size where the client names none."""


def page_window(query: Mapping[str, str], *, cap: int) -> tuple[int, int]:
    """Return the limit and the offset that a query asks for.

    Assumed: a limit beyond the cap is lowered to it, and anything but such a number is a 400.

    Args:
        query: of the request.
        cap: largest page size.

    Raises:
        ApiError: 400.
    """
    limit = _number(query, "limit", least=1, default=DEFAULT_LIMIT)
    return min(cap, limit), _number(query, "offset", least=0, default=0)


def page_answer(name: str, rows: list[Any], *, limit: int, offset: int, total: int) -> Answer:
    """Return the answer with one page.

    Args:
        name: of the field that holds the rows.
        rows: of this page.
        limit: page size applied.
        offset: how many rows come before.
        total: how many rows there are in all.
    """
    return json_answer({name: rows, "pagination": {"limit": limit, "offset": offset, "total": total}})


def jobs_page(
    call: Call,
    family: Family,
    view: Callable[..., dict[str, Any]],
    *,
    query: Mapping[str, str],
    keep: Callable[[Job], bool] | None = None,
) -> Answer:
    """Return the answer with a page of jobs, each as it was list_stale seconds ago.

    Args:
        call: the request.
        family: whose jobs.
        view: returns the JSON of a job at a time, for an origin.
        query: of the request.
        keep: further filter.

    Raises:
        ApiError: 400, if the query is not valid.
    """
    world = call.world
    limit, offset = page_window(query, cap=world.settings.page_cap)
    jobs, total = world.stores[family].page(
        now=call.now, limit=limit, offset=offset, reference_id=query.get("reference_id") or None, keep=keep
    )
    call.received.listed = tuple(job.id for job in jobs)
    seen_at = call.now - world.settings.list_stale
    rows = [view(job, now=seen_at, origin=world.origin) for job in jobs]
    return page_answer("data", rows, limit=limit, offset=offset, total=total)


def _number(query: Mapping[str, str], name: str, *, least: int, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    # int() raises for more than 4,300 digits; a limit of a thousand accepts every number that a client may send.
    if not (text.isascii() and text.isdigit() and len(text) <= 1000) or int(text) < least:
        raise ApiError(400, f"invalid {name}")
    return int(text)
