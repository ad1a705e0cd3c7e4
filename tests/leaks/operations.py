"""Every operation of a client, as one short call."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Final

from chamelaion_async import AsyncClient, Outcome

OUTPUT_URL: Final = "https://api.test/output/video.mp4"
_ID: Final = "6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8"
_IDS: Final = [_ID, "dub-42"]
_VIDEO: Final = "https://cdn.test/video.mp4"
_AUDIO: Final = "https://cdn.test/audio.wav"
_DUB: Final[dict[str, Any]] = {"video": _VIDEO, "target_languages": ["de"]}
_UPLOAD: Final[dict[str, Any]] = {"video": b"video", "target_languages": ["de"]}

Operation = Callable[[AsyncClient, Path], Awaitable[object]]
"""Does it, and raises what the client raises, or the error of the first outcome."""


async def _all(items: AsyncIterable[Any]) -> None:
    _unwrap([item async for item in items])


def _unwrap(items: Iterable[Any]) -> None:
    for item in items:
        if isinstance(item, Outcome):
            item.unwrap()


async def _outcomes(waiting: Awaitable[dict[str, Outcome[Any]]]) -> None:
    _unwrap((await waiting).values())


def _family(name: str) -> dict[str, Operation]:
    def requests(client: AsyncClient) -> Any:
        return getattr(client, name).requests

    return {
        f"{name}.requests.get": lambda client, _: requests(client).get(_ID),
        f"{name}.requests.list": lambda client, _: requests(client).list(limit=5),
        f"{name}.requests.iterate": lambda client, _: _all(requests(client).iterate()),
        f"{name}.requests.get_many": lambda client, _: _outcomes(requests(client).get_many(_IDS)),
        f"{name}.requests.wait_until_finished": lambda client, _: requests(client).wait_until_finished(
            _ID, timeout=9
        ),
        f"{name}.requests.watch": lambda client, _: _all(requests(client).watch(_ID, timeout=9)),
        f"{name}.requests.watch_many": lambda client, _: _all(requests(client).watch_many(_IDS, timeout=9)),
        f"{name}.requests.as_finished": lambda client, _: _all(requests(client).as_finished(_IDS, timeout=9)),
        f"{name}.requests.wait_all": lambda client, _: _outcomes(requests(client).wait_all(_IDS, timeout=9)),
    }


OPERATIONS: Final[dict[str, Operation]] = {
    "health.check": lambda client, _: client.health.check(),
    "users.me": lambda client, _: client.users.me(),
    "request": lambda client, _: client.request("POST", "/v1/things", json={"a": 1}),
    "request_raw": lambda client, _: client.request_raw("GET", "/v1/things", params={"a": "1"}),
    "wait_until_finished": lambda client, _: client.wait_until_finished(_ID, timeout=9),
    "download": lambda client, folder: client.download(OUTPUT_URL, folder / "out.mp4"),
    "lipsync.generate": lambda client, _: client.lipsync.generate(video=_VIDEO, audio=_AUDIO),
    "lipsync.generate with a reference": lambda client, _: client.lipsync.generate(
        video=_VIDEO, audio=_AUDIO, reference_id="dub-42"
    ),
    "lipsync.generate_with_media": lambda client, _: client.lipsync.generate_with_media(video=b"v", audio=b"a"),
    "video_translate.generate": lambda client, _: client.video_translate.generate(**_DUB),
    "video_translate.generate_with_media": lambda client, _: client.video_translate.generate_with_media(**_UPLOAD),
    "video_translate.voices.list": lambda client, _: client.video_translate.voices.list(),
    "video_translate.voices.iterate": lambda client, _: _all(client.video_translate.voices.iterate()),
    **_family("lipsync"),
    **_family("video_translate"),
}
