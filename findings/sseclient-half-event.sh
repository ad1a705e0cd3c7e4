#!/usr/bin/env bash
# sseclient-py: when the connection ends within an event, the half of it is handed out as a whole.
#
# Expected: an event ends with a blank line. If the stream ends before that, the specification
#   says that the pending event is discarded, and httpx-sse does so.
# Seen: sseclient-py hands out what has arrived. "progress 100" that was cut after its first digit
#   is an event with the text "progress 1", like any other, and no error is raised.
# Why it matters: streams of long jobs end early at a proxy's time limit or at a restart. A
#   response without a length (HTTP/1.0 or "Connection: close") cannot be told from a complete
#   one. A cut number, URL or state is wrong and plausible: progress falls back,
#   "completed_with_errors" becomes "completed", an output URL loses its signature.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --disable-pip-version-check sseclient-py==1.9.0 httpx==0.28.1 httpx-sse==0.4.3
cd "$dir"
"$dir/venv/bin/python" - <<'PY'
import asyncio
import sys
from importlib.metadata import version

import httpx
import httpx_sse
import sseclient

print("Python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("sseclient-py", "httpx-sse", "httpx")))


async def job(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
    writer.write(b"data: progress 50\n\n")
    writer.write(b"data: progress 100\n\n"[: len(b"data: progress 1")])
    await writer.drain()
    writer.close()


def with_sseclient(url):
    with httpx.stream("GET", url) as response:
        return [event.data for event in sseclient.SSEClient(response.iter_bytes()).events()]


def with_httpx_sse(url):
    with httpx.Client() as client, httpx_sse.connect_sse(client, "GET", url) as source:
        return [event.data for event in source.iter_sse()]


async def main():
    server = await asyncio.start_server(job, "127.0.0.1", 0)
    url = "http://127.0.0.1:%d/" % server.sockets[0].getsockname()[1]
    async with server:
        peer = await asyncio.to_thread(with_httpx_sse, url)
        seen = await asyncio.to_thread(with_sseclient, url)
    print("sent: 'progress 50', then 'progress 100' cut after its first digit")
    print("expected: ['progress 50']")
    print("httpx-sse:", peer)
    print("sseclient-py:", seen)
    assert peer == ["progress 50"], peer
    assert seen == ["progress 50", "progress 1"], seen


asyncio.run(main())
PY
