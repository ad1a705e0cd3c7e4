"""The scenarios leave no operation out."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from chamelaion_async import AsyncClient
from chamelaion_async.resources.requests import RequestsResource

from .loops import DEFAULT
from .point import Run, play
from .scenarios import SCENARIOS
from .steps import Steps


def operations() -> Iterator[tuple[str, CodeType]]:
    """Yield what a user awaits or iterates over, by name."""
    client = AsyncClient("sk-key")
    found = (client, client.health, client.users, client.lipsync, client.lipsync.requests)
    translate = client.video_translate
    for owner in (*found, translate, translate.requests, translate.voices):
        for kind in type(owner).__mro__:
            for name, function in vars(kind).items():
                is_public = not name.startswith("_") or name in ("__aenter__", "__aexit__")
                if is_public and inspect.isfunction(function) and _is_awaited(function):
                    yield f"{kind.__name__}.{name}", function.__code__


def _is_awaited(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or "Async" in str(inspect.signature(function).return_annotation)


async def act(run: Run) -> None:
    (await run.act()).result()


def test_every_operation_is_walked(tmp_path: Path) -> None:
    called: set[CodeType] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            called.add(frame.f_code)

    async def run() -> None:
        for number, scenario in enumerate(SCENARIOS):
            await play(DEFAULT, scenario, folders[number], Steps(), act)

    folders = [tmp_path / str(number) for number in range(len(SCENARIOS))]
    for folder in folders:
        folder.mkdir()
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        DEFAULT.run(run())
    finally:
        sys.setprofile(before)

    found = dict(operations())
    assert {name for name, code in found.items() if code not in called} == set()
    assert len(found) > 20
    assert f"{RequestsResource.__name__}.watch" in found


def test_scenes_have_names_of_their_own() -> None:
    keys = [scenario.key for scenario in SCENARIOS]
    assert len(set(keys)) == len(keys)
