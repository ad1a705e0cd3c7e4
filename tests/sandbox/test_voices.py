from __future__ import annotations

from typing import Any

import pytest

from .calling import Caller

PATH = "v1/video-translate/voices"


async def voices(call: Caller, **query: str) -> tuple[list[dict[str, Any]], dict[str, int]]:
    reply = await call(PATH, params=query)
    assert reply.status == 200, reply.body
    return reply.json["voices"], reply.json["pagination"]


async def test_voices_come_in_pages(call: Caller) -> None:
    first, pagination = await voices(call)
    rest, _ = await voices(call, offset="20")

    assert pagination == {"limit": 20, "offset": 0, "total": 24}
    assert len({voice["voice_id"] for voice in first + rest}) == 24


@pytest.mark.parametrize(
    ("query", "field", "value"),
    [
        ({"application": "narration"}, "application", "narration"),
        ({"gender": "Other"}, "gender", "Other"),
        ({"language": "ja"}, "language", "ja"),
        ({"favorite": "true"}, "is_favorite", True),
        ({"favorite": "false"}, "is_favorite", False),
        ({"search": "sandbox CLEO"}, "name", "Cleo"),
    ],
)
async def test_a_filter_leaves_all_voices_that_match(
    call: Caller, query: dict[str, str], field: str, value: object
) -> None:
    everyone, _ = await voices(call, limit="100")

    found, pagination = await voices(call, **query, limit="100")

    assert found == [voice for voice in everyone if voice[field] == value]
    assert 0 < len(found) < len(everyone)
    assert pagination["total"] == len(found)


@pytest.mark.parametrize(("name", "value"), [("gender", "male"), ("favorite", "yes")])
async def test_a_filter_without_a_meaning_is_refused(call: Caller, name: str, value: str) -> None:
    assert (await call(PATH, params={name: value})).answer == (400, {"error": f"invalid {name}"})
