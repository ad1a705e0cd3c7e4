"""Jobs and errors as one line of JSON each, for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

import attrs

from ..errors import ChamelaionError
from ..models import Job
from .words import explain

__all__ = ["error_record", "job_record"]


def job_record(job: Job) -> str:
    """Return a job with the API's names and times; what it does not have is null."""
    return _dump(attrs.asdict(job, value_serializer=lambda _, __, value: _plain(value)))


def error_record(id: str, error: ChamelaionError) -> str:
    """Return an error about one id: ``id``, ``error`` (the name of its class) and ``message``."""
    return _dump({"id": id, "error": type(error).__name__, "message": explain(error)})


def _plain(value: object) -> object:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


def _dump(record: Mapping[str, object]) -> str:
    # Beyond printable ASCII all is escaped, and with it whatever a terminal would obey.
    return json.dumps(record, ensure_ascii=True)
