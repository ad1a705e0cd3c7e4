"""``health``: whether the service runs."""

from __future__ import annotations

from ._ui.exits import ExitCode
from ._ui.options import AttemptTimeout, ServiceOptions
from ._ui.printing import print_line
from ._ui.text import clean

__all__ = ["health"]


async def health(*, timeout: AttemptTimeout = 10.0, service: ServiceOptions | None = None) -> int:
    """Check whether the service runs.

    Needs no key and sends none.

    Exit codes: 0 the service answers "ok", 1 it answers something else, 3 it cannot be reached.

    Args:
        timeout: Seconds for one attempt; there are up to three.
        service: The service to call, and its credentials.
    """
    async with (service or ServiceOptions()).client(timeout=timeout, needs_key=False) as client:
        answer = await client.health.check()
    print_line(clean(answer.status))
    return ExitCode.OK if answer.status == "ok" else ExitCode.FAILED
