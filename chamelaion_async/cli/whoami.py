"""``whoami``: the name of the API key in use."""

from __future__ import annotations

from ._ui.exits import ExitCode
from ._ui.options import AttemptTimeout, ServiceOptions
from ._ui.printing import print_line
from ._ui.text import clean

__all__ = ["whoami"]


async def whoami(*, timeout: AttemptTimeout = 10.0, service: ServiceOptions | None = None) -> int:
    """Show the name of the API key in use.

    Exit codes: 0 success, 2 the credentials are missing or wrong, 3 the service cannot be reached.

    Args:
        timeout: Seconds for one attempt; there are up to three.
        service: The service to call, and its credentials.
    """
    async with (service or ServiceOptions()).client(timeout=timeout) as client:
        user = await client.users.me()
    print_line(clean(user.name))
    return ExitCode.OK
