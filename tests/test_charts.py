"""The charts in the docs are those of the run that is checked in beside them."""

from __future__ import annotations

import json
import os
import re
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


def test_the_gain_of_learned_polls_is_stated_as_measured() -> None:
    rows = json.loads(RUN.read_text("utf-8"))["benchmarks"]["when"]["rows"]
    after = {
        name: [row for row in rows if row["after"] == name]
        for name in ("10 samples", "100 samples", "doubled, next 50")
    }
    page = " ".join((ROOT / "docs" / "spacing.md").read_text("utf-8").split())
    stated = re.findall(r"\| ([\d.]+) \| ([\d.]+) \|", page)
    measured = sorted((row["delay_ratio"], row["polls_ratio"]) for row in after["100 samples"])
    assert [(float(delay), float(polls)) for delay, polls in stated] == measured
    few = [row["delay_ratio"] for row in after["10 samples"]]
    assert f"After 10 jobs the delays are {min(few)} to {max(few)} of those by age." in page
    most = max(row["polls_ratio"] for row in after["doubled, next 50"])
    assert f"the next 50 jobs take up to {most:.1f} times as many polls" in page
    delay, polls = measured[0]
    readme = " ".join((ROOT / "README.md").read_text("utf-8").split())
    assert f"the end is known after {delay} of the delay by age, with {polls} of the polls" in readme


def test_each_is_shown_in_the_docs() -> None:
    text = "".join(page.read_text("utf-8") for page in (ROOT / "docs").rglob("*.md"))
    assert [file.name for file in CHARTS.glob("*.svg") if f"charts/{file.name}" not in text] == []


def test_the_run_tells_its_machine_and_versions() -> None:
    environment = json.loads(RUN.read_text("utf-8"))["environment"]
    assert {"python", "aiohttp", "chamelaion"} <= set(environment["versions"])
    assert environment["machine"]
