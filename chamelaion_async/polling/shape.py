"""Requests packed into plain tuples: what is kept of very many that wait, for the garbage collector's sake.

The collector goes over every object that might be part of a cycle, and holds up the loop meanwhile. It leaves out
tuples whose parts cannot be, such as strings and times; objects with attributes it never leaves out.
"""

from __future__ import annotations

from datetime import datetime
from operator import attrgetter
from typing import Any, Generic, TypeVar

import attrs

from ..models import Job

__all__ = ["Packed", "Shape"]

J = TypeVar("J", bound=Job)

Packed = tuple[Any, ...]
"""The values of a request. Two are equal if the requests are."""


class Shape(Generic[J]):
    """Packs requests of one model.

    Args:
        model: An attrs class.
    """

    def __init__(self, model: type[J]) -> None:
        self._model = model
        self._names = [field.name for field in attrs.fields(model)]
        self._values = attrgetter(*self._names)
        self._reference = self._names.index("reference_id")
        self._created_at = self._names.index("created_at")

    def pack(self, request: J) -> Packed:
        """Return what a request holds."""
        packed: Packed = self._values(request)
        return packed

    def unpack(self, packed: Packed) -> J:
        """Return an equal request."""
        return self._model(**dict(zip(self._names, packed, strict=True)))

    def reference_of(self, packed: Packed) -> str | None:
        """Return the ``reference_id`` that a packed request holds."""
        reference: str | None = packed[self._reference]
        return reference

    def created_at_of(self, packed: Packed) -> datetime:
        """Return when the service says that it accepted a packed request."""
        created_at: datetime = packed[self._created_at]
        return created_at
