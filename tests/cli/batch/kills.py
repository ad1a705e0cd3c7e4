"""A batch that is killed again and again: every row is one job and one whole output in the end.

Run it as a program for as many rows and kills as you like: ``python -m tests.cli.batch.kills --rows 300 --kills 20``.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import attrs

from chamelaion_async.sandbox import Fault

from ..running import COMMAND, GENERATE, OUTPUT, LocalSandbox, serving

UPLOAD = "POST /v1/lipsync/generate-with-media"
TRANSLATE = "POST /v1/video-translate/generate"
SUBMISSIONS = (GENERATE, UPLOAD, TRANSLATE)

FAULTS = (
    *[
        (fault, route)
        for route in SUBMISSIONS
        for fault in (
            Fault.status(503),
            Fault.status(500, when="after"),
            Fault.reset(),
            Fault.reset("after"),
            Fault.close("after"),
            Fault.truncate(9),
            Fault.garbage(when="after"),
            Fault.rate_limited(retry_after=0.2),
            Fault.latency(0.5, when="before"),
        )
    ],
    (Fault.status(503), "GET *"),
    (Fault.reset(), "GET *"),
    (Fault.truncate(20), "GET *"),
    (Fault.truncate(2000), OUTPUT),
    (Fault.reset("after"), OUTPUT),
)
FAULTY = 0.02  # part of the requests to a route, for each of its faults
LATE = 0.5  # part of the submissions whose answer comes late: a kill meets jobs that the journal does not know
RESUBMIT_AFTER = 1.5  # seconds; more than any latency of a submission
JOB_SECONDS = 1.0
STEPS = 4  # of a row in the journal
LONGEST_PAUSE = 0.1  # seconds between a step and a kill


@attrs.define
class Tally:
    """What came of it."""

    rows: int
    kills: int = 0
    seconds: float = 0.0
    runs: list[int] = attrs.Factory(list)
    jobs: int = 0
    steps_at_kills: Counter[str] = attrs.Factory(Counter)
    wrong: list[str] = attrs.Factory(list)


class Season:
    """A list of jobs of all kinds, and the truth about their outputs.

    Args:
        folder: Where the list and the media go.
        count: Number of rows.
        seed: Makes the media come again.
    """

    def __init__(self, folder: Path, count: int, seed: int) -> None:
        self._folder = folder
        self._videos: dict[str, bytes] = {}
        self.list = folder / "jobs.csv"
        self.out = folder / "dubs"
        self.count = count
        dice = random.Random(seed)
        with self.list.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["video", "audio", "languages", "reference_id", "out"])
            for number in range(count):
                table.writerow(self._row(number, dice))

    def _row(self, number: int, dice: random.Random) -> list[str]:
        reference = f"episode-{number}" if number % 2 else ""
        out = f"s{number % 3}/e{number:03}.mp4"
        if number % 10 == 9:
            return [f"https://cdn.example.com/{number}.mp4", "", "de;fr", reference, f"t/e{number:03}"]
        if number % 3 == 0:
            return [f"https://cdn.example.com/{number}.mp4", "https://cdn.example.com/a.wav", "", reference, out]
        video, audio = self._folder / f"{number}.mp4", self._folder / f"{number}.wav"
        self._videos[out] = dice.randbytes(dice.randrange(1000, 40_000))
        video.write_bytes(self._videos[out])
        audio.write_bytes(b"RIFF" + dice.randbytes(100))
        return [video.name, audio.name, "", reference, out]

    def wrong_outputs(self) -> list[str]:
        """Say which outputs are missing, not whole, or not this row's."""
        found = {path.relative_to(self.out).as_posix(): path for path in self.out.rglob("*") if path.is_file()}
        wrong = [f"{name} is left over" for name in found if name.endswith((".part", ".part.json"))]
        for number in range(self.count):
            names = [f"s{number % 3}/e{number:03}.mp4"]
            if number % 10 == 9:
                names = [f"t/e{number:03}/{name}.{kind}" for name in ("de", "fr") for kind in ("mp4", "wav", "srt")]
            wrong += [f"{name} is missing" for name in names if name not in found]
        for name, video in self._videos.items():
            if name in found and found[name].read_bytes() != video:
                wrong.append(f"{name} is not what was uploaded")
        sizes = {(found[name].suffix, found[name].stat().st_size) for name in found if name not in self._videos}
        if len(sizes) > len({suffix for suffix, _ in sizes} | {"a clip for each family"}):
            wrong.append(f"outputs of one kind differ in size: {sizes}")
        return wrong


