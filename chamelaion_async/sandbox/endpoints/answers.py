"""What an endpoint returns: a status, headers and a body, nothing of which is sent yet."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import Factory, frozen

JSON = "application/json"


@frozen(kw_only=True)
class FileSlice:
    """Part of a file, read when it is sent.

    Args:
        path: the file.
        start: first byte.
        length: number of bytes.
    """

    path: Path
    start: int
    length: int

    def __len__(self) -> int:
        return self.length


@frozen(kw_only=True)
class Answer:
    """An HTTP response that has not been sent yet.

    Args:
        status: HTTP status.
        body: the whole body, or the slice of a file that it is.
        headers: all but Date, Content-Length and Connection.
    """

    status: int = 200
    body: bytes | FileSlice = b""
    headers: Mapping[str, str] = Factory(dict)


class ApiError(Exception):
    """The request is refused with {"error": text}.

    Args:
        status: HTTP status.
        text: of the error.
        headers: further headers, such as Retry-After.
    """

    def __init__(self, status: int, text: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, text)
        self.answer: Answer = error_answer(status, text, headers=headers)


def json_answer(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer with a JSON body."""
    return Answer(status=status, body=json.dumps(value).encode(), headers={"Content-Type": JSON, **(headers or {})})


def error_answer(status: int, text: str, *, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer in the shape that every documented error has."""
    return json_answer({"error": text}, status=status, headers=headers)
