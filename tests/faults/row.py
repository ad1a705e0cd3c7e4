"""One fault as data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs

from chamelaion_async.sandbox import Fault

from .rules import Pair, Rule
from .setup import Setup

Arrange = Callable[[Setup], Awaitable[None]]


@attrs.frozen
class Row:
    """One fault.

    Attributes:
        chapter: Where it belongs.
        name: What happens.
        arrange: Makes it happen, before the client is made or while it is at work.
        once: What is expected where it passes; empty where it cannot.
        always: What is expected where it stays; empty where it cannot.
        is_injected: Whether the sandbox causes it, and ends it with ``clear_faults``.
        service: Settings of the sandbox that are part of it.
    """

    chapter: str
    name: str
    arrange: Arrange
    once: Rule
    always: Rule
    is_injected: bool
    service: Mapping[str, Any]


def row(chapter: str, name: str, arrange: Arrange | Fault, expected: Pair, **service: Any) -> Row:
    """Return a fault with what is expected where it passes, and where it stays."""
    once, always = expected

    async def inject(setup: Setup) -> None:
        assert isinstance(arrange, Fault)
        setup.inject(arrange)

    is_injected = isinstance(arrange, Fault)
    return Row(chapter, name, inject if isinstance(arrange, Fault) else arrange, once, always, is_injected, service)
