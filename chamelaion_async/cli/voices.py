"""``voices``: the voices for translations."""

from __future__ import annotations

from typing import Final, Literal

from ..errors import ConfigurationError
from ..models import Voice
from ._ui.columns import Column
from ._ui.exits import ExitCode
from ._ui.json_records import error_as_record
from ._ui.list_table import ListTable
from ._ui.options import Flag, Offset, PageSize, ServiceOptions

__all__ = ["voices"]

_COLUMNS: Final = (
    Column[Voice]("Id", lambda voice: voice.voice_id),
    Column[Voice]("Name", lambda voice: voice.name, may_move=True),
    Column[Voice]("Language", lambda voice: voice.language),
    Column[Voice]("Gender", lambda voice: voice.gender),
    Column[Voice]("Application", lambda voice: voice.application, may_move=True),
    Column[Voice]("Favorite", lambda voice: "yes" if voice.is_favorite else "-"),
    Column[Voice]("Description", lambda voice: voice.description, may_move=True),
)


async def voices(
    *,
    language: str | None = None,
    gender: Literal["male", "female", "other"] | None = None,
    application: str | None = None,
    search: str | None = None,
    favorite: Flag = False,
    limit: PageSize = None,
    offset: Offset = None,
    all: Flag = False,
    json: Flag = False,
    service: ServiceOptions | None = None,
) -> int:
    """List the voices for translate --voice.

    Shows a table on a terminal, elsewhere tab-separated lines: id, name, language, gender, application, yes for a
    favorite, description. Exit codes are the same as for list.

    Args:
        language: Only voices of this language.
        gender: Only voices of this gender.
        application: Only voices for this application.
        search: Only voices that contain this text.
        favorite: Only favorites.
        limit: Number of voices on a page, also with --all. Default: chosen by the service.
        offset: Number of voices to skip.
        all: List all voices, page after page.
        json: Print one JSON object a line for each voice, with the field names of the API.
        service: The service to call, and its credentials.
    """
    with error_as_record(None, json=json):
        if all and offset is not None:
            raise ConfigurationError("--all starts at the first voice and cannot be combined with --offset")
        filters = {
            "language": language,
            "gender": gender and gender.capitalize(),  # the API's spelling
            "application": application,
            "search": search,
        }
        table = ListTable[Voice](columns=_COLUMNS, json=json)
        async with (service or ServiceOptions()).client() as client:
            resource = client.video_translate.voices
            if all:
                await table.show_all(resource.iterate(favorite=favorite or None, page_size=limit, **filters))
            else:
                page = await resource.list(favorite=favorite or None, limit=limit, offset=offset, **filters)
                table.show_page(page)
    return ExitCode.OK
