"""Faults of lists that are behind: they show requests as they were, or do not show new ones yet."""

from __future__ import annotations

from functools import partial
from typing import Final

from chamelaion_async.sandbox import Fault

from . import rules
from .row import row
from .rules import NAMED, UNCERTAIN, WAITS, all_of, but
from .setup import Setup

_list = partial(row, "Lists")
_HOUR: Final = 3600.0


async def _nothing_more(_: Setup) -> None:
    """The list is all that is wrong."""


async def _lose_answer(setup: Setup) -> None:
    setup.inject(Fault.reset("after"))


ROWS: Final = (
    _list(
        "show each request as it was an hour ago",
        _nothing_more,
        rules.only_always(rules.only(rules.harmless(), "list", "iterate", "get_many", *WAITS)),
        list_stale=_HOUR,
    ),
    _list(
        "show each request as it was an hour ago, and the answer is lost",
        _lose_answer,
        rules.only(rules.harmless(), *NAMED),
        list_stale=_HOUR,
    ),
    _list(
        "show a new request after an hour, and 504 stands for the answer",
        Fault.status(504, when="after"),
        but(rules.only(rules.harmless(), *NAMED), *[all_of(UNCERTAIN, *NAMED)] * 2),
        list_lag=_HOUR,
    ),
)
