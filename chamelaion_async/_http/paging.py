"""The size of a list page: what is asked for, and what is asked for where the service refuses that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

from ..errors import BadRequestError, UnprocessableEntityError

__all__ = ["PAGE_SIZE", "read_page"]

T = TypeVar("T")

PAGE_SIZE: Final = 100
"""Records asked for at a time; a service that allows fewer lowers it and says so, or refuses."""

_DEFAULT_SIZE: Final = 20  # the API's documented page size where none is asked for


async def read_page(fetch: Callable[[int | None], Awaitable[T]], limit: int | None) -> tuple[T, int | None]:
    """Read a page, and a smaller one where the service refuses one of that size (400, 422).

    The largest size that the API allows is not documented. What it gives where none is asked for, it cannot refuse.

    Args:
        fetch: Reads the page of a limit; None leaves the limit to the service.
        limit: Records to ask for.

    Returns:
        The page, and the limit that was not refused.

    Raises:
        ChamelaionError: It could not be read, whatever its size.
    """
    is_large = limit is not None and limit > _DEFAULT_SIZE
    *larger, smallest = (limit, _DEFAULT_SIZE, None) if is_large else (limit,)
    for size in larger:
        with suppress(BadRequestError, UnprocessableEntityError):
            return await fetch(size), size
    return await fetch(smallest), smallest
