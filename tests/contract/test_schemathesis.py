"""Schemathesis makes requests from the document, valid and invalid ones, and checks what the sandbox answers.

It runs in a process of its own, so that neither its pytest plugin nor its warnings have a part in our suite.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chamelaion_async.sandbox import Fault, ManualClock, Sandbox

from .document import Document

FOLDER = Path(__file__).parent
KEY = "sk-schemathesis"

# What the sandbox answers beyond the document. 404 and 405 for other paths and methods need no entry: they belong to
# no operation. 413 is never answered: a body that is too large is an invalid one, 400.
UNDOCUMENTED = {
    "lipsync.requests.list": 400,
    "video_translate.requests.list": 400,
    "video_translate.voices.list": 400,
}
"""An invalid query: to ignore it would hide a mistake, and the calls that take a body have 400 for theirs."""


def _sharpened(document: Document) -> dict[str, Any]:
    """Return the document with a schema for what it says only in words, and with the undocumented answers."""
    content = copy.deepcopy(dict(document.content))
    operations = {spec["operationId"]: spec for path in content["paths"].values() for spec in path.values()}
    for operation, status in UNDOCUMENTED.items():
        operations[operation]["responses"][str(status)] = {"$ref": "#/components/responses/BadRequest"}

    # "exactly one video and one audio, in either order"
    schemas = content["components"]["schemas"]
    inputs = schemas["LipsyncGenerateBody"]["properties"]["inputs"]
    item = inputs.pop("items")
    kinds = {kind: copy.deepcopy(item) for kind in ("video", "audio")}
    for kind, each in kinds.items():
        each["properties"]["type"] = {"const": kind}
    inputs["oneOf"] = [
        {"type": "array", "minItems": 2, "maxItems": 2, "prefixItems": [kinds[first], kinds[second]], "items": False}
        for first, second in (("video", "audio"), ("audio", "video"))
    ]
    # A language has a name.
    schemas["VideoTranslateGenerateBody"]["properties"]["target_languages"]["items"]["minLength"] = 1

    for operation in ("lipsync.generate_with_media", "video_translate.generate_with_media"):
        form = operations[operation]["requestBody"]["content"]["multipart/form-data"]["schema"]
        # A part's name may be no text that a header cannot carry, which no schema can say.
        form["additionalProperties"] = False
        # "video file is required"
        for name in {"video", "audio"} & set(form["properties"]):
            form["properties"][name]["minLength"] = 1
    # "travel as JSON text in their form fields"
    form["properties"]["target_languages"]["enum"] = ['["de"]', '["de", "ja"]']
    form["properties"]["config"]["enum"] = ["{}", '{"speaker_voices": {"0": "voice-id"}}']
    # Schemathesis would send pictures for subtitles.
    del form["properties"]["source_srt"]
    return content


@pytest.fixture
async def populated(clock: ManualClock) -> AsyncIterator[Sandbox]:
    """A sandbox with jobs in every state, on a clock that stands still."""
    async with Sandbox(clock=clock, keys=[KEY], job_seconds=100.0, remember=100_000) as sandbox:
        for age in (100, 20, 15, 0):
            for fails in (False, True):
                sandbox.add_job(created_at=clock.time() - age, fails=fails, reference_id="dub-1")
                sandbox.add_job(created_at=clock.time() - age, fails=fails, family="video_translate")
        yield sandbox


async def _run(document: Document, sandbox: Sandbox, folder: Path, *options: str) -> tuple[int | None, str]:
    """Run schemathesis, and return its exit code and its output."""
    schema = folder / "sharpened.json"
    schema.write_text(json.dumps(_sharpened(document)))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(FOLDER / "schemathesis.toml")),
        *("run", str(schema), "--url", sandbox.base_url, *options),
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(FOLDER)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(120):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, output.decode()


async def test_schemathesis_finds_no_fault_in_the_sandbox(
    document: Document, populated: Sandbox, tmp_path: Path
) -> None:
    code, output = await _run(document, populated, tmp_path)
    assert code == 0, output[output.find("=== FAILURES") :]

    routes = {f"{each.method} {each.template}": each for each in document.operations.values()}
    seen: dict[str, set[int | None]] = {name: set() for name in routes}
    for received in populated.received:
        if received.route is not None:
            seen[received.route].add(received.status)
        else:
            assert received.status in {404, 405}
    for route, statuses in seen.items():
        operation = routes[route]
        # A run that finds nothing counts only if it called each operation both correctly and wrongly.
        assert 200 in statuses
        assert operation.id == "health.check" or 401 in statuses
        assert 400 in statuses or not (operation.parameters or operation.media_type)
        assert statuses - set(operation.statuses) <= {UNDOCUMENTED.get(operation.id)}


async def test_schemathesis_finds_what_is_wrong(document: Document, populated: Sandbox, tmp_path: Path) -> None:
    no_voices = b'{"voices": [], "pagination": {"limit": 1, "offset": 0, "total": 0}}'
    wrong = {
        "users.me": Fault.body(b'{"name": 5}'),
        "health.check": Fault.body(b'{"status": "ok"}', content_type="text/plain"),
        "lipsync.requests.get": Fault.status(500, "internal error"),
        "video_translate.requests.get": Fault.status(418, "teapot"),
        "video_translate.voices.list": Fault.body(no_voices),  # whatever the query
    }
    for name, fault in wrong.items():
        populated.inject(fault, route=f"GET {document.operations[name].template}")
    options = [option for name in wrong for option in ("--include-operation-id", name)]
    code, output = await _run(document, populated, tmp_path, "--phases", "coverage", *options)
    assert code == 1
    findings = (
        "Response violates schema",
        "Undocumented Content-Type",
        "Server error",
        "Undocumented status code",
        "Schema-violating request accepted",
    )
    assert [finding for finding in findings if finding not in output] == []
