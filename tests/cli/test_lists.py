"""``list`` and ``voices`` against a service."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

LIST = "GET /v1/lipsync/requests"
TRANSLATIONS = "GET /v1/video-translate/requests"
VOICES = "GET /v1/video-translate/voices"

Cli = Callable[..., Any]


@pytest.fixture
def filled(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A sandbox with seven lip sync jobs and two translations, and pages of three."""
    started = serve(job_seconds=0.0, page_cap=3)
    monkeypatch.setenv("CHAMELAION_BASE_URL", started.url)
    monkeypatch.setenv("CHAMELAION_API_KEY", "sk-test")
    for number in range(7):
        started.add_job(reference_id=f"dub-{number}", created_at=datetime.fromisoformat(f"2026-04-0{number + 1}T12Z"))
    for language in ("de", "fr"):
        started.add_job(family="video_translate", reference_id=language, target_languages=[language], fails=True)
    return started


def rows(out: str) -> list[list[str]]:
    return [line.split("\t") for line in out.splitlines()]


def test_a_page_says_what_follows(cli: Cli, filled: Any) -> None:
    result = cli("list", "--limit", "2", "--offset", "1")
    assert result.code == 0
    assert [row[4] for row in rows(result.out)] == ["dub-5", "dub-4"]
    assert result.err == "2 to 3 of 7; for the next ones: --offset 3; for all: --all\n"


def test_the_last_page_says_so(cli: Cli, filled: Any) -> None:
    assert cli("list", "--offset", "5").err == "6 to 7 of 7; for all: --all\n"
    assert cli("list", "--offset", "9").err == "none of 7; for all: --all\n"


def test_a_whole_list_says_nothing(cli: Cli, filled: Any) -> None:
    result = cli("list", "--reference-id", "dub-3")
    assert (result.code, result.err) == (0, "")
    ((id, status, created, took, reference, url),) = rows(result.out)
    assert (status, created, took, reference) == ("completed", "2026-04-04 12:00:00 UTC", "0.0 s", "dub-3")
    assert url.endswith(f"/output/{id}.mp4")


def test_all_pages_are_read(cli: Cli, filled: Any) -> None:
    result = cli("list", "--all")
    assert [row[4] for row in rows(result.out)] == [f"dub-{number}" for number in range(6, -1, -1)]
    assert result.err == ""
    assert filled.count(LIST) == 3


def test_lists_are_json_lines(cli: Cli, filled: Any) -> None:
    records = [json.loads(line) for line in cli("list", "--all", "--json").out.splitlines()]
    assert [record["reference_id"] for record in records] == [f"dub-{number}" for number in range(6, -1, -1)]
    assert {"id", "status", "created_at", "output_url"} <= set(records[0])


def test_translations_have_filters(cli: Cli, filled: Any) -> None:
    options = [
        *("--status", "failed", "--target-language", "fr", "--source-language", "en", "--reference-id", "fr"),
        *("--created-after", "2026-04-07", "--created-before", "2027-01-01T00:00+02:00"),
    ]
    for more in ([], ["--all"]):
        assert cli("list", "--family", "translate", *options, *more).code == 0
        query = filled.received(TRANSLATIONS)[-1].query
        expected = {
            "status": "failed",
            "target_language": "fr",
            "source_language": "en",
            "reference_id": "fr",
            "created_after": "2026-04-07T00:00:00Z",
            "created_before": "2026-12-31T22:00:00Z",
        }
        assert {name: query[name] for name in expected} == expected


def test_translations_are_shown_with_what_came_of_them(cli: Cli, filled: Any) -> None:
    (row,) = rows(cli("list", "--family", "translate", "--target-language", "de").out)
    assert (row[1], row[4]) == ("failed", "de")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["list", "--status", "failed"], "--status: for translations only; add --family translate"),
        (["list", "--all", "--offset", "3"], "--offset"),
        (["voices", "--all", "--offset", "3"], "--offset"),
        (["list", "--limit", "0"], "--limit"),
        (["voices", "--limit", "0"], "--limit"),
        (["list", "--family", "mine"], "--family"),
        (["list", "--family", "translate", "--created-after", "tuesday"], "--created-after takes a time"),
        (["voices", "--gender", "x"], "--gender"),
    ],
)
def test_what_cannot_be_listed_is_one_line(cli: Cli, filled: Any, arguments: list[str], error: str) -> None:
    result = cli(*arguments)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert error in result.err


def test_an_error_of_a_list_is_a_record(cli: Cli, filled: Any) -> None:
    result = cli("list", "--json", "--base-url", "http://127.0.0.1:1")
    assert result.code == 3
    assert json.loads(result.out) == {
        "id": None,
        "error": "APIConnectionError",
        "message": result.err.removeprefix("chamelaion-async: ").removesuffix("\n"),
    }


def test_text_of_the_service_cannot_break_a_list(cli: Cli, service: Any) -> None:
    nasty = "\x1b[2J\ttab\nline"
    service.add_job(job_seconds=0, fails=nasty, reference_id=nasty)
    (row,) = rows(cli("list").out)
    assert row[4:] == [r"\x1b[2J\ttab\nline"] * 2


def test_voices_have_filters(cli: Cli, filled: Any) -> None:
    options = ["--language", "de", "--gender", "other", "--application", "advertisement", "--search", "Fi"]
    result = cli("voices", *options, "--favorite")
    assert rows(result.out) == [
        [
            "sandbox-voice-06",
            "Finn",
            "de",
            "Other",
            "advertisement",
            "yes",
            "A made-up voice for advertisement",
        ]
    ]
    assert filled.received(VOICES)[-1].query["favorite"] == "true"


def test_all_voices_are_read(cli: Cli, filled: Any) -> None:
    out = cli("voices", "--all", "--json").out.splitlines()
    assert len({json.loads(line)["voice_id"] for line in out}) == len(out) == 24
    assert "favorite" not in filled.received(VOICES)[0].query
    assert cli("voices").err == "1 to 3 of 24; for the next ones: --offset 3; for all: --all\n"


def test_a_terminal_gets_tables(terminal: Callable[..., Any], filled: Any, tmp_path: Path) -> None:
    listing, voices = terminal("list", "--all", COLUMNS="120"), terminal("voices", "--limit", "1", COLUMNS="120")
    assert listing.wait() == voices.wait() == 0
    for title in ("Id", "Status", "Created", "Took", "Reference"):
        assert title in listing.seen
    assert all(f"dub-{number} " in listing.seen for number in range(7))
    assert "\t" not in listing.seen
    assert "sandbox-voice-01" in voices.seen
    assert "Description" not in voices.seen
