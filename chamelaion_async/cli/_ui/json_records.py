"""Jobs and errors as JSON for programs, one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import attrs

from ...errors import ChamelaionError
from ...models import GenerateAccepted, Job, Voice
from .errors import explain
from .printing import print_error, print_line
from .streams import OutputError

__all__ = ["api_record", "error_as_record", "error_record", "interrupt_record", "record"]


def api_record(answer: Job | Voice | GenerateAccepted, **more: object) -> str:
    """Return an object of the API with the API's names; a field without a value is null."""
    return record(**attrs.asdict(answer, value_serializer=lambda _, __, value: _plain(value)), **more)


def record(**fields: object) -> str:
    """Return a JSON object."""
    # ASCII only: every control character is escaped, so that a terminal does not obey it.
    return json.dumps(fields, ensure_ascii=True)


def error_record(id: str | None, error: ChamelaionError) -> str:
    """Return an error as ``id``, ``error`` (the name of its class) and ``message``."""
    return record(id=id, error=type(error).__name__, message=explain(error))


def interrupt_record(id: str, message: str) -> str:
    """Return an interrupt in the form of an error."""
    return record(id=id, error="CancelledError", message=message)


@contextmanager
def error_as_record(id: str | None, *, json: bool) -> Iterator[None]:
    """Print the record of an error that leaves the block, if the output is JSON; the error is raised again."""
    try:
        yield
    except ChamelaionError as error:
        if json:
            try:
                print_line(error_record(id, error))
            except OutputError:
                # This error replaces the first one, which would then never be printed.
                print_error(explain(error))
                raise
        raise


def _plain(value: object) -> object:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
