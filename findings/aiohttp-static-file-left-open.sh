#!/usr/bin/env bash
# aiohttp: a static file stays open when its reader leaves while it is being opened.
#
# Expected: with handler_cancellation=True, a handler that is cancelled leaves nothing behind; FileResponse opens
#   the file in a thread and closes it at the end, whatever happens.
# Seen: the request is cancelled while the thread opens the file. The thread goes on, and what it opened belongs
#   to no one: the garbage collector closes it, with "ResourceWarning: unclosed file".
# Why it matters: a page that shows a job serves its script and its videos like this, and readers leave at any
#   time. A test suite that treats warnings as errors fails now and then, in a test that has nothing to do with it.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --disable-pip-version-check aiohttp==3.14.5
cat >"$dir/show.py" <<'PY'
import asyncio
import gc
import pathlib
import sys
import warnings
from importlib.metadata import version

from aiohttp import web
from aiohttp.test_utils import TestServer

MOST = 3000


async def main():
    folder = pathlib.Path(__file__).parent / "site"
    folder.mkdir()
    (folder / "video.mp4").write_bytes(bytes(100_000))
    app = web.Application()
    app.router.add_static("/", folder)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        async with TestServer(app, handler_cancellation=True) as server:
            for number in range(1, MOST + 1):
                _, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(b"GET /video.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n")
                await writer.drain()
                await asyncio.sleep(number % 10 / 5000)
                writer.transport.abort()
                if number % 100 == 0:
                    await asyncio.sleep(0.1)
                    gc.collect()
                    if any("unclosed file" in str(warning.message) for warning in warned):
                        break
    left = [str(warning.message) for warning in warned if "unclosed file" in str(warning.message)]
    print("Python", sys.version.split()[0], "aiohttp", version("aiohttp"))
    print(f"{number} readers left within two milliseconds; files left open: {len(left)}")
    assert left, "all files were closed"


asyncio.run(main())
PY
"$dir/venv/bin/python" "$dir/show.py"
