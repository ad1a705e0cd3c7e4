"""Records: objects that can be returned as JSON, with the names and the forms of the API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from .root_error import ChamelaionError

__all__ = ["Record"]


class Record:
    """What models have in common."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as data for JSON, under the names of the API.

        Times are strings in UTC, such as ``2026-04-07T10:00:00Z`` (RFC 3339). A status is the API's word, known or
        not, and a field without a value is None. An error is ``{"type": name of its class, "message": its text}``. A
        web framework may return the result as the body of an answer.
        """
        return {name: _plain(getattr(self, name)) for name in _names(type(self))}

    def to_json(self) -> str:
        """Return ``to_dict()`` as JSON text: one line, and ASCII only, as server-sent events and logs need it."""
        return json.dumps(self.to_dict(), separators=(",", ":"))


def _names(model: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(model))


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, datetime):
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return moment.isoformat().replace("+00:00", "Z")
    if isinstance(value, ChamelaionError):
        return {"type": type(value).__name__, "message": str(value)}
    if isinstance(value, str):
        return str(value)  # of a RequestStatus, only its word
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
