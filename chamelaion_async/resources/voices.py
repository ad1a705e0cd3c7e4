"""The voices that a translation can speak with."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from operator import attrgetter

from .._http.transport import Transport
from ..models import Page, Voice
from .listing import read_list, walk

__all__ = ["VoicesResource"]


class VoicesResource:
    """The voices that a translation can speak with."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        language: str | None = None,
        gender: str | None = None,
        application: str | None = None,
        favorite: bool | None = None,
        search: str | None = None,
    ) -> Page[Voice]:
        """Read one page of voices (``GET /v1/video-translate/voices``).

        Args:
            limit: Page size, at least 1; the service may lower what is asked for.
            offset: Number of voices to skip.
            language: Only voices of this language.
            gender: ``"Male"``, ``"Female"`` or ``"Other"``.
            application: Only voices for this application.
            favorite: Only favourites, or only the others.
            search: Text to search for.

        Returns:
            The page.

        Raises:
            ConfigurationError: ``limit`` is below 1 or ``offset`` below 0; nothing was sent.
            ChamelaionError: Any other failure of the call.
        """
        return await read_list(
            self._transport,
            "/v1/video-translate/voices",
            Page[Voice],
            limit=limit,
            offset=offset,
            language=language,
            gender=gender,
            application=application,
            favorite=favorite,
            search=search,
        )

    def iterate(
        self,
        *,
        language: str | None = None,
        gender: str | None = None,
        application: str | None = None,
        favorite: bool | None = None,
        search: str | None = None,
        page_size: int | None = None,
    ) -> AsyncGenerator[Voice, None]:
        """Read all voices, page after page, and yield each once.

        Takes the filters of ``list``, and ``page_size``: 100 by default, fewer where the service refuses so many.
        """
        fetch = partial(
            self.list, language=language, gender=gender, application=application, favorite=favorite, search=search
        )
        return walk(fetch, page_size=page_size, identity=attrgetter("voice_id"))
