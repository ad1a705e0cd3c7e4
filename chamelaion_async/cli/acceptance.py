"""How a submission ends: with its id, and how to wait for it or the wait itself, or by an interrupt."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from ..client import AsyncClient
from ..models import GenerateAccepted
from . import exits
from .exits import ExitCode
from .family import Family, family_option, requests_of
from .follow import follow_all, make_board
from .output import note, say
from .records import job_record
from .text import clean

__all__ = ["conclude", "warning_if_interrupted"]


@contextmanager
def warning_if_interrupted(family: Family) -> Iterator[None]:
    """Say that a submission which is interrupted may have been accepted all the same."""
    try:
        yield
    except asyncio.CancelledError:
        look = f"chamelaion-async list{family_option(family)}"
        note(f"interrupted while submitting; before submitting again, see whether it was accepted with: {look}")
        raise


async def conclude(
    client: AsyncClient, accepted: GenerateAccepted, family: Family, *, wait: bool, timeout: float, json: bool
) -> ExitCode:
    """Print the id of a new job alone on its line, and wait for the job if asked to."""
    id = accepted.request_id
    if not json:
        say(clean(id))
    elif not wait:
        say(job_record(accepted))
    if json or not wait:  # with JSON, an interrupt would otherwise leave nothing of the id
        note(f"to wait for it: chamelaion-async wait{family_option(family)} {shlex.quote(id)}")
    if not wait:
        return ExitCode.OK
    board = make_board([id], json=json)
    outcomes = await follow_all(requests_of(client, family), board, [id], timeout=timeout)
    return exits.worst(exits.of_outcome(outcome) for outcome in outcomes)
