"""The long form as a program: how it divides the work, what it keeps, and what it prints."""

from __future__ import annotations

import subprocess
import sys
from math import inf
from pathlib import Path

import pytest

from . import long_form
from .long_form import main, plan
from .search import Search
from .target import Target
from .targets import TARGETS


@pytest.mark.parametrize("with_atheris", [False, True])
@pytest.mark.parametrize("bodies", [1, 10, 999, 123_457, 1_000_000])
def test_as_many_bodies_are_planned_as_asked_for(bodies: int, with_atheris: bool) -> None:
    pieces = plan(bodies, 0, with_atheris=with_atheris)

    assert sum(it.count for it in pieces if it.target in ("decoding", "failures")) == bodies
    assert sum(it.count for it in pieces if it.engine == "atheris") == pytest.approx(
        with_atheris * bodies / 10, abs=2
    )
    assert {it.target for it in pieces} | {"decoding", "failures"} == set(TARGETS)
    assert len({it.seed for it in pieces}) == len(pieces)


def fragile(data: bytes) -> None:
    if b"word" in data:
        raise LookupError("no words, please")
    assert len(data) < 10


def search(folder: Path, reported: list[int], count: int = 300, ends: float = inf) -> Search:
    target = Target(name="toy", check=fragile, seeds=[b"seed"], words=[b"word"])
    return Search(
        target=target, folder=folder, count=count, ends=ends, tell=lambda runs, finds: reported.append(runs)
    )


def test_the_first_input_of_each_kind_is_kept_with_its_reason(tmp_path: Path) -> None:
    reported: list[int] = []
    under_way = search(tmp_path, reported)
    under_way.by_chance(0)

    assert reported == [300]
    assert {reason.split()[0] for reason in under_way.finds.values()} == {"LookupError:", "AssertionError:"}
    assert all(reason.rpartition(" ")[2].startswith("(fragile:") for reason in under_way.finds.values())
    kept = sorted(b"word" in Path(file).read_bytes() for file in under_way.finds)
    assert (kept, len(list(tmp_path.iterdir()))) == ([False, True], 2)


def test_a_search_ends_when_its_time_has_run_out(tmp_path: Path) -> None:
    reported: list[int] = []
    search(tmp_path, reported, ends=0).by_chance(0)

    assert reported == [1]


def test_the_program_runs_every_target_in_processes_of_their_own(tmp_path: Path) -> None:
    command = [sys.executable, str(Path(__file__).with_name("run.py")), "--bodies", "40", "--jobs", "1"]
    ended = subprocess.run([*command, "--finds", str(tmp_path)], capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[-1].startswith("40 bodies and 25 other inputs in ")
    assert all(name in ended.stdout for name in TARGETS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("finds", "code"), [({}, 0), ({"a": "Error: b"}, 1)])
def test_the_program_prints_what_was_found_and_that_atheris_is_not_installed(
    finds: dict[str, str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(long_form, "find_spec", lambda name: None)
    monkeypatch.setattr(long_form, "_done", lambda piece, folder, ends: (piece.count, finds))
    monkeypatch.setenv("TMPDIR", "")

    assert main(["--bodies", "8", "--atheris"]) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("atheris is not installed")
    assert lines.count("FOUND a: Error: b") == len(finds)


def test_an_input_can_be_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "retry-after-1"
    file.write_bytes(b"7")

    assert main(["--again", str(file)]) == 0
