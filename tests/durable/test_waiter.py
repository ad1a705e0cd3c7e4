"""The program of the page on deploys, in real processes on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from chamelaion_async.sandbox import Sandbox

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "deploys.md"
JOBS = 300
OPEN = "SELECT count(*) FROM dubs WHERE status IS NULL"
HOW = "the tests need PostgreSQL; on Debian: apt-get install --yes postgresql"


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def _as_postgres() -> None:
    """Run as the user of that name, since the server does not start as root."""
    user = pwd.getpwnam("postgres")
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


@pytest.fixture
def dsn() -> Iterator[str]:
    """A server of its own, on a Unix socket."""
    which = shutil.which("initdb")
    installed = [
        *sorted(Path("/usr/lib/postgresql").glob("*/bin")),
        *([Path(which).resolve().parent] if which else []),
    ]
    if not installed:
        pytest.fail(HOW)
    programs = installed[-1]
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    how: dict[str, Any] = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if os.getuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        how["preexec_fn"] = _as_postgres
    data = folder / "data"
    subprocess.run(
        [programs / "initdb", "--auth=trust", "--username=postgres", "--no-sync", "-D", data], check=True, **how
    )
    options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    server = subprocess.Popen([programs / "postgres", "-D", data, *options], **how)
    try:
        until = time.monotonic() + 20
        ready = [str(programs / "pg_isready"), "--host", str(folder), "--quiet"]
        while subprocess.run(ready, check=False).returncode:
            assert server.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        yield f"postgresql://postgres@/postgres?host={folder}"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


class Replicas:
    """The program of the page, a number of times, and which of them waits."""

    def __init__(self, program: Path, environment: dict[str, str]) -> None:
        self._command = [sys.executable, str(program)]
        self._environment = environment
        self._processes: list[asyncio.subprocess.Process] = []
        self.leaders: asyncio.Queue[tuple[float, asyncio.subprocess.Process]] = asyncio.Queue()
        self._listening: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._command, env=self._environment, stdout=asyncio.subprocess.PIPE
        )
        self._processes.append(process)
        self._listening.append(asyncio.create_task(self._listen(process)))

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            assert line == b"waiting for all open jobs\n"
            self.leaders.put_nowait((time.monotonic(), process))

    async def end(self) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            await process.wait()
        await asyncio.gather(*self._listening)


async def test_another_replica_takes_over_and_each_job_gets_one_result(dsn: str, tmp_path: Path) -> None:
    program = tmp_path / "waiter.py"
    program.write_text(block("python"), "utf-8")
    database = await asyncpg.connect(dsn)
    await database.execute(block("sql"))
    await database.execute(
        "CREATE TABLE results (request_id text);"
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO results VALUES (NEW.request_id); RETURN NEW; END';"
        "CREATE TRIGGER note AFTER UPDATE ON dubs FOR EACH ROW EXECUTE FUNCTION note()"
    )
    async with Sandbox() as sandbox:
        ids = [sandbox.add_job(job_seconds=1 + 5 * number / JOBS).id for number in range(JOBS)]
        await database.executemany("INSERT INTO dubs VALUES ($1)", [(id,) for id in ids[: JOBS // 2]])
        environment = {
            **os.environ,
            "DATABASE_URL": dsn,
            "CHAMELAION_BASE_URL": sandbox.base_url,
            "CHAMELAION_API_KEY": "sk-test-key",
        }
        replicas = Replicas(program, environment)
        try:
            for _ in range(3):
                await replicas.start()
            _, leader = await replicas.leaders.get()
            while await database.fetchval("SELECT count(*) FROM results") < JOBS // 6:  # noqa: ASYNC110 - in a database
                await asyncio.sleep(0.05)
            killed_at = time.monotonic()
            leader.kill()
            taken_at, _ = await asyncio.wait_for(replicas.leaders.get(), 10)
            await database.executemany("INSERT INTO dubs VALUES ($1)", [(id,) for id in ids[JOBS // 2 :]])
            async with asyncio.timeout(60):
                while await database.fetchval(OPEN):  # noqa: ASYNC110 - in a database
                    await asyncio.sleep(0.05)
        finally:
            await replicas.end()
    results = [row["request_id"] for row in await database.fetch("SELECT request_id FROM results")]
    statuses = await database.fetch("SELECT DISTINCT status FROM dubs")
    await database.close()
    assert sorted(results) == sorted(ids)
    assert [row["status"] for row in statuses] == ["completed"]
    assert taken_at - killed_at < 1.0
