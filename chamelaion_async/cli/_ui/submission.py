"""A submission that costs money: its media, its id on stdout, and advice on stderr wherever it ends early."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...client import AsyncClient
from ...errors import ConfigurationError, SubmissionUncertainError
from ...models import GenerateAccepted
from .advice import command_line
from .board import make_board
from .exits import ExitCode, worst
from .json_records import api_record, interrupt_record
from .options import Family, ServiceOptions, family_option, requests_of
from .printing import print_line, print_note
from .progress import show_progress
from .streams import OutputError, require_reader
from .text import clean
from .waiting import of_outcome, wait_for_all

__all__ = ["advice_on_failure", "are_urls", "finish_submission", "submission_guard", "submit_lipsync"]


def are_urls(*media: str) -> bool:
    """Return whether all media are URLs; otherwise all of them are files.

    Raises:
        ConfigurationError: Some are URLs and some are files.
    """
    # A scheme ignores case (RFC 3986, section 3.1).
    kinds = {medium.lower().startswith(("http://", "https://")) for medium in media}
    if len(kinds) > 1:
        raise ConfigurationError("video and audio must be both URLs or both files; upload one or download the other")
    return kinds.pop()


async def submit_lipsync(
    client: AsyncClient, video: str, audio: str, *, reference_id: str | None, no_speaker_detection: bool
) -> GenerateAccepted:
    """Submit a lip sync job, and show the progress of the upload if the media are files."""
    disable = True if no_speaker_detection else None  # None leaves the default to the service
    if are_urls(video, audio):
        return await client.lipsync.generate(
            video=video, audio=audio, reference_id=reference_id, disable_active_speaker_detection=disable
        )
    with show_progress("uploaded", f"{Path(video).name}, {Path(audio).name}") as on_progress:
        return await client.lipsync.generate_with_media(
            video=Path(video),
            audio=Path(audio),
            reference_id=reference_id,
            disable_active_speaker_detection=disable,
            on_progress=on_progress,
        )


@contextmanager
def submission_guard(family: Family, service: ServiceOptions, reference_id: str | None) -> Iterator[None]:
    """Submit inside the block; if the answer is lost, the user is told how to find the job.

    Raises:
        OutputError: stdout has lost its reader, so that the id could not be printed; nothing was submitted.
    """
    try:
        require_reader()
    except OutputError:
        print_note("nothing was submitted, since the output has no reader")
        raise
    find = command_line("list", **family_option(family), reference_id=reference_id, **service.for_next_command())
    try:
        yield
    except asyncio.CancelledError:
        print_note(f"interrupted while submitting; before submitting again, check whether it was accepted: {find}")
        raise
    except SubmissionUncertainError as error:
        error.add_note(f"Before submitting again, which may cost twice, check with: {find}")
        raise


@contextmanager
def advice_on_failure(id: str, advice: str, *, json: bool) -> Iterator[None]:
    """Print the id of a submitted job and advice if an error or an interrupt leaves the block.

    Args:
        id: The job.
        advice: What to do next, with the command for it.
        json: Whether the output is JSON, in which an interrupt becomes a record.
    """
    try:
        yield
    except OutputError:
        print_note(f"{clean(id)} was submitted; {advice}")
        raise
    except BaseException as error:
        print_note(advice)
        if json and isinstance(error, asyncio.CancelledError):
            print_line(interrupt_record(id, f"interrupted; {advice}"))
        raise


async def finish_submission(
    client: AsyncClient,
    accepted: GenerateAccepted,
    family: Family,
    service: ServiceOptions,
    *,
    wait: bool,
    timeout: float,
    json: bool,
) -> ExitCode:
    """Print the id of a new job alone on its line, and wait for the job if ``wait`` is set."""
    id = accepted.request_id
    wait_command = command_line("wait", id, **family_option(family), **service.for_next_command())
    advice = f"to wait for it: {wait_command}"
    with advice_on_failure(id, advice, json=json):
        if not json:
            print_line(clean(id))
        elif not wait:
            print_line(api_record(accepted))
        if json or not wait:  # with --json --wait, a kill would otherwise leave no trace of the id
            print_note(advice)
        if not wait:
            return ExitCode.OK
        board = make_board([id], json=json, durations=client.durations)
        outcomes = await wait_for_all(requests_of(client, family), board, [id], timeout=timeout)
        return worst(map(of_outcome, outcomes))
