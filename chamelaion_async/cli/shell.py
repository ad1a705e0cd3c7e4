"""``shell``: a Python prompt with an open client."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

import chamelaion_async

from .._version import __version__
from ..client import AsyncClient
from ..errors import ConfigurationError
from ._ui.console import AsyncConsole
from ._ui.options import Flag, ServiceOptions

__all__ = ["shell"]

_KEY: Final = "sandbox-key"
_BANNER: Final = """\
chamelaion-async {version}, Python {python}. {service}
`client` is an open AsyncClient. Public names are imported, and `await` works.
Ctrl-C stops a statement, Ctrl-D or exit() ends the shell."""


async def shell(*, live: Flag = False, service: ServiceOptions | None = None) -> int:
    """Open a Python prompt with await and an open client.

    Calls a sandbox of its own, which costs nothing, unless --live is given. The examples of the documentation can be
    pasted: a client that they make calls the same. Ctrl-C stops a statement; Ctrl-D or exit() ends the shell. Without
    a terminal, it runs the lines of stdin. Exit codes: 0 ended, 1 stdin ends in the middle of a statement, 2 wrong
    settings or credentials, other codes by exit(CODE). Example: echo 'await client.health.check()' | chamelaion-async
    shell

    Args:
        live: Call the service. Submissions cost money.
        service: The service to call, and its credentials.
    """
    service = service or ServiceOptions()
    if not live and service != ServiceOptions():
        raise ConfigurationError("the shell calls a sandbox of its own; to call a service, add --live")
    is_interactive = sys.stdin is not None and sys.stdin.isatty()
    if is_interactive:
        with suppress(ImportError):  # editing and history, where Python has them
            import readline  # noqa: F401, PLC0415
    public = {name: getattr(chamelaion_async, name) for name in chamelaion_async.__all__}
    async with service.client() if live else _sandbox_client() as client:
        names = {**public, "asyncio": asyncio, "client": client}
        console = AsyncConsole(names, is_interactive=is_interactive)
        where = f"It calls {client.base_url}: submissions cost money." if live else "It calls a sandbox: no cost."
        return await console.run(_BANNER.format(version=__version__, python=platform.python_version(), service=where))


@asynccontextmanager
async def _sandbox_client() -> AsyncIterator[AsyncClient]:
    """Serve a sandbox inside the block, which every client calls that is made without arguments."""
    from ..sandbox import Sandbox  # noqa: PLC0415 - completion imports this module, and needs no server

    async with Sandbox() as sandbox:
        variables = {"CHAMELAION_BASE_URL": sandbox.base_url, "CHAMELAION_API_KEY": _KEY}
        with _environment({**variables, "CHAMELAION_BEARER_TOKEN": ""}):
            async with AsyncClient() as client:
                yield client


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
