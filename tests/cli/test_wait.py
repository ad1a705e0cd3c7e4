"""``wait``."""

from __future__ import annotations

import json
import re
import signal

import pytest

from .running import COMPLETED, FAILED, GET, LIST, NOWHERE, Cli, LocalSandbox, OpenTerminal


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param([COMPLETED], 0, id="completed"),
        pytest.param([COMPLETED, "--timeout", "inf"], 0, id="no limit"),
        pytest.param([COMPLETED, FAILED], 1, id="one failed"),
        pytest.param([COMPLETED, "running"], 3, id="one not in time"),
        pytest.param([FAILED, "running"], 3, id="3 goes before 1"),
        pytest.param(["running", "..", FAILED], 2, id="2 goes before 3"),
        pytest.param([COMPLETED, "--base-url", NOWHERE], 3, id="unreachable"),
    ],
)
def test_the_exit_code_is_the_worst_of_all_ids(cli: Cli, running: str, arguments: list[str], code: int) -> None:
    timeout = [] if "--timeout" in arguments else ["--timeout", "0"]
    assert cli("wait", *arguments, *timeout).code == code


def test_each_change_is_a_line(cli: Cli, service: LocalSandbox) -> None:
    service.add_job(reference_id="slow", job_seconds=0.5, queue_seconds=0.5)
    first, last = cli("wait", "slow").out.splitlines()
    assert first.endswith(" s  slow  queued")
    assert " s  slow  completed   queued 0.5 s  took 0.0 s  http://127.0.0.1:" in last


def test_json_comes_in_the_order_of_finishing(cli: Cli, service: LocalSandbox) -> None:
    service.add_job(reference_id="slow", job_seconds=0.5)
    result = cli("wait", "slow", COMPLETED, "--json")
    assert [json.loads(line)["reference_id"] for line in result.out.splitlines()] == [COMPLETED, "slow"]
    assert (result.code, result.err) == (0, "")


def test_a_translation_is_shown_with_the_url_of_each_language(cli: Cli, service: LocalSandbox) -> None:
    id = service.add_job(family="video_translate", job_seconds=0, target_languages=["de", "fr"]).id
    result = cli("wait", id, "--family", "translate")
    assert re.search(r"  de http\S+/de/video.mp4  fr http\S+/fr/video.mp4$", result.out)
    waited = cli("wait", id, "--family", "translate", "--json")
    assert (waited.code, list(json.loads(waited.out)["outputs"])) == (0, ["de", "fr"])


def test_an_id_given_twice_counts_once(cli: Cli, service: LocalSandbox) -> None:
    assert cli("wait", COMPLETED, COMPLETED).out.count("\n") == 1
    assert len(service.received(GET)) == 1


def test_a_terminal_shows_how_long_a_job_will_still_take(
    terminal: OpenTerminal, service: LocalSandbox, running: str
) -> None:
    """The wait reads one page of the list, which holds a job that has finished."""
    service.add_job(job_seconds=0.0)
    waiting = terminal("wait", running, "--timeout", "20")
    waiting.read_until("any moment")
    waiting.send(signal.SIGINT)
    assert waiting.wait() == 130
    assert len(service.received(LIST)) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_restores_the_terminal_and_keeps_the_results(
    terminal: OpenTerminal, running: str, number: signal.Signals, code: int
) -> None:
    waiting = terminal("wait", "running", COMPLETED)
    waiting.read_until("1 of 2 done")
    waiting.send(number)
    assert waiting.wait() == code
    assert f"{COMPLETED}  completed" in waiting.seen
