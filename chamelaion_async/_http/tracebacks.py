"""Tracebacks of errors, which keep every frame alive that the error came through, with its local variables."""

from __future__ import annotations

from typing import Final

__all__ = ["let_go"]

_BELOW: Final = frozenset({__package__.partition(".")[0], "aiohttp", "asyncio", "concurrent"})


def let_go(error: BaseException) -> None:
    """Drop the tracebacks of an error and its causes within this package and the libraries below it.

    Their frames hold answers, sessions and waits, which would live as long as the error, and often the error itself.
    An error that the user's own function raised keeps its traceback. A context that ``from`` hides is dropped.
    """
    links: list[BaseException | None] = [error]
    seen = set()
    while links:
        link = links.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        if link.__suppress_context__:
            link.__context__ = None
        if type(link).__module__.partition(".")[0] in _BELOW or isinstance(link, (TimeoutError, ConnectionError)):
            link.__traceback__ = None
        links += (link.__cause__, link.__context__)
