"""``voices``: what a translation can speak with."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from ..errors import ConfigurationError
from ..models import Voice
from .exits import ExitCode
from .listings import Column, Listing
from .options import Flag, Service
from .records import recording

__all__ = ["voices"]

_COLUMNS: Final = (
    Column[Voice]("Id", lambda voice: voice.voice_id),
    Column[Voice]("Name", lambda voice: voice.name),
    Column[Voice]("Language", lambda voice: voice.language),
    Column[Voice]("Gender", lambda voice: voice.gender),
    Column[Voice]("Application", lambda voice: voice.application),
    Column[Voice]("Favorite", lambda voice: "yes" if voice.is_favorite else "-"),
    Column[Voice]("Description", lambda voice: voice.description, is_wide=True),
)


async def voices(
    *,
    language: str | None = None,
    gender: Literal["male", "female", "other"] | None = None,
    application: str | None = None,
    search: str | None = None,
    favorite: Flag = False,
    limit: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    offset: Annotated[int | None, Parameter(validator=Number(gte=0))] = None,
    all: Flag = False,
    json: Flag = False,
    service: Service | None = None,
) -> int:
    """List the voices that a translation can speak with, for *translate --voice*.

    Shows a table on a terminal, and elsewhere lines of id, name, language, gender, application, yes for a favourite,
    and description, with tabs between them. Exits as *list* does.

    Args:
        language: Only voices of this language.
        gender: Only voices of this gender.
        application: Only voices for this application.
        search: Only voices that hold this text.
        favorite: Only favourites.
        limit: Size of the page; with --all that of each page. Default: the service's.
        offset: Number of voices to skip.
        all: List all of them, page after page.
        json: Print one JSON object a line for each voice, with the names of the API.
        service: Which service to call, and with which credentials.
    """
    with recording(None, json=json):
        if all and offset is not None:
            raise ConfigurationError("--all begins at the first voice, so it goes without --offset")
        filters = {
            "language": language,
            "gender": gender and gender.capitalize(),  # as the API words it
            "application": application,
            "search": search,
        }
        listing = Listing[Voice](columns=_COLUMNS, json=json)
        async with (service or Service()).client() as client:
            known = client.video_translate.voices
            if all:
                await listing.show_all(known.iterate(favorite=favorite or None, page_size=limit, **filters))
            else:
                page = await known.list(favorite=favorite or None, limit=limit, offset=offset, **filters)
                listing.show_page(page)
    return ExitCode.OK
