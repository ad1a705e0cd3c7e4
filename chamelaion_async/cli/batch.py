"""``batch``: all jobs of a list, from the submission to the files."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from ..client import AsyncClient
from ..config import RetryPolicy
from ..polling.durations import Durations
from ._batch.closing import counts, print_others, print_plan, print_problems
from ._batch.job_list import JobList
from ._batch.journal import Journal, JournalError
from ._batch.plan import Plan
from ._batch.progress import RowProgress
from ._batch.report import JsonReport, LineReport, Report
from ._batch.runner import Runner
from ._batch.submitting import Submitter
from ._batch.summary import write_summary
from ._ui.advice import command_line
from ._ui.exits import ExitCode, worst
from ._ui.json_records import error_as_record, record
from ._ui.options import Flag, ServiceOptions, WaitTimeout
from ._ui.printing import can_redraw, print_error, print_line, print_note
from ._ui.streams import require_reader
from ._ui.traffic import Traffic

__all__ = ["batch"]

_RATE: Final = 60.0  # a minute; the documented limit of generation calls
_RESUBMIT_AFTER: Final = 60.0  # seconds, in which a service usually gives up a call itself
_RETRY: Final = RetryPolicy(attempts=8, max=30.0)
"""A batch runs for hours without anyone at the terminal: calls that were not accepted are repeated for a minute."""


async def batch(
    jobs: Path,
    /,
    *,
    out: Path,
    dry_run: Flag = False,
    max_failures: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    overwrite: Flag = False,
    rate: Annotated[float, Parameter(validator=Number(gt=0, lt=math.inf))] = _RATE,
    resubmit_after: WaitTimeout = _RESUBMIT_AFTER,
    no_speaker_detection: Flag = False,
    timeout: WaitTimeout = math.inf,
    json: Flag = False,
    service: ServiceOptions | None = None,
) -> int:
    """Submit, wait for and download a list of jobs. This costs money.

    The list is CSV or JSON lines with video, and audio or languages; if you like, reference_id and out. If the
    command ends early, the same command continues and pays for no row twice. Exit codes: 0 all saved, 1 a job
    failed, 2 wrong rows, arguments or credentials, 3 run it again, 4 the journal or the output cannot be written.

    Args:
        jobs: The list. Its journal is kept beside it.
        out: Folder for the outputs, created if missing.
        dry_run: Check every row and send nothing.
        max_failures: Submit no more after so many failures.
        overwrite: Replace files that exist.
        rate: Submissions per minute.
        resubmit_after: Seconds before a lost submission is sent again; inf never sends it again.
        no_speaker_detection: Turn off detection of the active speaker.
        timeout: Seconds to submit and wait in all.
        json: Print a JSON object for each row at its end.
        service: The service to call, and its credentials.
    """
    service = service or ServiceOptions()
    sheet = JobList(jobs, out)
    again = command_line(
        "batch",
        str(jobs),
        out=str(out),
        overwrite=overwrite,
        rate=None if rate == _RATE else f"{rate:g}",
        resubmit_after=None if resubmit_after == _RESUBMIT_AFTER else f"{resubmit_after:g}",
        no_speaker_detection=no_speaker_detection,
        **service.for_next_command(),
    )
    try:
        with error_as_record(None, json=json):
            sheet.check_out()
            async with service.client(needs_key=not dry_run) as client:
                # First without the lock, so that a list that is wrong leaves no journal behind.
                seen = Journal.read(sheet.journal, client.base_url)
                plan = _checked(sheet, seen, overwrite=overwrite, json=json)
                if plan is None:
                    return ExitCode.USAGE
                if dry_run:
                    print_plan(plan, rate, json=json)
                    return ExitCode.OK
                with Journal.open(sheet.journal, client.base_url) as journal:
                    plan = _checked(sheet, journal, overwrite=overwrite, json=json)
                    if plan is None:
                        return ExitCode.USAGE
                    runner = _runner(
                        client.with_options(retry=_RETRY),
                        journal,
                        plan,
                        sheet,
                        rate=rate,
                        resubmit_after=resubmit_after,
                        no_speaker_detection=no_speaker_detection,
                        overwrite=overwrite,
                        max_failures=max_failures,
                        json=json,
                    )
                    require_reader()
                    sheet.make_out()
                    print_others(plan)
                    return await _run(runner, sheet, again, timeout=timeout, json=json)
    except JournalError as error:  # before the run
        return _report_journal(error, json=json)


def _checked(sheet: JobList, journal: Journal, *, overwrite: bool, json: bool) -> Plan | None:
    """Return what is left to do; None if the list is wrong, which is printed."""
    plan, problems = sheet.check(journal.entries, overwrite=overwrite)
    if problems:
        print_problems(sheet.path.name, problems, json=json)
        return None
    return plan


def _runner(
    client: AsyncClient,
    journal: Journal,
    plan: Plan,
    sheet: JobList,
    *,
    rate: float,
    resubmit_after: float,
    no_speaker_detection: bool,
    overwrite: bool,
    max_failures: int | None,
    json: bool,
) -> Runner:
    rows = [RowProgress(planned) for planned in plan.rows]
    submitter = Submitter(
        client=client,
        journal=journal,
        folder=sheet.path.parent,
        rate=rate,
        resubmit_after=resubmit_after,
        no_speaker_detection=no_speaker_detection,
    )
    traffic = Traffic(client)
    report = _report(rows, json=json, durations=client.durations, footer=lambda: submitter.stopped or traffic.line())
    return Runner(
        client=client,
        journal=journal,
        submitter=submitter,
        rows=rows,
        report=report,
        overwrite=overwrite,
        max_failures=max_failures,
    )


def _report(rows: Sequence[RowProgress], *, json: bool, durations: Durations, footer: Callable[[], str]) -> Report:
    """Return the report for stdout: JSON if it is asked for, a board on a terminal, else lines."""
    if json:
        return JsonReport()
    if not can_redraw():
        return LineReport(rows)
    from ._batch.board_report import BoardReport  # noqa: PLC0415 - imports Rich, which takes long

    return BoardReport(rows, durations=durations, footer=footer)


async def _run(runner: Runner, sheet: JobList, again: str, *, timeout: float, json: bool) -> ExitCode:
    """Run, and write the summary however the run ends."""
    try:
        with runner.report:
            await runner.run(timeout=timeout)
        (print_note if json else print_line)(counts(runner.rows))
        code = worst(row.code for row in runner.rows)
    except JournalError as error:
        code = _report_journal(error, json=json)
    except asyncio.CancelledError:
        print_note(f"interrupted; jobs that were submitted run on. {counts(runner.rows)}")
        raise
    finally:
        is_written = _write_summary(sheet, runner)
        if not all(row.is_ended for row in runner.rows):
            print_note(f"to continue: {again}")
    return code if is_written else ExitCode.UNWRITABLE


def _report_journal(error: JournalError, *, json: bool) -> ExitCode:
    print_error(f"{error.strerror}; jobs that were submitted run on")
    if json:
        print_line(record(id=None, error="JournalError", message=error.strerror))
    return ExitCode.UNWRITABLE


def _write_summary(sheet: JobList, runner: Runner) -> bool:
    """Write the summary, and return whether it could be written."""
    try:
        write_summary(sheet.summary, runner.rows)
    except OSError as error:
        print_error(f"the summary {sheet.summary} cannot be written: {error.strerror}")
        return False
    print_note(f"summary: {sheet.summary}")
    return True
