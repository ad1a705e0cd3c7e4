"""One request from the socket to the answer: journal, faults, key, lane, handler."""

import asyncio
import logging

from aiohttp import web
from attrs import define, field

from .answers import Answer, ApiError, error_answer
from .auth import identity, key_of
from .injections import Faults
from .journal import Journal, Received
from .routing import Call, Match, Route, RouteTable, route_of
from .sending import Severed, response
from .service import Service

logger = logging.getLogger("chamelaion_async.sandbox")
_NOTHING = Answer()


@define(kw_only=True, eq=False)
class Edge:
    """Where requests come in.

    The order of the checks is assumed: path, method, key, rate limit, then what the handler checks.

    Args:
        service: the state of the sandbox.
        table: the endpoints.
        faults: what is to go wrong.
        journal: where requests are written down.
        tasks: one for each connection that has sent a request and is still open.
    """

    service: Service
    table: RouteTable
    faults: Faults
    journal: Journal
    tasks: set[asyncio.Task[None]] = field(init=False, factory=set)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        self._hold(request.task)
        path, _, query_string = request.raw_path.partition("?")
        match = self.table.match(path)
        route = None if match is None else match.routes.get(request.method)
        received = Received(
            method=request.method,
            path=path,
            route=None if route is None else route.name,
            query_string=query_string,
            headers=request.headers,
            at=self.service.clock.time(),
            lane=None if route is None else route.lane,
        )
        self.journal.open(received)
        sent = await self._answer(request, received, match)
        if isinstance(sent, Answer):
            sent = response(sent, now=self.service.clock.time())
        if not isinstance(sent, Severed):
            self.journal.close(received, sent.status)
        return sent

    async def _answer(
        self, request: web.BaseRequest, received: Received, match: Match | None
    ) -> Answer | web.StreamResponse:
        striking = self.faults.striking(received)
        received.faults = tuple(fault.kind for fault in striking)
        for fault in striking:
            if fault.when == "before" and (struck := await fault.strike(_NOTHING, received.at)) is not None:
                return struck
        answer = await self._true_answer(request, received, match)
        if isinstance(answer, Severed):
            return answer
        now = self.service.clock.time()
        for fault in striking:
            if fault.when == "after" and (struck := await fault.strike(answer, now)) is not None:
                return struck
        return answer

    async def _true_answer(
        self, request: web.BaseRequest, received: Received, match: Match | None
    ) -> Answer | Severed:
        try:
            route = route_of(match, received.method)
            call = self._admit(request, received, route, "" if match is None else match.tail)
            return await route.handler(call)
        except ApiError as error:
            return error_answer(error.status, error.text, headers=error.headers)
        except ConnectionError:
            # The client has left in the middle of its body, and nobody is there to be answered.
            return Severed()
        except Exception:
            # A defect in a handler must look like the API's own 500, so nothing may pass.
            logger.exception("%s %s failed", received.method, received.path)
            return error_answer(500, "internal error")

    def _admit(self, request: web.BaseRequest, received: Received, route: Route, tail: str) -> Call:
        service = self.service
        now = service.clock.time()
        caller = ""
        if route.needs_key:
            caller = identity(key_of(request.headers), keys=service.keys, revoked=service.revoked)
        if route.lane is not None:
            service.lanes.enter(route.lane, now)
        return Call(service=service, request=request, received=received, tail=tail, now=now, caller=caller)

    def _hold(self, task: asyncio.Task[None]) -> None:
        if task not in self.tasks:
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
