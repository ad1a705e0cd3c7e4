"""``health`` and ``whoami``: whether the service runs, and who one is to it."""

from __future__ import annotations

from .exits import ExitCode
from .options import AttemptTimeout, Service
from .output import say
from .text import clean

__all__ = ["health", "whoami"]


async def health(*, timeout: AttemptTimeout = 10.0, service: Service | None = None) -> int:
    """Ask whether the service runs. Needs no key, and sends none.

    Exits with 0 if it says "ok", 1 if it says something else, 3 if it cannot be reached.

    Args:
        timeout: Seconds for one attempt; up to three are made.
        service: Which service to call, and with which credentials.
    """
    async with (service or Service()).client(timeout=timeout, needs_key=False) as client:
        answer = await client.health.check()
    say(clean(answer.status))
    return ExitCode.OK if answer.status == "ok" else ExitCode.FAILED


async def whoami(*, timeout: AttemptTimeout = 10.0, service: Service | None = None) -> int:
    """Show the name of the API key in use.

    Exits with 0, with 2 if the credentials are missing or wrong, 3 if the service cannot be reached.

    Args:
        timeout: Seconds for one attempt; up to three are made.
        service: Which service to call, and with which credentials.
    """
    async with (service or Service()).client(timeout=timeout) as client:
        user = await client.users.me()
    say(clean(user.name))
    return ExitCode.OK
