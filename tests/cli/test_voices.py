"""``voices``."""

from __future__ import annotations

import json

from .conftest import Serve
from .running import Cli, LocalSandbox

VOICES = "GET /v1/video-translate/voices"


def test_filters_select_a_voice(cli: Cli, service: LocalSandbox) -> None:
    options = ["--language", "de", "--gender", "other", "--application", "advertisement", "--search", "Fi"]
    result = cli("voices", *options, "--favorite")
    (line,) = result.out.splitlines()
    assert line.split("\t") == [
        *("sandbox-voice-06", "Finn", "de", "Other"),
        *("advertisement", "yes", "A made-up voice for advertisement"),
    ]
    assert service.received(VOICES)[-1].query["favorite"] == "true"


def test_all_reads_every_page(cli: Cli, connect: Serve) -> None:
    served = connect(page_cap=3)
    out = cli("voices", "--all", "--json").out.splitlines()
    assert len({json.loads(line)["voice_id"] for line in out}) == len(out) == 24
    assert "favorite" not in served.received(VOICES)[0].query
    assert cli("voices").err == "1 to 3 of 24; next page: --offset 3; all: --all\n"
