"""The API in memory. It keeps nothing of what it is asked, so that whatever grows is the client's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

__all__ = ["BASE_URL", "OUTPUT_URL", "Service", "refusal", "uuid"]

BASE_URL: Final = "http://127.0.0.1/api"
OUTPUT_URL: Final = "http://127.0.0.1/output/video.mp4"
OUTPUT: Final = b"\x00clip" * 20_000

_REQUESTS: Final = "/api/v1/lipsync/requests"
_PAGE: Final = 100
_CREATED: Final = datetime(2026, 4, 7, 10, tzinfo=UTC)

Trouble = Callable[[str], "bytes | Exception | None"]


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def _answer(status: int, body: bytes, content_type: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {content_type}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def refusal(status: int, message: str = "no") -> bytes:
    """An answer that is an error."""
    return _answer(status, json.dumps({"error": message}).encode())


class Service:
    """Jobs, told apart by number, that have finished up to a certain one.

    Attributes:
        asked: How many answers it gave; a page is one for each job that it shows.
        finished: The number below which jobs are completed; all others are processing.
        jobs: How many there are in the list, the newest with the highest number.
        trouble: Answers or fails in place of the service, if it returns something; called with method and path.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.finished = 0
        self.jobs = 300
        self.trouble: Trouble | None = None
        self._until: tuple[int, asyncio.Future[None]] | None = None

    async def until_asked(self, times: int) -> None:
        """Return once it has been asked so often from now on."""
        arrived = asyncio.get_running_loop().create_future()
        self._until = (self.asked + times, arrived)
        await arrived

    def answer(self, request: bytes) -> bytes | Exception:
        """Return the bytes that answer a request, or what breaks its connection."""
        method, target, _ = request.decode("latin-1").split(" ", 2)
        reply = self.trouble(f"{method} {target}") if self.trouble is not None else None
        if reply is None:
            reply = self._good(method, target)
        else:
            self.asked += 1
        if self._until is not None and self.asked >= self._until[0]:
            self._until[1].set_result(None)
            self._until = None
        return reply

    def _good(self, method: str, target: str) -> bytes:
        path, _, query = target.partition("?")
        self.asked += 1
        if method == "POST":
            return _answer(200, b'{"request_id":"%s","status":"success"}' % uuid(0).encode())
        if path.startswith("/output/"):
            return _answer(200, OUTPUT, "video/mp4")
        if path == "/api/v1/users/me":
            return _answer(200, b'{"name":"production-key"}')
        if path != _REQUESTS:
            return _answer(200, json.dumps(self._record(int(path[-12:]))).encode())
        asked = dict(pair.split("=") for pair in query.split("&") if pair)
        offset, limit = int(asked.get("offset", 0)), min(int(asked.get("limit", 20)), _PAGE)
        total = 0 if "reference_id" in asked else self.jobs
        jobs = range(total - 1, -1, -1)[offset : offset + limit]
        self.asked += max(len(jobs) - 1, 0)
        pagination = {"limit": limit, "offset": offset, "total": total}
        page = {"data": [self._record(number) for number in jobs], "pagination": pagination}
        return _answer(200, json.dumps(page).encode())

    def _record(self, number: int) -> dict[str, Any]:
        is_finished = number < self.finished
        return {
            "id": uuid(number),
            "status": "completed" if is_finished else "processing",
            "created_at": (_CREATED + timedelta(seconds=number)).isoformat(),
            "output_url": OUTPUT_URL if is_finished else None,
        }
