"""Reading lists: one page, or all of them although the list changes meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

from .._http.call import Call
from .._http.paging import PAGE_SIZE, read_page
from .._http.transport import Transport
from ..config import check_count
from ..errors import ConfigurationError
from ..models import Page

__all__ = ["read_list", "walk"]

T = TypeVar("T")


async def read_list(
    transport: Transport,
    path: str,
    page_model: type[Page[T]],
    *,
    limit: int | None,
    offset: int | None,
    **filters: str | bool | None,
) -> Page[T]:
    """Read one page; what is None is not sent.

    Raises:
        ConfigurationError: Limit or offset cannot work; nothing was sent.
        ChamelaionError: Any other failure of the call.
    """
    _check_limit("limit", limit)
    if offset is not None and (isinstance(offset, bool) or not isinstance(offset, int) or offset < 0):
        raise ConfigurationError(f"offset must be a whole number of at least 0, not {offset!r}")
    call = Call(method="GET", path=path, params={**filters, "limit": limit, "offset": offset})
    page, _ = await transport.fetch(call, page_model)
    return page


async def walk(
    fetch: Callable[..., Awaitable[Page[T]]], *, page_size: int | None, identity: Callable[[T], str]
) -> AsyncGenerator[T, None]:
    """Yield each record of a list once.

    Records that are added while the walk goes on push others onto a later page; a record that was yielded is not
    yielded again. A page that holds nothing new ends the walk, unless the list has grown by as much.

    Args:
        fetch: Reads the page of ``limit`` and ``offset``; a limit of None leaves it to the service.
        page_size: Records to ask for at a time, fewer where so many are refused; None asks for ``PAGE_SIZE``.
        identity: Returns what identifies a record.

    Raises:
        ConfigurationError: The page size cannot work; nothing was sent.
        ChamelaionError: A page could not be read.
    """
    _check_limit("page_size", page_size)
    seen: set[str] = set()
    offset, total, pushed = 0, None, 0
    page, limit = await read_page(lambda limit: fetch(limit=limit, offset=0), page_size or PAGE_SIZE)
    while True:
        # A dict, since a service may also show a record twice on one page.
        fresh = {identity(record): record for record in page.data if identity(record) not in seen}
        seen.update(fresh)
        for record in fresh.values():
            yield record
        # As many records may come again as new ones have pushed down since the page before.
        pushed += 0 if total is None else max(page.pagination.total - total, 0)
        pushed -= len(page.data) - len(fresh)
        total = page.pagination.total
        offset += len(page.data)
        # A service that ignores the offset shows the same page again and again: it holds nothing fresh.
        if not page.data or offset == total or (not fresh and pushed < 0):
            return
        page = await fetch(limit=limit, offset=offset)


def _check_limit(name: str, limit: int | None) -> None:
    if limit is not None:
        check_count(name, limit)
