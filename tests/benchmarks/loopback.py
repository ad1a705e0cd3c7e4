"""A server in a process of its own that answers every GET with the documented example."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator

from aiohttp import web

REQUEST_ID = "6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8"
BODY = json.dumps(
    {
        "id": REQUEST_ID,
        "reference_id": "dub-episode-42",
        "status": "completed",
        "created_at": "2026-04-07T10:00:00Z",
        "started_at": "2026-04-07T10:00:05Z",
        "finished_at": "2026-04-07T10:01:30Z",
        "output_url": "https://storage.chamelaion.com/output/6f82a2d8.mp4",
    }
).encode()


async def answer(_: web.BaseRequest) -> web.Response:
    return web.Response(body=BODY, content_type="application/json")


async def serve() -> None:
    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Run the server and give the base URL."""
    with subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/api"
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(serve())