def last_steps(journal: Path) -> Counter[str]:
    """Return how many rows are in which step, as a killed run has left them."""
    lines = journal.read_text().splitlines(keepends=True) if journal.exists() else []
    steps = [json.loads(line) for line in lines[1:] if line.endswith("\n")]
    return Counter({step["reference_id"]: step["step"] for step in steps}.values())


def wait_for_steps(process: subprocess.Popen[str], journal: Path, count: int) -> None:
    """Wait until a run has taken so many steps, or has ended."""
    before = journal.read_bytes().count(b"\n") if journal.exists() else 1
    while process.poll() is None and count:
        if journal.exists() and journal.read_bytes().count(b"\n") >= before + count:
            break
        time.sleep(0.002)


def run(season: Season, service: LocalSandbox, *, rate: float, kills: int, seed: int) -> Tally:
    """Run a batch, kill it at random moments, and run it to its end."""
    tally = Tally(rows=season.count)
    dice = random.Random(seed)
    begin, journal = time.monotonic(), season.list.with_name("jobs.csv.journal")
    command = [*COMMAND, "batch", str(season.list), "--out", str(season.out)]
    command += [f"--rate={rate:g}", f"--resubmit-after={RESUBMIT_AFTER:g}"]
    environment = {**os.environ, "CHAMELAION_BASE_URL": service.url, "CHAMELAION_API_KEY": "sk-kills"}
    while not tally.runs or tally.runs[-1] not in (0, 1, 2):
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            if tally.kills < kills:
                # By steps and not by time, which a slow machine spends on the start. None is a kill during that.
                wait_for_steps(process, journal, dice.randrange(2 * STEPS * season.count // (kills + 1)))
                time.sleep(dice.uniform(0, LONGEST_PAUSE))
                process.send_signal(signal.SIGKILL)
            _, errors = process.communicate()
            tally.runs.append(process.returncode)
        if process.returncode == -signal.SIGKILL:
            tally.kills += 1
            tally.steps_at_kills.update(last_steps(journal))
        elif process.returncode in (1, 2):
            tally.wrong.append(errors)
        if len(tally.runs) > kills + 10:
            tally.wrong.append(f"not finished after {len(tally.runs)} runs: {errors}")
            break
    tally.seconds = time.monotonic() - begin
    jobs = service.jobs()
    tally.jobs = len(jobs)
    twice = [reference for reference, count in Counter(job.reference_id for job in jobs).items() if count > 1]
    tally.wrong += [f"{reference} was paid for twice" for reference in twice]
    tally.wrong += season.wrong_outputs()
    return tally


def play(folder: Path, *, rows: int, kills: int, rate: float, seed: int) -> Tally:
    """Play one season on a sandbox with faults."""
    with serving(job_seconds=JOB_SECONDS, rate_limit=50.0, seed=seed) as service:
        for fault, route in FAULTS:
            service.inject(fault, route=route, probability=FAULTY)
        for route in SUBMISSIONS:
            service.inject(Fault.latency(0.5), route=route, probability=LATE)
        return run(Season(folder, rows, seed), service, rate=rate, kills=kills, seed=seed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rate", type=float, default=600.0, help="submissions a minute")
    parser.add_argument("--seed", type=int, default=0)
    options = vars(parser.parse_args())
    with tempfile.TemporaryDirectory() as folder:
        tally = play(Path(folder), **options)
    print(
        f"{tally.rows} rows, {tally.kills} kills, {len(tally.runs)} runs, {tally.seconds:.0f} s: {tally.jobs} jobs. "
        f"Rows by step at the kills: {dict(tally.steps_at_kills)}"
    )
    print("\n".join(tally.wrong) or "every row is one job and one whole output")
    return bool(tally.wrong or tally.jobs != tally.rows)


if __name__ == "__main__":
    sys.exit(main())
