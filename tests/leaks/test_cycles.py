"""What is over is freed at once, by counting references: nothing of this package is left to the garbage collector.

Whatever it would find lies in a circle, and lives with all that it refers to until the next full collection.
"""

from __future__ import annotations

import asyncio
import gc
import types
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

import chamelaion_async
from chamelaion_async import AsyncClient

from .api import StatelessApi
from .work import WORK, Bench, Work

pytestmark = pytest.mark.virtual_time

_PACKAGE: Final = chamelaion_async.__name__


@attrs.define(eq=False)
class Circle:
    """Something that is not freed before it is collected."""

    itself: Any = None

    def __attrs_post_init__(self) -> None:
        self.itself = self


def home(thing: object) -> str:
    """Return the module that a thing, its type or its code belongs to."""
    if isinstance(thing, types.TracebackType):
        return home(thing.tb_frame)
    if isinstance(thing, types.FrameType):
        return str(thing.f_globals.get("__name__"))
    if isinstance(thing, types.CoroutineType | types.AsyncGeneratorType | types.GeneratorType):
        code = next(getattr(thing, name) for name in ("cr_code", "ag_code", "gi_code") if hasattr(thing, name))
        return _PACKAGE if f"/{_PACKAGE}/" in Path(code.co_filename).as_posix() else ""
    if isinstance(thing, types.FunctionType):
        return thing.__module__
    return type(thing).__module__


def name(thing: object) -> str:
    if isinstance(thing, types.TracebackType):
        return f"traceback through {thing.tb_frame.f_code.co_name}"
    if isinstance(thing, types.FrameType):
        return f"frame of {thing.f_code.co_name}"
    return getattr(thing, "__qualname__", type(thing).__qualname__)


def garbage(*packages: str) -> dict[str, int]:
    """Return what the collector finds of these packages, by name."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        ours = [thing for thing in gc.garbage if home(thing).partition(".")[0] in packages]
        return dict(Counter(map(name, ours)))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


@pytest.fixture
def counted() -> Iterator[None]:
    """Nothing is freed but by counting references."""
    gc.disable()
    yield
    gc.enable()
    gc.collect()


@pytest.fixture
async def bench(client: AsyncClient, api: StatelessApi, tmp_path: Path) -> AsyncIterator[Bench]:
    yield Bench(client, api, tmp_path)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("work", [pytest.param(work, id=title) for title, work in WORK.items() if title != "clients"])
async def test_no_work_leaves_anything_to_the_garbage_collector(bench: Bench, work: Work) -> None:
    step = await work(bench)
    await step()
    gc.collect()

    await step()
    await step()

    assert garbage(_PACKAGE) == {}


@pytest.mark.usefixtures("counted")
def test_what_lies_in_a_circle_is_found() -> None:
    gc.collect()
    Circle()

    assert garbage(__name__.partition(".")[0]) == {"Circle": 1}


@pytest.mark.usefixtures("counted")
def test_an_error_that_its_own_frame_holds_is_found() -> None:
    def careless() -> None:
        error = LookupError()
        raise error

    gc.collect()
    with pytest.raises(LookupError):
        careless()

    assert "frame of careless" in garbage(__name__.partition(".")[0])
