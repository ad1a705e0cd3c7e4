"""The API in memory, byte for byte. It keeps no request, so that whatever grows is the client's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from chamelaion_async._http.paging import PAGE_SIZE
from tests.support.api import EPOCH, page_body

BASE_URL: Final = "http://127.0.0.1/api"
OUTPUT_URL: Final = "http://127.0.0.1/output/video.mp4"
OUTPUT: Final = b"\x00clip" * 20_000

_REQUESTS: Final = "/api/v1/lipsync/requests"

Trouble = Callable[[str], "bytes | Exception | None"]


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def _answer(status: int, body: bytes, content_type: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {content_type}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def refusal(status: int, message: str = "no") -> bytes:
    """An answer that is an error."""
    return _answer(status, json.dumps({"error": message}).encode())


class StatelessApi:
    """Numbered jobs, of which those below a certain number are completed.

    Attributes:
        asked: How many answers it gave; a page is one for each job that it shows.
        finished: The number below which jobs are completed; all others are processing.
        jobs: How many there are in the list, the newest with the highest number.
        trouble: Answers or fails in place of the API, if it returns something; called with method and path.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.finished = 0
        self.jobs = 300
        self.trouble: Trouble | None = None
        self._until: tuple[int, asyncio.Future[None]] | None = None

    async def until_answered(self, times: int) -> None:
        """Return once it has given so many answers more."""
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
            return _answer(200, self._record(int(path[-12:])))
        asked = dict(pair.split("=") for pair in query.split("&") if pair)
        offset, limit = int(asked.get("offset", 0)), min(int(asked.get("limit", 20)), PAGE_SIZE)
        total = 0 if "reference_id" in asked else self.jobs
        jobs = range(total - 1, -1, -1)[offset : offset + limit]
        self.asked += max(len(jobs) - 1, 0)
        return _answer(200, page_body(map(self._record, jobs), limit=limit, offset=offset, total=total))

    def _record(self, number: int) -> bytes:
        is_finished = number < self.finished
        record = {
            "id": uuid(number),
            "status": "completed" if is_finished else "processing",
            "created_at": (EPOCH + timedelta(seconds=number)).isoformat(),
            "output_url": OUTPUT_URL if is_finished else None,
        }
        return json.dumps(record).encode()
