"""The submission of a row: once, whenever the process dies.

The reference is on disk before the POST. If the process died in between, or the answer was lost, the list of jobs is
searched for it. A job that exists is found at once, unless the list lags or the service is still at work on the POST.
So the row is submitted again, under the same reference, only when the search has found nothing for ``resubmit_after``
seconds. They are counted from a moment at which the POST is certainly over on this side.
"""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import AsyncIterator
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import attrs

from ...client import AsyncClient
from ...errors import (
    BadRequestError,
    ChamelaionError,
    ClientClosedError,
    ConfigurationError,
    SubmissionUncertainError,
    UnprocessableEntityError,
)
from ...models import GenerateAccepted, Job
from .._ui.errors import explain
from .._ui.options import Family, requests_of
from .._ui.printing import print_note
from .._ui.text import clean
from .._ui.translation import split_pairs
from .entries import Step
from .journal import Journal
from .progress import RowProgress
from .rows import Row, is_url
from .subtitles import read_subtitles

__all__ = ["Submitter"]

_AT_ONCE: Final = 8
_ATTEMPTS: Final = 3  # submissions of a row in one run whose answers are lost
_SEARCH_PAUSE: Final = 1.0  # seconds; doubled after each search
_LONGEST_SEARCH_PAUSE: Final = 15.0
_PATIENCE: Final = 60.0  # seconds of search in a run if nothing is ever submitted again
_OF_THE_ROW: Final = (BadRequestError, ConfigurationError, UnprocessableEntityError)


