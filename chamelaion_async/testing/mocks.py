"""aioresponses, made to work under aiohttp 3.14."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

import aiohttp

if TYPE_CHECKING:
    from aioresponses import aioresponses

__all__ = ["patched_aioresponses"]


class _Response(aiohttp.ClientResponse):
    """aioresponses 0.7.9, its newest release, makes responses without an argument that aiohttp 3.14 requires."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("stream_writer", SimpleNamespace(output_size=0))
        super().__init__(*args, **options)


@contextmanager
def patched_aioresponses(**options: Any) -> Iterator[aioresponses]:
    """Answer in place of the network within the context, as ``aioresponses`` does, also under aiohttp 3.14.

    Args:
        options: Those of ``aioresponses``, such as ``passthrough``.

    Raises:
        ImportError: aioresponses is not installed.
    """
    from aioresponses import aioresponses  # noqa: PLC0415 - only who asks for it needs it

    with mock.patch("aioresponses.core.ClientResponse", _Response), aioresponses(**options) as mocked:
        yield mocked
