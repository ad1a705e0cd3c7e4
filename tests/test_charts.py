"""The charts in the docs are those of the run that is checked in beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import chamelaion_async

ROOT = Path(__file__).parents[1]
CHARTS = ROOT / "docs" / "charts"
RUN = CHARTS / "benchmarks.json"


@pytest.fixture(scope="module")
def redrawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("charts")
    program = ROOT / "tests" / "benchmarks" / "run.py"
    command = [sys.executable, str(program), "--charts-from", str(RUN), "--charts", str(folder)]
    # Its modules lie beside it, where a safe path does not look; the package is the one that is tested.
    path = os.pathsep.join([str(program.parent), str(Path(chamelaion_async.__file__).parents[1])])
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run(command, check=True, capture_output=True, timeout=60, env=environment)
    return folder


def test_they_are_drawn_from_the_run(redrawn: Path) -> None:
    drawn = {file.name: file.read_text("utf-8") for file in redrawn.glob("*.svg")}
    assert drawn == {file.name: file.read_text("utf-8") for file in CHARTS.glob("*.svg")}
    assert drawn


def test_each_is_shown_in_the_docs() -> None:
    text = "".join(page.read_text("utf-8") for page in (ROOT / "docs").rglob("*.md"))
    assert [file.name for file in CHARTS.glob("*.svg") if f"charts/{file.name}" not in text] == []


def test_the_run_tells_its_machine_and_versions() -> None:
    environment = json.loads(RUN.read_text("utf-8"))["environment"]
    assert {"python", "aiohttp", "chamelaion"} <= set(environment["versions"])
    assert environment["machine"]
