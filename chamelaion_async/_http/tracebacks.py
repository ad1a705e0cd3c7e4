"""What an error keeps alive: the frames that it came through, with all that their variables hold."""

from __future__ import annotations

from typing import Final

__all__ = ["let_go"]

_BELOW: Final = frozenset({__package__.partition(".")[0], "aiohttp", "asyncio", "concurrent"})


def let_go(error: BaseException) -> None:
    """Forget the way that an error and its causes took through this package and the libraries below it.

    The frames hold answers, sessions and waits, which would live as long as the error does, and often the error
    itself. What a caller's own functions have raised keeps its traceback. An error that ``from`` hides is dropped.
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
