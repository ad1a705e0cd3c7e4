"""One request from the socket to the answer: journal, faults, route, key, rate limit, endpoint."""

import asyncio
import logging
from collections.abc import Mapping

from aiohttp import web
from attrs import define, field

from ..endpoints.answers import Answer, ApiError, error_answer
from ..endpoints.calls import Call, Route
from ..world.journal import Journal, Received
from ..world.world import World
from .auth import Keys
from .injections import Injections
from .lanes import Lanes
from .responses import Severed, response
from .routing import RouteTable, route_of

logger: logging.Logger = logging.getLogger("chamelaion_async.sandbox")


@define(kw_only=True, eq=False)
class Pipeline:
    """Answers each request of every connection.

    The order of the checks is assumed: path, method, key, rate limit, then those of the endpoint.

    Args:
        world: the state of the sandbox.
        table: the endpoints.
        keys: the accepted keys.
        lanes: the rate limits.
        injections: the faults that were injected.
        journal: records the requests.
        tasks: one for each connection that has sent a request and is still open.
    """

    world: World
    table: RouteTable
    keys: Keys
    lanes: Lanes
    injections: Injections
    journal: Journal
    tasks: set[asyncio.Task[None]] = field(init=False, factory=set)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        self._keep(request.task)
        path, _, query_string = request.raw_path.partition("?")
        routes, tail = self.table.match(path)
        route = routes.get(request.method)
        received = Received(
            method=request.method,
            path=path,
            route=None if route is None else route.name,
            query_string=query_string,
            headers=request.headers,
            at=self.world.now(),
            lane=None if route is None else route.lane,
        )
        self.journal.open(received)
        sent = await self._answer(request, received, routes, tail)
        if isinstance(sent, Answer):
            sent = response(sent, now=self.world.now())
        self.journal.close(received, None if isinstance(sent, Severed) else sent.status)
        return sent

    async def _answer(
        self, request: web.BaseRequest, received: Received, routes: Mapping[str, Route], tail: str
    ) -> Answer | web.StreamResponse:
        faults = self.injections.striking(received)
        received.faults = tuple(fault.kind for fault in faults)
        for fault in faults:
            if fault.when == "before" and (struck := await fault.strike(Answer(), received.at)) is not None:
                return struck
        answer = await self._true_answer(request, received, routes, tail)
        if isinstance(answer, Severed):
            return answer
        now = self.world.now()
        for fault in faults:
            if fault.when == "after" and (struck := await fault.strike(answer, now)) is not None:
                return struck
        return answer

    async def _true_answer(
        self, request: web.BaseRequest, received: Received, routes: Mapping[str, Route], tail: str
    ) -> Answer | Severed:
        try:
            route = route_of(routes, received.method)
            now = self.world.now()
            caller = self.keys.name_of(request.headers) if route.needs_key else ""
            if route.lane is not None:
                self.lanes.enter(route.lane, now)
            call = Call(world=self.world, request=request, received=received, tail=tail, now=now, caller=caller)
            return await route.endpoint(call)
        except ApiError as error:
            return error.answer
        except ConnectionError:
            # The client closed the connection in the middle of its body: an answer cannot reach it.
            return Severed()
        except Exception:
            # A defect in an endpoint becomes the API's own 500, whatever it raises.
            logger.exception("%s %s failed", received.method, received.path)
            return error_answer(500, "internal error")

    def _keep(self, task: asyncio.Task[None]) -> None:
        # aiohttp has one task for a connection, which handles all its requests.
        if task not in self.tasks:
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
