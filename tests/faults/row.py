"""One fault as data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs

from chamelaion_async.sandbox import Fault

from .rules import Pair, Rule
from .stage import Stage

Strike = Callable[[Stage], Awaitable[None]]


@attrs.frozen(kw_only=True)
class Row:
    """One fault.

    Attributes:
        chapter: Where it belongs.
        name: What happens.
        strike: Makes it happen, before the client is made or while it is at work.
        once: What is expected where it passes; empty where it cannot.
        always: What is expected where it stays; empty where it cannot.
        is_injected: Whether it is the sandbox's doing, and is gone once the sandbox is told so.
        service: Settings of the sandbox that are part of it.
    """

    chapter: str
    name: str
    strike: Strike
    once: Rule
    always: Rule
    is_injected: bool
    service: Mapping[str, Any]


def row(chapter: str, name: str, strike: Strike | Fault, expected: Pair, **service: Any) -> Row:
    """Return a fault with what is expected where it passes, and where it stays."""
    once, always = expected
    is_injected = isinstance(strike, Fault)
    struck = _injected(strike) if isinstance(strike, Fault) else strike
    return Row(
        chapter=chapter,
        name=name,
        strike=struck,
        once=once,
        always=always,
        is_injected=is_injected,
        service=service,
    )


def _injected(fault: Fault) -> Strike:
    async def strike(stage: Stage) -> None:
        stage.inject(fault)

    return strike
