"""A server that is not our sandbox: it checks each request against the document and answers with its examples."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

from aiohttp import web
from attrs import field, frozen

from .document import Document, Part, parse_form


@frozen(kw_only=True)
class Recorded:
    """One request as it came, and what is wrong with it."""

    operation: str | None
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    faults: list[str] = field(factory=list)

    @property
    def parts(self) -> Mapping[str, Part]:
        return {part.name: part for part in parse_form(self.headers["Content-Type"], self.body)}


class RecordingServer:
    """Serves the operations of a document on 127.0.0.1.

    A request that the document does not allow is answered 400 with what is wrong, so that no call succeeds by luck.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.recorded: list[Recorded] = []
        self.base_url = ""
        self._answers: dict[str, tuple[int, Any]] = {}
        self._runner = web.ServerRunner(web.Server(self._handle))

    def answer(self, operation: str, value: Any, *, status: int = 200) -> None:
        """Answer an operation with this JSON from now on."""
        self._answers[operation] = (status, value)

    @property
    def faults(self) -> list[str]:
        return [f"{each.method} {each.path}: {fault}" for each in self.recorded for fault in each.faults]

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0]
        self.base_url = f"http://{host}:{port}{self.document.base_path}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        base = self.document.base_path
        path, _, query = request.raw_path.partition("?")
        operation = self.document.find(request.method, path.removeprefix(base)) if path.startswith(base) else None
        body = await request.read()
        faults = ["the document has no such operation"]
        if operation is not None:
            faults = self.document.request_faults(
                operation, path=path.removeprefix(base), query=query, headers=request.headers, body=body
            )
        self.recorded.append(
            Recorded(
                operation=None if operation is None else operation.id,
                method=request.method,
                path=path,
                query=dict(parse_qsl(query, keep_blank_values=True)),
                headers=request.headers.copy(),
                body=body,
                faults=faults,
            )
        )
        if operation is None or faults:
            return web.json_response({"error": "; ".join(faults)}, status=400)
        status, value = self._answers.get(operation.id, (200, None))
        return web.json_response(self.document.example(operation.id) if value is None else value, status=status)
