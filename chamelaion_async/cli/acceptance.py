"""How a submission ends: with its id and how to wait for it, with the wait itself, or with how to find it again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from ..client import AsyncClient
from ..errors import SubmissionUncertainError
from ..models import GenerateAccepted
from . import exits
from .advice import command
from .exits import ExitCode
from .family import Family, family_option, requests_of
from .follow import follow_all, make_board
from .options import Service
from .output import note, say
from .records import ending_record, job_record
from .streams import OutputError, require_reader
from .text import clean

__all__ = ["conclude", "naming", "submission"]


@contextmanager
def submission(family: Family, service: Service, reference_id: str | None) -> Iterator[None]:
    """Submit inside: not if its id could not be told, and where that gets lost, say how to find the job.

    Raises:
        OutputError: What reads stdout has gone; nothing was submitted.
    """
    try:
        require_reader()
    except OutputError:
        note("nothing was submitted, since what reads the output has gone")
        raise
    find = command("list", **family_option(family), reference_id=reference_id, **service.repeated())
    try:
        yield
    except asyncio.CancelledError:
        note(f"interrupted while submitting; before submitting again, see whether it was accepted with: {find}")
        raise
    except SubmissionUncertainError as error:
        error.add_note(f"Before submitting again, which may cost twice, check with: {find}")
        raise


@contextmanager
def naming(id: str, advice: str, *, json: bool) -> Iterator[None]:
    """Do inside what follows on a submission: however it ends early, the job is paid for and named once more.

    Args:
        id: Of the job.
        advice: What to do, and the command for it.
        json: Whether the output is for programs, which get a record of an interrupt.
    """
    try:
        yield
    except OutputError:
        note(f"{clean(id)} was submitted; {advice}")
        raise
    except BaseException as error:
        note(advice)
        if json and isinstance(error, asyncio.CancelledError):
            say(ending_record(id, "CancelledError", f"interrupted; {advice}"))
        raise


async def conclude(
    client: AsyncClient,
    accepted: GenerateAccepted,
    family: Family,
    service: Service,
    *,
    wait: bool,
    timeout: float,
    json: bool,
) -> ExitCode:
    """Print the id of a new job alone on its line, and wait for the job if asked to."""
    id = accepted.request_id
    advice = f"to wait for it: {command('wait', id, **family_option(family), **service.repeated())}"
    with naming(id, advice, json=json):
        if not json:
            say(clean(id))
        elif not wait:
            say(job_record(accepted))
        if json or not wait:  # with JSON, a kill would otherwise leave nothing of the id
            note(advice)
        if not wait:
            return ExitCode.OK
        board = make_board([id], json=json)
        outcomes = await follow_all(requests_of(client, family), board, [id], timeout=timeout)
        return exits.worst(exits.of_outcome(outcome) for outcome in outcomes)
