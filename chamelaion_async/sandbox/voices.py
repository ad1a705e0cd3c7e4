"""The voices of the sandbox, all made up."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any

from .answers import ApiError

GENDERS = ("Male", "Female", "Other")
_NAMES = (
    "Ada",
    "Ben",
    "Cleo",
    "Dan",
    "Eva",
    "Finn",
    "Gia",
    "Hal",
    "Ida",
    "Jon",
    "Kim",
    "Leo",
    "Mia",
    "Ned",
    "Ola",
    "Pau",
    "Rea",
    "Sam",
    "Tia",
    "Uwe",
    "Vic",
    "Wim",
    "Yan",
    "Zoe",
)
_LANGUAGES = ("en", "de", "ja", "es")
_APPLICATIONS = ("narration", "conversation", "advertisement")


def _invented() -> Iterator[dict[str, Any]]:
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


VOICES: Sequence[Mapping[str, Any]] = tuple(_invented())


def matching_voices(query: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """Return the voices that a query asks for.

    Assumed: application, gender and language match exactly; search is looked for in the names and the
    description, without regard to case.

    Args:
        query: of the request.

    Raises:
        ApiError: 400, if gender or favorite is none of the documented values.
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
