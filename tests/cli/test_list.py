"""``list``, and what ``list`` and ``voices`` have in common."""

from __future__ import annotations

import json
import re
from datetime import datetime

import pytest

from .conftest import Serve
from .running import LIST, NOWHERE, Cli, LocalSandbox, OpenTerminal

TRANSLATIONS = "GET /v1/video-translate/requests"


@pytest.fixture
def filled(connect: Serve) -> LocalSandbox:
    """A sandbox with seven lip sync jobs and two translations, and pages of three."""
    started = connect(job_seconds=0.0, page_cap=3)
    for number in range(7):
        started.add_job(reference_id=f"dub-{number}", created_at=datetime.fromisoformat(f"2026-04-0{number + 1}T12Z"))
    for language in ("de", "fr"):
        started.add_job(family="video_translate", reference_id=language, target_languages=[language], fails=True)
    return started


def rows(out: str) -> list[list[str]]:
    return [line.split("\t") for line in out.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "references", "note"),
    [
        (["--limit", "2", "--offset", "1"], ["dub-5", "dub-4"], "2 to 3 of 7; next page: --offset 3; all: --all\n"),
        (["--offset", "5"], ["dub-1", "dub-0"], "6 to 7 of 7; all: --all\n"),
        (["--offset", "9"], [], "none of 7; all: --all\n"),
        (["--reference-id", "dub-3"], ["dub-3"], ""),
        (["--family", "translate", "--target-language", "de"], ["de"], ""),
    ],
)
def test_a_page_says_where_the_others_are(
    cli: Cli, filled: LocalSandbox, arguments: list[str], references: list[str], note: str
) -> None:
    result = cli("list", *arguments)
    assert (result.code, result.err) == (0, note)
    assert [row[4] for row in rows(result.out)] == references


def test_a_line_has_id_status_times_reference_and_result(cli: Cli, filled: LocalSandbox) -> None:
    ((id, status, created, took, reference, url),) = rows(cli("list", "--reference-id", "dub-3").out)
    assert (status, created, took, reference) == ("completed", "2026-04-04 12:00:00 UTC", "0.0 s", "dub-3")
    assert url.endswith(f"/output/{id}.mp4")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_all_reads_every_page(cli: Cli, filled: LocalSandbox, options: list[str]) -> None:
    result = cli("list", "--all", *options)
    if options:
        references = [json.loads(line)["reference_id"] for line in result.out.splitlines()]
    else:
        references = [row[4] for row in rows(result.out)]
    assert references == [f"dub-{number}" for number in range(6, -1, -1)]
    assert result.err == ""
    assert len(filled.received(LIST)) == 3


@pytest.mark.parametrize("options", [[], ["--all"]])
def test_translations_have_filters(cli: Cli, filled: LocalSandbox, options: list[str]) -> None:
    arguments = [
        *("--status", "failed", "--target-language", "fr", "--source-language", "en", "--reference-id", "fr"),
        *("--created-after", "2026-04-07", "--created-before", "2027-01-01T00:00+02:00"),
    ]
    assert cli("list", "--family", "translate", *arguments, *options).code == 0
    query = filled.received(TRANSLATIONS)[-1].query
    assert {**query}.items() >= {
        "status": "failed",
        "target_language": "fr",
        "source_language": "en",
        "reference_id": "fr",
        "created_after": "2026-04-07T00:00:00Z",
        "created_before": "2026-12-31T22:00:00Z",
    }.items()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["list", "--status", "failed"], "--status: for translations only; add --all"),
        (["list", "--status", "failed", "--created-after", "2026-01-01", "--all"], "add --family translate"),
        (["list", "--all", "--offset", "3"], "--offset"),
        (["voices", "--all", "--offset", "3"], "--offset"),
        (["list", "--limit", "0"], "--limit"),
        (["voices", "--limit", "0"], "--limit"),
        (["list", "--family", "mine"], "--family"),
        (["list", "--family", "translate", "--created-after", "tuesday"], "--created-after takes a time"),
        (["voices", "--gender", "x"], "--gender"),
    ],
)
def test_wrong_arguments_are_one_line(cli: Cli, service: LocalSandbox, arguments: list[str], error: str) -> None:
    result = cli(*arguments)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert error in result.err


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_command_filters_by_status_where_the_api_does_not(
    cli: Cli, filled: LocalSandbox, options: list[str]
) -> None:
    filled.add_job(reference_id="bad", fails="no way", created_at=datetime.fromisoformat("2026-04-03T15Z"))
    result = cli("list", "--all", "--status", "failed", *options)
    assert (result.code, result.err, result.out.count("\n")) == (0, "", 1)
    assert "bad" in result.out
    assert all("status" not in request.query for request in filled.received(LIST))


def test_a_status_that_no_request_has_is_told(cli: Cli, filled: LocalSandbox) -> None:
    result = cli("list", "--all", "--status", "complete")
    assert (result.code, result.out, result.err) == (0, "", "none of 7 requests has the status complete\n")


@pytest.mark.parametrize("columns", [80, 120, 40])
def test_each_id_is_whole_and_each_failure_has_its_reason(
    terminal: OpenTerminal, filled: LocalSandbox, columns: int
) -> None:
    reference = "season-1/episode-01/scene-01/language-de"
    failed = filled.add_job(reference_id=reference, fails="the [b]audio[/b] is too long")
    open_ = filled.add_job(job_seconds=1000, queue_seconds=999)
    listing = terminal("list", "--all", COLUMNS=str(columns), NO_COLOR="1")
    assert listing.wait() == 0
    lines = [re.sub(r"\x1b\[\d*m", "", line) for line in listing.seen.split("\r\n")]
    assert [line.split()[:2] for line in lines if line.startswith((failed.id, open_.id))] == [
        [open_.id, "queued"],
        [failed.id, "failed"],
    ]
    below = lines[next(number for number, line in enumerate(lines) if line.startswith(failed.id)) + 1]
    assert below == ("  " if columns == 120 else f"  {reference}: ") + "the [b]audio[/b] is too long"
    width = max(len(line) for line in lines if line[:1] not in ("", " "))
    assert width <= max(columns, 74)


def test_an_error_has_a_record_in_json(cli: Cli, service: LocalSandbox) -> None:
    result = cli("list", "--json", "--base-url", NOWHERE)
    assert result.code == 3
    assert json.loads(result.out) == {
        "id": None,
        "error": "APIConnectionError",
        "message": result.err.removeprefix("chamelaion-async: ").removesuffix("\n"),
    }


def test_text_of_the_service_stays_in_its_column(cli: Cli, service: LocalSandbox) -> None:
    nasty = "\x1b[2J\ttab\nline"
    service.add_job(job_seconds=0, fails=nasty, reference_id=nasty)
    (row,) = rows(cli("list").out)
    assert row[4:] == [r"\x1b[2J\ttab\nline"] * 2


def test_a_terminal_gets_a_table(terminal: OpenTerminal, filled: LocalSandbox) -> None:
    listing, voices = terminal("list", "--all", COLUMNS="120"), terminal("voices", "--limit", "1", COLUMNS="120")
    assert listing.wait() == voices.wait() == 0
    for title in ("Id", "Status", "Created", "Took", "Reference"):
        assert title in listing.seen
    assert all(f"dub-{number}\r\n" in listing.seen for number in range(7))
    assert "\t" not in listing.seen
    assert "sandbox-voice-01" in voices.seen
    assert "Description" in voices.seen
