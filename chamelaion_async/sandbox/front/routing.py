"""Which endpoint answers a method and a path."""

from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from attrs import define, field

from ..endpoints.answers import ApiError
from ..endpoints.calls import Route

Methods = dict[str, Route]
"""The routes of one path, by method."""


@define(eq=False)
class RouteTable:
    """All endpoints.

    Args:
        routes: of the endpoints.
    """

    routes: Iterable[Route]
    _exact: dict[str, Methods] = field(init=False, factory=dict)
    _by_head: dict[str, Methods] = field(init=False, factory=dict)
    _trees: dict[str, Methods] = field(init=False, factory=dict)

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

    def match(self, path: str) -> tuple[Mapping[str, Route], str]:
        """Return the routes of a path by method, and its decoded last segment if that is a parameter.

        Args:
            path: still percent-encoded, with or without /api in front. It is decoded after it is matched, so that
                an encoded slash belongs to its segment.
        """
        path = path.removeprefix("/api")
        if path in self._exact:
            return self._exact[path], ""
        head, slash, tail = path.rpartition("/")
        if tail and head + slash in self._by_head:
            return self._by_head[head + slash], unquote(tail)
        for root, tree in self._trees.items():
            if path.startswith(root) and len(path) > len(root):
                return tree, unquote(path.removeprefix(root))
        return {}, ""

    def covers(self, pattern: str) -> bool:
        """Return whether "*", "METHOD *", a template or a path, with or without its method, matches a route."""
        method, path = split_pattern(pattern)
        found = {route.method for route in self.routes if path in {"*", route.template}} | {*self.match(path)[0]}
        return bool(found) if method is None else method in found


def split_pattern(pattern: str) -> tuple[str | None, str]:
    """Return the method and the path of a pattern such as "GET /health"; None stands for any method."""
    method, space, path = pattern.partition(" ")
    return (method, path) if space else (None, method)


def route_of(routes: Mapping[str, Route], method: str) -> Route:
    """Return the route of a method.

    Args:
        routes: of the path, by method.
        method: HTTP method.

    Raises:
        ApiError: 404 for an unknown path, 405 for a method that it does not have; both texts are assumed.
    """
    if not routes:
        raise ApiError(404, "not found")
    if method not in routes:
        raise ApiError(405, "method not allowed", headers={"Allow": ", ".join(sorted(routes))})
    return routes[method]
