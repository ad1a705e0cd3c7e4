"""The examples of the page on several workers, on a real engine."""

from __future__ import annotations

import ast
import inspect
import re
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chamelaion_async import AsyncClient
from chamelaion_async.sandbox import Sandbox
from tests.support.engines import EngineServer

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "workers.md"
ADDRESS = "redis://localhost:6379/0"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


async def run(block: str, names: dict[str, Any], url: str) -> None:
    """Run a block of the page, with the address of an engine that is there."""
    assert ADDRESS in block
    code = compile(block.replace(ADDRESS, url), str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)
    if inspect.isawaitable(result):
        await result


async def test_the_examples_run(
    server: EngineServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = BLOCKS
    names: dict[str, Any] = {}
    async with Sandbox() as sandbox:
        monkeypatch.setenv("CHAMELAION_BASE_URL", sandbox.base_url)
        monkeypatch.setenv("CHAMELAION_API_KEY", "sk-test-key")
        await run(first, names, server.url)
        assert capsys.readouterr().out == "completed\n"

        await run(second, names, server.url)
        app = SimpleNamespace(state=SimpleNamespace())
        lifespan: AbstractAsyncContextManager[None] = names["lifespan"](app)
        async with lifespan:
            client: AsyncClient = app.state.client
            assert (await client.wait_until_finished("dub-episode-42")).is_completed
