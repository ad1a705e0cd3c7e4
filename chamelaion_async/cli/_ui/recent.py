"""Whether a 404 may only mean "not yet", since the account has submitted something a moment ago."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, TypeAlias

from ...errors import ChamelaionError
from ...models import Job, LipsyncRequest, Page, VideoTranslateRequest
from ...polling.durations import Durations
from .options import Requests

__all__ = ["RecentRequests"]

_LATELY: Final = 60.0  # seconds; the service may need a few to show a new request everywhere


AnyPage: TypeAlias = Page[LipsyncRequest] | Page[VideoTranslateRequest]


class RecentRequests:
    """What a page of the list says about new requests; read once, when it is first needed.

    Args:
        requests: The family of the requests.
        durations: For the clock of the service.
    """

    def __init__(self, requests: Requests, durations: Durations) -> None:
        self._requests = requests
        self._durations = durations
        self._page: AnyPage | None = None
        self._is_known = False
        self._lock = asyncio.Lock()

    async def may_hold(self, id: str) -> bool:
        """Return whether an id that was answered 404 may have been submitted a moment ago.

        It may not if the page shows that the account has submitted nothing for a minute. A page that cannot be read
        shows nothing, and neither does one whose order hides where the newest request is.
        """
        async with self._lock:
            if not self._is_known:
                self._page = await self._read()
                self._is_known = True
        page = self._page
        if page is None or (not page.data and page.pagination.total):
            return True
        if any(id in (job.id, job.reference_id) for job in page.data):
            return True
        if len(page.data) < page.pagination.total and not _newest_first(page.data):
            return True
        return any(self._durations.age(job) < _LATELY for job in page.data)

    async def _read(self) -> AnyPage | None:
        try:
            return await self._requests.list()
        except ChamelaionError:
            return None


def _newest_first(jobs: Sequence[Job]) -> bool:
    return len(jobs) > 1 and all(newer.created_at >= older.created_at for newer, older in pairwise(jobs))
