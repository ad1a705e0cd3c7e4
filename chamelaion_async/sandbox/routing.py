"""Which handler answers a method and a path."""

from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import unquote

from aiohttp import web
from attrs import define, field, frozen

from .answers import Answer, ApiError
from .journal import Received
from .lanes import Lane
from .service import Service


@frozen(kw_only=True)
class Call:
    """One request on its way to its handler.

    Args:
        service: the state of the sandbox.
        request: headers and body.
        received: its entry in the journal.
        tail: the decoded last segment of a path with a parameter, else empty.
        now: seconds since the epoch, the same for the whole call.
        caller: display name behind the key, empty where none is needed.
    """

    service: Service
    request: web.BaseRequest
    received: Received
    tail: str
    now: float
    caller: str


Handler = Callable[[Call], Awaitable[Answer]]


@frozen(kw_only=True)
class Route:
    """One endpoint.

    Args:
        method: HTTP method.
        template: path below the base URL, such as /v1/lipsync/requests/{id}.
        handler: answers it.
        lane: which rate limit counts it.
        needs_key: whether it answers 401 without a key.
    """

    method: str
    template: str
    handler: Handler
    lane: Lane | None = None
    needs_key: bool = True
    name: str = field(init=False)

    @name.default
    def _full(self) -> str:
        return f"{self.method} {self.template}"


@frozen
class Match:
    """Where a path leads: its routes by method, and its last segment if that is a parameter."""

    routes: dict[str, Route]
    tail: str = ""


@define(eq=False)
class RouteTable:
    """All endpoints.

    Args:
        routes: every one of them.
    """

    routes: Iterable[Route]
    _exact: dict[str, dict[str, Route]] = field(init=False, factory=dict)
    _by_head: dict[str, dict[str, Route]] = field(init=False, factory=dict)
    _trees: dict[str, dict[str, Route]] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        for route in self.routes:
            head, brace, name = route.template.partition("{")
            if not brace:
                kind = self._exact
            elif name.endswith(":path}"):
                kind = self._trees
            else:
                kind = self._by_head
            kind.setdefault(head, {})[route.method] = route

    def match(self, path: str) -> Match | None:
        """Return where a path leads, None if nowhere.

        Args:
            path: still percent-encoded, with or without /api in front. It is matched as it stands, so that an
                encoded slash belongs to its segment.
        """
        path = path.removeprefix("/api")
        routes = self._exact.get(path)
        if routes is not None:
            return Match(routes)
        head, slash, tail = path.rpartition("/")
        routes = self._by_head.get(head + slash)
        if routes is not None and tail:
            return Match(routes, unquote(tail))
        for root, tree in self._trees.items():
            if path.startswith(root) and len(path) > len(root):
                return Match(tree, unquote(path.removeprefix(root)))
        return None

    def covers(self, pattern: str) -> bool:
        """Return whether "*", "METHOD *", a template or a path, with or without its method, names a route."""
        method, path = split_pattern(pattern)
        if path == "*":
            return method is None or any(route.method == method for route in self.routes)
        for route in self.routes:
            if route.template == path and method in {None, route.method}:
                return True
        match = self.match(path)
        return match is not None and (method is None or method in match.routes)


def split_pattern(pattern: str) -> tuple[str | None, str]:
    """Return the method and the path of a pattern such as "GET /health"; None stands for any method."""
    method, space, path = pattern.partition(" ")
    return (method, path) if space else (None, method)


def route_of(match: Match | None, method: str) -> Route:
    """Return the route for a method.

    Args:
        match: where the path leads.
        method: HTTP method.

    Raises:
        ApiError: 404 for an unknown path, 405 for a method that it does not have; both texts are assumed.
    """
    if match is None:
        raise ApiError(404, "not found")
    route = match.routes.get(method)
    if route is None:
        raise ApiError(405, "method not allowed", headers={"Allow": ", ".join(sorted(match.routes))})
    return route
