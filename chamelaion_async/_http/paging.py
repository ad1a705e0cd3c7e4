"""The size of a list page: the one to ask for, and smaller ones if the service refuses it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

from ..errors import BadRequestError, UnprocessableEntityError

__all__ = ["PAGE_SIZE", "read_page"]

T = TypeVar("T")

PAGE_SIZE: Final = 100
"""Records to ask for in one page. A service that allows fewer sends fewer and says so, or refuses."""

_DEFAULT_SIZE: Final = 20  # the API's documented page size where none is asked for


async def read_page(fetch: Callable[[int | None], Awaitable[T]], limit: int | None) -> tuple[T, int | None]:
    """Read a page, and a smaller one if the service refuses one of that size (400, 422).

    The largest size that the API allows is not documented. A page without a limit cannot be refused for its size.

    Args:
        fetch: Reads a page with a limit; with None, the service chooses the limit.
        limit: Records to ask for.

    Returns:
        The page, and the limit that the service accepted.

    Raises:
        ChamelaionError: The page could not be read with any limit.
    """
    is_large = limit is not None and limit > _DEFAULT_SIZE
    *larger, smallest = (limit, _DEFAULT_SIZE, None) if is_large else (limit,)
    for size in larger:
        with suppress(BadRequestError, UnprocessableEntityError):
            return await fetch(size), size
    return await fetch(smallest), smallest
