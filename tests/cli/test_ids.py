"""Ids from the command line, from files and from stdin."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chamelaion_async import ConfigurationError, GenerateAccepted
from chamelaion_async.cli._ui.ids import STDIN, GivenIds, continuing_command, read_ids
from chamelaion_async.cli._ui.json_records import api_record

NASTY = [
    "-x",
    "-",
    "@home",
    "END",
    "{",
    "a b",
    "$(touch x)",
    "it's",
    "\x1b[2J",
    "caf\u00e9",
    "a\tb",
    "\udcff",
    " a",
    "\u202e",
]


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    """Make bytes the content of stdin."""
    files = []

    def fill(content: bytes) -> None:
        end, other = os.pipe()
        os.write(other, content)
        os.close(other)
        files.append(os.fdopen(end))
        monkeypatch.setattr("sys.stdin", files[-1])

    yield fill
    for file in files:
        file.close()


@pytest.mark.parametrize(
    ("lines", "ids"),
    [
        pytest.param("a\nb\na\n", ["a", "b"], id="one a line, each once"),
        pytest.param("\ufeffa\r\n\r\n  b  \r\n", ["a", "b"], id="from Windows"),
        pytest.param('{"request_id": "a", "status": "queued"}\n', ["a"], id="a submission"),
        pytest.param('{"id": "a", "reference_id": "dub-1"}\n', ["a"], id="a request"),
        pytest.param('{"id": "a", "error": "WaitTimeoutError"}\n', ["a"], id="an error with an id"),
        pytest.param("a\tcompleted\t2026\n", ["a"], id="a line of list"),
        pytest.param("caf\u00e9\n", ["caf\u00e9"], id="letters"),
        pytest.param("a", ["a"], id="without a last newline"),
    ],
)
@pytest.mark.parametrize("source", ["file", "stdin"])
async def test_a_line_names_an_id(
    tmp_path: Path, stdin: Callable[[bytes], None], source: str, lines: str, ids: list[str]
) -> None:
    (tmp_path / "ids").write_bytes(lines.encode())
    stdin(lines.encode())
    given = await read_ids([f"@{tmp_path / 'ids'}" if source == "file" else STDIN])
    assert given == GivenIds(ids=ids, piped=frozenset([] if source == "file" else ids))


async def test_sources_keep_their_order(tmp_path: Path, stdin: Callable[[bytes], None]) -> None:
    (tmp_path / "ids").write_text("c\na\n")
    stdin(b"d\n")
    assert (await read_ids(["a", f"@{tmp_path / 'ids'}", STDIN, "b", "-"])).ids == ["a", "c", "d", "b", "-"]


async def test_the_error_of_another_command_is_told_and_counted(
    stdin: Callable[[bytes], None], capsys: pytest.CaptureFixture[str]
) -> None:
    stdin(b'{"id": null, "error": "QuotaExceededError", "message": "no quota"}\n{"request_id": "a"}\n')
    given = await read_ids([STDIN])
    assert (given.ids, given.errors) == (["a"], 1)
    assert capsys.readouterr().err == "chamelaion-async: line 1 of stdin is an error, not a request: no quota\n"


@pytest.mark.parametrize(
    "wrong",
    ['{"status": "queued"}', '{"id": 5}', "{broken", '{"a":' * 100_000],
    ids=["none", "number", "no JSON", "deep"],
)
async def test_a_line_without_an_id_is_an_error_that_loses_no_id(
    stdin: Callable[[bytes], None], capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    stdin(f"first\n{wrong}\nthird\n".encode()[:60_000])
    with pytest.raises(
        ConfigurationError, match=r"^line 2 of stdin has no request_id and no id: .*nothing was sent$"
    ):
        await read_ids([STDIN])
    if len(wrong) < 100:
        assert "chamelaion-async wait first third" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argument", "error"),
    [("@nowhere/ids", "'nowhere/ids' cannot be read: No such file or directory"), (STDIN, "there are no ids")],
)
async def test_what_names_no_ids_is_an_error(stdin: Callable[[bytes], None], argument: str, error: str) -> None:
    stdin(b"\n \n")
    with pytest.raises(ConfigurationError, match=error):
        await read_ids([argument])


async def test_a_closed_stdin_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ConfigurationError, match="stdin is closed"):
        await read_ids([STDIN])


async def test_a_stdin_that_cannot_be_read_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "written").open("w") as file:
        monkeypatch.setattr("sys.stdin", file)
        with pytest.raises(ConfigurationError, match="stdin cannot be read: Bad file descriptor"):
            await read_ids([STDIN])


async def test_reading_stdin_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    end, other = os.pipe()
    with os.fdopen(end) as file:
        monkeypatch.setattr("sys.stdin", file)
        task = asyncio.create_task(read_ids([STDIN]))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        os.write(other, b"late\n")
        os.close(other)
        await asyncio.sleep(0.01)


def test_a_few_ids_continue_on_the_command_line() -> None:
    assert continuing_command("wait", ["a", "b c"], family="translate") == (
        "chamelaion-async wait --family translate a 'b c'"
    )


@pytest.mark.parametrize("ids", [NASTY, [f"id-{number}" for number in range(300)], ["@home"], ["-"]])
def test_many_ids_and_unusual_ones_come_back_through_a_shell(
    ids: list[str], stdin: Callable[[bytes], None], tmp_path: Path
) -> None:
    command = continuing_command("wait", ids, base_url="http://127.0.0.1:1")
    assert command.replace("\n", "").isprintable()
    shell = f'chamelaion-async() {{ echo "$@" >arguments; cat; }}\n{command}\n'
    done = subprocess.run(
        ["bash", "--norc"], input=shell.encode(), capture_output=True, timeout=15, check=True, cwd=tmp_path
    )
    assert (tmp_path / "arguments").read_text() == "wait --base-url http://127.0.0.1:1 -\n"
    assert [path.name for path in tmp_path.iterdir()] == ["arguments"]
    stdin(done.stdout)
    assert asyncio.run(read_ids([STDIN])).ids == ids


def test_json_lines_of_a_submission_are_what_the_command_prints() -> None:
    assert json.loads(api_record(GenerateAccepted(request_id="a", status="queued")))["request_id"] == "a"
