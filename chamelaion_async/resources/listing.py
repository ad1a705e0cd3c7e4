"""Walking a list from its first page to its last, although the list changes meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

from .._http.paging import PAGE_SIZE, read_page
from ..config import check_count
from ..errors import ConfigurationError
from ..models import Page

__all__ = ["check_range", "walk"]

T = TypeVar("T")


def check_range(limit: int | None, offset: int | None) -> None:
    """Refuse a page that cannot exist, before it is asked for."""
    if limit is not None:
        check_count("limit", limit)
    if offset is not None and (isinstance(offset, bool) or not isinstance(offset, int) or offset < 0):
        raise ConfigurationError(f"offset must be a whole number of at least 0, not {offset!r}")


async def walk(
    fetch: Callable[[int | None, int], Awaitable[Page[T]]], *, page_size: int | None, identity: Callable[[T], str]
) -> AsyncGenerator[T, None]:
    """Yield each record of a list once.

    Records that are added while the walk goes on push others onto a later page; what was seen is not yielded again.
    A page that brings nothing new ends the walk, unless the list has grown by as much.

    Args:
        fetch: Reads the page of a limit and an offset; a limit of None leaves it to the service.
        page_size: Records to ask for at a time, fewer where so many are refused; None asks for ``PAGE_SIZE``.
        identity: What tells two records apart.
    """
    check_range(page_size, None)
    seen: set[str] = set()
    offset, total, pushed = 0, None, 0
    page, limit = await read_page(lambda limit: fetch(limit, 0), page_size or PAGE_SIZE)
    while True:
        fresh = {identity(record): record for record in page.data if identity(record) not in seen}
        seen.update(fresh)
        for record in fresh.values():
            yield record
        # As many records may come again as new ones have pushed down since the page before.
        pushed += 0 if total is None else max(page.pagination.total - total, 0)
        pushed -= len(page.data) - len(fresh)
        total = page.pagination.total
        offset += len(page.data)
        if not page.data or offset == total or (not fresh and pushed < 0):
            return
        page = await fetch(limit, offset)
