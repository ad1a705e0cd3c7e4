#!/usr/bin/env bash
# hypercorn: an application in a worker process never sees the SIGTERM that stops the server.
#
# Expected: when a server is told to stop, the process that runs the application gets the signal
#   too, as it does under uvicorn, so that an application with a handler of its own can end its
#   open streams.
# Seen: with the default of one worker, hypercorn stops its workers by an event of multiprocessing.
#   The worker gets no signal, open streams run on for the graceful timeout of three seconds, and
#   are then cut off with a CancelledError traceback. With `--workers 0`, the application runs in
#   the process that gets the signal, and the same program ends at once.
# Why it matters: pages that show a job live are streams that end with the job, minutes later. An
#   application that ends them on SIGTERM deploys in a moment elsewhere, and here after three
#   seconds and with tracebacks.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --disable-pip-version-check hypercorn==0.18.0
cd "$dir"
cat >app.py <<'PY'
import asyncio
import signal

stopping = asyncio.Event()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        before = signal.getsignal(signal.SIGTERM)

        def told(number, frame):
            loop.call_soon_threadsafe(stopping.set)
            if callable(before):
                before(number, frame)

        loop = asyncio.get_running_loop()
        if not hasattr(loop, "_signal_handlers") or signal.SIGTERM not in loop._signal_handlers:
            signal.signal(signal.SIGTERM, told)
        else:
            served = loop._signal_handlers[signal.SIGTERM]
            loop.add_signal_handler(signal.SIGTERM, lambda: (stopping.set(), served._run()))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "body": b"data: waiting\n\n", "more_body": True})
    await stopping.wait()
    await send({"type": "http.response.body", "body": b"data: stopping\n\n"})
PY
"$dir/venv/bin/python" - <<'PY'
import signal
import socket
import subprocess
import sys
import time
from importlib.metadata import version

print("Python", sys.version.split()[0], "hypercorn", version("hypercorn"))


def seconds_to_stop(port, *options):
    command = [sys.executable, "-m", "hypercorn", "app:app", "--bind", f"127.0.0.1:{port}", *options]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stream = None
    for _ in range(100):
        try:
            stream = socket.create_connection(("127.0.0.1", port))
            break
        except OSError:
            time.sleep(0.1)
    stream.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    while b"waiting" not in stream.recv(65536):
        pass
    began = time.monotonic()
    server.send_signal(signal.SIGTERM)
    stream.settimeout(10)
    told = b""
    try:
        while chunk := stream.recv(65536):
            told += chunk
    except OSError:
        pass
    server.wait(20)
    return time.monotonic() - began, b"stopping" in told


one, one_told = seconds_to_stop(20641)
none, none_told = seconds_to_stop(20642, "--workers", "0")
print(f"default: stopped after {one:.1f} s, the stream was told: {one_told}")
print(f"--workers 0: stopped after {none:.1f} s, the stream was told: {none_told}")
assert not one_told and one > 2.5, one
assert none_told and none < 2.0, none
PY
