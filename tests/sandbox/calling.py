"""Calls to a sandbox, and what comes back, in one expression each."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
from attrs import frozen

from chamelaion_async.sandbox import Sandbox

VIDEO = {"type": "video", "url": "https://cdn.example.com/42.mp4"}
AUDIO = {"type": "audio", "url": "https://cdn.example.com/42.wav"}
LIPSYNC = {"inputs": [VIDEO, AUDIO]}
TRANSLATE = {"inputs": [VIDEO], "target_languages": ["de", "ja"]}
INVALID_BODY = (400, {"error": "invalid request body"})


@frozen(kw_only=True)
class Reply:
    """A response that has been read."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def answer(self) -> tuple[int, Any]:
        """The status and the JSON."""
        return self.status, self.json


@frozen
class Caller:
    """Calls one sandbox with one set of headers."""

    session: aiohttp.ClientSession

    async def __call__(self, target: Any, **options: Any) -> Reply:
        """Send a request, such as "v1/users/me" or "POST v1/lipsync/generate", and read its answer."""
        method, _, path = target.rpartition(" ") if isinstance(target, str) else ("GET", "", target)
        async with self.session.request(method or "GET", path, allow_redirects=False, **options) as response:
            return Reply(status=response.status, headers=response.headers, body=await response.read())

    async def id_of(self, target: str, **options: Any) -> str:
        """Send a generation call, which must succeed, and return the id of its job."""
        reply = await self(f"POST {target}", **options)
        assert reply.status == 200, reply.body
        assert reply.json["status"] == "success"
        return str(reply.json["request_id"])


Serve = Callable[..., Awaitable[tuple[Sandbox, Caller]]]
Until = Callable[[Callable[[], object]], Awaitable[None]]


def port_of(sandbox: Sandbox) -> int:
    return int(sandbox.base_url.rsplit(":", 1)[1].removesuffix("/api"))


def form(**parts: Any) -> aiohttp.FormData:
    """Make a form of texts, and of (filename, content) pairs for files."""
    data = aiohttp.FormData(default_to_multipart=True)
    for name, part in parts.items():
        if isinstance(part, tuple):
            data.add_field(name, part[1], filename=part[0], content_type="application/octet-stream")
        else:
            data.add_field(name, part)
    return data
