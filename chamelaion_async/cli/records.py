"""Jobs and errors as one line of JSON each, for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

import attrs

from ..errors import ChamelaionError
from ..models import GenerateAccepted, Job, Voice
from .output import complain, say
from .streams import OutputError
from .words import explain

__all__ = ["ending_record", "error_record", "job_record", "plain_record", "recording"]


def job_record(job: Job | Voice | GenerateAccepted, **more: object) -> str:
    """Return a job, or what else the API answers, with its names and times; what it does not have is null."""
    return _dump({**attrs.asdict(job, value_serializer=lambda _, __, value: _plain(value)), **more})


def plain_record(**values: object) -> str:
    """Return an object of the command's own."""
    return _dump(values)


@contextmanager
def recording(id: str | None, *, json: bool) -> Iterator[None]:
    """Print the record of the error that ends a command, if its output is for programs."""
    try:
        yield
    except ChamelaionError as error:
        if json:
            try:
                say(error_record(id, error))
            except OutputError:
                complain(explain(error))  # which takes the place of this error, and must not hide it
                raise
        raise


def error_record(id: str | None, error: ChamelaionError) -> str:
    """Return an error about one id: ``id``, ``error`` (the name of its class) and ``message``."""
    return ending_record(id, type(error).__name__, explain(error))


def ending_record(id: str | None, kind: str, message: str) -> str:
    """Return an error about one id from its parts."""
    return _dump({"id": id, "error": kind, "message": message})


def _plain(value: object) -> object:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


def _dump(record: Mapping[str, object]) -> str:
    # Beyond printable ASCII all is escaped, and with it whatever a terminal would obey.
    return json.dumps(record, ensure_ascii=True)
