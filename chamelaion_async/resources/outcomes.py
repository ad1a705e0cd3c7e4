"""Calls for many requests: the ids that they take, and the outcomes that they return."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import TypeVar

from ..errors import ConfigurationError
from ..models import Job, Outcome

__all__ = ["gathered", "unique_ids"]

J = TypeVar("J", bound=Job)


def unique_ids(ids: Iterable[str]) -> list[str]:
    """Return each id once."""
    # A string is iterable too, and each of its characters would be read as an id.
    if isinstance(ids, str):
        raise ConfigurationError(f"ids must be several ids, such as [{ids!r}], and not a single string")
    try:
        unique = list(dict.fromkeys(ids))
    except TypeError as error:
        raise ConfigurationError(f"ids must be an iterable of strings: {error}") from error
    for id in unique:
        if not isinstance(id, str):
            raise ConfigurationError(f"each id must be a string, not {id!r}")
    return unique


async def gathered(ids: list[str], outcomes: AsyncGenerator[Outcome[J], None]) -> dict[str, Outcome[J]]:
    """Return all outcomes, in the order of the ids."""
    async with aclosing(outcomes):
        by_id = {outcome.id: outcome async for outcome in outcomes}
    return {id: by_id[id] for id in ids if id in by_id}
