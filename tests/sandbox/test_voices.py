from typing import Any

import aiohttp
import pytest

PATH = "v1/video-translate/voices"


async def voices(session: aiohttp.ClientSession, **query: str) -> tuple[list[dict[str, Any]], dict[str, int]]:
    async with session.get(PATH, params=query) as response:
        body = await response.json()
        assert response.status == 200, body
        return body["voices"], body["pagination"]


async def test_a_voice_has_every_documented_field(session: aiohttp.ClientSession) -> None:
    (first, *_), _ = await voices(session)

    assert set(first) == {
        "voice_id",
        "name",
        "default_name",
        "description",
        "language",
        "application",
        "gender",
        "is_favorite",
    }


async def test_voices_come_in_pages(session: aiohttp.ClientSession) -> None:
    first, pagination = await voices(session)
    rest, _ = await voices(session, offset="20")

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
    ],
)
async def test_each_filter_leaves_all_voices_that_match(
    session: aiohttp.ClientSession, query: dict[str, str], field: str, value: object
) -> None:
    everyone, _ = await voices(session, limit="100")

    found, pagination = await voices(session, **query, limit="100")

    assert found == [voice for voice in everyone if voice[field] == value]
    assert 0 < len(found) < len(everyone)
    assert pagination["total"] == len(found)


async def test_search_looks_in_names_without_regard_to_case(session: aiohttp.ClientSession) -> None:
    found, _ = await voices(session, search="sandbox CLEO")

    assert [voice["name"] for voice in found] == ["Cleo"]


@pytest.mark.parametrize(
    ("query", "text"), [({"gender": "male"}, "invalid gender"), ({"favorite": "yes"}, "invalid favorite")]
)
async def test_a_filter_that_makes_no_sense_is_refused(
    session: aiohttp.ClientSession, query: dict[str, str], text: str
) -> None:
    async with session.get(PATH, params=query) as response:
        assert (response.status, await response.json()) == (400, {"error": text})
