"""Records over bare sockets, from bytes made beforehand, so that the server costs little beside the client.

At the start it is given how many ``records`` there are, and whether they are ``finished``. The list is newest first,
in pages of up to 100. It answers each message with the number of requests so far and of records that an answer has
shown. The message ``"finish"`` finishes all records, and ``"forget"`` sets both numbers to zero.
"""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from email.utils import formatdate
from random import Random
from urllib.parse import parse_qs
from uuid import UUID

from child import arguments, messages, tell

LIST = "/api/v1/lipsync/requests"
DEFAULT_LIMIT, CAP = 20, 100
AGE = 120.0
"""Seconds since the newest record was created."""


def _encoded(id: str, created_at: float, *, finished: bool) -> bytes:
    def moment(seconds: float) -> str:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")

    record = {
        "id": id,
        "reference_id": f"dub-{id}",
        "status": "completed" if finished else "processing",
        "created_at": moment(created_at),
        "started_at": moment(created_at + 5),
    }
    if finished:
        record["finished_at"] = moment(created_at + 90)
        record["output_url"] = f"https://storage.example.com/output/{id}.mp4"
    return json.dumps(record).encode()


class Records:
    """The records, and how often they were read."""

    def __init__(self, count: int, *, finished: bool) -> None:
        random = Random(count)
        newest = time.time() - AGE
        self.ids = [str(UUID(int=random.getrandbits(128), version=4)) for _ in range(count)]
        self.requests = 0
        self._position = {id: position for position, id in enumerate(self.ids)}
        self._shown = bytearray(count)
        self._after = [_encoded(id, newest - n / 1000, finished=True) for n, id in enumerate(self.ids)]
        self._now = self._after
        if not finished:
            self._now = [_encoded(id, newest - n / 1000, finished=False) for n, id in enumerate(self.ids)]

    @property
    def shown(self) -> int:
        """How many records an answer has shown."""
        return self._shown.count(1)

    def forget(self) -> None:
        """Set the numbers to zero."""
        self.requests = 0
        self._shown = bytearray(len(self.ids))

    def finish(self) -> None:
        """Finish all records."""
        self._now = self._after

    def answer(self, target: str) -> tuple[int, bytes]:
        """Return status and body for a path with its query."""
        self.requests += 1
        path, _, query = target.partition("?")
        if path == LIST:
            return self._page(parse_qs(query))
        position = self._position.get(path.removeprefix(f"{LIST}/"))
        if position is None:
            return 404, b'{"error": "lipsync request not found"}'
        self._shown[position] = 1
        return 200, self._now[position]

    def _page(self, query: dict[str, list[str]]) -> tuple[int, bytes]:
        if query.keys() - {"limit", "offset"}:
            return 400, b'{"error": "this server knows limit and offset"}'
        limit = min(CAP, int(query.get("limit", [str(DEFAULT_LIMIT)])[0]))
        offset = int(query.get("offset", ["0"])[0])
        data = self._now[offset : offset + limit]
        self._shown[offset : offset + len(data)] = b"\1" * len(data)
        tail = f'], "pagination": {{"limit": {limit}, "offset": {offset}, "total": {len(self.ids)}}}}}'
        return 200, b'{"data": [' + b", ".join(data) + tail.encode()


class Connection(asyncio.Protocol):
    """One connection, kept alive, that carries only GETs without a body."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *heads, self._buffer = (self._buffer + data).split(b"\r\n\r\n")
        for head in heads:
            method, target, _ = head[: head.index(b"\r\n")].decode().split(" ")
            assert method == "GET"
            status, body = self._records.answer(target)
            self._transport.write(
                b"HTTP/1.1 %d -\r\nContent-Type: application/json\r\nDate: %s\r\nContent-Length: %d\r\n\r\n%s"
                % (status, formatdate(usegmt=True).encode(), len(body), body)
            )


async def serve(*, records: int, finished: bool) -> None:
    served = Records(records, finished=finished)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(served), "127.0.0.1", 0, backlog=1024)
    async with server:
        port = server.sockets[0].getsockname()[1]
        tell({"base_url": f"http://127.0.0.1:{port}/api", "ids": served.ids})
        async for message in messages():
            if message == "finish":
                served.finish()
            elif message == "forget":
                served.forget()
            tell({"requests": served.requests, "shown": served.shown})


if __name__ == "__main__":
    asyncio.run(serve(**arguments()))
