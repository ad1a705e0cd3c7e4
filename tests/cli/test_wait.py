"""``wait``."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chamelaion_async.sandbox import Fault

from .conftest import Serve
from .running import COMMAND, COMPLETED, FAILED, GENERATE, GET, LIST, NOWHERE, Cli, LocalSandbox, OpenTerminal


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


def test_a_submission_can_be_piped_into_a_wait(quick: LocalSandbox) -> None:
    command = " ".join(COMMAND)
    video, audio = "https://cdn.example.com/v.mp4", "https://cdn.example.com/a.wav"
    done = subprocess.run(
        ["bash", "-c", f"{command} generate {video} {audio} --json | {command} wait - --json"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert json.loads(done.stdout)["status"] == "completed"
    assert len(quick.received(GENERATE)) == 1


def test_the_lines_of_a_list_can_be_waited_for(cli: Cli, service: LocalSandbox, tmp_path: Path) -> None:
    ids = [service.add_job(job_seconds=0.0).id for _ in range(3)]
    (tmp_path / "jobs").write_text(cli("list").out)
    assert {line.split()[2] for line in cli("wait", f"@{tmp_path / 'jobs'}").out.splitlines()} == {*ids}


@pytest.mark.parametrize("arguments", [[], [COMPLETED, "--all-open"], [COMPLETED, "--any", "--fail-fast"]])
def test_what_to_wait_for_must_be_clear(cli: Cli, service: LocalSandbox, arguments: list[str]) -> None:
    result = cli("wait", *arguments)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert not service.received(GET)


def test_all_open_waits_for_what_is_open_now(cli: Cli, service: LocalSandbox) -> None:
    service.add_job(job_seconds=0.0)
    open_ids = {service.add_job(job_seconds=0.7).id for _ in range(30)}
    result = cli("wait", "--all-open", "--json")
    assert (result.code, result.err) == (0, "")
    assert {json.loads(line)["id"] for line in result.out.splitlines()} == open_ids


def test_nothing_open_is_a_success(cli: Cli, service: LocalSandbox) -> None:
    result = cli("wait", "--all-open")
    assert (result.code, result.out, result.err) == (0, "", "no request is open\n")


@pytest.mark.parametrize(("ended", "code"), [(COMPLETED, 0), (FAILED, 1)])
def test_any_ends_with_the_first_that_finishes_and_has_its_code(
    cli: Cli, running: str, ended: str, code: int
) -> None:
    result = cli("wait", "running", ended, "--any")
    assert result.code == code
    assert result.err.endswith("1 still open, and not stopped by this; to wait on:\nchamelaion-async wait running\n")


def test_fail_fast_ends_with_the_first_failure(cli: Cli, running: str) -> None:
    result = cli("wait", "running", COMPLETED, FAILED, "--fail-fast")
    assert result.code == 1
    assert "to wait on:\nchamelaion-async wait running\n" in result.err
    assert cli("wait", "running", COMPLETED, "--fail-fast", "--timeout", "0").code == 3


def test_quiet_prints_errors_only(cli: Cli, running: str) -> None:
    assert cli("wait", COMPLETED, FAILED, "--quiet") == cli("wait", COMPLETED, FAILED, "--quiet")
    result = cli("wait", COMPLETED, FAILED, "..", "running", "--quiet", "--timeout", "0")
    assert (result.code, result.out) == (2, "")
    assert len(result.err.splitlines()) == 2


def test_a_timeout_says_how_to_wait_on(cli: Cli, service: LocalSandbox) -> None:
    ids = [service.add_job().id for _ in range(300)]
    lines = cli("wait", *ids, "--timeout", "0").err.splitlines()
    assert lines[-303:-300] == [
        "300 still open, and not stopped by this; to wait on:",
        "chamelaion-async wait - <<'END'",
        ids[0],
    ]
    assert lines[-300:] == [*ids[1:], "END"]


def test_wrong_credentials_are_told_once(cli: Cli, connect: Serve) -> None:
    connect(keys=["another"])
    result = cli("wait", *(f"{number}" for number in range(30)))
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)


def test_an_error_in_the_pipe_is_a_failure(cli: Cli, service: LocalSandbox, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text('{"id": null, "error": "QuotaExceededError", "message": "no quota"}\n')
    assert cli("wait", f"@{tmp_path / 'ids'}").code == 1
    assert cli("wait", f"@{tmp_path / 'ids'}", COMPLETED).code == 1


class TestNotFound:
    """A 404 at the command line is final at once, unless the account may have submitted the id a moment ago."""

    @pytest.fixture(autouse=True)
    def _history(self, service: LocalSandbox) -> None:
        for minutes in range(30):  # more than a page holds
            service.add_job(job_seconds=0.0, created_at=datetime.now(UTC) - timedelta(hours=1, minutes=minutes))

    def test_it_is_final_at_once(self, cli: Cli, service: LocalSandbox) -> None:
        start = time.monotonic()
        result = cli("wait", "6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d9", COMPLETED)
        assert time.monotonic() - start < 3.0
        assert result.code == 1
        assert "check the id" in result.err

    def test_get_says_it_at_once_too(self, cli: Cli, service: LocalSandbox) -> None:
        start = time.monotonic()
        assert cli("get", "nothing").code == 1
        assert time.monotonic() - start < 3.0
        assert len(service.received(GET)) == 1

    def test_it_does_not_end_a_wait_for_any(self, cli: Cli, service: LocalSandbox) -> None:
        created = datetime.now(UTC) - timedelta(hours=2)
        service.add_job(reference_id="soon", job_seconds=7202.0, created_at=created)
        service.add_job(reference_id="running", job_seconds=9999.0, created_at=created)
        result = cli("wait", "nothing", "soon", "running", "--any")
        assert result.code == 0
        assert "chamelaion-async: nothing: the service answered 404" in result.err
        assert result.err.endswith("chamelaion-async wait running\n")

    @pytest.mark.parametrize("case", ["new request", "broken list"])
    def test_it_may_pass_where_the_list_leaves_that_open(self, cli: Cli, service: LocalSandbox, case: str) -> None:
        if case == "new request":
            service.add_job(reference_id="other")
        else:
            service.inject(Fault.status(404, {"error": "no list"}), route=LIST)
        service.add_job(reference_id="late", job_seconds=0.0, created_at=datetime.now(UTC) - timedelta(hours=2))
        service.inject(Fault.status(404, {"error": "not found"}), route=GET, times=2)
        assert cli("wait", "late").code == 0

    def test_it_may_pass_for_an_id_that_stdin_names(self, service: LocalSandbox) -> None:
        service.add_job(reference_id="late", job_seconds=0.0, created_at=datetime.now(UTC) - timedelta(hours=2))
        service.inject(Fault.status(404, {"error": "not found"}), route=GET, times=2)
        done = subprocess.run([*COMMAND, "wait", "-"], input=b"late\n", timeout=30, check=False, capture_output=True)
        assert done.returncode == 0


@pytest.mark.parametrize("count", [1, 30, 300])
@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (120, 40)])
def test_an_interrupt_leaves_a_summary_and_a_command(
    terminal: OpenTerminal, service: LocalSandbox, tmp_path: Path, count: int, columns: int, lines: int
) -> None:
    ids = [service.add_job().id for _ in range(count)]
    (tmp_path / "ids").write_text("\n".join(ids))
    waiting = terminal("wait", f"@{tmp_path / 'ids'}", COMPLETED, COLUMNS=str(columns), LINES=str(lines))
    waiting.read_until(f"1 of {count + 1} done")
    waiting.send(signal.SIGINT)
    assert waiting.wait() == 130
    end = waiting.seen.replace("\r", "").rpartition("to wait on:\n")[2]
    command = f"wait {ids[0]}" if count == 1 else "wait - <<'END'\n" + "\n".join(ids) + "\nEND\n"
    assert command in end
    assert re.search(rf"\n{count + 1} jobs in 0:0\d: 1 completed, {count} still open\n", end)


def test_the_bell_rings_at_the_end(terminal: OpenTerminal, service: LocalSandbox) -> None:
    with_bell, without = terminal("wait", COMPLETED, "--bell"), terminal("wait", COMPLETED)
    assert (with_bell.wait(), without.wait()) == (0, 0)
    assert with_bell.seen.count("\a") == 1
    assert "\a" not in without.seen
