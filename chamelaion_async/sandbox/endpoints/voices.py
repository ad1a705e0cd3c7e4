"""The list of voices. All of them are made up."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any

from .answers import Answer, ApiError
from .calls import Call, Route
from .pages import page_answer, page_window

GENDERS = ("Male", "Female", "Other")
_NAMES = "Ada Ben Cleo Dan Eva Finn Gia Hal Ida Jon Kim Leo Mia Ned Ola Pau Rea Sam Tia Uwe Vic Wim Yan Zoe".split()  # noqa: SIM905 - 24 lines
_LANGUAGES = ("en", "de", "ja", "es")
_APPLICATIONS = ("narration", "conversation", "advertisement")


def _made_up() -> Iterator[dict[str, Any]]:
    rows = zip(_NAMES, cycle(GENDERS), cycle(_LANGUAGES), cycle(_APPLICATIONS), strict=False)
    for number, (name, gender, language, application) in enumerate(rows, 1):
        yield {
            "voice_id": f"sandbox-voice-{number:02d}",
            "name": name,
            "default_name": f"Sandbox {name}",
            "description": f"A made-up voice for {application}",
            "language": language,
            "application": application,
            "gender": gender,
            "is_favorite": number % 5 == 1,
        }


VOICES: Sequence[Mapping[str, Any]] = tuple(_made_up())


def matching_voices(query: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """Return the voices that a query asks for.

    Assumed: application, gender and language match exactly; search is any part of the names or the description,
    in any case.

    Args:
        query: of the request.

    Raises:
        ApiError: 400, if gender or favorite has no documented value.
    """
    if query.get("gender", GENDERS[0]) not in GENDERS:
        raise ApiError(400, "invalid gender")
    if query.get("favorite", "true") not in {"true", "false"}:
        raise ApiError(400, "invalid favorite")
    wanted: dict[str, Any] = {name: query[name] for name in ("application", "gender", "language") if name in query}
    if "favorite" in query:
        wanted["is_favorite"] = query["favorite"] == "true"
    text = query.get("search", "").lower()
    return [
        voice
        for voice in VOICES
        if all(voice[name] == value for name, value in wanted.items())
        and any(text in voice[name].lower() for name in ("name", "default_name", "description"))
    ]


async def list_voices(call: Call) -> Answer:
    """GET /v1/video-translate/voices."""
    query = call.received.query
    limit, offset = page_window(query, cap=call.world.settings.page_cap)
    voices = matching_voices(query)
    return page_answer("voices", voices[offset : offset + limit], limit=limit, offset=offset, total=len(voices))


ROUTES = (Route(method="GET", template="/v1/video-translate/voices", endpoint=list_voices, lane="status"),)
