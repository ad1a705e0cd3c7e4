"""An endpoint, a field and an option have the same name in the client, the sandbox, the commands and the reference.

One that is new fails here at each place that has to have it too.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

from chamelaion_async import (
    Artifacts,
    AsyncClient,
    BadRequestError,
    GenerateAccepted,
    Health,
    LipsyncRequest,
    Pagination,
    RequestStatus,
    User,
    VideoTranslateRequest,
    Voice,
)
from chamelaion_async.sandbox import Fault, Sandbox

from .document import Document

REFERENCE: Final = Path(__file__).parents[2] / "docs" / "reference"
ENDPOINTS: Final = re.findall(
    r"^\| `(\w+ \S+)` \| .*? \| (.*) \|$", (REFERENCE / "api.md").read_text("utf-8"), re.MULTILINE
)
COMMANDS: Final = {
    name: set(re.findall(r"`--([a-z-]+)", text))
    for name, text in re.findall(
        r"^## (\w+)\n(.*?)(?=^## |\Z)", (REFERENCE / "commands.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
}

# What the commands call otherwise, and None for what they do not take.
GENERATE_OPTIONS: Final = {
    "video": None,  # by position, a URL or a file
    "audio": None,
    "disable_active_speaker_detection": "no-speaker-detection",
    "target_languages": "to",
    "source_language": "from",
    "speaker_voices": "voice",
    "target_srts": "target-srt",
    "disable_background_audio": "no-background-audio",
    "disable_lip_sync": "no-lip-sync",
    "webhook_url": "webhook",
    "config": None,
}
INPUTS: Final[Mapping[str, Any]] = {
    "lipsync": {"inputs": [{"type": type, "url": f"https://e.example/{type}"} for type in ("video", "audio")]},
    "video_translate": {"inputs": [{"type": "video", "url": "https://e.example/v"}], "target_languages": ["de"]},
}
LIPSYNC_EXAMPLES: Final = ("6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8", "a1b2c3d4-e5f6-7890-abcd-ef1234567890")
TRANSLATION_EXAMPLE: Final = "9d3a0d2e-5f0f-4c9b-8a10-4b1f0c6f7a55"
# Arguments that are sent as a part of `inputs` or `config`.
NO_FIELDS: Final = {"video", "audio", "speaker_voices", "source_srt", "target_srts"}


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncClient:
    return AsyncClient("sk-key", base_url=sandbox.base_url)


def parameters(name: str) -> set[str]:
    """The arguments of a method of a client."""
    return set(inspect.signature(attrgetter(name)(AsyncClient("sk-key"))).parameters)


def test_the_reference_names_the_endpoints_of_the_document(document: Document) -> None:
    assert {name for name, _ in ENDPOINTS} == {
        f"{each.method} {each.template}" for each in document.operations.values()
    }


@pytest.mark.parametrize(("endpoint", "methods"), ENDPOINTS)
def test_an_endpoint_of_the_reference_has_a_method_and_a_route_of_the_sandbox(endpoint: str, methods: str) -> None:
    Sandbox().inject(Fault.hang(), route=endpoint)  # refuses a route that it does not serve
    named = re.findall(r"`client\.([\w.]+)\(\)`", methods)
    assert named
    for name in named:
        assert callable(attrgetter(name)(AsyncClient("sk-key")))


async def test_the_models_have_the_fields_of_the_sandboxs_answers(client: AsyncClient) -> None:
    async def get(path: str) -> Any:
        return await client.request("GET", path)

    async with client:
        jobs = [await get(f"/v1/lipsync/requests/{id}") for id in LIPSYNC_EXAMPLES]
        translation = await get(f"/v1/video-translate/requests/{TRANSLATION_EXAMPLE}")
        voices = await get("/v1/video-translate/voices")
        accepted = await client.request("POST", "/v1/lipsync/generate", json=INPUTS["lipsync"])
        answers: list[tuple[type[Any], list[Any]]] = [
            (Health, [await get("/health")]),
            (User, [await get("/v1/users/me")]),
            (LipsyncRequest, jobs),
            (VideoTranslateRequest, [translation]),
            (Artifacts, [*translation["outputs"].values()]),
            (Voice, voices["voices"]),
            (Pagination, [voices["pagination"]]),
            (GenerateAccepted, [accepted]),
        ]
    for model, records in answers:
        assert {name for record in records for name in record} == {field.name for field in attrs.fields(model)}, model


@pytest.mark.parametrize("status", [*RequestStatus])
async def test_the_sandbox_filters_by_every_known_status_and_no_other(client: AsyncClient, status: str) -> None:
    async with client:
        await client.video_translate.requests.list(status=status)
        with pytest.raises(BadRequestError):
            await client.video_translate.requests.list(status=f"{status}-x")


@pytest.mark.parametrize("family", ["lipsync", "video_translate"])
async def test_the_sandbox_checks_every_option_of_a_generate_call(client: AsyncClient, family: str) -> None:
    path = f"/v1/{family.replace('_', '-')}/generate"
    async with client:
        for option in parameters(f"{family}.generate") - NO_FIELDS:
            with pytest.raises(BadRequestError):
                await client.request("POST", path, json={**INPUTS[family], option: 5})


@pytest.mark.parametrize(("command", "family"), [("generate", "lipsync"), ("translate", "video_translate")])
def test_a_command_has_every_option_of_its_generate_call(command: str, family: str) -> None:
    arguments = parameters(f"{family}.generate")
    assert parameters(f"{family}.generate_with_media") == arguments | {"on_progress"}

    names = {GENERATE_OPTIONS.get(each, each.replace("_", "-")) for each in arguments} - {None}
    assert names <= COMMANDS[command] | (COMMANDS["generate"] & {"reference-id"})


@pytest.mark.parametrize(
    ("command", "resource"), [("list", "video_translate.requests"), ("voices", "video_translate.voices")]
)
def test_a_command_has_every_filter_of_its_list(command: str, resource: str) -> None:
    filters = parameters(f"{resource}.list") - {"limit", "offset"}
    assert parameters(f"{resource}.iterate") == filters | {"page_size"}
    assert {each.replace("_", "-") for each in filters} <= COMMANDS[command]
