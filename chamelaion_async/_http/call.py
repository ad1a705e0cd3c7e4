"""One call of the API as a value: what to ask, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import aiohttp
import attrs

from .addresses import Query

__all__ = ["Body", "Call"]

_READS: Final = frozenset({"GET", "HEAD"})


class Body(Protocol):
    """A multipart form during one attempt. The uploads of ``_media`` make it."""

    data: aiohttp.MultipartWriter
    is_complete: bool
    failure: Exception | None

    async def aclose(self) -> None:
        """Stop sending and close the files."""


@attrs.define(kw_only=True)
class Call:
    """What to ask of the API. The path is already checked and quoted.

    Attributes:
        method: HTTP method.
        path: Path below the base URL.
        params: Query.
        json: Body to send as JSON.
        form: Makes the form to upload instead, once for each attempt; the form calls its argument after each chunk.
        authenticated: Whether to send the credentials.
        is_read: Whether the call changes nothing and costs nothing.
    """

    method: str
    path: str
    params: Query | None = None
    json: Any = None
    form: Callable[[Callable[[], None]], Body] | None = None
    authenticated: bool = True
    is_read: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.is_read = self.method in _READS