@attrs.define(kw_only=True, eq=False)
class Submitter:
    """Submits rows.

    Attributes:
        client: The client.
        journal: The journal.
        folder: The folder of the list, from which paths of media lead.
        rate: Most submissions a minute.
        resubmit_after: Seconds of search without a find after which a row is submitted again; inf never does.
        no_speaker_detection: Whether to turn off the detection of the active speaker.
        stopped: Why nothing more may be submitted; empty while it may.
    """

    client: AsyncClient
    journal: Journal
    folder: Path
    rate: float
    resubmit_after: float
    no_speaker_detection: bool
    stopped: str = ""
    _slots: asyncio.Semaphore = attrs.field(init=False, factory=lambda: asyncio.Semaphore(_AT_ONCE))
    _gate: asyncio.Lock = attrs.field(init=False, factory=asyncio.Lock)
    _next_turn: float = attrs.field(init=False, default=-math.inf)

    async def submit(self, row: RowProgress) -> bool:
        """Submit a row, and return whether it was accepted; it is not if nothing more may be submitted.

        Raises:
            SubmissionUncertainError: It is not known whether there is a job. The next run searches on.
            ChamelaionError: The submission was refused, or not sent; there is no job.
            JournalError: The journal cannot be written.
        """
        lost = 0
        while True:
            if row.step is Step.SUBMITTING:
                found = await self._search(row.row.family, str(row.reference_id))
                if found is not None:
                    await row.write(self.journal, Step.ACCEPTED, request_id=found)
                    return True
                if self.resubmit_after == math.inf or lost == _ATTEMPTS:
                    raise _unsure(str(row.reference_id))
            async with self._slots:
                async with self._gate:
                    # One waits for its turn at a time, so that the others end at once when the run stops.
                    if not self.stopped:
                        await self._turn()
                if self.stopped:
                    return False
                try:
                    await self._post(row)
                except SubmissionUncertainError:
                    lost += 1
                else:
                    return True

    async def _turn(self) -> None:
        """Wait until the next submission is due. They are spaced evenly: any other spacing meets a limit sooner."""
        now = asyncio.get_running_loop().time()
        turn = max(self._next_turn, now)
        self._next_turn = turn + 60 / self.rate
        await asyncio.sleep(turn - now)

    async def _post(self, row: RowProgress) -> None:
        is_again = row.step is Step.SUBMITTING
        reference_id = row.reference_id or str(uuid.uuid4())
        if row.row.reference_id is not None and not is_again:
            await self._check_unused(row.row)
        await row.write(
            self.journal,
            Step.SUBMITTING,
            reference_id=reference_id,
            line=row.row.line,
            family=row.row.family,
            content=row.row.content,
        )
        try:
            accepted = await self._generate(row.row, reference_id)
        except (SubmissionUncertainError, ClientClosedError):
            raise
        except ChamelaionError as error:
            # An earlier submission that was lost may be the cause of a refusal: it took the reference or the quota.
            if not is_again or isinstance(error, _OF_THE_ROW):
                await row.write(self.journal, Step.REFUSED, error=explain(error))
            raise
        await row.write(self.journal, Step.ACCEPTED, request_id=accepted.request_id)

    async def _generate(self, row: Row, reference_id: str) -> GenerateAccepted:
        disable = True if self.no_speaker_detection else None
        lipsync, translate = self.client.lipsync, self.client.video_translate
        if row.audio is not None:
            if is_url(row.video):
                return await lipsync.generate(
                    video=row.video,
                    audio=row.audio,
                    reference_id=reference_id,
                    disable_active_speaker_detection=disable,
                )
            return await lipsync.generate_with_media(
                video=self.folder / row.video,
                audio=self.folder / row.audio,
                reference_id=reference_id,
                disable_active_speaker_detection=disable,
            )
        source_srt, target_srts = await asyncio.to_thread(read_subtitles, row, self.folder)
        options: dict[str, Any] = {
            "target_languages": row.languages,
            "source_language": row.source_language,
            "speaker_voices": split_pairs("voices", row.voices) or None,
            "source_srt": source_srt,
            "target_srts": target_srts or None,
            "reference_id": reference_id,
        }
        if is_url(row.video):
            return await translate.generate(video=row.video, **options)
        return await translate.generate_with_media(video=self.folder / row.video, **options)

    async def _check_unused(self, row: Row) -> None:
        """Refuse a reference of the list that a job carries already: after a lost answer, it would be taken for ours.

        Raises:
            ConfigurationError: There is such a job.
        """
        if jobs := await self._jobs(row.family, str(row.reference_id)):
            raise ConfigurationError(
                f"reference_id {row.reference_id!r} belongs to an earlier job already, {jobs[0].id}, which is not in "
                "the journal; nothing was submitted. Choose another one for this row"
            )

    async def _search(self, family: Family, reference_id: str) -> str | None:
        """Return the job of a submission whose answer is not known, or None."""
        loop = asyncio.get_running_loop()
        patience = _PATIENCE if self.resubmit_after == math.inf else self.resubmit_after
        end, pause = loop.time() + patience, _SEARCH_PAUSE
        while True:
            if jobs := await self._jobs(family, reference_id):
                if len(jobs) > 1:
                    ids = ", ".join(clean(job.id) for job in jobs)
                    print_note(f"{len(jobs)} jobs carry the reference {reference_id}: {ids}; the first is taken")
                return jobs[0].id
            left = end - loop.time()
            if left <= 0:
                return None
            await asyncio.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_SEARCH_PAUSE)

    async def _jobs(self, family: Family, reference_id: str) -> list[Job]:
        """Return the jobs with exactly this reference, the oldest first, whatever else the list shows."""
        listed: AsyncIterator[Job] = requests_of(self.client, family).iterate(reference_id=reference_id)
        found = [job async for job in listed if job.reference_id == reference_id]
        found.reverse()  # so that of two jobs of the same moment the older one comes first
        return sorted(found, key=attrgetter("created_at"))


def _unsure(reference_id: str) -> SubmissionUncertainError:
    return SubmissionUncertainError(
        f"the submission with reference_id {reference_id!r} may or may not have been accepted: the list does not "
        "show a job; the next run searches on",
        reference_id=reference_id,
    )
