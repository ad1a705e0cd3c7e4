"""Requests as plain tuples: what is kept of each of very many requests that are waited for.

The garbage collector visits every object that could be part of a cycle and stops the loop while it does. It skips
tuples of strings and times; it never skips objects with attributes. 100,000 tuples cost it nothing.
"""

from __future__ import annotations

from datetime import datetime
from operator import attrgetter
from typing import Any, Generic, TypeVar

import attrs

from ..models import Job

__all__ = ["Packed", "Packer"]

J = TypeVar("J", bound=Job)

Packed = tuple[Any, ...]
"""The values of a request. Two are equal if the requests are."""


class Packer(Generic[J]):
    """Turns requests of one model into tuples and back.

    Args:
        model: An attrs class.
    """

    def __init__(self, model: type[J]) -> None:
        self._model = model
        self._names = [field.name for field in attrs.fields(model)]
        self._values = attrgetter(*self._names)
        self._reference = self._names.index("reference_id")
        self._created_at = self._names.index("created_at")
        self._started_at = self._names.index("started_at")

    def pack(self, request: J) -> Packed:
        """Return the values of a request."""
        packed: Packed = self._values(request)
        return packed

    def unpack(self, packed: Packed) -> J:
        """Return an equal request."""
        return self._model(**dict(zip(self._names, packed, strict=True)))

    def reference_of(self, packed: Packed) -> str | None:
        """Return the ``reference_id`` of a packed request."""
        reference: str | None = packed[self._reference]
        return reference

    def created_at_of(self, packed: Packed) -> datetime:
        """Return when the service accepted a packed request."""
        created_at: datetime = packed[self._created_at]
        return created_at

    def started_at_of(self, packed: Packed) -> datetime | None:
        """Return when the service began to work on a packed request."""
        started_at: datetime | None = packed[self._started_at]
        return started_at
