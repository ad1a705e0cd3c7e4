"""Requests as plain tuples: the form in which each of very many waits keeps the request that it last read.

The garbage collector visits every object that could be part of a cycle, and stops the loop while it does. It skips
tuples of strings and times; it never skips objects with attributes. 100,000 tuples cost it nothing.
"""

from __future__ import annotations

from datetime import datetime
from operator import attrgetter
from typing import Any, Final

import attrs

from ..models import Job, LipsyncRequest, VideoTranslateRequest

__all__ = ["Packed", "created_at_of", "languages_of", "model_of", "pack", "reference_of", "started_at_of", "unpack"]

Packed = tuple[Any, ...]
"""The name of a model, and the values of a request. Two are equal if the requests are."""

_MODELS: Final[dict[str, type[Job]]] = {model.__name__: model for model in (LipsyncRequest, VideoTranslateRequest)}
_NAMES: Final[dict[str, list[str]]] = {name: [*attrs.fields_dict(model)] for name, model in _MODELS.items()}
_VALUES: Final = {model: attrgetter("__class__.__name__", *_NAMES[name]) for name, model in _MODELS.items()}
# attrs lists inherited fields first, so these stand at the same place in every model.
_PLACES: Final = {name: place for place, name in enumerate(attrs.fields_dict(Job), 1)}
_REFERENCE: Final = _PLACES["reference_id"]
_CREATED_AT: Final = _PLACES["created_at"]
_STARTED_AT: Final = _PLACES["started_at"]
_LANGUAGES: Final = {
    name: names.index("target_languages") + 1 for name, names in _NAMES.items() if "target_languages" in names
}


def pack(request: Job) -> Packed:
    """Return the values of a request."""
    packed: Packed = _VALUES[type(request)](request)
    return packed


def unpack(packed: Packed) -> Any:
    """Return an equal request, of the model that was packed."""
    name, *values = packed
    return _MODELS[name](**dict(zip(_NAMES[name], values, strict=True)))


def reference_of(packed: Packed) -> str | None:
    """Return the ``reference_id`` of a packed request."""
    reference: str | None = packed[_REFERENCE]
    return reference


def created_at_of(packed: Packed) -> datetime:
    """Return when the service accepted a packed request."""
    created_at: datetime = packed[_CREATED_AT]
    return created_at


def started_at_of(packed: Packed) -> datetime | None:
    """Return when the service began to work on a packed request."""
    started_at: datetime | None = packed[_STARTED_AT]
    return started_at


def model_of(packed: Packed) -> str:
    """Return the name of the model of a packed request."""
    name: str = packed[0]
    return name


def languages_of(packed: Packed) -> int | None:
    """Return the number of target languages of a packed request, or None if its model has none."""
    place = _LANGUAGES.get(packed[0])
    return None if place is None else len(packed[place])
